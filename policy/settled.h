/// Settled rows: the beginning of a chunk that will have been executed when the chunk takes effect,
/// so that what is denoised behind it has to go on from there (Black et al. 2025, arXiv 2506.07339).
///
/// A policy that was trained for it is shown settled rows clean and marked as such (Black et al.
/// 2025, arXiv 2512.05964). Any other is shown what the forward process would have made of them at
/// the timestep in hand, always with the noise that the chunk began with. Either way they are set
/// anew before every evaluation of the network, whatever an update made of them.
#pragma once

#include "policy/schedule.h"

/// The settled rows of the chunks in hand.
typedef struct dpc_settled dpc_settled;

/// Room for `chunks_max` chunks of `size` values each; none has settled rows. `schedule` is kept.
/// `clean`: the network is shown them clean. DPC_ERR_NO_MEMORY.
/// Allocates: from the arena. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_settled_create(const dpc_schedule* schedule, bool clean,
                                            int chunks_max, int size, dpc_arena* arena,
                                            dpc_settled** out, dpc_error* error);

/// The first `count` values of chunk `at` are settled: `values` [count], normalised; `noise` [count]
/// is what the chunk begins with. Both are copied.
/// Allocates: no. Blocks: no. Thread: the owner's.
void dpc_settled_set(dpc_settled* settled, int at, int count, const float* values,
                     const float* noise);

/// Before an evaluation at timestep t of the schedule: set the settled values of x, [chunks][size],
/// to what the network is shown. Work depends on the counts and on nothing else.
/// Allocates: no. Blocks: no. Thread: the owner's.
void dpc_settled_show(const dpc_settled* settled, double t, int chunks, float* x);
