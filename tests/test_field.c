#include "policy/field.h"

#include "tests/test.h"

typedef struct sample_def {
  bool verbose;
  int steps;
  uint64_t seed;
  double rate;
  int kind;
  char path[16];
  dpc_int_list dims;
  dpc_text_list names;
} sample_def;

static const char* const kinds[] = {"ddim", "ddpm", NULL};

static const dpc_field sample_fields[] = {
    DPC_BOOL(sample_def, verbose, "false", "say more"),
    DPC_INT(sample_def, steps, "10", 1, 100, "", "denoising steps"),
    DPC_UINT64(sample_def, seed, "42", "seed"),
    DPC_REAL(sample_def, rate, "0.1", 0, 1, "1/s", "a rate"),
    DPC_CHOICE(sample_def, kind, "ddim", kinds, "the update rule"),
    DPC_TEXT(sample_def, path, "a.yaml", "a path"),
    DPC_INT_LIST(sample_def, dims, "[64, 128]", 1, 1024, "", "widths"),
    DPC_TEXT_LIST(sample_def, names, "", "names"),
};
static DPC_FIELD_TABLE(sample_table, sample_def, "sample", "for the test", sample_fields);

static void test_default_is_what_the_table_says(void** state) {
  (void)state;
  sample_def def;
  dpc_fields_default(&sample_table, &def);
  assert_int_equal(def.steps, 10);
  assert_int_equal(def.seed, 42);
  assert_true(def.rate == 0.1);
  assert_string_equal(def.path, "a.yaml");
  assert_int_equal(def.dims.count, 2);
  assert_int_equal(def.dims.values[1], 128);
  assert_int_equal(def.names.count, 0);
  assert_int_equal(dpc_fields_check(&sample_table, &def, NULL), DPC_OK);
}

static void test_values_survive_print_and_parse(void** state) {
  (void)state;
  static const struct {
    const char* key;
    const char* text;
  } good[] = {{"verbose", "true"}, {"steps", "100"},         {"seed", "18446744073709551615"},
              {"rate", "0.0003"},  {"kind", "ddpm"},         {"path", "x y.z"},
              {"dims", "[1]"},     {"dims", "[1, 2, 1024]"}, {"names", "[a[0:2] as b, c]"}};
  for (int i = 0; i < DPC_COUNT(good); ++i) {
    sample_def def;
    char text[256];
    dpc_fields_default(&sample_table, &def);
    const dpc_field* field = dpc_fields_find(&sample_table, good[i].key);
    assert_int_equal(dpc_field_parse(&sample_table, field, good[i].text, &def, NULL), DPC_OK);
    assert_int_equal(dpc_field_print(field, &def, text, sizeof text), DPC_OK);
    assert_string_equal(text, good[i].text);
  }
}

static void test_bad_text_is_refused_and_changes_nothing(void** state) {
  (void)state;
  static const struct {
    const char* key;
    const char* text;
  } bad[] = {{"verbose", "yes"},
             {"steps", "0"},
             {"steps", "101"},
             {"steps", "10x"},
             {"steps", ""},
             {"seed", "-1"},
             {"seed", "1e3"},
             {"rate", "nan"},
             {"rate", "inf"},
             {"rate", "1e-4x"},
             {"rate", "1.5"},
             {"kind", "euler"},
             {"path", "0123456789abcdef"},
             {"dims", "[1, 2"},
             {"dims", "[0]"},
             {"dims", "1, 2"},
             {"dims", "[1,,2]"},
             {"dims", "[1] 2"}};
  for (int i = 0; i < DPC_COUNT(bad); ++i) {
    sample_def def, before;
    dpc_error error = {""};
    dpc_fields_default(&sample_table, &def);
    before = def;
    const dpc_field* field = dpc_fields_find(&sample_table, bad[i].key);
    assert_int_equal(dpc_field_parse(&sample_table, field, bad[i].text, &def, &error),
                     DPC_ERR_CONFIG);
    assert_memory_equal(&def, &before, sizeof def);
    assert_non_null(strstr(error.text, bad[i].key));
  }
}

static void test_check_catches_values_set_in_c(void** state) {
  (void)state;
  sample_def def;
  dpc_fields_default(&sample_table, &def);
  def.rate = NAN;
  assert_int_equal(dpc_fields_check(&sample_table, &def, NULL), DPC_ERR_CONFIG);
  dpc_fields_default(&sample_table, &def);
  def.kind = 2;
  assert_int_equal(dpc_fields_check(&sample_table, &def, NULL), DPC_ERR_CONFIG);
  dpc_fields_default(&sample_table, &def);
  def.dims.values[0] = 0;
  assert_int_equal(dpc_fields_check(&sample_table, &def, NULL), DPC_ERR_CONFIG);
}

static void test_nearest_key(void** state) {
  (void)state;
  assert_string_equal(dpc_fields_nearest(&sample_table, "stesp"), "steps");
  assert_string_equal(dpc_fields_nearest(&sample_table, "dim"), "dims");
  assert_null(dpc_fields_nearest(&sample_table, "completely_else"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_default_is_what_the_table_says),
      cmocka_unit_test(test_values_survive_print_and_parse),
      cmocka_unit_test(test_bad_text_is_refused_and_changes_nothing),
      cmocka_unit_test(test_check_catches_values_set_in_c),
      cmocka_unit_test(test_nearest_key),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
