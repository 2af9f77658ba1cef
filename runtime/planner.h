/// From a snapshot of observations to a chunk of actions: inside the tick, or in a thread of its own
/// while the ticks go on. Both give the same bits: denormal numbers are flushed in both.
///
///     dpc_planner_make(planner, &request, &plan);                      // inside the tick
///
///     dpc_planner_start(planner, &place, error);                       // in a thread
///     dpc_planner_ask(planner, &request);                              // from one tick …
///     const dpc_plan* plan = dpc_planner_ready(planner);               // … until a later one
#pragma once

#include "policy/policy.h"
#include "runtime/controller.h"
#include "runtime/latency.h"
#include "runtime/rt.h"

typedef struct dpc_planner dpc_planner;

/// Stack of a thread that plans, bytes.
#define DPC_PLANNER_STACK ((size_t)2 << 20)

/// Make a planner with the policy's own sampler, or `sampler` when it is not NULL, for up to
/// `plans_max` plans at once. Errors are those of dpc_policy_work_create; DPC_ERR_IO without an
/// eventfd. Release with dpc_planner_destroy.
/// Allocates: from the arena; thread stacks where the engine has threads. Blocks: no. Thread:
/// start-up only.
DPC_NODISCARD dpc_status dpc_planner_create(const dpc_policy* policy,
                                            const dpc_sampler_def* sampler, int plans_max,
                                            dpc_arena* arena, dpc_planner** out, dpc_error* error);

/// From now on plans are drawn towards settled rows; see dpc_policy_guide, also for its errors.
/// Allocates: from the arena. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_planner_guide(dpc_planner* planner, dpc_arena* arena,
                                           dpc_error* error);

/// Stop its threads, if there are any, and give the eventfds back. NULL is allowed.
/// Allocates: no. Blocks: until a plan in the making is made. Thread: the one that created it.
void dpc_planner_destroy(dpc_planner* planner);

/// Plan now. `plan` answers `request`; its chunk belongs to the planner and stays until the next
/// call. A plan of which something was not finite is `failed`.
/// Allocates: no. Blocks: no. Thread: one at a time, and only while the planner has no thread.
void dpc_planner_make(dpc_planner* planner, const dpc_plan_request* request, dpc_plan* plan);

/// Plan for several controllers at once, each as dpc_planner_make would, to the bit. The chunks stay
/// until the next call. It is not counted in dpc_planner_latency.
/// Allocates: no. Blocks: no. Thread: as dpc_planner_make.
void dpc_planner_make_together(dpc_planner* planner, int count, const dpc_plan_request* requests,
                               dpc_plan* plans);

/// Time `runs` plans of a typical observation into `taken`, after two that warm up, with a pause as
/// long as the plan after each. They are made in a thread at `place`, as those of the planner's own
/// thread are. They leave no trace in what dpc_planner_latency says. DPC_ERR_INVALID when the policy's
/// output is not finite; otherwise errors are those of dpc_thread_start.
/// Allocates: the thread's stack, given back. Blocks: until they are made. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_planner_measure(dpc_planner* planner, const dpc_thread_place* place,
                                             int runs, dpc_latency* taken, dpc_error* error);

/// Start the planner's thread; errors are those of dpc_thread_start.
/// Allocates: the thread's stack. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_planner_start(dpc_planner* planner, const dpc_thread_place* place,
                                           dpc_error* error);

/// Stop its thread; nothing when there is none.
/// Allocates: no. Blocks: until a plan in the making is made. Thread: the one that started it.
void dpc_planner_stop(dpc_planner* planner);

/// Hand a request to the thread. One that it has not begun with yet is replaced.
/// Allocates: no. Blocks: no. Thread: the control thread.
void dpc_planner_ask(dpc_planner* planner, const dpc_plan_request* request);

/// The thread's newest plan, once; NULL when there is nothing new. It stays until the next call that
/// returns one.
/// Allocates: no. Blocks: no. Thread: the control thread.
const dpc_plan* dpc_planner_ready(dpc_planner* planner);

/// How long plans took, each from request taken to chunk made.
/// Allocates: no. Blocks: no. Thread: the one that plans; any once the planner's thread has stopped.
const dpc_latency* dpc_planner_latency(const dpc_planner* planner);

/// The planner's thread: whether it has its priority and, once it has stopped, what disturbed it.
/// Allocates: no. Blocks: no. Thread: the one that started it.
const dpc_thread* dpc_planner_thread(const dpc_planner* planner);
