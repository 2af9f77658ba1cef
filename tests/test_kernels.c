// Every fast kernel against the generic one, over odd sizes, unaligned ends and guard values.

#include "policy/kernels/kernels.h"

#include "policy/rng.h"
#include "tests/test.h"

enum { ROWS = 48, BLOCKS = 8, MAX_CHANNELS = 40, MAX_TAPS = 7, PAD = 24, SAMPLES = 3 };
enum {
  WEIGHTS = BLOCKS * DPC_LANES * MAX_TAPS * MAX_CHANNELS,
  IN_SAMPLE = (ROWS + PAD) * MAX_CHANNELS,
  OUT_SAMPLE = ROWS * DPC_LANES * BLOCKS + 3,
  IN_SIZE = SAMPLES * IN_SAMPLE,
  OUT_SIZE = SAMPLES * OUT_SAMPLE + 2 * DPC_LANES
};

static const float GUARD = 12345.0F;

static float weights[WEIGHTS], packed[WEIGHTS];
static uint16_t packed_bf16[WEIGHTS];
static float in[IN_SIZE + 1], bias[BLOCKS * DPC_LANES], expected[OUT_SIZE], got[OUT_SIZE];
static uint16_t in_bf16[IN_SIZE + 2];
static int8_t packed_int8[WEIGHTS];
static uint8_t in_bytes[IN_SIZE + 3];
static int16_t in_words[IN_SIZE + 3];
static float tap_sums[MAX_TAPS + 1][BLOCKS * DPC_LANES];
static float unit[BLOCKS * DPC_LANES];
static dpc_whole_scale in_scale[SAMPLES];

static void draw(uint32_t stream, int count, float* out) {
  dpc_rng_normal((dpc_rng_key){1, 2}, DPC_STREAM_TEST, stream, 0, count, out);
}

static int8_t whole_weight(float weight) {
  return (int8_t)lrintf(weight * (DPC_INT8_MAX / 2.0F));
}

static void sum_taps(const dpc_conv_call* call) {
  memset(tap_sums, 0, sizeof tap_sums);
  for (int n = 0; n < call->blocks * DPC_LANES; ++n) {
    for (int k = 0; k < call->taps; ++k) {
      tap_sums[k + 1][n] = tap_sums[k][n];
      for (int c = 0; c < call->channels; ++c) {
        const int row = (n / DPC_LANES * call->channels + c) * call->taps + k;
        tap_sums[k + 1][n] += (float)whole_weight(weights[row * DPC_LANES + n % DPC_LANES]);
      }
    }
  }
}

// From [block][channel][tap][16] to groups of `most` blocks, and `pair` channels together.
static void pack(const dpc_conv_call* call, int most, int pair) {
  size_t at = 0;
  for (int b = 0; b < call->blocks;) {
    const int width = dpc_group_width(most, call->blocks - b);
    for (int c = 0; c < call->channels; c += pair) {
      for (int k = 0; k < call->taps; ++k) {
        for (int j = 0; j < width * DPC_LANES * pair; ++j, ++at) {
          const int n = j / pair, block = b + n / DPC_LANES;
          const int row = (block * call->channels + c + j % pair) * call->taps + k;
          packed[at] = weights[row * DPC_LANES + n % DPC_LANES];
          packed_bf16[at] = dpc_bf16(packed[at]);
          packed_int8[at] = whole_weight(packed[at]);
        }
      }
    }
    b += width;
  }
}

static void run(const dpc_kernels* kernels, dpc_conv_call call, dpc_storage storage, float* out) {
  for (int i = 0; i < OUT_SIZE; ++i) out[i] = GUARD;
  call.out = out + DPC_LANES - 1;  // not aligned
  const ptrdiff_t start = -(ptrdiff_t)call.first * call.in_row;
  switch (storage) {
    case DPC_STORAGE_FP32:
      pack(&call, kernels->group(call.positions), 1);
      kernels->conv(&call);
      return;
    case DPC_STORAGE_WIDENED:
      pack(&call, kernels->group(call.positions), 2);
      kernels->conv_widened(&call);
      return;
    case DPC_STORAGE_BF16:
      pack(&call, kernels->group(call.positions), 2);
      kernels->conv_bf16(&call);
      return;
    case DPC_STORAGE_INT8:
      pack(&call, kernels->group(call.positions), kernels->int8_together);
      call.in_whole = kernels->int8_together == 4 ? (const void*)(in_bytes + 3 + start)
                                                  : (const void*)(in_words + 3 + start);
      kernels->conv_int8(&call);
      return;
  }
}

