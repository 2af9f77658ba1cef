#include "policy/safetensors.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/rng.h"
#include "tests/test.h"

static char folder[] = "/tmp/dpc_safetensors_XXXXXX";
static char path[64];

static int count_files(const char* where) {
  DIR* dir = opendir(where);
  assert_non_null(dir);
  int count = 0;
  for (const struct dirent* entry; (entry = readdir(dir)) != NULL;)
    count += entry->d_name[0] != '.';
  closedir(dir);
  return count;
}

// The whole file in a buffer of exactly its size, so that ASan sees a read past the end.
static unsigned char* slurp(const char* from, size_t* size) {
  FILE* file = fopen(from, "rb");
  assert_non_null(file);
  fseek(file, 0, SEEK_END);
  *size = (size_t)ftell(file);
  rewind(file);
  unsigned char* bytes = malloc(*size);
  assert_int_equal(fread(bytes, 1, *size, file), *size);
  fclose(file);
  return bytes;
}

// A file from a header and a number of zero bytes, opened.
static dpc_status open_text(const char* header, size_t data, dpc_safetensors** out,
                            dpc_error* error) {
  const size_t length = strlen(header);
  unsigned char* bytes = calloc(1, 8 + length + data);
  assert_non_null(bytes);
  for (int i = 0; i < 8; ++i) bytes[i] = (unsigned char)((uint64_t)length >> (8 * i));
  for (size_t i = 0; i < length; ++i) bytes[8 + i] = (unsigned char)header[i];
  const dpc_status status =
      dpc_safetensors_open_bytes("memory", bytes, 8 + length + data, out, error);
  // the names an opened file hands out are its own; only data point into the bytes
  free(bytes);
  return status;
}

// --- saved and read back --------------------------------------------------------------------------

static const float weights[6] = {0.0f, -1.5f, 3.0e38f, 1e-45f, 0.1f, 7.0f};
static const float rounded[3] = {1.0f, -2.5f, 0.15625f};
static const int64_t longs[2] = {INT64_MIN, INT64_MAX};
static const uint32_t words[1] = {4000000000u};
static const double wide[2] = {0.5, -0.25};
static const unsigned char flags[3] = {1, 0, 1};

static const dpc_tensor_source sources[] = {
    {"zeta", DPC_DTYPE_F32, 2, {2, 3}, weights},    {"alpha", DPC_DTYPE_BF16, 1, {3}, rounded},
    {"beta.0", DPC_DTYPE_F32, 0, {0}, weights + 4}, {"steps", DPC_DTYPE_I64, 1, {2}, longs},
    {"words", DPC_DTYPE_U32, 1, {1}, words},        {"wide", DPC_DTYPE_F64, 2, {1, 2}, wide},
    {"flags", DPC_DTYPE_BOOL, 1, {3}, flags},       {"empty", DPC_DTYPE_F32, 2, {0, 3}, weights},
};

static const dpc_metadata_entry notes[] = {
    {"format", "pt"}, {"quoted", "a \"b\"\n\\ \xc3\xa9"}, {"nothing", ""}};

static void save(void) {
  dpc_error error = {""};
  assert_ok(
      dpc_safetensors_save(path, notes, DPC_COUNT(notes), sources, DPC_COUNT(sources), &error),
      &error);
}

