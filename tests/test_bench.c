// dpc-bench, as people run it: the report is complete and its numbers fit each other. How fast
// anything is, is nobody's business here.

#include <stdio.h>
#include <unistd.h>

#include "policy/kernels/kernels.h"
#include "tests/policy_base.h"
#include "tests/test.h"
#include "tools/json.h"

static dpc_error error;

// What the program reports, which is all of its standard output.
static dpc_json* bench_json(const char* options) {
  const int code = shell("dpc-bench -q %s --json -", options);
  if (code != 0) fail_msg("bench %s: exit code %d", options, code);
  dpc_json* json = NULL;
  assert_ok(dpc_json_parse(output, strlen(output), "output", &json, &error), &error);
  return json;
}

static double real_of(const dpc_json* object, const char* key) {
  double value = NAN;
  if (!dpc_json_as_real(dpc_json_get(object, key), &value)) fail_msg("no number '%s'", key);
  return value;
}

static const char* text_of(const dpc_json* object, const char* key) {
  const char* text = dpc_json_as_text(dpc_json_get(object, key));
  if (text == NULL) fail_msg("no text '%s'", key);
  return text;
}

// --- one configuration ---------------------------------------------------------------------------

static void check_quantiles(const dpc_json* of, const char* key) {
  const dpc_json* json = dpc_json_get(of, key);
  const double p50 = real_of(json, "p50"), max = real_of(json, "max");
  assert_true(p50 > 0);
  assert_true(p50 <= real_of(json, "p99") && real_of(json, "p99") <= real_of(json, "p999"));
  assert_true(real_of(json, "p999") <= max);
  assert_true(real_of(json, "mean") > 0 && real_of(json, "mean") <= max);
}

// Rates and limits follow from the times, the bytes and the peaks.
static void check_numbers(const dpc_json* json) {
  const double step = real_of(dpc_json_get(json, "step_us"), "p50");
  const double bytes = real_of(json, "weight_bytes_per_step");
  const double flops = 2 * real_of(json, "multiply_adds_per_step");
  const double compute = real_of(json, "compute_us"), read = real_of(json, "read_us");
  const double limit = real_of(json, "limit_us"), elementwise = real_of(json, "elementwise_us");
  assert_true(bytes > 0 && flops > 0 && compute > 0 && read > 0 && elementwise > 0);
  assert_near(real_of(json, "gflops") * step * 1e3 / flops, 1, 1e-9);
  assert_near(real_of(json, "gbs") * step * 1e3 / bytes, 1, 1e-9);
  assert_near(real_of(json, "peak_gflops") * compute * 1e3 / flops, 1, 1e-9);
  assert_near(real_of(json, "peak_gbs") * read * 1e3 / bytes, 1, 1e-9);
  assert_near(limit / (fmax(compute, read) + elementwise), 1, 1e-9);
}

static void check_configuration(const dpc_json* json) {
  static const char* const lengths[] = {"step_us", "chunk_us", "control_us"};
  for (int i = 0; i < DPC_COUNT(lengths); ++i) check_quantiles(json, lengths[i]);
  check_numbers(json);
  assert_true(real_of(json, "allocations") <= 0);  // -1: not counted
  assert_true(real_of(json, "page_faults") >= 0 && real_of(json, "context_switches") >= 0);
}

static void test_report_is_complete(void** state) {
  (void)state;
  dpc_json* json = bench_json("--policy p.safetensors --runs 25 --warmup 2 --steps 3");
  check_configuration(json);
  const char* precision = text_of(json, "precision");
  assert_true(strcmp(precision, "fp32") == 0 || strcmp(precision, "bf16") == 0);
  assert_string_equal(text_of(json, "policy"), "p.safetensors");
  assert_non_null(text_of(json, "isa"));
  assert_true(real_of(json, "threads") == 1 && real_of(json, "steps") == 3);
  assert_true(real_of(json, "chunks") == 25 && real_of(json, "warmup") == 2);
  assert_null(dpc_json_get(json, "runs"));
  const dpc_json* machine = dpc_json_get(json, "machine");
  assert_true(real_of(machine, "cpus") >= 1 && real_of(machine, "cpu") >= 0);
  assert_true(real_of(machine, "gflops_per_thread") > 0 && real_of(machine, "read_gbs") > 0);
  dpc_json_free(json);
}

static void test_settings_reach_the_engine(void** state) {
  (void)state;
  dpc_json* json = bench_json("-p p.safetensors --runs 2 --warmup 1 --precision bf16");
  assert_string_equal(text_of(json, "precision"), "bf16");
  assert_true(real_of(json, "steps") == 10);
  dpc_json_free(json);
  assert_int_equal(
      shell("DPC_ISA=generic dpc-bench -q -p p.safetensors --runs 2 --warmup 1 --json -"), 0);
  assert_non_null(strstr(output, "\"isa\": \"generic\""));
}

// --- a sweep -------------------------------------------------------------------------------------

static int count_rows(const dpc_json* rows, const char* size, const char* precision,
                      const char* isa, int threads) {
  int count = 0;
  for (int i = 0; i < dpc_json_count(rows); ++i) {
    const dpc_json* row = dpc_json_at(rows, i);
    count += strcmp(text_of(row, "size"), size) == 0 &&
             strcmp(text_of(row, "precision"), precision) == 0 &&
             strcmp(text_of(row, "isa"), isa) == 0 && real_of(row, "threads") == threads;
  }
  return count;
}

