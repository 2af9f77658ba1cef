#include "tools/run_latency.h"

#include <string.h>

dpc_duration dpc_run_period(const dpc_policy* policy, const dpc_controller_def* controller) {
  return (dpc_duration){dpc_policy_info(policy)->interface.period_ns / controller->ticks_per_step};
}

dpc_status dpc_run_make_planner(dpc_run_latency* l, dpc_error* error) {
  dpc_planner_destroy(*l->planner);
  *l->planner = NULL;
  dpc_arena_release(l->arena, l->mark);
  return dpc_planner_create(l->policy, l->sampler, 1, l->arena, l->planner, error);
}

// --- what a delay has room for -------------------------------------------------------------------

enum { MARGIN_NS = 1000000 };  // and a quarter of the plan's time

// Plans inside the tick where nothing else waits for the time that they take.
static int needed_delay(const dpc_run_latency* l, dpc_duration plan) {
  const int64_t period = dpc_run_period(l->policy, l->controller).ns;
  if (l->def->pace == DPC_PACE_LOCKSTEP) return 0;
  if (l->def->pace == DPC_PACE_ROBOT && plan.ns < period / 2) return 0;
  const int64_t with_margin = plan.ns + plan.ns / 4 + MARGIN_NS;
  return (int)((with_margin + period - 1) / period);
}

// The longest plan that needs no more than this delay.
static double longest_plan(const dpc_run_latency* l, int delay) {
  const double period = (double)dpc_run_period(l->policy, l->controller).ns;
  if (delay == 0) return l->def->pace == DPC_PACE_ROBOT ? period / 2 : 0;
  return (delay * period - MARGIN_NS) / 1.25;
}

// --- steps ---------------------------------------------------------------------------------------

static dpc_status measure(const dpc_run_latency* l, dpc_latency_summary* out, dpc_error* error) {
  static dpc_latency taken;
  dpc_latency_clear(&taken);
  DPC_TRY(dpc_planner_measure(*l->planner, &l->place, l->def->warm_up, &taken, error));
  *out = dpc_latency_summarize(&taken);
  return DPC_OK;
}

// A plan's usual time goes with its steps, what comes on top at times does not. At least one less.
static int fewer_steps(const dpc_run_latency* l, const dpc_latency_summary* taken) {
  const int steps = l->sampler->steps;
  const double on_top = (double)(taken->p999.ns - taken->p50.ns);
  const double room = longest_plan(l, l->controller->delay) - on_top;
  const double fitting = steps * room / (double)(taken->p50.ns + 1);
  int fewer = fitting < 1 ? 1 : fitting < steps - 1 ? (int)fitting : steps - 1;
  // shortcuts take a power of two of them
  while (l->sampler->kind == DPC_SAMPLER_SHORTCUT && (fewer & (fewer - 1)) != 0) --fewer;
  return fewer;
}

static dpc_status reduce_steps(dpc_run_latency* l, dpc_latency_summary* taken, dpc_error* error) {
  const int own = l->sampler->steps;
  while (l->sampler->steps > 1 && needed_delay(l, taken->p999) > l->controller->delay) {
    l->sampler->steps = fewer_steps(l, taken);
    DPC_TRY(dpc_run_make_planner(l, error));
    DPC_TRY(measure(l, taken, error));
  }
  dpc_log(DPC_LOG_INFO, "denoising steps: %d of the policy's %d, chosen", l->sampler->steps, own);
  return DPC_OK;
}

// --- both ----------------------------------------------------------------------------------------

static dpc_status judge(const dpc_run_latency* l, dpc_duration p999, dpc_error* error) {
  const int delay = l->controller->delay, needed = needed_delay(l, p999);
  if (delay >= needed) return DPC_OK;
  const double ms = (double)p999.ns * 1e-6;
  if (dpc_run_rt(l->def) == DPC_RT_REQUIRED) {
    return dpc_fail(error, DPC_ERR_CONFIG,
                    "controller.delay: %d ticks, but a plan takes up to %.1f ms and needs %d; "
                    "run.rt=required refuses plans that will be late",
                    delay, ms, needed);
  }
  dpc_log(
      DPC_LOG_WARNING,
      "a plan takes up to %.1f ms and needs a delay of %d ticks, but it is %d: plans will be late",
      ms, needed, delay);
  return DPC_OK;
}

// Settings that the policy leaves no room for.
static dpc_status check_fit(const dpc_run_latency* l, dpc_error* error) {
  const dpc_checkpoint_info* info = dpc_policy_info(l->policy);
  // the robot observes once per policy step: rows would last too long
  if (l->def->pace != DPC_PACE_TIMER && l->controller->ticks_per_step != 1) {
    return dpc_fail(error, DPC_ERR_CONFIG,
                    "controller.ticks_per_step: %d, but with run.pace=%s a tick is a policy step: "
                    "1, or run.pace=timer",
                    l->controller->ticks_per_step, dpc_pace_names[l->def->pace]);
  }
  const size_t mark = dpc_arena_mark(l->arena);
  dpc_controller* trial;
  DPC_TRY(dpc_controller_create(l->controller, info, &info->interface, l->arena, &trial, error));
  dpc_arena_release(l->arena, mark);
  return DPC_OK;
}

dpc_status dpc_run_settle(dpc_run_latency* l, bool choose_steps, dpc_error* error) {
  dpc_latency_summary taken;
  DPC_TRY(measure(l, &taken, error));
  const bool choose_delay = l->controller->delay == DPC_DELAY_AUTO;
  if (choose_delay) {
    const int needed = needed_delay(l, taken.p999);
    const int most = dpc_controller_delay_max(l->controller, dpc_policy_info(l->policy));
    // none at all is left by settings that do not fit, which dpc_controller_create refuses by name
    l->controller->delay = most < 0 ? 0 : needed < most ? needed : most;
  }
  if (choose_steps) DPC_TRY(reduce_steps(l, &taken, error));
  dpc_log(DPC_LOG_INFO, "inference p99.9 %.2f ms, tick %.2f ms: delay %d ticks%s",
          (double)taken.p999.ns * 1e-6, (double)dpc_run_period(l->policy, l->controller).ns * 1e-6,
          l->controller->delay, choose_delay ? ", chosen" : "");
  DPC_TRY(check_fit(l, error));
  return judge(l, taken.p999, error);
}