static void test_what_is_saved_is_read_back(void** state) {
  (void)state;
  dpc_error error = {""};
  dpc_safetensors* file = NULL;
  save();
  assert_ok(dpc_safetensors_open(path, &file, &error), &error);
  float read[6];
  int64_t integers[2];
  assert_ok(dpc_safetensors_read_f32(file, "zeta", 2, (int[]){2, 3}, read, &error), &error);
  assert_memory_equal(read, weights, sizeof weights);
  assert_ok(dpc_safetensors_read_f32(file, "alpha", 1, (int[]){3}, read, &error), &error);
  assert_memory_equal(read, rounded, sizeof rounded);
  assert_ok(dpc_safetensors_read_f32(file, "beta.0", 0, NULL, read, &error), &error);
  assert_true(read[0] == weights[4]);
  assert_ok(dpc_safetensors_read_f32(file, "wide", 2, (int[]){1, 2}, read, &error), &error);
  assert_true(read[0] == 0.5f && read[1] == -0.25f);
  assert_ok(dpc_safetensors_read_f32(file, "empty", 2, (int[]){0, 3}, read, &error), &error);
  assert_ok(dpc_safetensors_read_i64(file, "steps", 1, (int[]){2}, integers, &error), &error);
  assert_memory_equal(integers, longs, sizeof longs);
  assert_ok(dpc_safetensors_read_i64(file, "words", 1, (int[]){1}, integers, &error), &error);
  assert_int_equal(integers[0], 4000000000);
  assert_memory_equal(dpc_safetensors_find(file, "flags")->data, flags, sizeof flags);
  for (int i = 0; i < DPC_COUNT(notes); ++i) {
    assert_string_equal(dpc_safetensors_metadata(file, notes[i].key), notes[i].value);
    assert_string_equal(dpc_safetensors_metadata_at(file, i).key, notes[i].key);
  }
  assert_int_equal(dpc_safetensors_metadata_count(file), DPC_COUNT(notes) + 1);
  assert_int_equal(strlen(dpc_safetensors_metadata(file, DPC_SAFETENSORS_SHA256)), 64);
  assert_null(dpc_safetensors_metadata(file, "none"));
  dpc_safetensors_close(file);
}

static void test_order_and_alignment_are_the_reference_writers(void** state) {
  (void)state;
  static const char* const order[] = {"steps", "wide",  "beta.0", "empty",
                                      "zeta",  "words", "alpha",  "flags"};
  dpc_error error = {""};
  dpc_safetensors* file = NULL;
  save();
  assert_ok(dpc_safetensors_open(path, &file, &error), &error);
  assert_int_equal(dpc_safetensors_count(file), DPC_COUNT(order));
  for (int i = 0; i < DPC_COUNT(order); ++i) {
    const dpc_tensor_view* view = dpc_safetensors_at(file, i);
    // an empty tensor has no place of its own: it may come before the one that begins there
    assert_ptr_equal(dpc_safetensors_find(file, view->name), view);
    if (strcmp(view->name, "beta.0") != 0 && strcmp(view->name, "empty") != 0) {
      assert_string_equal(view->name, order[i]);
    }
    assert_int_equal((uintptr_t)view->data % dpc_dtype_size(view->dtype), 0);
  }
  dpc_safetensors_close(file);
}

static void test_saving_twice_gives_the_same_bytes(void** state) {
  (void)state;
  size_t first_size, second_size;
  save();
  unsigned char* first = slurp(path, &first_size);
  save();
  unsigned char* second = slurp(path, &second_size);
  assert_int_equal(first_size, second_size);
  assert_memory_equal(first, second, first_size);
  assert_int_equal(count_files(folder), 1);
  free(first);
  free(second);
}

// The nearest of the two neighbours, the even one when both are as near.
static float nearest_bfloat16(float value) {
  uint32_t low, high;
  float below, above;
  memcpy(&low, &value, sizeof low);
  low &= 0xffff0000u;
  high = low + 0x10000u;
  memcpy(&below, &low, sizeof below);
  memcpy(&above, &high, sizeof above);
  const double to_below = fabs((double)value - below), to_above = fabs((double)above - value);
  if (to_below != to_above) return to_below < to_above ? below : above;
  return (low >> 16) % 2 == 0 ? below : above;
}

