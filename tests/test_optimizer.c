#include "policy/train/ema.h"
#include "policy/train/optimizer.h"
#include "tests/test.h"

enum { COUNT = 37 };  // no multiple of a vector's width

// A made-up gradient that changes sign and size over elements and steps.
static float gradient(int i, int step) {
  return (float)(sin(i * 1.7 + step) * pow(10, i % 5 - 3));
}

typedef struct state {
  float params[COUNT], m[COUNT], v[COUNT];
} state;

static void run_steps(const dpc_adamw_def* def, int steps, double lr, size_t split, state* s) {
  memset(s, 0, sizeof *s);
  for (int i = 0; i < COUNT; ++i) s->params[i] = (float)cos(i);
  for (int step = 1; step <= steps; ++step) {
    float grads[COUNT];
    for (int i = 0; i < COUNT; ++i) grads[i] = gradient(i, step);
    dpc_adamw_step(def, step, lr, grads, s->params, s->m, s->v, split);
    dpc_adamw_step(def, step, lr, grads + split, s->params + split, s->m + split, s->v + split,
                   COUNT - split);
  }
}

// The same update in double, from the paper's algorithm 2.
static double oracle(const dpc_adamw_def* def, int steps, double lr, int i) {
  double p = (float)cos(i), m = 0, v = 0;
  for (int step = 1; step <= steps; ++step) {
    const double g = gradient(i, step);
    m = def->beta1 * m + (1 - def->beta1) * g;
    v = def->beta2 * v + (1 - def->beta2) * g * g;
    const double mean = m / (1 - pow(def->beta1, step));
    const double square = v / (1 - pow(def->beta2, step));
    p = p - lr * def->weight_decay * p - lr * mean / (sqrt(square) + def->epsilon);
  }
  return p;
}

static void adamw_follows_the_paper(void** unused) {
  (void)unused;
  const double decays[] = {0, 1e-6, 1e-2, 0.5};
  for (int k = 0; k < DPC_COUNT(decays); ++k) {
    dpc_adamw_def def = dpc_adamw_def_default();
    def.weight_decay = decays[k];
    state s;
    run_steps(&def, 50, 1e-2, COUNT / 2, &s);
    // fifty updates of about 1e-2 each, every one rounded to float
    for (int i = 0; i < COUNT; ++i) assert_near(s.params[i], oracle(&def, 50, 1e-2, i), 5e-6);
  }
}

// Numbers from torch.optim.AdamW 1.13: p0 = 1, -2, 0.5; gradients 0.1 k, -0.02, 3 at step k = 1, 2,
// 3; lr 0.1, betas (0.95, 0.999), eps 1e-8, weight_decay 0.01.
static void adamw_equals_pytorch(void** unused) {
  (void)unused;
  dpc_adamw_def def = dpc_adamw_def_default();
  def.weight_decay = 0.01;
  float p[3] = {1, -2, 0.5F}, m[3] = {0}, v[3] = {0};
  for (int step = 1; step <= 3; ++step) {
    const float grads[3] = {0.1F * (float)step, -0.02F, 3};
    dpc_adamw_step(&def, step, 0.1, grads, p, m, v, 3);
  }
  const double expected[3] = {0.707496464, -1.69430625, 0.198801428};
  for (int i = 0; i < 3; ++i) assert_near(p[i], expected[i], 1e-7);
}

static void splitting_a_range_changes_no_bit(void** unused) {
  (void)unused;
  const dpc_adamw_def def = dpc_adamw_def_default();
  state whole, parts;
  run_steps(&def, 7, 3e-4, COUNT, &whole);
  for (size_t split = 0; split < COUNT; ++split) {
    run_steps(&def, 7, 3e-4, split, &parts);
    assert_memory_equal(&whole, &parts, sizeof whole);
  }
}

static void the_cosine_warms_up_and_ends_at_zero(void** unused) {
  (void)unused;
  assert_near(dpc_cosine_schedule(1, 300, 1000), 0, 0);
  assert_near(dpc_cosine_schedule(151, 300, 1000), 0.5, 1e-12);
  assert_near(dpc_cosine_schedule(301, 300, 1000), 1, 0);
  assert_near(dpc_cosine_schedule(651, 300, 1000), 0.5, 1e-12);
  assert_near(dpc_cosine_schedule(1001, 300, 1000), 0, 0);
  assert_near(dpc_cosine_schedule(1, 0, 10), 1, 0);
  for (int step = 302; step <= 1001; ++step) {
    assert_true(dpc_cosine_schedule(step, 300, 1000) < dpc_cosine_schedule(step - 1, 300, 1000));
  }
  // a warm-up as long as the training, or longer, divides by nothing
  for (int step = 1; step <= 12; ++step) {
    assert_true(isfinite(dpc_cosine_schedule(step, 10, 10)));
    assert_true(isfinite(dpc_cosine_schedule(step, 20, 10)));
  }
}

static void clipping_bounds_the_norm(void** unused) {
  (void)unused;
  float values[COUNT];
  double sum = 0;
  for (int i = 0; i < COUNT; ++i) {
    values[i] = gradient(i, 1);
    sum += (double)values[i] * (double)values[i];
  }
  assert_near(dpc_sum_of_squares(values, COUNT), sum, 1e-12 * sum);
  assert_near(dpc_clip_scale(2, 1), 0.5, 1e-6);
  assert_near(dpc_clip_scale(0.5, 1), 1, 0);
  assert_near(dpc_clip_scale(100, 0), 1, 0);
}

static void the_average_follows_the_reference(void** unused) {
  (void)unused;
  const dpc_ema_def def = dpc_ema_def_default();
  assert_near(dpc_ema_decay(&def, 1), 0, 0);
  assert_near(dpc_ema_decay(&def, 2), 0, 0);
  assert_near(dpc_ema_decay(&def, 3), 1 - pow(2, -0.75), 1e-15);
  assert_near(dpc_ema_decay(&def, 1000), 1 - pow(999, -0.75), 1e-15);
  assert_near(dpc_ema_decay(&def, 100000000), 0.9999, 0);

  float params[COUNT], average[COUNT] = {0};
  for (int i = 0; i < COUNT; ++i) params[i] = (float)i;
  dpc_ema_update(0, params, average, COUNT);
  assert_memory_equal(params, average, sizeof params);
  for (int i = 0; i < COUNT; ++i) params[i] = 0;
  dpc_ema_update(0.75, params, average, COUNT);
  for (int i = 0; i < COUNT; ++i) assert_near(average[i], 0.75 * i, 1e-6);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(adamw_follows_the_paper),
      cmocka_unit_test(adamw_equals_pytorch),
      cmocka_unit_test(splitting_a_range_changes_no_bit),
      cmocka_unit_test(the_cosine_warms_up_and_ends_at_zero),
      cmocka_unit_test(clipping_bounds_the_norm),
      cmocka_unit_test(the_average_follows_the_reference),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
