// The container: what is written is read back, and no cut, flip or foreign record gets past the reader.

#include "tests/mcap_wrap.h"
#include "tests/test.h"

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/mcap.h"
#include "proto/mcap_record.h"

static char path[] = "/tmp/dpc-test-mcap-XXXXXX";
static dpc_error error;

static const char schema[] = "not really a descriptor, but bytes all the same";
static const dpc_mcap_channel channels[] = {
    {"/hello", "dpc.Hello", schema, sizeof(schema)},
    {"/observation", "dpc.Observation", schema, sizeof(schema)},
};

/// Message i of a file: channel, time, size and bytes all depend on i.
static size_t make_message(int i, int* channel, int64_t* time, uint8_t* data, size_t capacity) {
  *channel = i % 3 == 0 ? 0 : 1;
  *time = 1000 + (int64_t)i * 100000000;
  const size_t size = (size_t)(i * 37 % 200);
  assert_true(size <= capacity);
  for (size_t b = 0; b < size; b++) data[b] = (uint8_t)(i + 7 * (int)b);
  return size;
}

static void write_file(int count) {
  dpc_mcap_writer* writer = NULL;
  assert_ok(dpc_mcap_writer_create(path, channels, DPC_COUNT(channels), &writer, &error), &error);
  for (int i = 0; i < count; i++) {
    uint8_t data[256];
    int channel;
    int64_t time;
    const size_t size = make_message(i, &channel, &time, data, sizeof(data));
    assert_ok(dpc_mcap_write(writer, channel, time, data, size, &error), &error);
  }
  assert_ok(dpc_mcap_writer_finish(writer, &error), &error);
}

/// Read everything; `count` messages were seen before the end or the error.
static dpc_status read_file(int* count) {
  dpc_mcap_reader* reader = NULL;
  *count = 0;
  DPC_TRY(dpc_mcap_reader_open(path, &reader, &error));
  dpc_status status = DPC_OK;
  for (bool end = false; status == DPC_OK && !end;) {
    dpc_mcap_message message;
    status = dpc_mcap_read(reader, &message, &end, &error);
    if (status == DPC_OK && !end) (*count)++;
  }
  dpc_mcap_reader_close(reader);
  return status;
}

static uint8_t* load(size_t* size) {
  FILE* file = fopen(path, "rb");
  assert_non_null(file);
  struct stat info;
  assert_int_equal(fstat(fileno(file), &info), 0);
  *size = (size_t)info.st_size;
  uint8_t* bytes = malloc(*size);
  assert_int_equal(fread(bytes, 1, *size, file), *size);
  (void)fclose(file);
  return bytes;
}

static void store(const void* bytes, size_t size) {
  FILE* file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes, 1, size, file), size);
  assert_int_equal(fclose(file), 0);
}

// --- round trip ---------------------------------------------------------------------------------

static void returns_what_was_written(void** state) {
  (void)state;
  const int counts[] = {0, 1, 2, 3, 100, 8191, 8192, 8193, 30000};
  for (int c = 0; c < DPC_COUNT(counts); c++) {
    write_file(counts[c]);
    dpc_mcap_reader* reader = NULL;
    assert_ok(dpc_mcap_reader_open(path, &reader, &error), &error);
    uint32_t sequences[2] = {0, 0};
    dpc_mcap_message message;
    bool end = false;
    for (int i = 0; i < counts[c]; i++) {
      uint8_t data[256];
      int channel;
      int64_t time;
      const size_t size = make_message(i, &channel, &time, data, sizeof(data));
      assert_ok(dpc_mcap_read(reader, &message, &end, &error), &error);
      assert_false(end);
      assert_string_equal(message.topic, channels[channel].topic);
      assert_string_equal(message.schema_name, channels[channel].schema_name);
      assert_int_equal(message.time_ns, time);
      assert_int_equal(message.sequence, sequences[channel]++);
      assert_int_equal(message.size, size);
      assert_memory_equal(message.data, data, size);
    }
    for (int again = 0; again < 2; again++) {
      assert_ok(dpc_mcap_read(reader, &message, &end, &error), &error);
      assert_true(end);
    }
    dpc_mcap_reader_close(reader);
  }
}

static void takes_a_message_larger_than_a_chunk(void** state) {
  (void)state;
  const size_t size = 3 << 20;
  uint8_t* data = malloc(size);
  uint32_t noise = 1;
  for (size_t i = 0; i < size; i++)
    data[i] = (uint8_t)((noise = noise * 1664525 + 1013904223) >> 24);
  dpc_mcap_writer* writer = NULL;
  assert_ok(dpc_mcap_writer_create(path, channels, 1, &writer, &error), &error);
  assert_ok(dpc_mcap_write(writer, 0, 5, data, size, &error), &error);
  assert_ok(dpc_mcap_writer_finish(writer, &error), &error);

  dpc_mcap_reader* reader = NULL;
  dpc_mcap_message message;
  bool end = true;
  assert_ok(dpc_mcap_reader_open(path, &reader, &error), &error);
  assert_ok(dpc_mcap_read(reader, &message, &end, &error), &error);
  assert_false(end);
  assert_int_equal(message.size, size);
  assert_memory_equal(message.data, data, size);
  dpc_mcap_reader_close(reader);
  free(data);
}