static void test_bfloat16_rounds_to_nearest_even(void** state) {
  (void)state;
  enum { N = 10000 };
  static float values[N], read[N];
  dpc_error error = {""};
  dpc_safetensors* file = NULL;
  dpc_rng_normal((dpc_rng_key){5, 5}, DPC_STREAM_TEST, 0, 0, N, values);
  for (uint32_t i = 0; i < 1000; ++i) {  // ties and their neighbours, subnormal to large
    const uint32_t bits = (i * 65u << 16) % 0x7f000000u + 0x7fffu + i % 3u;
    memcpy(&values[i], &bits, sizeof bits);
  }
  const dpc_tensor_source source = {"x", DPC_DTYPE_BF16, 1, {N}, values};
  assert_ok(dpc_safetensors_save(path, NULL, 0, &source, 1, &error), &error);
  assert_ok(dpc_safetensors_open(path, &file, &error), &error);
  assert_ok(dpc_safetensors_read_f32(file, "x", 1, (int[]){N}, read, &error), &error);
  for (int i = 0; i < N; ++i) assert_true(read[i] == nearest_bfloat16(values[i]));
  dpc_safetensors_close(file);
}

static void test_every_half_precision_number(void** state) {
  (void)state;
  enum { N = 0x7c00 };
  static uint16_t halves[2 * N];
  static float read[2 * N];
  dpc_error error = {""};
  dpc_safetensors* file = NULL;
  for (int i = 0; i < 2 * N; ++i) halves[i] = (uint16_t)(i < N ? i : i - N + 0x8000);
  const dpc_tensor_source source = {"x", DPC_DTYPE_F16, 1, {(int64_t)2 * N}, halves};
  assert_ok(dpc_safetensors_save(path, NULL, 0, &source, 1, &error), &error);
  assert_ok(dpc_safetensors_open(path, &file, &error), &error);
  assert_ok(dpc_safetensors_read_f32(file, "x", 1, (int[]){2 * N}, read, &error), &error);
  for (int i = 0; i < N; ++i) {
    const int exponent = i >> 10, fraction = i & 1023;
    const double expected =
        exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);
    assert_true(read[i] == expected && read[i + N] == -expected);
    assert_true(signbit(read[i + N]));
  }
  dpc_safetensors_close(file);
}

// --- what does not fit is named -------------------------------------------------------------------

static void test_wrong_name_shape_and_dtype_are_named(void** state) {
  (void)state;
  dpc_error error = {""};
  dpc_safetensors* file = NULL;
  float read[6];
  int64_t integers[2];
  save();
  assert_ok(dpc_safetensors_open(path, &file, &error), &error);
  assert_fails(dpc_safetensors_read_f32(file, "eta", 1, (int[]){1}, read, &error),
               DPC_ERR_NOT_FOUND, &error, "tensor 'eta' is missing");
  assert_fails(dpc_safetensors_read_f32(file, "zeta", 2, (int[]){3, 2}, read, &error),
               DPC_ERR_FORMAT, &error, "tensor 'zeta' has shape [2, 3], expected [3, 2]");
  assert_fails(dpc_safetensors_read_f32(file, "zeta", 1, (int[]){6}, read, &error), DPC_ERR_FORMAT,
               &error, "expected [6]");
  assert_fails(dpc_safetensors_read_f32(file, "steps", 1, (int[]){2}, read, &error), DPC_ERR_FORMAT,
               &error, "dtype I64, expected floats");
  assert_fails(dpc_safetensors_read_i64(file, "zeta", 2, (int[]){2, 3}, integers, &error),
               DPC_ERR_FORMAT, &error, "dtype F32");
  dpc_safetensors_close(file);
}

static void test_values_that_are_not_finite_are_named(void** state) {
  (void)state;
  static const double bad[] = {NAN, INFINITY, 1e300};
  dpc_error error = {""};
  dpc_safetensors* file = NULL;
  float read[1];
  for (int i = 0; i < DPC_COUNT(bad); ++i) {
    const dpc_tensor_source source = {"layer.weight", DPC_DTYPE_F64, 1, {1}, &bad[i]};
    assert_ok(dpc_safetensors_save(path, NULL, 0, &source, 1, &error), &error);
    assert_ok(dpc_safetensors_open(path, &file, &error), &error);
    assert_fails(dpc_safetensors_read_f32(file, "layer.weight", 1, (int[]){1}, read, &error),
                 DPC_ERR_INVALID, &error, "tensor 'layer.weight': element 0 is not finite");
    dpc_safetensors_close(file);
  }
}