// Only what the call's samples and positions are is written.
static bool is_written(const dpc_conv_call* call, int i) {
  const int at = i - (DPC_LANES - 1), used = call->positions * call->out_row;
  return at >= 0 && at / OUT_SAMPLE < call->samples && at % OUT_SAMPLE < used;
}

// The inputs as whole numbers from 0 to 255; what is beyond a row's channels meets no weight.
static void draw_wholes(const dpc_conv_call* call) {
  for (int s = 0; s < call->samples; ++s) {
    const int zero = 100 + s;
    for (int i = s * IN_SAMPLE; i < (s + 1) * IN_SAMPLE; ++i) {
      in_bytes[3 + i] = (uint8_t)zero;
      in_words[3 + i] = (int16_t)zero;
    }
    const ptrdiff_t start = s * IN_SAMPLE - (ptrdiff_t)call->first * call->in_row;
    for (int i = 0; i < call->rows * call->in_row; ++i) {
      const int whole = (int)lrintf(127.5F * (1 + tanhf(in[1 + start + i])));
      in_bytes[3 + start + i] = (uint8_t)whole;
      in_words[3 + start + i] = (int16_t)whole;
    }
    in_scale[s] = (dpc_whole_scale){.unit = 0.01F * (float)(s + 1), .zero = (float)zero};
  }
  for (int n = 0; n < BLOCKS * DPC_LANES; ++n) unit[n] = 0.001F * (float)(1 + n % 7);
}

static void check_conv(const dpc_kernels* kernels, dpc_conv_call call, dpc_storage storage) {
  // rows outside are zeros
  const ptrdiff_t start = -(ptrdiff_t)call.first * call.in_row;
  memset(in, 0, sizeof in);
  memset(in_bf16, 0, sizeof in_bf16);
  for (int s = 0; s < call.samples; ++s) {
    draw(7 + (uint32_t)s, call.rows * call.in_row, in + 1 + (ptrdiff_t)s * IN_SAMPLE + start);
  }
  for (int i = 0; i < IN_SIZE; ++i) in_bf16[i + 2] = dpc_bf16(in[i + 1]);
  draw_wholes(&call);
  call.in = in + 1 + start;
  call.in_scale = in_scale;
  call.in_scale_sample = 1;
  call.weights_int8 = packed_int8;
  call.unit = unit;
  sum_taps(&call);
  call.tap_sums = tap_sums[0];
  call.tap_sums_row = DPC_COUNT(tap_sums[0]);
  call.in_bf16 = in_bf16 + 2 + start;
  call.weights = packed;
  call.weights_bf16 = packed_bf16;
  call.bias = bias;
  call.out_row = call.blocks * DPC_LANES;
  call.in_sample = IN_SAMPLE;
  call.out_sample = OUT_SAMPLE;
  call.prefetch = 4096;
  run(dpc_kernels_of(DPC_ISA_GENERIC), call, storage, expected);
  run(kernels, call, storage, got);
  for (int i = 0; i < OUT_SIZE; ++i) {
    if (!is_written(&call, i)) assert_true(got[i] == GUARD && expected[i] == GUARD);
    assert_near(got[i], expected[i], 1e-4);
  }
  // the bits of a sample by itself
  call.samples = 1;
  run(kernels, call, storage, expected);
  const size_t used = sizeof(float) * (size_t)(call.positions * call.out_row);
  assert_memory_equal(got + DPC_LANES - 1, expected + DPC_LANES - 1, used);
}

static void sweep_conv(const dpc_kernels* kernels, dpc_storage storage) {
  static const int positions[] = {1, 2, 3, 4, 5, 7, 8, 9, 11, 15, 16, 17, 20};
  static const int channels[] = {2, 6, 16, 34}, taps[] = {1, 2, 3, 4, 5, 7};
  for (int p = 0; p < DPC_COUNT(positions); ++p) {
    for (int k = 0; k < DPC_COUNT(taps); ++k) {
      for (int step = 1; step <= 2; ++step) {
        for (int blocks = 1; blocks <= BLOCKS; ++blocks) {
          const int odd = storage == DPC_STORAGE_FP32 ? p % 2 : 0;
          int count = channels[(p + k + blocks) % DPC_COUNT(channels)] + odd;
          if (storage == DPC_STORAGE_INT8) count = (count + 3) / 4 * 4;
          const dpc_conv_call call = {.in_row = count + k,
                                      .channels = count,
                                      .rows = positions[p] * step,
                                      .first = -((taps[k] - blocks % 2) / 2),
                                      .step = step,
                                      .taps = taps[k],
                                      .positions = positions[p],
                                      .blocks = blocks,
                                      .samples = 1 + (p + k + blocks) % SAMPLES};
          check_conv(kernels, call, storage);
        }
      }
    }
  }
}

