// libFuzzer's entry: any file is either refused with words, or is the recording of a run whose every text
// and value can be read. The first byte says what the others are: a file, whole (0) or a `.part` (2); or
// its messages (odd), each after its topic's number and its length in two bytes, which lets the fuzzer get
// at what is in them. FUZZ_SPLIT=FILE makes such an input of a recording, on standard output.
//
//   cmake -S . -B build/fuzz -G Ninja -DCMAKE_C_COMPILER=clang-14 -DDPC_FUZZ=ON
//         -DDPC_SANITIZE=address,undefined,fuzzer-no-link
//   cmake --build build/fuzz -t fuzz_run_log && build/fuzz/tests/fuzz_run_log -max_len=65536 CORPUS
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/mcap.h"
#include "proto/run_log.h"
#include "runtime/tick_message.h"
#include "tests/mcap_wrap.h"

int LLVMFuzzerInitialize(int* argc, char*** argv);
int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size);

static const char* const topics[] = {"/run", "/hello", "/tick", "/gap", "/end"};
enum { TOPICS = DPC_COUNT(topics) };

static char path[64];

static void remove_file(void) {
  (void)unlink(path);
}

// --- messages ------------------------------------------------------------------------------------

static void put_topics(mcap_bytes* out) {
  for (int i = 0; i < TOPICS; ++i) {
    const size_t body = mcap_begin(out, MCAP_CHANNEL);
    mcap_put_u16(out, (uint16_t)i);
    mcap_put_u16(out, 0);  // no schema
    mcap_put_text(out, topics[i]);
    mcap_put_text(out, "protobuf");
    mcap_put_u32(out, 0);  // no metadata
    mcap_end(out, body);
  }
}

static mcap_bytes join(const uint8_t* bytes, size_t size) {
  mcap_bytes out = {0};
  mcap_cursor in = {bytes, bytes + size, false};
  wrap_begin(&out);
  put_topics(&out);
  for (uint32_t sequence = 0; mcap_left(&in) > 2; ++sequence) {
    const uint16_t topic = mcap_get_u8(&in) % TOPICS;
    size_t length = mcap_get_u16(&in);
    if (length > mcap_left(&in)) length = mcap_left(&in);
    const size_t body = mcap_begin(&out, MCAP_MESSAGE);
    mcap_put_u16(&out, topic);
    mcap_put_u32(&out, sequence);
    mcap_put_u64(&out, 0);
    mcap_put_u64(&out, 0);
    mcap_put(&out, mcap_get(&in, length), length);
    mcap_end(&out, body);
  }
  wrap_end(&out);
  return out;
}

static void split(const char* name) {
  dpc_error error;
  dpc_mcap_reader* reader = NULL;
  if (dpc_mcap_reader_open(name, &reader, &error) != DPC_OK) abort();
  (void)putchar(1);
  for (;;) {
    dpc_mcap_message m;
    bool end = false;
    if (dpc_mcap_read(reader, &m, &end, &error) != DPC_OK || end) break;
    for (int topic = 0; topic < TOPICS; ++topic) {
      if (strcmp(m.topic, topics[topic]) != 0 || m.size > UINT16_MAX) continue;
      (void)printf("%c%c%c", topic, (int)(m.size & 255), (int)(m.size >> 8));
      (void)fwrite(m.data, 1, m.size, stdout);
    }
  }
  dpc_mcap_reader_close(reader);
}

int LLVMFuzzerInitialize(int* argc, char*** argv) {
  (void)argc;
  (void)argv;
  const char* recording = getenv("FUZZ_SPLIT");
  if (recording != NULL) {
    split(recording);
    exit(0);
  }
  return 0;
}

// --- reading -------------------------------------------------------------------------------------

static uint32_t sum;  // of all that can be read, so that it is

static void read_text(const char* text) {
  for (; *text != '\0'; ++text) sum += (unsigned char)*text;
}

static void read_values(const float* values, int count) {
  DPC_ASSERT(count >= 0 && (count == 0 || values != NULL));
  for (int i = 0; i < count; ++i) {
    uint32_t bits;
    memcpy(&bits, &values[i], sizeof bits);
    sum += bits;
  }
}

static void read_info(const dpc_run_info* info) {
  const char* const texts[] = {info->software,       info->build, info->policy,
                               info->weights_sha256, info->isa,   info->precision};
  for (int i = 0; i < DPC_COUNT(texts); ++i) read_text(texts[i]);
  for (int i = 0; i < info->setting_count; ++i) {
    read_text(info->settings[i].key);
    read_text(info->settings[i].value);
  }
  DPC_ASSERT(dpc_layout_dim(&info->robot->obs) >= 0 && dpc_layout_dim(&info->robot->action) >= 0);
}

static dpc_status read_all(dpc_run_log* log, dpc_error* error) {
  const dpc_run_info* info = dpc_run_log_info(log);
  const int obs = dpc_layout_dim(&info->robot->obs);
  dpc_run_log_event event = {.kind = DPC_RUN_LOG_GAP};
  read_info(info);
  while (event.kind != DPC_RUN_LOG_DONE) {
    dpc_tick_record record = {0};
    DPC_TRY(dpc_run_log_read(log, &record, &event, error));
    read_values(record.input.obs, record.obs_count);
    read_values(record.plan.chunk, record.chunk_count);
    read_values(record.output.action, record.action_count);
  }
  // the beginning holds to the end
  DPC_ASSERT(dpc_layout_dim(&info->robot->obs) == obs);
  read_info(info);
  return DPC_OK;
}

static void store(const void* bytes, size_t size, bool part) {
  static const char* const kinds[] = {"", ".part"};
  (void)unlink(path);
  (void)snprintf(path, sizeof(path), "/tmp/dpc-fuzz-%d.mcap%s", (int)getpid(), kinds[part]);
  FILE* file = fopen(path, "wb");
  if (file == NULL || fwrite(bytes, 1, size, file) != size || fclose(file) != 0) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (path[0] == '\0') (void)atexit(remove_file);
  if (size == 0) return 0;
  if (bytes[0] % 2 == 1) {
    mcap_bytes whole = join(bytes + 1, size - 1);
    store(whole.data, whole.size, false);
    free(whole.data);
  } else {
    store(bytes + 1, size - 1, bytes[0] == 2);
  }
  dpc_error error = {""};
  dpc_run_log* log = NULL;
  dpc_status status = dpc_run_log_open(path, &dpc_tick_table, &log, &error);
  if (status == DPC_OK) status = read_all(log, &error);
  DPC_ASSERT(status == DPC_OK || error.text[0] != '\0');
  dpc_run_log_free(log);
  return 0;
}