#define TENSOR(dtype, shape, begin, end) \
  "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" begin "," end "]}"

static const struct {
  const char* header;
  size_t data;
  const char* words;
} malformed[] = {
    {"", 0, "does not begin with '{'"},
    {" {}", 0, "does not begin with '{'"},
    {"[]", 0, "does not begin with '{'"},
    {"{", 0, "header, byte"},
    {"{}x", 0, "header, byte"},
    {"{\"a\":\"\xff\"}", 0, "header, byte"},
    {"{\"a\\u0000b\":" TENSOR("F32", "[]", "0", "4") "}", 4, "header, byte"},
    {"{}", 1, "1 bytes after the last tensor"},
    {"{\"__metadata__\":[]}", 0, "__metadata__ is not an object"},
    {"{\"__metadata__\":{\"k\":1}}", 0, "metadata 'k' is not a string"},
    {"{\"__metadata__\":{\"k\":\"a\",\"k\":\"b\"}}", 0, "duplicate"},
    {"{\"a\":" TENSOR("F32", "[]", "0", "4") ",\"a\":" TENSOR("F32", "[]", "0", "4") "}", 4,
     "duplicate"},
    {"{\"a\":1}", 0, "tensor 'a': needs dtype"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 0, "tensor 'a': needs dtype"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"more\":1}}", 4,
     "tensor 'a': needs dtype"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"offsets\":[0,4]}}", 4, "data_offsets must be two"},
    {"{\"a\":" TENSOR("F31", "[1]", "0", "4") "}", 4, "tensor 'a': unknown dtype"},
    {"{\"a\":{\"dtype\":32,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "unknown dtype"},
    {"{\"a\":" TENSOR("F32", "1", "0", "4") "}", 4, "shape is malformed"},
    {"{\"a\":" TENSOR("F32", "[-1]", "0", "4") "}", 4, "shape is malformed"},
    {"{\"a\":" TENSOR("F32", "[1.0]", "0", "4") "}", 4, "shape is malformed"},
    {"{\"a\":" TENSOR("F32", "[\"1\"]", "0", "4") "}", 4, "shape is malformed"},
    {"{\"a\":" TENSOR("F32", "[1,1,1,1,1,1,1,1,1]", "0", "4") "}", 4, "shape is malformed"},
    {"{\"a\":" TENSOR("F32", "[99999999999999999999]", "0", "4") "}", 4, "too big integer"},
    {"{\"a\":" TENSOR("F32", "[4294967296,4294967296]", "0", "4") "}", 4, "too large"},
    {"{\"a\":" TENSOR("F32", "[4611686018427387904]", "0", "0") "}", 0, "too large"},
    {"{\"a\":" TENSOR("F32", "[0,9223372036854775807,9223372036854775807]", "0", "4") "}", 4,
     "do not fit dtype and shape"},
    {"{\"a\":" TENSOR("F32", "[1]", "0", "4,8") "}", 4, "data_offsets must be two"},
    {"{\"a\":" TENSOR("F32", "[1]", "0", "4.0") "}", 4, "data_offsets must be two"},
    {"{\"a\":" TENSOR("F32", "[1]", "-4", "0") "}", 4, "data_offsets must be two"},
    {"{\"a\":" TENSOR("F32", "[1]", "4", "0") "}", 4, "outside of the data"},
    {"{\"a\":" TENSOR("F32", "[1]", "0", "4") "}", 3, "outside of the data"},
    {"{\"a\":" TENSOR("F32", "[1]", "9223372036854775803", "9223372036854775807") "}", 4,
     "outside of the data"},
    {"{\"a\":" TENSOR("F32", "[1]", "0", "8") "}", 8, "do not fit dtype and shape"},
    {"{\"a\":" TENSOR("F64", "[1]", "0", "4") "}", 4, "do not fit dtype and shape"},
    {"{\"a\":" TENSOR("F32", "[1]", "0", "4") ",\"b\":" TENSOR("F32", "[1]", "0", "4") "}", 4,
     "overlaps"},
    {"{\"a\":" TENSOR("F32", "[2]", "0", "8") ",\"b\":" TENSOR("F32", "[1]", "4", "8") "}", 8,
     "overlaps"},
    {"{\"a\":" TENSOR("F32", "[1]", "0", "4") ",\"b\":" TENSOR("F32", "[1]", "8", "12") "}", 12,
     "tensor 'b': leaves a hole"},
    {"{\"a\":" TENSOR("F32", "[1]", "4", "8") "}", 8, "leaves a hole"},
    {"{\"a\":" TENSOR("F32", "[1]", "0", "4") "}", 8, "4 bytes after the last tensor"},
    {"{\"a\":" TENSOR("F32", "[1]", "0", "4") ",\"__metadata__\":{\"weights_sha256\":\"0\"}}", 4,
     "damaged"},
};

static void test_malformed_files_are_refused_with_a_reason(void** state) {
  (void)state;
  for (int i = 0; i < DPC_COUNT(malformed); ++i) {
    dpc_error error = {""};
    dpc_safetensors* file = NULL;
    assert_fails(open_text(malformed[i].header, malformed[i].data, &file, &error), DPC_ERR_FORMAT,
                 &error, malformed[i].words);
    assert_null(file);
    assert_int_equal(strncmp(error.text, "memory: ", 8), 0);
  }
}

static void test_small_and_odd_files_that_are_legal(void** state) {
  (void)state;
  static const struct {
    const char* header;
    size_t data;
    int count;
  } legal[] = {
      {"{}", 0, 0},
      {"{}      ", 0, 0},
      {"{\"__metadata__\":{}}", 0, 0},
      {"{\"\":" TENSOR("F32", "[]", "0", "4") "}", 4, 1},
      {"{\"b\":" TENSOR("U8", "[1]", "4", "5") ",\"a\":" TENSOR("F32", "[1]", "0", "4") "}", 5, 2},
      {"{\"a\":" TENSOR("F32", "[0]", "0", "0") ",\"b\":" TENSOR("U8", "[1]", "0", "1") "}", 1, 2},
  };
  for (int i = 0; i < DPC_COUNT(legal); ++i) {
    dpc_error error = {""};
    dpc_safetensors* file = NULL;
    assert_ok(open_text(legal[i].header, legal[i].data, &file, &error), &error);
    assert_int_equal(dpc_safetensors_count(file), legal[i].count);
    dpc_safetensors_close(file);
  }
}

// Lengths that would overflow when 8 is added, and one just above the cap.
static void test_header_lengths_that_lie(void** state) {
  (void)state;
  static const uint64_t lengths[] = {
      3, 100, DPC_SAFETENSORS_HEADER_MAX + 1ull, UINT32_MAX, INT64_MAX, UINT64_MAX - 7, UINT64_MAX};
  for (int i = 0; i < DPC_COUNT(lengths); ++i) {
    unsigned char bytes[10] = {0, 0, 0, 0, 0, 0, 0, 0, '{', '}'};
    dpc_error error = {""};
    dpc_safetensors* file = NULL;
    for (int b = 0; b < 8; ++b) bytes[b] = (unsigned char)(lengths[i] >> (8 * b));
    assert_fails(dpc_safetensors_open_bytes("memory", bytes, sizeof bytes, &file, &error),
                 DPC_ERR_FORMAT, &error, i < 2 ? "truncated" : "too large");
  }
}

// --- damage ---------------------------------------------------------------------------------------

static void test_truncation_at_every_byte_is_refused(void** state) {
  (void)state;
  size_t size;
  save();
  unsigned char* bytes = slurp(path, &size);
  for (size_t length = 0; length < size; ++length) {
    dpc_error error = {""};
    dpc_safetensors* file = NULL;
    unsigned char* cut = malloc(length + 1);  // exactly as long as it claims, for ASan
    memcpy(cut + 1, bytes, length);
    assert_int_equal(dpc_safetensors_open_bytes("memory", cut + 1, length, &file, &error),
                     DPC_ERR_FORMAT);
    assert_true(error.text[0] != '\0');
    free(cut);
  }
  free(bytes);
}

static void test_every_flipped_bit_of_the_data_is_noticed(void** state) {
  (void)state;
  size_t size;
  save();
  unsigned char* bytes = slurp(path, &size);
  const size_t data = 8 + bytes[0] + 256u * bytes[1];
  for (size_t bit = data * 8; bit < size * 8; ++bit) {
    dpc_error error = {""};
    dpc_safetensors* file = NULL;
    bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
    assert_fails(dpc_safetensors_open_bytes("memory", bytes, size, &file, &error), DPC_ERR_FORMAT,
                 &error, "damaged");
    bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
  }
  free(bytes);
}

// A flip in the header may still be a legal file (a renamed tensor); it must never be read wrongly.
static void test_flipped_bits_of_the_header_do_no_harm(void** state) {
  (void)state;
  size_t size;
  save();
  unsigned char* bytes = slurp(path, &size);
  const size_t data = 8 + bytes[0] + 256u * bytes[1];
  for (size_t bit = 0; bit < data * 8; ++bit) {
    dpc_safetensors* file = NULL;
    bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
    if (dpc_safetensors_open_bytes("memory", bytes, size, &file, NULL) == DPC_OK) {
      float sum = 0.0f;
      for (int i = 0; i < dpc_safetensors_count(file); ++i) {
        const dpc_tensor_view* view = dpc_safetensors_at(file, i);
        const unsigned char* at = view->data;
        for (size_t b = 0; b < view->bytes; ++b) sum += at[b];
      }
      assert_true(sum >= 0.0f);
      dpc_safetensors_close(file);
    }
    bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
  }
  free(bytes);
}

static void test_what_is_no_file_is_refused(void** state) {
  (void)state;
  dpc_error error = {""};
  dpc_safetensors* file = NULL;
  char other[96];
  assert_fails(dpc_safetensors_open("/nonexistent/x", &file, &error), DPC_ERR_IO, &error,
               "/nonexistent/x: No such file");
  assert_fails(dpc_safetensors_open(folder, &file, &error), DPC_ERR_IO, &error, "not a file");
  snprintf(other, sizeof other, "%s/fifo", folder);
  assert_int_equal(mkfifo(other, 0600), 0);
  assert_fails(dpc_safetensors_open(other, &file, &error), DPC_ERR_IO, &error, "not a file");
  unlink(other);
  snprintf(other, sizeof other, "%s/empty", folder);
  close(open(other, O_CREAT | O_WRONLY, 0600));
  assert_fails(dpc_safetensors_open(other, &file, &error), DPC_ERR_FORMAT, &error, "empty");
  unlink(other);
  assert_null(file);
}

// --- saving fails cleanly -------------------------------------------------------------------------

static void test_values_that_cannot_be_written_are_refused(void** state) {
  (void)state;
  dpc_error error = {""};
  const float nan = NAN, almost = 3.4e38f;  // the second is infinite as bfloat16
  const dpc_tensor_source bad[] = {{"a.weight", DPC_DTYPE_F32, 1, {1}, &nan},
                                   {"a.weight", DPC_DTYPE_BF16, 1, {1}, &nan},
                                   {"a.weight", DPC_DTYPE_BF16, 1, {1}, &almost}};
  unlink(path);
  for (int i = 0; i < DPC_COUNT(bad); ++i) {
    assert_fails(dpc_safetensors_save(path, NULL, 0, &bad[i], 1, &error), DPC_ERR_INVALID, &error,
                 "tensor 'a.weight': element 0 is not finite");
  }
  assert_int_equal(count_files(folder), 0);
}

static void test_texts_that_cannot_be_written_are_refused(void** state) {
  (void)state;
  dpc_error error = {""};
  const dpc_tensor_source twice[] = {sources[0], sources[0]};
  const dpc_tensor_source broken = {"\xff", DPC_DTYPE_F32, 1, {1}, weights};
  const dpc_metadata_entry again[] = {{"k", "1"}, {"k", "2"}};
  const dpc_metadata_entry latin = {"k", "\xe9"};
  unlink(path);
  assert_fails(dpc_safetensors_save(path, NULL, 0, twice, 2, &error), DPC_ERR_INVALID, &error,
               "'zeta' comes twice");
  assert_fails(dpc_safetensors_save(path, NULL, 0, &broken, 1, &error), DPC_ERR_INVALID, &error,
               "not UTF-8");
  assert_fails(dpc_safetensors_save(path, again, 2, sources, 1, &error), DPC_ERR_INVALID, &error,
               "'k' comes twice");
  assert_fails(dpc_safetensors_save(path, &latin, 1, sources, 1, &error), DPC_ERR_INVALID, &error,
               "'k'");
  assert_int_equal(count_files(folder), 0);
}

static void test_a_folder_that_is_not_there(void** state) {
  (void)state;
  dpc_error error = {""};
  assert_fails(dpc_safetensors_save("/nonexistent/x.safetensors", NULL, 0, sources, 1, &error),
               DPC_ERR_IO, &error, "/nonexistent/x.safetensors: No such file");
  assert_fails(dpc_safetensors_save("/dev/null/x", NULL, 0, sources, 1, &error), DPC_ERR_IO, &error,
               "/dev/null/x");
}

// The old file stays as it was, and no temporary one is left.
static void fail_over_old_file(const char* at, const char* where, const char* reason) {
  enum { MANY = 100000 };
  static float zeros[MANY];
  const dpc_tensor_source large = {"x", DPC_DTYPE_F32, 1, {MANY}, zeros};
  dpc_error error = {""};
  dpc_safetensors* file = NULL;
  assert_fails(dpc_safetensors_save(at, NULL, 0, &large, 1, &error), DPC_ERR_IO, &error, reason);
  assert_non_null(strstr(error.text, at));
  assert_int_equal(count_files(where), 1);
  assert_ok(dpc_safetensors_open(at, &file, &error), &error);
  assert_int_equal(dpc_safetensors_count(file), DPC_COUNT(sources));
  dpc_safetensors_close(file);
}

static void test_a_write_that_fails_keeps_the_old_file(void** state) {
  (void)state;
  save();
  struct rlimit before;
  getrlimit(RLIMIT_FSIZE, &before);
  const struct rlimit small = {50000, before.rlim_max};
  void (*const handler)(int) = signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &small);
  fail_over_old_file(path, folder, "not saved: File too large");
  setrlimit(RLIMIT_FSIZE, &before);
  signal(SIGXFSZ, handler);
}

