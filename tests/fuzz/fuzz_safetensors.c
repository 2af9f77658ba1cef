// libFuzzer's entry: any bytes are either refused with words, or can be read to the last element.
//
//   cmake -S . -B build/fuzz -G Ninja -DCMAKE_C_COMPILER=clang-14 -DDPC_FUZZ=ON
//         -DDPC_SANITIZE=address,undefined,fuzzer-no-link
//   cmake --build build/fuzz -t fuzz_safetensors && build/fuzz/tests/fuzz_safetensors -max_len=4096
#include <stdint.h>
#include <stdlib.h>

#include "policy/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size);

static void read_everything(const dpc_safetensors* file) {
  for (int i = 0; i < dpc_safetensors_count(file); ++i) {
    const dpc_tensor_view* view = dpc_safetensors_at(file, i);
    int shape[DPC_TENSOR_RANK_MAX];
    for (int j = 0; j < view->rank; ++j) shape[j] = (int)view->shape[j];
    float* floats = malloc(view->count * sizeof(float) + 1);
    int64_t* integers = malloc(view->count * sizeof(int64_t) + 1);
    if (floats == NULL || integers == NULL) abort();
    dpc_error error;
    if (dpc_safetensors_read_f32(file, view->name, view->rank, shape, floats, &error) != DPC_OK &&
        dpc_safetensors_read_i64(file, view->name, view->rank, shape, integers, &error) != DPC_OK) {
      DPC_ASSERT(error.text[0] != '\0');
    }
    free(floats);
    free(integers);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  dpc_error error = {""};
  dpc_safetensors* file = NULL;
  if (dpc_safetensors_open_bytes("fuzz", bytes, size, &file, &error) != DPC_OK) {
    DPC_ASSERT(error.text[0] != '\0' && file == NULL);
    return 0;
  }
  read_everything(file);

  dpc_arena arena;
  dpc_checkpoint_info info;
  if (dpc_arena_map(&arena, 16 << 20, &error) == DPC_OK) {
    if (dpc_checkpoint_info_read(file, &arena, &info, &error) == DPC_OK) {
      DPC_ASSERT(dpc_checkpoint_info_check(&info, NULL) == DPC_OK);
    }
    dpc_arena_unmap(&arena);
  }
  dpc_safetensors_close(file);
  return 0;
}
