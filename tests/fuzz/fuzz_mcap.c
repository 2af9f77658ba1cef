// libFuzzer's entry: any file is either refused with words, or is an episode whose every value is
// finite. An odd first byte wraps the rest in the beginning and end of a file without check sums,
// which lets the fuzzer get past those.
//
//   cmake -S . -B build/fuzz -G Ninja -DCMAKE_C_COMPILER=clang-14 -DDPC_FUZZ=ON
//         -DDPC_SANITIZE=address,undefined,fuzzer-no-link
//   cmake --build build/fuzz -t fuzz_mcap && build/fuzz/tests/fuzz_mcap -max_len=4096 CORPUS
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/episode_log.h"
#include "tests/mcap_wrap.h"

int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size);

static char dir[] = "/tmp/dpc-fuzz-XXXXXX";
static char path[64];

static void remove_dir(void) {
  (void)unlink(path);
  (void)rmdir(dir);
}

static mcap_bytes wrap(const uint8_t* bytes, size_t size) {
  mcap_bytes out = {0};
  wrap_begin(&out);
  mcap_put(&out, bytes, size);
  wrap_end(&out);
  return out;
}

static void store(const void* bytes, size_t size) {
  FILE* file = fopen(path, "wb");
  if (file == NULL || fwrite(bytes, 1, size, file) != size || fclose(file) != 0) abort();
}

static void check(const dpc_episode* e) {
  const size_t length = (size_t)e->length;
  const size_t obs = length * (size_t)dpc_layout_dim(&e->interface.obs);
  const size_t action = length * (size_t)dpc_layout_dim(&e->interface.action);
  for (size_t i = 0; i < obs; i++) DPC_ASSERT(isfinite(e->obs[i]));
  for (size_t i = 0; i < action; i++) DPC_ASSERT(isfinite(e->action[i]));
  for (size_t i = 0; i < length; i++) DPC_ASSERT(isfinite(e->reward[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (path[0] == '\0') {
    if (mkdtemp(dir) == NULL) abort();
    (void)snprintf(path, sizeof(path), "%s/fuzz.mcap", dir);
    (void)atexit(remove_dir);
  }
  if (size > 0 && bytes[0] % 2 == 1) {
    mcap_bytes whole = wrap(bytes + 1, size - 1);
    store(whole.data, whole.size);
    free(whole.data);
  } else {
    store(bytes, size);
  }
  dpc_error error = {""};
  dpc_episode_log* log = NULL;
  if (dpc_episode_log_open(dir, &log, &error) != DPC_OK) abort();
  dpc_episode episode;
  if (dpc_episode_read(log, 0, &episode, &error) == DPC_OK) {
    check(&episode);
    dpc_episode_free(&episode);
  } else {
    DPC_ASSERT(error.text[0] != '\0');
  }
  dpc_episode_log_close(log);
  return 0;
}