// In a mount namespace of our own, which goes with this process.
static void test_a_full_disk_keeps_the_old_file(void** state) {
  (void)state;
  char disk[64], at[96];
  dpc_error error = {""};
  snprintf(disk, sizeof disk, "%s/disk", folder);
  mkdir(disk, 0700);
  if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
      mount("tmpfs", disk, "tmpfs", 0, "size=64k") != 0) {
    rmdir(disk);
    print_message("skipped: a small disk cannot be mounted here\n");
    skip();
  }
  snprintf(at, sizeof at, "%s/policy.safetensors", disk);
  assert_ok(dpc_safetensors_save(at, notes, DPC_COUNT(notes), sources, DPC_COUNT(sources), &error),
            &error);
  fail_over_old_file(at, disk, "not saved: No space left on device");
  umount(disk);
  rmdir(disk);
}

// --- other readers and writers --------------------------------------------------------------------

static void test_python_reads_what_is_saved(void** state) {
  (void)state;
  if (system("/usr/bin/python3 -c 'import numpy' 2>/dev/null") != 0) {
    print_message("skipped: no python3-numpy\n");
    skip();
  }
  char command[256], lines[512] = "";
  save();
  snprintf(command, sizeof command,
           "/usr/bin/python3 " DPC_SOURCE_DIR "/tools/reference/read_checkpoint.py %s --sums",
           path);
  FILE* pipe = popen(command, "r");
  const size_t length = fread(lines, 1, sizeof lines - 1, pipe);
  lines[length] = '\0';
  assert_int_equal(pclose(pipe), 0);
  assert_non_null(strstr(lines, "alpha BF16 3 -1.34375 7.27441406"));
  assert_non_null(strstr(lines, "wide F64 1x2 0.25 0.3125"));
  assert_non_null(strstr(lines, "words U32 1 4000000000 1.6e+19"));
  assert_non_null(strstr(lines, "empty F32 0x3 0 0"));
}

