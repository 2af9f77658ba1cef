// Layers against the formulas they implement, written plainly in double, and their gradients
// against central differences of those.

#include "policy/activation.h"
#include "policy/conv1d.h"
#include "policy/gemm.h"
#include "policy/norm_mish.h"
#include "policy/rng.h"
#include "tests/test.h"

enum { MAX = 1 << 14 };

static float in[MAX], weight[MAX], bias[MAX], out[MAX], film[MAX], stats[MAX];
static float grad_out[MAX], grad_in[MAX], grad_weight[MAX], grad_bias[MAX], grad_film[MAX];
static double plain[MAX];

static void fill(float* values, int count, uint32_t number) {
  dpc_rng_normal((dpc_rng_key){11, 0}, DPC_STREAM_TEST, number, 0, count, values);
}

// --- mish ----------------------------------------------------------------------------------------

static double plain_mish(double x) {
  return x * tanh(log1p(exp(x)));
}

static void test_exp(void** state) {
  (void)state;
  double worst = 0;
  for (int i = 0; i <= 150000; ++i) {
    const float x = -87 + (float)i * (107.0F / 150000);
    worst = fmax(worst, fabs((double)dpc_exp(x) / exp((double)x) - 1));
  }
  assert_true(worst < 2e-7);
  assert_true(dpc_exp(1e30F) < 4.9e8F && dpc_exp(-1e30F) > 0);
}

static void test_mish(void** state) {
  (void)state;
  const double step = 1e-5;
  for (int i = -3000; i <= 3000; ++i) {
    const float x = (float)i / 100;
    const double slope = (plain_mish((double)x + step) - plain_mish((double)x - step)) / (2 * step);
    // relative to the value: mish decays like x e^x
    assert_near(dpc_mish(x), plain_mish((double)x), 1e-6 * fmax(1e-3, fabs((double)x)));
    assert_near(dpc_mish_slope(x), slope, 2e-6);
  }
}

// --- convolution ---------------------------------------------------------------------------------

// One output value, from the definition.
static double plain_conv(const dpc_conv1d* c, int batch, int time, const double* x, const double* w,
                         const double* b, int sample, int t, int channel) {
  double sum = b[channel];
  for (int tap = 0; tap < c->kernel; ++tap) {
    for (int i = 0; i < c->in; ++i) {
      int at = t * c->stride - c->pad + tap;
      if (c->transposed) {
        const int from = t + c->pad - tap;
        if (from < 0 || from % c->stride != 0) continue;
        at = from / c->stride;
      }
      if (at < 0 || at >= time) continue;
      const int kept = c->transposed ? (tap * c->out + channel) * c->in + i
                                     : (channel * c->kernel + tap) * c->in + i;
      sum += w[kept] * x[(at * batch + sample) * c->in + i];
    }
  }
  return sum;
}

// sum(grad_out * conv(x)), whose derivatives are what backward gives.
static double plain_sum(const dpc_conv1d* c, int batch, int time, const double* x, const double* w,
                        const double* b) {
  const int after = dpc_conv1d_time(c, time);
  double sum = 0;
  for (int s = 0; s < batch; ++s) {
    for (int t = 0; t < after; ++t) {
      for (int o = 0; o < c->out; ++o) {
        const double value = plain_conv(c, batch, time, x, w, b, s, t, o);
        const int at = (t * batch + s) * c->out + o;
        plain[at] = value;
        sum += (double)grad_out[at] * value;
      }
    }
  }
  return sum;
}

// Derivatives of plain_sum by each value of `values`, against `found`.
static void check_derivatives(const dpc_conv1d* c, int batch, int time, double* x, double* w,
                              double* b, double* values, int count, const float* found) {
  const double step = 1e-4;
  for (int i = 0; i < count; i += 1 + count / 40) {
    const double kept = values[i];
    values[i] = kept + step;
    const double above = plain_sum(c, batch, time, x, w, b);
    values[i] = kept - step;
    const double below = plain_sum(c, batch, time, x, w, b);
    values[i] = kept;
    // the function is linear in each argument, so the difference is exact but for rounding
    assert_near(found[i], (above - below) / (2 * step), 2e-4);
  }
}

static void widen(const float* from, int count, double* to) {
  for (int i = 0; i < count; ++i) to[i] = (double)from[i];
}

