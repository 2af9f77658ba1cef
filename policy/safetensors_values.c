// Reading a tensor's elements, whatever their stored type. Files are little-endian, and so are the
// machines this runs on.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "policy/safetensors.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "safetensors are read in place");

static float float_from_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

// IEEE half precision: subnormals are multiples of 2^-24, exponent 31 is infinity or NaN.
static float float_from_half(uint16_t half) {
  const uint32_t sign = (uint32_t)(half & 0x8000) << 16;
  const uint32_t exponent = (half >> 10) & 31, fraction = half & 1023;
  if (exponent == 31) return float_from_bits(sign | 0x7f800000u | fraction << 13);
  if (exponent != 0) return float_from_bits(sign | (exponent + 112) << 23 | fraction << 13);
  const float magnitude = (float)fraction * 0x1p-24f;
  return sign ? -magnitude : magnitude;
}

static float float_at(const dpc_tensor_view* view, size_t i) {
  const char* element = (const char*)view->data + i * dpc_dtype_size(view->dtype);
  uint16_t half;
  float single;
  double wide;
  switch (view->dtype) {
    case DPC_DTYPE_F32:
      memcpy(&single, element, sizeof single);
      return single;
    case DPC_DTYPE_BF16:
      memcpy(&half, element, sizeof half);
      return float_from_bits((uint32_t)half << 16);
    case DPC_DTYPE_F16:
      memcpy(&half, element, sizeof half);
      return float_from_half(half);
    case DPC_DTYPE_F64:
      memcpy(&wide, element, sizeof wide);
      return (float)wide;
    default:
      return NAN;
  }
}

// False for another type and for what an int64 cannot hold.
static bool integer_at(const dpc_tensor_view* view, size_t i, int64_t* out) {
  const char* element = (const char*)view->data + i * dpc_dtype_size(view->dtype);
  int32_t narrow;
  uint32_t natural;
  switch (view->dtype) {
    case DPC_DTYPE_I32:
      memcpy(&narrow, element, sizeof narrow);
      *out = narrow;
      return true;
    case DPC_DTYPE_U32:
      memcpy(&natural, element, sizeof natural);
      *out = natural;
      return true;
    case DPC_DTYPE_I64:
      memcpy(out, element, sizeof *out);
      return true;
    case DPC_DTYPE_U64:
      memcpy(out, element, sizeof *out);
      return *out >= 0;
    default:
      return false;
  }
}

static void shape_text(int rank, const int64_t* shape, char* text, size_t capacity) {
  size_t used = (size_t)snprintf(text, capacity, "[");
  for (int i = 0; i < rank && used < capacity; ++i) {
    used +=
        (size_t)snprintf(text + used, capacity - used, i ? ", %lld" : "%lld", (long long)shape[i]);
  }
  if (used < capacity) snprintf(text + used, capacity - used, "]");
}

static dpc_status find_exact(const dpc_safetensors* file, const char* name, int rank,
                             const int* shape, const dpc_tensor_view** out, dpc_error* error) {
  const char* path = dpc_safetensors_path(file);
  const dpc_tensor_view* view = dpc_safetensors_find(file, name);
  if (view == NULL) {
    return dpc_fail(error, DPC_ERR_NOT_FOUND, "%s: tensor '%s' is missing", path, name);
  }
  DPC_ASSERT(rank <= DPC_TENSOR_RANK_MAX);
  int64_t expected[DPC_TENSOR_RANK_MAX] = {0};
  for (int i = 0; i < rank; ++i) expected[i] = shape[i];
  if (view->rank != rank || memcmp(view->shape, expected, sizeof expected) != 0) {
    char has[128], wants[128];
    shape_text(view->rank, view->shape, has, sizeof has);
    shape_text(rank, expected, wants, sizeof wants);
    return dpc_fail(error, DPC_ERR_FORMAT, "%s: tensor '%s' has shape %s, expected %s", path, name,
                    has, wants);
  }
  *out = view;
  return DPC_OK;
}

dpc_status dpc_safetensors_read_f32(const dpc_safetensors* file, const char* name, int rank,
                                    const int* shape, float* out, dpc_error* error) {
  const char* path = dpc_safetensors_path(file);
  const dpc_tensor_view* view = NULL;
  DPC_TRY(find_exact(file, name, rank, shape, &view, error));
  DPC_ASSERT(view != NULL);
  if (view->dtype != DPC_DTYPE_F32 && view->dtype != DPC_DTYPE_BF16 &&
      view->dtype != DPC_DTYPE_F16 && view->dtype != DPC_DTYPE_F64) {
    return dpc_fail(error, DPC_ERR_FORMAT, "%s: tensor '%s' has dtype %s, expected floats", path,
                    name, dpc_dtype_name(view->dtype));
  }
  for (size_t i = 0; i < view->count; ++i) {
    out[i] = float_at(view, i);
    if (!isfinite(out[i])) {
      return dpc_fail(error, DPC_ERR_INVALID, "%s: tensor '%s': element %zu is not finite", path,
                      name, i);
    }
  }
  return DPC_OK;
}

dpc_status dpc_safetensors_read_i64(const dpc_safetensors* file, const char* name, int rank,
                                    const int* shape, int64_t* out, dpc_error* error) {
  const dpc_tensor_view* view = NULL;
  DPC_TRY(find_exact(file, name, rank, shape, &view, error));
  DPC_ASSERT(view != NULL);
  for (size_t i = 0; i < view->count; ++i) {
    if (!integer_at(view, i, &out[i])) {
      return dpc_fail(error, DPC_ERR_FORMAT,
                      "%s: tensor '%s' (dtype %s): element %zu is not a 64-bit integer",
                      dpc_safetensors_path(file), name, dpc_dtype_name(view->dtype), i);
    }
  }
  return DPC_OK;
}
