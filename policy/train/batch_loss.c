#include "policy/train/batch_loss.h"

#include <math.h>
#include <string.h>

#include "policy/train/optimizer.h"

// Parameters per piece of the sum over shards.
enum { BLOCK = 16384 };

// What one thread needs for one shard.
typedef struct shard_work {
  dpc_unet_work* unet;
  float* cond;        // [shard x n_obs x obs_dim]
  float* chunk;       // [shard x horizon x action_dim], clean; then the target in its place
  float* noise;       // likewise
  float* noisy;       // likewise
  float* given;       // [shard x horizon x dpc_unet_row], to a network with a mask; else noisy
  float* output;      // like chunk, the network's answer; then the gradient of the loss by it
  int* settled;       // [shard], leading values of a chunk that are
  float* timestep;    // [shard]
  float* step_size;   // [shard], of shortcuts; 0 for all other windows
  double* weight;     // [shard], of a window's error
  float* cond_noise;  // [n_obs x obs_dim], of the window in hand
} shard_work;

struct dpc_batch_loss {
  dpc_batch_loss_parts parts;
  int cond_dim, chunk_dim;  // values of one window
  size_t param_count;
  shard_work* works;       // [threads]
  int shard_max;           // shards of the largest batch
  float** grads;           // [shard_max][param_count]; their sum ends up in the first
  double* squared_errors;  // [shard_max], sums
  int block_count;         // of the parameters
  double* block_squares;   // [block_count], of the summed gradient
  // the current batch, read by the threads
  dpc_batch batch;
  double free_count;  // values that are asked for
  const float* params;
  bool backward;
};

int dpc_batch_loss_shard(const dpc_train_def* def) {
  const int half = (def->batch + 1) / 2;
  return def->shard < half ? def->shard : half;
}

static int shards_of(const dpc_train_def* def, int windows) {
  const int shard = dpc_batch_loss_shard(def);
  return (windows + shard - 1) / shard;
}

// --- making it ----------------------------------------------------------------------------------

static dpc_status create_work(const dpc_batch_loss* loss, dpc_arena* arena, shard_work* out,
                              dpc_error* error) {
  const int shard = dpc_batch_loss_shard(loss->parts.train);
  const size_t count = (size_t)shard * (size_t)loss->chunk_dim;
  const dpc_unet_def* unet = dpc_unet_settings(loss->parts.unet);
  DPC_TRY(dpc_unet_work_create(loss->parts.unet, shard, true, arena, &out->unet, error));
  out->cond = DPC_TAKE(arena, float, (size_t)shard*(size_t)loss->cond_dim);
  out->chunk = DPC_TAKE(arena, float, count);
  out->noise = DPC_TAKE(arena, float, count);
  out->noisy = DPC_TAKE(arena, float, count);
  out->given = out->noisy;
  if (unet->mask_dim > 0) {
    out->given = DPC_TAKE(arena, float, shard * unet->horizon * dpc_unet_row(unet));
  }
  out->output = DPC_TAKE(arena, float, count);
  out->settled = DPC_TAKE(arena, int, shard);
  out->timestep = DPC_TAKE(arena, float, shard);
  out->step_size = DPC_TAKE(arena, float, shard);
  out->weight = DPC_TAKE(arena, double, shard);
  out->cond_noise = DPC_TAKE(arena, float, loss->cond_dim);
  const bool made = out->cond && out->chunk && out->noise && out->noisy && out->given &&
                    out->output && out->settled && out->timestep && out->step_size && out->weight &&
                    out->cond_noise;
  if (!made) return dpc_arena_full(arena, "a training thread", error);
  return DPC_OK;
}

static dpc_status create_sums(dpc_batch_loss* loss, dpc_arena* arena, dpc_error* error) {
  loss->grads = DPC_TAKE(arena, float*, loss->shard_max);
  loss->squared_errors = DPC_TAKE(arena, double, loss->shard_max);
  loss->block_squares = DPC_TAKE(arena, double, loss->block_count);
  if (loss->grads == NULL || loss->squared_errors == NULL || loss->block_squares == NULL) {
    return dpc_arena_full(arena, "the sums of a batch", error);
  }
  for (int i = 0; i < loss->shard_max; ++i) {
    loss->grads[i] = DPC_TAKE(arena, float, loss->param_count);
    if (loss->grads[i] == NULL) return dpc_arena_full(arena, "the gradients", error);
  }
  return DPC_OK;
}

