#include "tools/json.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/test.h"
#include "tools/file.h"

static char folder[] = "/tmp/dpc_test_json_XXXXXX";

static int make_folder(void** state) {
  (void)state;
  return mkdtemp(folder) == NULL ? -1 : 0;
}

static int remove_folder(void** state) {
  (void)state;
  return rmdir(folder);
}

static const char* in_folder(const char* name) {
  static char path[128];
  (void)snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

static dpc_json* sample(void) {
  dpc_json* root = dpc_json_object();
  dpc_json_set_real(root, "score_mean", 0.95);
  dpc_json_set_real(root, "whole", 2);
  dpc_json_set_real(root, "nothing", NAN);
  dpc_json_set_int(root, "big", INT64_MAX);
  dpc_json_set_bool(root, "good", true);
  dpc_json_set_text(root, "name", "a \"b\"\n\xc3\xa9");
  dpc_json* rows = dpc_json_set(root, "per_seed", dpc_json_array());
  for (int i = 0; i < 2; ++i) {
    dpc_json* row = dpc_json_push(rows, dpc_json_array());
    dpc_json_push_int(row, 100000 + i);
    dpc_json_push_real(row, 0.5);
  }
  dpc_json_set(root, "empty", dpc_json_object());
  return root;
}

static void test_text_is_what_people_expect(void** state) {
  (void)state;
  dpc_json* root = sample();
  char* text = dpc_json_print(root, false);
  assert_string_equal(text,
                      "{\n"
                      "  \"score_mean\": 0.95,\n"
                      "  \"whole\": 2.0,\n"
                      "  \"nothing\": null,\n"
                      "  \"big\": 9223372036854775807,\n"
                      "  \"good\": true,\n"
                      "  \"name\": \"a \\\"b\\\"\\n\xc3\xa9\",\n"
                      "  \"per_seed\": [\n"
                      "    [100000, 0.5],\n"
                      "    [100001, 0.5]\n"
                      "  ],\n"
                      "  \"empty\": {}\n"
                      "}");
  free(text);
  text = dpc_json_print(root, true);
  assert_null(strchr(text, '\n'));
  assert_non_null(strstr(text, "\"per_seed\": [[100000, 0.5], [100001, 0.5]]"));
  free(text);
  dpc_json_free(root);
}

static void test_reals_keep_their_bits(void** state) {
  (void)state;
  uint64_t bits = 0x3ff0000000000000u;
  for (int i = 0; i < 2000; ++i) {
    bits = bits * 6364136223846793005u + 1442695040888963407u;
    double value = 0;
    memcpy(&value, &bits, sizeof value);
    if (!isfinite(value)) continue;
    dpc_error error = {""};
    dpc_json* array = dpc_json_array();
    dpc_json_push_real(array, value);
    char* text = dpc_json_print(array, true);
    dpc_json* back = NULL;
    double read = 0;
    assert_ok(dpc_json_parse(text, strlen(text), "text", &back, &error), &error);
    assert_true(dpc_json_as_real(dpc_json_at(back, 0), &read));
    assert_memory_equal(&read, &value, sizeof value);
    free(text);
    dpc_json_free(array);
    dpc_json_free(back);
  }
}

static void test_values_are_read_by_type(void** state) {
  (void)state;
  dpc_error error = {""};
  dpc_json* root = NULL;
  const char* text = "{\"a\": {\"n\": 3, \"x\": 0.5, \"t\": \"hi\", \"b\": false, \"z\": null}}";
  assert_ok(dpc_json_parse(text, strlen(text), "text", &root, &error), &error);
  const dpc_json* a = dpc_json_get(root, "a");
  int64_t integer = 7;
  double real = 7;
  bool boolean = true;
  assert_true(dpc_json_as_int(dpc_json_get(a, "n"), &integer) && integer == 3);
  assert_true(dpc_json_as_real(dpc_json_get(a, "n"), &real) && real == 3);
  assert_true(dpc_json_as_real(dpc_json_get(a, "x"), &real) && real == 0.5);
  assert_true(dpc_json_as_bool(dpc_json_get(a, "b"), &boolean) && !boolean);
  assert_string_equal(dpc_json_as_text(dpc_json_get(a, "t")), "hi");
  assert_true(dpc_json_is_null(dpc_json_get(a, "z")));
  assert_int_equal(dpc_json_count(a), 5);

  // a wrong type or a missing key changes nothing, and look-ups can be chained through it
  assert_false(dpc_json_as_int(dpc_json_get(a, "x"), &integer));
  assert_false(dpc_json_as_int(dpc_json_get(dpc_json_get(root, "no"), "n"), &integer));
  assert_null(dpc_json_as_text(dpc_json_get(a, "n")));
  assert_null(dpc_json_at(dpc_json_get(a, "n"), 0));
  assert_null(dpc_json_at(dpc_json_get(a, "t"), -1));
  assert_int_equal(dpc_json_count(NULL), -1);
  assert_int_equal(integer, 3);
  dpc_json_free(root);
}

static void test_malformed_text_is_refused_with_its_place(void** state) {
  (void)state;
  static const char* const bad[] = {
      "",      "{",          "{\"a\":1,}", "[1] 2", "{\"a\":1,\"a\":2}",     "[1e999]",
      "[NaN]", "[\"\xff\"]", "nul",        "[01]",  "[99999999999999999999]"};
  for (int i = 0; i < DPC_COUNT(bad); ++i) {
    dpc_error error = {""};
    dpc_json* root = NULL;
    assert_fails(dpc_json_parse(bad[i], strlen(bad[i]), "b.json", &root, &error), DPC_ERR_FORMAT,
                 &error, "b.json:");
    assert_null(root);
  }
  enum { DEPTH = 1000000 };
  char* deep = malloc(DEPTH);
  dpc_error error = {""};
  dpc_json* root = NULL;
  memset(deep, '[', DEPTH);
  assert_int_equal(dpc_json_parse(deep, DEPTH, "deep", &root, &error), DPC_ERR_FORMAT);
  free(deep);
}

static void test_bad_bytes_in_text_do_not_lose_a_report(void** state) {
  (void)state;
  dpc_json* root = dpc_json_array();
  dpc_json_push_text(root,
                     "a\xff"
                     "b");
  char* text = dpc_json_print(root, true);
  assert_string_equal(text, "[\"a?b\"]");
  free(text);
  dpc_json_free(root);
}

static int files_in_folder(void) {
  int count = 0;
  DIR* listing = opendir(folder);
  assert_non_null(listing);
  for (struct dirent* at = readdir(listing); at != NULL; at = readdir(listing)) {
    count += at->d_name[0] != '.';
  }
  assert_int_equal(closedir(listing), 0);
  return count;
}

static void test_saved_file_reads_back_and_leaves_no_other(void** state) {
  (void)state;
  dpc_error error = {""};
  dpc_json* root = sample();
  dpc_json* back = NULL;
  for (int i = 0; i < 2; ++i) assert_ok(dpc_json_save(root, in_folder("a.json"), &error), &error);
  assert_ok(dpc_json_read(in_folder("a.json"), &back, &error), &error);
  char* before = dpc_json_print(root, true);
  char* after = dpc_json_print(back, true);
  assert_string_equal(before, after);
  assert_int_equal(files_in_folder(), 1);
  free(before);
  free(after);
  dpc_json_free(root);
  dpc_json_free(back);
  assert_int_equal(unlink(in_folder("a.json")), 0);
}

static void test_what_cannot_be_written_says_so_and_leaves_the_old_file(void** state) {
  (void)state;
  dpc_error error = {""};
  dpc_json* root = sample();
  assert_fails(dpc_json_save(root, "/nonexistent/a.json", &error), DPC_ERR_NOT_FOUND, &error,
               "/nonexistent/a.json");
  assert_fails(dpc_json_save(root, "/dev/full", &error), DPC_ERR_IO, &error, "No space");
  assert_fails(dpc_json_save(root, folder, &error), DPC_ERR_IO, &error, folder);
  FILE* full = fopen("/dev/full", "w");
  assert_non_null(full);
  assert_fails(dpc_json_write_line(root, full, &error), DPC_ERR_IO, &error, "No space");
  (void)fclose(full);
  dpc_json_free(root);
  assert_int_equal(files_in_folder(), 0);
}

static void test_file_size_limit(void** state) {
  (void)state;
  dpc_error error = {""};
  char* data = NULL;
  size_t size = 0;
  assert_ok(dpc_file_save(in_folder("f"), "12345", 5, &error), &error);
  assert_ok(dpc_file_read(in_folder("f"), 5, &data, &size, &error), &error);
  assert_int_equal(size, 5);
  assert_string_equal(data, "12345");
  free(data);
  assert_fails(dpc_file_read(in_folder("f"), 4, &data, &size, &error), DPC_ERR_INVALID, &error,
               "larger than 4 bytes");
  assert_int_equal(unlink(in_folder("f")), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_text_is_what_people_expect),
      cmocka_unit_test(test_reals_keep_their_bits),
      cmocka_unit_test(test_values_are_read_by_type),
      cmocka_unit_test(test_malformed_text_is_refused_with_its_place),
      cmocka_unit_test(test_bad_bytes_in_text_do_not_lose_a_report),
      cmocka_unit_test(test_saved_file_reads_back_and_leaves_no_other),
      cmocka_unit_test(test_what_cannot_be_written_says_so_and_leaves_the_old_file),
      cmocka_unit_test(test_file_size_limit),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
