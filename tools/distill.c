/// dpc-distill: a policy that needs few evaluations of the network, from one that needs many.

#include "tools/train_main.h"

int main(int argc, char** argv) {
  const dpc_train_program program = {
      .name = "distill",
      .doc =
          "Let a student learn from TEACHER, a trained policy, to do with few evaluations of the "
          "network (sampler.steps) what the teacher does with many.\v"
          "Network, schedule, normalisers and observations are the teacher's, and so are the "
          "first weights. The teacher says what is learned, so that only observations are needed: "
          "those of the episodes in dataset.path, or, with distill.rollouts, those that the "
          "teacher itself meets in the push world. The folder train.output gets what dpc train "
          "writes, with the teacher's SHA-256 in the policy's metadata. A run is resumed with "
          "--resume DIR alone, as long as the teacher is where it was.",
      .arguments = "TEACHER [CONFIG] [KEY=VALUE...]",
      .distills = true,
  };
  return dpc_train_main(&program, argc, argv);
}