dpc_status dpc_batch_loss_create(const dpc_batch_loss_parts* parts, dpc_arena* arena,
                                 dpc_batch_loss** out, dpc_error* error) {
  const dpc_window_def* window = &parts->dataset->window;
  const int threads = dpc_workers_count(parts->workers);
  dpc_batch_loss* loss = DPC_TAKE(arena, dpc_batch_loss, 1);
  shard_work* works = DPC_TAKE(arena, shard_work, threads);
  if (loss == NULL || works == NULL) return dpc_arena_full(arena, "the batch loss", error);
  *loss = (dpc_batch_loss){
      .parts = *parts,
      .cond_dim = window->n_obs * parts->dataset->obs_dim,
      .chunk_dim = window->horizon * parts->dataset->action_dim,
      .param_count = dpc_unet_param_count(parts->unet),
      .works = works,
      .shard_max = shards_of(parts->train, parts->train->batch),
  };
  loss->block_count = (int)((loss->param_count + BLOCK - 1) / BLOCK);
  for (int i = 0; i < threads; ++i) DPC_TRY(create_work(loss, arena, &works[i], error));
  DPC_TRY(create_sums(loss, arena, error));
  *out = loss;
  return DPC_OK;
}

// --- one shard, on one thread -------------------------------------------------------------------

static int prefix_of(const dpc_batch_loss* loss, int i) {
  return dpc_objective_prefix(loss->parts.train, loss->parts.key, loss->batch.plan,
                              loss->batch.sample + (uint32_t)i);
}

// The first rows of window `i` of a shard are settled, where the network has a mask for it.
static void settle(const dpc_batch_loss* loss, int i, int rows, shard_work* work) {
  const dpc_unet_def* unet = dpc_unet_settings(loss->parts.unet);
  work->settled[i] = rows * unet->input_dim;
  if (unet->mask_dim == 0) return;
  const ptrdiff_t at = (ptrdiff_t)i * loss->chunk_dim;
  dpc_objective_mark(rows, unet->horizon, unet->input_dim, work->chunk + at, work->noisy + at,
                     work->given + (ptrdiff_t)i * unet->horizon * dpc_unet_row(unet));
}

// Read the windows of a shard and draw noise for each. Validation is asked about observations as they
// are.
static void read_shard(const dpc_batch_loss* loss, int first, int count, shard_work* work) {
  const dpc_batch_loss_parts* parts = &loss->parts;
  const dpc_batch* batch = &loss->batch;
  const int size = loss->chunk_dim;
  for (int i = 0; i < count; ++i) {
    const uint32_t plan = batch->plan, sample = batch->sample + (uint32_t)(first + i);
    float* cond = work->cond + (size_t)i * (size_t)loss->cond_dim;
    float* chunk = work->chunk + (size_t)i * (size_t)size;
    float* noise = work->noise + (size_t)i * (size_t)size;
    const dpc_window window =
        dpc_dataset_window(parts->dataset, batch->windows, batch->picks[first + i]);
    dpc_dataset_read(parts->dataset, &window, cond, chunk);
    if (plan > 0) {
      dpc_objective_blur(parts->train, parts->key, plan, sample, loss->cond_dim, work->cond_noise,
                         cond);
    }
    dpc_rng_normal(parts->key, DPC_STREAM_TRAIN_NOISE, plan, sample, size, noise);
  }
}

// Draw a timestep for each window, and mix chunk and noise.
static void mix_shard(const dpc_batch_loss* loss, int first, int count, shard_work* work) {
  const dpc_batch_loss_parts* parts = &loss->parts;
  const int size = loss->chunk_dim;
  for (int i = 0; i < count; ++i) {
    const uint32_t plan = loss->batch.plan, sample = loss->batch.sample + (uint32_t)(first + i);
    float* chunk = work->chunk + (size_t)i * (size_t)size;
    float* noise = work->noise + (size_t)i * (size_t)size;
    float* noisy = work->noisy + (size_t)i * (size_t)size;
    work->timestep[i] =
        dpc_objective_timestep(parts->train, &parts->schedule->def, parts->key, plan, sample);
    const dpc_noise_level level = dpc_schedule_level(parts->schedule, (double)work->timestep[i]);
    work->weight[i] = dpc_objective_weight(parts->train, parts->schedule, level);
    dpc_schedule_add_noise(level, chunk, noise, size, noisy);
    settle(loss, i, prefix_of(loss, first + i), work);
    dpc_schedule_target(parts->schedule, level, chunk, noise, size, chunk);
  }
}

static dpc_lesson make_lesson(const dpc_batch_loss* loss, int first, int count, shard_work* work) {
  return (dpc_lesson){.count = count,
                      .key = loss->parts.key,
                      .plan = loss->batch.plan,
                      .sample = loss->batch.sample + (uint32_t)first,
                      .average = loss->batch.average,
                      .cond = work->cond,
                      .noise = work->noise,
                      .chunk = work->chunk,
                      .noisy = work->noisy,
                      .timestep = work->timestep,
                      .step_size = work->step_size,
                      .weight = work->weight};
}