static void check_sweep(const dpc_json* json) {
  const dpc_json* rows = dpc_json_get(json, "runs");
  const char* fastest = text_of(json, "isa");
  const int cpus = (int)real_of(dpc_json_get(json, "machine"), "cpus");
  for (int p = 1; dpc_precision_names[p] != NULL; ++p) {
    const char* precision = dpc_precision_names[p];
    for (int i = 0; i < DPC_ISA_COUNT; ++i) {
      const dpc_kernels* kernels = dpc_kernels_of((dpc_isa)i);
      if (kernels == NULL) continue;
      assert_int_equal(count_rows(rows, "small", precision, kernels->name, 1), 1);
    }
    for (int threads = 1; threads <= 2 && threads <= cpus; ++threads) {
      assert_int_equal(count_rows(rows, "small", precision, fastest, threads), 1);
      assert_int_equal(count_rows(rows, "medium", precision, fastest, threads), 1);
      assert_int_equal(count_rows(rows, "large", precision, fastest, threads), 1);
    }
  }
  for (int i = 0; i < dpc_json_count(rows); ++i) check_configuration(dpc_json_at(rows, i));
}

// Without a policy, and with as little work as it takes to meet every configuration.
static void test_sweep_has_every_configuration(void** state) {
  (void)state;
  dpc_json* json = bench_json("--sweep --runs 1 --warmup 1 --steps 1");
  assert_string_equal(text_of(json, "policy"), "random weights");
  assert_string_equal(text_of(json, "size"), "small");
  check_configuration(json);
  check_sweep(json);
  dpc_json_free(json);
}

// --- the loop ------------------------------------------------------------------------------------

static void check_wake_ups(const dpc_json* json, double expected) {
  const double count = real_of(json, "wake_ups"), missed = real_of(json, "missed");
  assert_true(count > 0 && count <= expected + 2);  // the first of a window is due at once
  assert_true(missed >= 0 && missed <= count);
  assert_true(real_of(json, "p50_us") > 0 && real_of(json, "p50_us") <= real_of(json, "p99_us"));
  assert_true(real_of(json, "p99_us") <= real_of(json, "p999_us"));
  assert_true(real_of(json, "p999_us") <= real_of(json, "max_us"));
  assert_true(real_of(json, "p999_median_us") <= real_of(json, "max_us"));
  assert_true(real_of(json, "heap_calls") <= 0);  // below: nobody counts them
}

// Both loops have been counted, and the verdicts follow from the counts, whatever those are.
static void test_loop(void** state) {
  (void)state;
  static const double hz[] = {100, 500};
  dpc_json* json = bench_json("--loop -p p.safetensors --seconds 0.5 --windows 2");
  const dpc_json* rates = dpc_json_get(json, "rates");
  assert_int_equal(dpc_json_count(rates), DPC_COUNT(hz));
  for (int i = 0; i < DPC_COUNT(hz); ++i) {
    const dpc_json* rate = dpc_json_at(rates, i);
    const dpc_json *loop = dpc_json_get(rate, "loop"), *bare = dpc_json_get(rate, "bare");
    bool missed_ok = false, late_ok = false;
    assert_true(real_of(rate, "hz") == hz[i]);
    // a window may last longer where the thread that ends it has to wait
    check_wake_ups(loop, 20 * hz[i]);
    check_wake_ups(bare, 20 * hz[i]);
    const double allowed = real_of(bare, "missed") + 3 * sqrt(real_of(bare, "missed") + 1);
    assert_near(real_of(rate, "missed_allowed"), allowed, 1e-9);
    assert_true(dpc_json_as_bool(dpc_json_get(rate, "missed_ok"), &missed_ok));
    assert_int_equal(missed_ok, real_of(loop, "missed") <= allowed);
    assert_true(dpc_json_as_bool(dpc_json_get(rate, "p999_ok"), &late_ok));
    assert_int_equal(late_ok,
                     real_of(loop, "p999_median_us") <= 1.5 * real_of(bare, "p999_median_us"));
  }
  dpc_json_free(json);
}

// --- what people see -----------------------------------------------------------------------------

static void test_tables(void** state) {
  (void)state;
  assert_int_equal(shell("dpc-bench -q -p p.safetensors --runs 2 --warmup 1"), 0);
  static const char* const words[] = {"p99.9", "step", "chunk", "control", "limit"};
  for (int i = 0; i < DPC_COUNT(words); ++i) assert_non_null(strstr(output, words[i]));
}

static void test_bad_use_is_refused(void** state) {
  (void)state;
  static const struct {
    const char* arguments;
    int code;
    const char* words;
  } cases[] = {
      {"", 2, "--policy"},
      {"-p p.safetensors more", 2, "more"},
      {"-p p.safetensors --runs 0", 2, "--runs"},
      {"-p p.safetensors --precision fp8", 2, "--precision"},
      {"-p p.safetensors --threads 0", 2, "--threads"},
      {"-p p.safetensors --threads 1000", 2, "--threads 1000"},
      {"-p p.safetensors --sampler euler", 2, "--sampler"},
      {"-p p.safetensors --steps 0", 2, "--steps"},
      {"-p p.safetensors --steps 1000", 2, "sampler.steps"},
      {"--loop --windows 0", 2, "--windows"},
      {"--loop --seconds nan", 2, "--seconds"},
      {"-p nowhere.safetensors", 1, "nowhere.safetensors"},
  };
  for (int i = 0; i < DPC_COUNT(cases); ++i) {
    const int code = shell("dpc-bench -q %s 2>&1", cases[i].arguments);
    if (code != cases[i].code || strstr(output, cases[i].words) == NULL) {
      fail_msg("bench %s: exit code %d: %s", cases[i].arguments, code, output);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_report_is_complete),
      cmocka_unit_test(test_settings_reach_the_engine),
      cmocka_unit_test(test_sweep_has_every_configuration),
      cmocka_unit_test(test_loop),
      cmocka_unit_test(test_tables),
      cmocka_unit_test(test_bad_use_is_refused),
  };
  return cmocka_run_group_tests(tests, make_base_with_policy, remove_base);
}