static void test_convolutions(void** state) {
  (void)state;
  draw(0, DPC_COUNT(weights), weights);
  for (int i = 0; i < DPC_COUNT(weights); ++i) weights[i] = 1.99F * tanhf(weights[i]);
  draw(1, DPC_COUNT(bias), bias);
  for (int isa = DPC_ISA_GENERIC + 1; isa < DPC_ISA_COUNT; ++isa) {
    const dpc_kernels* kernels = dpc_kernels_of((dpc_isa)isa);
    if (kernels == NULL) continue;
    sweep_conv(kernels, DPC_STORAGE_FP32);
    sweep_conv(kernels, DPC_STORAGE_WIDENED);
    if (kernels->bf16_dot) sweep_conv(kernels, DPC_STORAGE_BF16);
    sweep_conv(kernels, DPC_STORAGE_INT8);
  }
}

// --- normalisation -------------------------------------------------------------------------------

static float x[OUT_SIZE], around[OUT_SIZE], affine[6][2 * DPC_LANES * BLOCKS];
static uint16_t expected_bf16[OUT_SIZE], got_bf16[OUT_SIZE];

static void check_norm(const dpc_kernels* kernels, dpc_norm_call call) {
  const dpc_kernels* generic = dpc_kernels_of(DPC_ISA_GENERIC);
  const int used = call.groups * call.width;
  draw(3, call.rows * call.x_row, x);
  for (int t = 0; t < call.rows; ++t) {
    for (int c = used; c < call.channels; ++c) x[t * call.x_row + c] = 0;
  }
  for (int i = 0; i < OUT_SIZE; ++i) expected[i] = got[i] = GUARD;
  memset(expected_bf16, 0x55, sizeof expected_bf16);
  memset(got_bf16, 0x55, sizeof got_bf16);
  call.x = x;
  call.out = expected + 1, call.out_bf16 = expected_bf16 + 1;
  generic->norm(&call);
  call.out = got + 1, call.out_bf16 = got_bf16 + 1;
  kernels->norm(&call);
  for (int i = 0; i < OUT_SIZE; ++i) {
    assert_near(got[i], expected[i], 1e-5);
    assert_near(dpc_from_bf16(got_bf16[i]), dpc_from_bf16(expected_bf16[i]), 0.1);
    const bool row = i >= 1 && (i - 1) / call.out_row < call.rows;
    const bool written = row && (i - 1) % call.out_row < call.channels;
    if (!written) assert_true(got[i] == GUARD && got_bf16[i] == 0x5555);
  }
}

static void test_normalisations(void** state) {
  (void)state;
  static const struct {
    int groups, width;
  } shapes[] = {{1, 1},  {8, 8},   {3, 5},  {4, 16}, {2, 20}, {8, 12},
                {16, 7}, {1, 100}, {2, 32}, {1, 64}, {7, 8},  {7, 16}};
  for (int i = 0; i < 6; ++i) draw(10 + (uint32_t)i, DPC_COUNT(affine[i]), affine[i]);
  draw(20, OUT_SIZE, around);
  for (int isa = DPC_ISA_GENERIC + 1; isa < DPC_ISA_COUNT; ++isa) {
    const dpc_kernels* kernels = dpc_kernels_of((dpc_isa)isa);
    for (int s = 0; kernels != NULL && s < DPC_COUNT(shapes); ++s) {
      const int used = shapes[s].groups * shapes[s].width, channels = dpc_lanes_up(used);
      static float gamma[DPC_LANES * BLOCKS], beta[DPC_LANES * BLOCKS];
      memset(gamma, 0, sizeof gamma);
      memset(beta, 0, sizeof beta);
      memcpy(gamma, affine[0], sizeof(float) * (size_t)used);
      memcpy(beta, affine[1], sizeof(float) * (size_t)used);
      dpc_norm_call call = {.x_row = channels + s % 2 * DPC_LANES,
                            .rows = 1 + 3 * s % 17,
                            .channels = channels,
                            .groups = shapes[s].groups,
                            .width = shapes[s].width,
                            .gamma = gamma,
                            .beta = beta,
                            .around_row = channels,
                            .out_row = channels + DPC_LANES};
      check_norm(kernels, call);
      call.scale[0] = affine[2], call.scale[1] = affine[3];
      call.shift[0] = affine[4], call.shift[1] = affine[5];
      check_norm(kernels, call);
      call.around = around;
      check_norm(kernels, call);
    }
  }
}

