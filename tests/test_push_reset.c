// Initial states are numpy's, bit for bit, for every seed.

#include "sim/push_reset.h"

#include <inttypes.h>
#include <stdio.h>

#include "tests/test.h"

// numpy draws the angle through log and sqrt of the C library; another library may round the last
// bit another way.
static const double ANGLE_TOLERANCE = 1e-12;

// Compare with every row "seed,agent_x,agent_y,block_x,block_y,block_angle"; returns how many.
static int check_file(FILE* file) {
  char line[256];
  int rows = 0;
  assert_non_null(fgets(line, sizeof line, file));  // names of the columns
  while (fgets(line, sizeof line, file) != NULL) {
    uint32_t seed = 0;
    dpc_push_state want;
    // NOLINTNEXTLINE(cert-err34-c): a golden file, and the count of numbers is checked
    assert_int_equal(sscanf(line, "%" SCNu32 ",%lf,%lf,%lf,%lf,%lf", &seed, &want.agent_x,
                            &want.agent_y, &want.block_x, &want.block_y, &want.block_angle),
                     6);
    const dpc_push_state got = dpc_push_reset_state(seed);
    if (got.agent_x != want.agent_x || got.agent_y != want.agent_y || got.block_x != want.block_x ||
        got.block_y != want.block_y ||
        !(fabs(got.block_angle - want.block_angle) <= ANGLE_TOLERANCE)) {
      fail_msg("seed %u: (%g, %g) (%g, %g) %.17g, expected %s", seed, got.agent_x, got.agent_y,
               got.block_x, got.block_y, got.block_angle, line);
    }
    ++rows;
  }
  return rows;
}

static void equals_numpy(void** state) {
  (void)state;
  FILE* file = fopen(DPC_SOURCE_DIR "/tests/golden/reset_states.csv", "r");
  assert_non_null(file);
  const int rows = check_file(file);
  (void)fclose(file);
  assert_true(rows >= 190);
}

static void equals_the_benchmark(void** state) {
  (void)state;
  FILE* file = fopen(DPC_SHARED_DIR "/data/pusht/reset_states.csv", "r");
  if (file == NULL) {
    print_message("skipped: optional data beside the repository are not there\n");
    skip();
  }
  const int rows = check_file(file);
  (void)fclose(file);
  assert_int_equal(rows, 60);
}

static void stays_in_range_and_uses_all_of_it(void** state) {
  (void)state;
  dpc_push_state low = dpc_push_reset_state(0), high = low;
  double sum = 0, squares = 0;
  enum { SEEDS = 4000 };
  for (uint32_t i = 0; i < SEEDS; ++i) {
    const dpc_push_state s = dpc_push_reset_state(i * 2654435761U);
    low.agent_x = fmin(low.agent_x, s.agent_x);
    high.agent_x = fmax(high.agent_x, s.agent_x);
    low.agent_y = fmin(low.agent_y, s.agent_y);
    high.agent_y = fmax(high.agent_y, s.agent_y);
    low.block_x = fmin(low.block_x, s.block_x);
    high.block_x = fmax(high.block_x, s.block_x);
    low.block_y = fmin(low.block_y, s.block_y);
    high.block_y = fmax(high.block_y, s.block_y);
    const double normal = (s.block_angle + M_PI) / (2 * M_PI);
    sum += normal;
    squares += normal * normal;
  }
  // 4000 draws miss a given value of 400 with probability 5e-5
  assert_near(low.agent_x, 50, 0);
  assert_near(low.agent_y, 50, 0);
  assert_near(low.block_x, 100, 0);
  assert_near(low.block_y, 100, 0);
  assert_near(high.agent_x, 449, 0);
  assert_near(high.agent_y, 449, 0);
  assert_near(high.block_x, 399, 0);
  assert_near(high.block_y, 399, 0);
  // four standard errors
  assert_near(sum / SEEDS, 0, 4 / sqrt(SEEDS));
  assert_near(squares / SEEDS, 1, 4 * sqrt(2.0 / SEEDS));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(equals_numpy),
      cmocka_unit_test(equals_the_benchmark),
      cmocka_unit_test(stays_in_range_and_uses_all_of_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