// What is asked and answered of each window: by itself, or where others have been asked for it.
static void prepare_shard(const dpc_batch_loss* loss, int first, int count, int thread,
                          shard_work* work) {
  const dpc_lesson lesson = make_lesson(loss, first, count, work);
  memset(work->settled, 0, sizeof *work->settled * (size_t)count);
  memset(work->step_size, 0, sizeof *work->step_size * (size_t)count);
  if (loss->parts.distill != NULL) {
    dpc_distill_prepare(loss->parts.distill, thread, &lesson);
    return;
  }
  mix_shard(loss, first, count, work);
  if (loss->parts.shortcut != NULL) dpc_shortcut_prepare(loss->parts.shortcut, thread, &lesson);
}

// Weighted sum of squared errors of `count` windows; the output becomes the gradient of the mean
// over the values of the batch. Settled ones are not asked for.
static double squared_error(const dpc_batch_loss* loss, int count, shard_work* work) {
  const double mean_over = loss->free_count;
  const float* target = work->chunk;
  float* output = work->output;
  double sum = 0;
  for (int i = 0; i < count; ++i) {
    const double weight = work->weight[i];
    const float scale = (float)(weight * 2 / mean_over);
    const int settled = work->settled[i];
    for (int k = 0; k < settled; ++k) output[k] = 0;
    target += settled;
    output += settled;
    for (int k = settled; k < loss->chunk_dim; ++k, ++target, ++output) {
      const float difference = *output - *target;
      sum += weight * (double)difference * (double)difference;
      *output = scale * difference;
    }
  }
  return sum;
}

static void run_shard(void* context, int item, int thread) {
  dpc_batch_loss* loss = context;
  const dpc_unet* unet = loss->parts.unet;
  shard_work* work = &loss->works[thread];
  const int shard = dpc_batch_loss_shard(loss->parts.train);
  const int first = item * shard, rest = loss->batch.count - first;
  const int count = rest < shard ? rest : shard;

  read_shard(loss, first, count, work);
  prepare_shard(loss, first, count, thread, work);
  dpc_unet_forward(unet, loss->params, work->unet, count, work->given, work->timestep,
                   work->step_size, work->cond, work->output);
  loss->squared_errors[item] = squared_error(loss, count, work);
  if (!loss->backward) return;
  memset(loss->grads[item], 0, sizeof(float) * loss->param_count);
  dpc_unet_backward(unet, loss->params, work->unet, count, work->given, work->cond, work->output,
                    loss->grads[item], NULL, NULL);
}

// --- the whole batch ----------------------------------------------------------------------------

static int shard_count(const dpc_batch_loss* loss) {
  return shards_of(loss->parts.train, loss->batch.count);
}

static double count_free(const dpc_batch_loss* loss) {
  const int action_dim = loss->parts.dataset->action_dim;
  double count = (double)loss->batch.count * loss->chunk_dim;
  for (int i = 0; i < loss->batch.count; ++i) count -= prefix_of(loss, i) * action_dim;
  return count;
}

static double run_shards(dpc_batch_loss* loss, const dpc_batch* batch, const float* params,
                         bool backward) {
  DPC_ASSERT(batch->count >= 1 && batch->count <= loss->parts.train->batch);
  loss->batch = *batch;
  loss->params = params;
  loss->backward = backward;
  loss->free_count = count_free(loss);
  dpc_workers_run(loss->parts.workers, run_shard, loss, shard_count(loss));
  double sum = 0;
  for (int i = 0; i < shard_count(loss); ++i) sum += loss->squared_errors[i];
  return sum / loss->free_count;
}

// Sum one range of the gradients over the shards, in their order.
static void sum_block(void* context, int item, int thread) {
  (void)thread;
  dpc_batch_loss* loss = context;
  const size_t at = (size_t)item * BLOCK, rest = loss->param_count - at;
  const size_t count = rest < BLOCK ? rest : BLOCK;
  float* restrict sum = loss->grads[0] + at;
  for (int shard = 1; shard < shard_count(loss); ++shard) {
    const float* restrict grads = loss->grads[shard] + at;
    for (size_t i = 0; i < count; ++i) sum[i] += grads[i];
  }
  loss->block_squares[item] = dpc_sum_of_squares(sum, count);
}

double dpc_batch_loss_forward(dpc_batch_loss* loss, const dpc_batch* batch, const float* params) {
  return run_shards(loss, batch, params, false);
}

double dpc_batch_loss_gradient(dpc_batch_loss* loss, const dpc_batch* batch, const float* params,
                               double* norm) {
  const double mean = run_shards(loss, batch, params, true);
  dpc_workers_run(loss->parts.workers, sum_block, loss, loss->block_count);
  double squares = 0;
  for (int i = 0; i < loss->block_count; ++i) squares += loss->block_squares[i];
  *norm = sqrt(squares);
  return mean;
}

float* dpc_batch_loss_grads(const dpc_batch_loss* loss) {
  return loss->grads[0];
}