static void test_rounding(void** state) {
  (void)state;
  float values[99];
  uint16_t rounded[100];
  draw(30, DPC_COUNT(values), values);
  values[0] = 1.00390625F;  // ties to even, down
  values[1] = 1.01171875F;  // up
  for (int isa = 0; isa < DPC_ISA_COUNT; ++isa) {
    const dpc_kernels* kernels = dpc_kernels_of((dpc_isa)isa);
    if (kernels == NULL || kernels->to_bf16 == NULL) continue;
    for (int n = 0; n < DPC_COUNT(values); ++n) {
      memset(rounded, 0x55, sizeof rounded);
      kernels->to_bf16(n, values, rounded);
      for (int i = 0; i < n; ++i) assert_int_equal(rounded[i], dpc_bf16(values[i]));
      assert_int_equal(rounded[n], 0x5555);
    }
  }
  assert_true(dpc_from_bf16(dpc_bf16(values[0])) == 1.0F);
  assert_true(dpc_from_bf16(dpc_bf16(values[1])) == 1.015625F);
  assert_true(isnan(dpc_from_bf16(dpc_bf16(NAN))));
}

// --- whole numbers -------------------------------------------------------------------------------

enum { BORDER = 3 };

typedef struct wholes {
  uint8_t bytes[OUT_SIZE];
  int16_t words[OUT_SIZE];
  dpc_whole_scale scale;
} wholes;

static void make_wholes(const dpc_kernels* kernels, dpc_int8_call call, wholes* w) {
  memset(w, 0x55, sizeof *w);
  call.scale = &w->scale;
  call.together = 4;
  call.out = w->bytes + 1 + BORDER * call.x_row;
  kernels->to_int8(&call);
  call.together = 2;
  call.out = w->words + 1 + BORDER * call.x_row;
  kernels->to_int8(&call);
}

// By the definition, and all instruction sets alike, but for a product that lies between two.
static void check_wholes(const dpc_int8_call* call) {
  static wholes w;
  float low = 0, high = 0;
  for (int i = 0; i < call->rows * call->x_row; ++i) {
    if (i % call->x_row >= call->channels) continue;
    low = fminf(low, call->x[i]);
    high = fmaxf(high, call->x[i]);
  }
  for (int isa = 0; isa < DPC_ISA_COUNT; ++isa) {
    const dpc_kernels* kernels = dpc_kernels_of((dpc_isa)isa);
    if (kernels == NULL) continue;
    make_wholes(kernels, *call, &w);
    const float half = 0.501F * w.scale.unit;
    assert_near(w.scale.unit, (high - low) / DPC_INT8_STEPS, 1e-6 * (high - low));
    assert_near(w.scale.zero * w.scale.unit, -low, half);
    for (int i = 0; i < OUT_SIZE - 1; ++i) {
      const int t = i / call->x_row - BORDER, c = i % call->x_row;
      if (t >= call->rows + BORDER || c >= call->channels) {
        assert_true(w.bytes[1 + i] == 0x55 && w.words[1 + i] == 0x5555);
        continue;
      }
      const bool inside = t >= 0 && t < call->rows;
      const float value = ((float)w.words[1 + i] - w.scale.zero) * w.scale.unit;
      assert_near(value, inside ? call->x[t * call->x_row + c] : 0, half);
      assert_int_equal(w.words[1 + i], w.bytes[1 + i]);
    }
  }
}

static void test_whole_numbers(void** state) {
  (void)state;
  for (int rows = 1; rows <= 16; ++rows) {
    for (int blocks = 1; blocks <= 4; ++blocks) {
      const dpc_int8_call call = {.x = x,
                                  .x_row = blocks * DPC_LANES + rows % 3,
                                  .rows = rows,
                                  .border = BORDER,
                                  .channels = blocks * DPC_LANES};
      draw((uint32_t)rows, rows * call.x_row, x);
      check_wholes(&call);
    }
  }
  dpc_int8_call call = {
      .x = x, .x_row = 2 * DPC_LANES, .rows = 2, .border = BORDER, .channels = 2 * DPC_LANES};
  memset(x, 0, sizeof x);
  check_wholes(&call);
  static wholes w;
  const float bad[] = {NAN, INFINITY, -INFINITY};
  for (int i = 0; i < DPC_COUNT(bad); ++i) {
    x[37] = bad[i];
    for (int isa = 0; isa < DPC_ISA_COUNT; ++isa) {
      const dpc_kernels* kernels = dpc_kernels_of((dpc_isa)isa);
      if (kernels == NULL) continue;
      make_wholes(kernels, call, &w);
      assert_false(isfinite(w.scale.unit));
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_convolutions),
      cmocka_unit_test(test_normalisations),
      cmocka_unit_test(test_rounding),
      cmocka_unit_test(test_whole_numbers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
