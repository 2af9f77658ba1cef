/// What is commanded from row to row: the chunk in force, how one is followed, and how the next takes
/// over from it. Pure: a command depends on the chunks and the ticks at which they took over alone.
///
/// Rows come once per policy step. With several ticks to a step, a command may hold each row for its
/// step, or follow a spline through the rows that begins, with each new chunk, at the last command
/// and with its velocity: the commands then have no steps, within a chunk or from one to the next.
#pragma once

#include "runtime/chunk.h"
#include "runtime/spline.h"

/// What is commanded between rows.
typedef enum dpc_interpolation {
  DPC_INTERPOLATION_HOLD,   // the row that is due
  DPC_INTERPOLATION_CUBIC,  // a cubic spline through the rows
} dpc_interpolation;

/// Names, in order; ends with NULL. For DPC_CHOICE.
extern const char* const dpc_interpolation_names[];

/// What becomes of the chunk in force, and of the robot, while the next one is planned.
typedef enum dpc_switching {
  DPC_SWITCHING_WAIT,    // the rows to execute are finished; then the robot stands until there is a
                         // plan, which is followed from its first row on
  DPC_SWITCHING_DROP,    // the chunk goes on, and the new one's rows that are over by then are
                         // dropped
  DPC_SWITCHING_BLEND,   // the same, and the rows that both have lead from one to the other
  DPC_SWITCHING_PREFIX,  // as drop, and the request says which rows are settled, for the sampler to
                         // plan on from them
  DPC_SWITCHING_TRAINED,  // the same, and only with a policy that was trained for it
  DPC_SWITCHING_GUIDED,   // the same, and the request has the rows behind those, too, for a guided
                          // planner: not for robots
} dpc_switching;

/// Names, in order; ends with NULL. For DPC_CHOICE.
extern const char* const dpc_switching_names[];

typedef struct dpc_course {
  dpc_interpolation interpolation;
  dpc_chunk chunk;        // in force; its memory is the course's
  float* values;          // [horizon x dim], that memory
  dpc_spline spline;      // through the chunk, where it is cubic
  uint64_t spline_begin;  // tick
  float* between;         // [dim], the spline at the tick that was looked up
} dpc_course;

/// A course for chunks of up to `horizon` rows of `dim` values, with none in force. DPC_ERR_NO_MEMORY.
/// Allocates: from the arena. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_course_create(dpc_interpolation interpolation, int horizon, int dim,
                                           dpc_arena* arena, dpc_course* out, dpc_error* error);

/// Forget the chunk in force.
/// Allocates: no. Blocks: no. Thread: the course's owner.
void dpc_course_clear(dpc_course* course);

/// Follow a copy of `next` from `tick` on. `position` and `velocity` [dim] are those of the command of
/// the tick before, the velocity per tick; commands that hold rows do not ask for them.
///
/// The spline goes through each row in the middle of its step: there it and the row, held, agree on
/// average, so that it leads the robot neither earlier nor later than the policy has learned. (Through
/// their begin, half a step earlier, the push world scores the same, with twice the velocity steps at
/// switches; through their end it scores less.) It takes a step at least to its first row: what is
/// nearer is passed by, as a hurried correction is a jerk. It comes to rest in the last row, as nothing
/// is known of what is behind.
/// Allocates: no. Blocks: no. Thread: the course's owner.
void dpc_course_follow(dpc_course* course, const dpc_chunk* next, uint64_t tick,
                       const float* position, const float* velocity);

/// The command at `tick`, [dim], until the next call; NULL where the chunk in force does not reach.
/// `velocity` and `acceleration` [dim], out, per tick and per tick^2, are written by a spline only.
/// Allocates: no. Blocks: no. Thread: the course's owner.
const float* dpc_course_at(dpc_course* course, uint64_t tick, float* velocity, float* acceleration);