// --- damage -------------------------------------------------------------------------------------

static void refuses_a_file_cut_anywhere(void** state) {
  (void)state;
  write_file(12);
  size_t size;
  uint8_t* bytes = load(&size);
  for (size_t cut = 0; cut < size; cut++) {
    assert_int_equal(truncate(path, 0), 0);
    store(bytes, cut);
    int count;
    assert_fails(read_file(&count), DPC_ERR_FORMAT, &error, path);
  }
  free(bytes);
}

static void refuses_a_flipped_bit_anywhere(void** state) {
  (void)state;
  write_file(12);
  size_t size;
  uint8_t* bytes = load(&size);
  for (size_t at = 0; at < size; at++) {
    bytes[at] ^= (uint8_t)(1 << (at % 8));
    store(bytes, size);
    int count;
    if (read_file(&count) == DPC_OK) fail_msg("bit %zu of byte %zu went unnoticed", at % 8, at);
    bytes[at] ^= (uint8_t)(1 << (at % 8));
  }
  free(bytes);
}

static void refuses_what_follows_the_end(void** state) {
  (void)state;
  write_file(2);
  size_t size;
  uint8_t* bytes = load(&size);
  bytes = realloc(bytes, size + 1);
  bytes[size] = 0;
  store(bytes, size + 1);
  int count;
  assert_fails(read_file(&count), DPC_ERR_FORMAT, &error, "magic");
  free(bytes);
}

// --- files of others ----------------------------------------------------------------------------

/// Begin a foreign file: magic, header, one channel without schema outside of any chunk.
static mcap_bytes foreign(void) {
  mcap_bytes out = {0};
  mcap_put(&out, mcap_magic, sizeof(mcap_magic));
  size_t body = mcap_begin(&out, MCAP_HEADER);
  mcap_put_text(&out, "profile");
  mcap_put_text(&out, "another library");
  mcap_end(&out, body);
  body = mcap_begin(&out, MCAP_CHANNEL);
  mcap_put_u16(&out, 7);
  mcap_put_u16(&out, 0);
  mcap_put_text(&out, "/foreign");
  mcap_put_text(&out, "json");
  mcap_put_u32(&out, 0);
  mcap_end(&out, body);
  return out;
}

static void put_message(mcap_bytes* out, uint16_t channel) {
  const size_t body = mcap_begin(out, MCAP_MESSAGE);
  mcap_put_u16(out, channel);
  mcap_put_u32(out, 0);
  mcap_put_u64(out, 1);
  mcap_put_u64(out, 1);
  mcap_put(out, "{}", 2);
  mcap_end(out, body);
}

static void put_chunk(mcap_bytes* out, const char* compression, uint64_t size,
                      mcap_bytes* records) {
  const size_t body = mcap_begin(out, MCAP_CHUNK);
  mcap_put_u64(out, 0);
  mcap_put_u64(out, 0);
  mcap_put_u64(out, size);
  mcap_put_u32(out, 0);
  mcap_put_text(out, compression);
  mcap_put_u64(out, records->size);
  mcap_put(out, records->data, records->size);
  mcap_end(out, body);
}

/// Finish with neither summary nor check sums, which the format allows, store and read.
static dpc_status read_foreign(mcap_bytes* out, int* count) {
  wrap_end(out);
  assert_false(out->failed);
  store(out->data, out->size);
  free(out->data);
  return read_file(count);
}

static void reads_messages_in_and_out_of_plain_chunks(void** state) {
  (void)state;
  mcap_bytes out = foreign(), records = {0};
  put_message(&out, 7);
  put_message(&records, 7);
  put_message(&records, 7);
  put_chunk(&out, "", records.size, &records);
  const size_t body = mcap_begin(&out, 0x42);  // a record of a later version is skipped
  mcap_put_text(&out, "?");
  mcap_end(&out, body);
  int count;
  assert_ok(read_foreign(&out, &count), &error);
  assert_int_equal(count, 3);
  free(records.data);
}