static void check_conv(const dpc_conv1d* c, int batch, int time) {
  static double x[MAX], w[MAX], b[MAX];
  const int after = dpc_conv1d_time(c, time), weights = c->in * c->out * c->kernel;
  const int ins = batch * time * c->in, outs = batch * after * c->out;
  fill(in, ins, 1);
  fill(weight, weights, 2);
  fill(bias, c->out, 3);
  fill(grad_out, outs, 4);
  widen(in, ins, x);
  widen(weight, weights, w);
  widen(bias, c->out, b);

  for (int i = 0; i < outs; ++i) out[i] = 999;
  dpc_conv1d_forward(c, batch, time, in, weight, bias, out);
  plain_sum(c, batch, time, x, w, b);
  for (int i = 0; i < outs; ++i) assert_near(out[i], plain[i], 1e-4);

  for (int i = 0; i < ins; ++i) grad_in[i] = 999;
  memset(grad_weight, 0, sizeof grad_weight);
  memset(grad_bias, 0, sizeof grad_bias);
  dpc_conv1d_backward(c, batch, time, in, weight, grad_out, grad_weight, grad_bias, grad_in);
  check_derivatives(c, batch, time, x, w, b, x, ins, grad_in);
  check_derivatives(c, batch, time, x, w, b, w, weights, grad_weight);
  check_derivatives(c, batch, time, x, w, b, b, c->out, grad_bias);
}

static void test_convolutions(void** state) {
  (void)state;
  for (int kernel = 1; kernel <= 7; kernel += 2) {
    for (int time = 1; time <= 9; time += 4) {
      check_conv(&(dpc_conv1d){3, 5, kernel, 1, kernel / 2, false}, 2, time);
    }
  }
  for (int time = 2; time <= 8; time += 2) {
    check_conv(&(dpc_conv1d){4, 3, 3, 2, 1, false}, 3, time);
    check_conv(&(dpc_conv1d){3, 4, 4, 2, 1, true}, 3, time);
  }
}

static void test_times(void** state) {
  (void)state;
  assert_int_equal(dpc_conv1d_time(&(dpc_conv1d){1, 1, 5, 1, 2, false}, 16), 16);
  assert_int_equal(dpc_conv1d_time(&(dpc_conv1d){1, 1, 3, 2, 1, false}, 16), 8);
  assert_int_equal(dpc_conv1d_time(&(dpc_conv1d){1, 1, 4, 2, 1, true}, 8), 16);
}

// A linear layer is a convolution of one tap, which was checked above; both ways to give grad_in.
static void test_linear(void** state) {
  (void)state;
  enum { ROWS = 7, M = 5, N = 9 };
  static float expected[MAX], expected_weight[MAX], expected_bias[N];
  const dpc_conv1d same = {M, N, 1, 1, 0, false};
  fill(in, ROWS * M, 1);
  fill(weight, M * N, 2);
  fill(bias, N, 3);
  fill(grad_out, ROWS * N, 4);
  dpc_conv1d_forward(&same, ROWS, 1, in, weight, bias, expected);
  dpc_linear_forward(ROWS, M, N, in, weight, bias, out);
  assert_memory_equal(out, expected, sizeof(float) * ROWS * N);

  dpc_conv1d_backward(&same, ROWS, 1, in, weight, grad_out, expected_weight, expected_bias,
                      expected);
  memset(grad_weight, 0, sizeof grad_weight);
  memset(grad_bias, 0, sizeof grad_bias);
  for (int i = 0; i < ROWS * M; ++i) grad_in[i] = 999;
  for (int round = 1; round <= 2; ++round) {
    dpc_linear_backward(ROWS, M, N, in, weight, grad_out, grad_weight, grad_bias, grad_in,
                        round == 2);
    for (int i = 0; i < ROWS * M; ++i) assert_near(grad_in[i], round * (double)expected[i], 1e-5);
    for (int i = 0; i < M * N; ++i) {
      assert_near(grad_weight[i], round * (double)expected_weight[i], 1e-5);
    }
    for (int i = 0; i < N; ++i) assert_near(grad_bias[i], round * (double)expected_bias[i], 1e-5);
  }
  dpc_linear_backward(ROWS, M, N, in, weight, grad_out, grad_weight, grad_bias, NULL, false);
}

// --- normalisation, mish and FiLM ----------------------------------------------------------------

enum { BATCH = 2, TIME = 5, CHANNELS = 12, GROUPS = 4, SIZE = BATCH * TIME * CHANNELS };

