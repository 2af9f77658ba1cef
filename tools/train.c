/// dpc-train: learn a policy from recorded episodes.

#include "tools/train_main.h"

int main(int argc, char** argv) {
  const dpc_train_program program = {
      .name = "train",
      .doc =
          "Learn a policy from recorded episodes.\v"
          "The folder train.output gets policy.safetensors (the averaged weights and all it "
          "takes to run them), state.safetensors (to resume from), metrics.jsonl and "
          "config.yaml, and with train.rollout_every the policies of the best scores, named after "
          "step and score; dpc inspect shows it. Interrupted with Ctrl-C, it saves, says how to "
          "go on and ends with code 1. A disk that is full while training is reported, and "
          "training goes on with the last good state and policies in place; at the end it is a "
          "failure.",
      .arguments = "[CONFIG] [KEY=VALUE...]",
  };
  return dpc_train_main(&program, argc, argv);
}