static void refuses_chunks_that_lie(void** state) {
  (void)state;
  int count;
  mcap_bytes records = {0};
  put_message(&records, 7);

  mcap_bytes out = foreign();
  put_chunk(&out, "lz4", records.size, &records);
  assert_fails(read_foreign(&out, &count), DPC_ERR_UNSUPPORTED, &error, "lz4");

  out = foreign();
  put_chunk(&out, "zstd", UINT64_C(1) << 60, &records);  // no memory is asked for
  assert_fails(read_foreign(&out, &count), DPC_ERR_FORMAT, &error, "256 MiB");

  out = foreign();
  put_chunk(&out, "zstd", 100, &records);
  assert_fails(read_foreign(&out, &count), DPC_ERR_FORMAT, &error, "uncompress");

  out = foreign();
  put_chunk(&out, "", records.size + 1, &records);
  assert_fails(read_foreign(&out, &count), DPC_ERR_FORMAT, &error, "wrong size");

  free(records.data);
}

static void refuses_records_that_point_elsewhere(void** state) {
  (void)state;
  int count;
  mcap_bytes records = {0};
  put_message(&records, 7);

  mcap_bytes out = foreign();
  put_message(&out, 8);
  assert_fails(read_foreign(&out, &count), DPC_ERR_FORMAT, &error, "channel that is not there");

  out = foreign();
  put_message(&out, 60000);
  assert_fails(read_foreign(&out, &count), DPC_ERR_FORMAT, &error, "channel that is not there");

  out = foreign();
  mcap_put_u8(&out, MCAP_MESSAGE);
  mcap_put_u64(&out, UINT64_MAX);
  assert_fails(read_foreign(&out, &count), DPC_ERR_FORMAT, &error, "longer than the file");

  records.size -= 1;  // its length now points behind the chunk
  out = foreign();
  put_chunk(&out, "", records.size, &records);
  assert_fails(read_foreign(&out, &count), DPC_ERR_FORMAT, &error, "longer than its chunk");
  free(records.data);
}

// --- a full disk --------------------------------------------------------------------------------

static void reports_a_full_disk(void** state) {
  (void)state;
  struct rlimit old;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
  (void)signal(SIGXFSZ, SIG_IGN);
  dpc_mcap_writer* writer = NULL;
  assert_ok(dpc_mcap_writer_create(path, channels, 1, &writer, &error), &error);
  const struct rlimit small = {64 << 10, old.rlim_max};
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
  uint8_t data[1000];
  uint32_t noise = 1;
  dpc_status status = DPC_OK;
  for (int i = 0; i < 1000 && status == DPC_OK; i++) {
    for (size_t b = 0; b < sizeof(data); b++)
      data[b] = (uint8_t)((noise = noise * 1664525 + 1013904223) >> 24);
    status = dpc_mcap_write(writer, 0, i, data, sizeof(data), &error);
  }
  const dpc_status later = dpc_mcap_write(writer, 0, 0, data, 1, NULL);
  const dpc_status last = dpc_mcap_writer_finish(writer, NULL);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
  assert_int_equal(status, DPC_ERR_IO);
  assert_non_null(strstr(error.text, path));
  assert_int_equal(later, DPC_ERR_IO);
  assert_int_equal(last, DPC_ERR_IO);
}

static void refuses_what_is_not_a_file(void** state) {
  (void)state;
  dpc_mcap_reader* reader = NULL;
  dpc_mcap_writer* writer = NULL;
  assert_fails(dpc_mcap_reader_open("/tmp/no/such", &reader, &error), DPC_ERR_IO, &error,
               "/tmp/no/such");
  assert_fails(dpc_mcap_reader_open("/tmp", &reader, &error), DPC_ERR_IO, &error, "/tmp");
  assert_fails(dpc_mcap_reader_open("/dev/null", &reader, &error), DPC_ERR_IO, &error, "/dev/null");
  assert_fails(dpc_mcap_writer_create("/tmp/no/such", channels, 1, &writer, &error), DPC_ERR_IO,
               &error, "/tmp/no/such");
  store("hello, this is a text", 21);
  assert_fails(dpc_mcap_reader_open(path, &reader, &error), DPC_ERR_FORMAT, &error, "not an MCAP");
  assert_null(reader);
  assert_null(writer);
}

static int make_path(void** state) {
  (void)state;
  const int file = mkstemp(path);
  return file < 0 ? -1 : close(file);
}

static int remove_path(void** state) {
  (void)state;
  return unlink(path);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(returns_what_was_written),
      cmocka_unit_test(takes_a_message_larger_than_a_chunk),
      cmocka_unit_test(refuses_a_file_cut_anywhere),
      cmocka_unit_test(refuses_a_flipped_bit_anywhere),
      cmocka_unit_test(refuses_what_follows_the_end),
      cmocka_unit_test(reads_messages_in_and_out_of_plain_chunks),
      cmocka_unit_test(refuses_chunks_that_lie),
      cmocka_unit_test(refuses_records_that_point_elsewhere),
      cmocka_unit_test(reports_a_full_disk),
      cmocka_unit_test(refuses_what_is_not_a_file),
  };
  return cmocka_run_group_tests_name("mcap", tests, make_path, remove_path);
}