typedef struct norm_arguments {
  double x[SIZE], gamma[CHANNELS], beta[CHANNELS], film[BATCH * 2 * CHANNELS];
  bool has_film;
} norm_arguments;

static double plain_norm_sum(const norm_arguments* a, double* values) {
  const int width = CHANNELS / GROUPS;
  double total = 0;
  for (int b = 0; b < BATCH; ++b) {
    for (int c = 0; c < CHANNELS; ++c) {
      double mean = 0, square = 0;
      const int first = c / width * width;
      for (int t = 0; t < TIME; ++t) {
        for (int k = 0; k < width; ++k) {
          const double value = a->x[(t * BATCH + b) * CHANNELS + first + k];
          mean += value / (TIME * width);
          square += value * value / (TIME * width);
        }
      }
      for (int t = 0; t < TIME; ++t) {
        const int at = (t * BATCH + b) * CHANNELS + c;
        const double y = (a->x[at] - mean) / sqrt(square - mean * mean + 1e-5);
        double z = plain_mish(y * a->gamma[c] + a->beta[c]);
        const double* f = a->film + (size_t)b * 2 * CHANNELS;
        if (a->has_film) z = f[c] * z + f[CHANNELS + c];
        values[at] = z;
        total += (double)grad_out[at] * z;
      }
    }
  }
  return total;
}

static void check_norm_derivatives(norm_arguments* a, double* values, int count,
                                   const float* found) {
  const double step = 1e-5;
  for (int i = 0; i < count; ++i) {
    const double kept = values[i];
    values[i] = kept + step;
    const double above = plain_norm_sum(a, plain);
    values[i] = kept - step;
    const double below = plain_norm_sum(a, plain);
    values[i] = kept;
    assert_near(found[i], (above - below) / (2 * step), 2e-4);
  }
}

static void check_norm(bool has_film) {
  static norm_arguments a;
  const dpc_norm_mish norm = {CHANNELS, GROUPS};
  float gamma[CHANNELS], beta[CHANNELS];
  a.has_film = has_film;
  fill(in, SIZE, 1);
  fill(gamma, CHANNELS, 2);
  fill(beta, CHANNELS, 3);
  fill(film, BATCH * 2 * CHANNELS, 4);
  fill(grad_out, SIZE, 5);
  for (int i = 0; i < SIZE; ++i) in[i] = in[i] * 2 + 3;  // a mean far from 0
  widen(in, SIZE, a.x);
  widen(gamma, CHANNELS, a.gamma);
  widen(beta, CHANNELS, a.beta);
  widen(film, BATCH * 2 * CHANNELS, a.film);

  const float* modulation = has_film ? film : NULL;
  dpc_norm_mish_forward(&norm, BATCH, TIME, in, gamma, beta, modulation, stats, out);
  plain_norm_sum(&a, plain);
  for (int i = 0; i < SIZE; ++i) assert_near(out[i], plain[i], 2e-6 * fmax(1, fabs(plain[i])));

  memset(grad_weight, 0, sizeof grad_weight);
  memset(grad_bias, 0, sizeof grad_bias);
  dpc_norm_mish_backward(&norm, BATCH, TIME, in, gamma, beta, modulation, stats, grad_out,
                         grad_weight, grad_bias, has_film ? grad_film : NULL, grad_in);
  check_norm_derivatives(&a, a.x, SIZE, grad_in);
  check_norm_derivatives(&a, a.gamma, CHANNELS, grad_weight);
  check_norm_derivatives(&a, a.beta, CHANNELS, grad_bias);
  if (has_film) check_norm_derivatives(&a, a.film, BATCH * 2 * CHANNELS, grad_film);

  // in place
  memcpy(out, grad_out, sizeof(float) * SIZE);
  dpc_norm_mish_backward(&norm, BATCH, TIME, in, gamma, beta, modulation, stats, out, grad_weight,
                         grad_bias, has_film ? grad_film : NULL, out);
  assert_memory_equal(out, grad_in, sizeof(float) * SIZE);
}

static void test_norm_mish(void** state) {
  (void)state;
  check_norm(false);
  check_norm(true);
}

static int start(void** state) {
  (void)state;
  dpc_error error;
  assert_ok(dpc_gemm_start(&error), &error);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_exp),          cmocka_unit_test(test_mish),
      cmocka_unit_test(test_convolutions), cmocka_unit_test(test_times),
      cmocka_unit_test(test_linear),       cmocka_unit_test(test_norm_mish),
  };
  return cmocka_run_group_tests(tests, start, NULL);
}
