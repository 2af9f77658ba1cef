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

static void check_range(int (*get)(const dpc_push_state*), int first, int end) {
  int low = end, high = first - 1;
  for (uint32_t i = 0; i < 4000; ++i) {
    const dpc_push_state s = dpc_push_reset_state(i * 2654435761U);
    const int value = get(&s);
    if (value < low) low = value;
    if (value > high) high = value;
  }
  // 4000 draws miss a given value of 400 with probability 5e-5
  assert_int_equal(low, first);
  assert_int_equal(high, end - 1);
}

static int agent_x(const dpc_push_state* s) {
  return (int)s->agent_x;
}

static int agent_y(const dpc_push_state* s) {
  return (int)s->agent_y;
}

static int block_x(const dpc_push_state* s) {
  return (int)s->block_x;
}

static int block_y(const dpc_push_state* s) {
  return (int)s->block_y;
}

static void places_use_all_of_their_range(void** state) {
  (void)state;
  check_range(agent_x, 50, 450);
  check_range(agent_y, 50, 450);
  check_range(block_x, 100, 400);
  check_range(block_y, 100, 400);
}

static void angles_are_normal(void** state) {
  (void)state;
  enum { SEEDS = 4000 };
  double sum = 0, squares = 0;
  for (uint32_t i = 0; i < SEEDS; ++i) {
    const double angle = dpc_push_reset_state(i * 2654435761U).block_angle;
    const double normal = (angle + M_PI) / (2 * M_PI);
    sum += normal;
    squares += normal * normal;
  }
  // four standard errors
  assert_near(sum / SEEDS, 0, 4 / sqrt(SEEDS));
  assert_near(squares / SEEDS, 1, 4 * sqrt(2.0 / SEEDS));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(equals_numpy),
      cmocka_unit_test(equals_the_benchmark),
      cmocka_unit_test(places_use_all_of_their_range),
      cmocka_unit_test(angles_are_normal),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