static void test_files_of_pytorch(void** state) {
  (void)state;
  static const char* const names[] = {"unet_tiny", "unet_k3_two_levels",
                                      "unet_horizon32_four_levels"};
  for (int i = 0; i < DPC_COUNT(names); ++i) {
    char at[256];
    dpc_error error = {""};
    dpc_safetensors* file = NULL;
    snprintf(at, sizeof at, DPC_SHARED_DIR "/fixtures/%s.io.safetensors", names[i]);
    if (access(at, R_OK) != 0) {
      print_message("skipped: no %s\n", at);
      skip();
    }
    assert_ok(dpc_safetensors_open(at, &file, &error), &error);
    int64_t timesteps[8];
    const int batch = (int)dpc_safetensors_find(file, "timestep")->shape[0];
    assert_ok(dpc_safetensors_read_i64(file, "timestep", 1, &batch, timesteps, &error), &error);
    for (int b = 0; b < batch; ++b) assert_in_range(timesteps[b], 0, 99);
    dpc_safetensors_close(file);
  }
}

static int setup(void** state) {
  (void)state;
  if (mkdtemp(folder) == NULL) return -1;
  snprintf(path, sizeof path, "%s/file.safetensors", folder);
  return 0;
}

static int teardown(void** state) {
  (void)state;
  unlink(path);
  return rmdir(folder);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_what_is_saved_is_read_back),
      cmocka_unit_test(test_order_and_alignment_are_the_reference_writers),
      cmocka_unit_test(test_saving_twice_gives_the_same_bytes),
      cmocka_unit_test(test_bfloat16_rounds_to_nearest_even),
      cmocka_unit_test(test_every_half_precision_number),
      cmocka_unit_test(test_wrong_name_shape_and_dtype_are_named),
      cmocka_unit_test(test_values_that_are_not_finite_are_named),
      cmocka_unit_test(test_malformed_files_are_refused_with_a_reason),
      cmocka_unit_test(test_small_and_odd_files_that_are_legal),
      cmocka_unit_test(test_header_lengths_that_lie),
      cmocka_unit_test(test_truncation_at_every_byte_is_refused),
      cmocka_unit_test(test_every_flipped_bit_of_the_data_is_noticed),
      cmocka_unit_test(test_flipped_bits_of_the_header_do_no_harm),
      cmocka_unit_test(test_what_is_no_file_is_refused),
      cmocka_unit_test(test_values_that_cannot_be_written_are_refused),
      cmocka_unit_test(test_texts_that_cannot_be_written_are_refused),
      cmocka_unit_test(test_a_folder_that_is_not_there),
      cmocka_unit_test(test_a_write_that_fails_keeps_the_old_file),
      cmocka_unit_test(test_a_full_disk_keeps_the_old_file),
      cmocka_unit_test(test_python_reads_what_is_saved),
      cmocka_unit_test(test_files_of_pytorch),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
