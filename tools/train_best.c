#include "tools/train_best.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/train_output.h"

dpc_train_best dpc_train_best_of(int64_t step, double score) {
  dpc_train_best best = {.step = step};
  (void)snprintf(best.name, sizeof best.name, "best_step_%06" PRId64 "_%.3f.safetensors", step,
                 score);
  (void)sscanf(strrchr(best.name, '_') + 1, "%lf", &best.score);  // NOLINT(cert-err34-c): ours
  return best;
}

// Only a name that we would give, to the letter.
static bool parse_name(const char* name, dpc_train_best* out) {
  int64_t step = 0;
  double score = 0;
  // NOLINTNEXTLINE(cert-err34-c): what overflows is not printed as it was
  if (sscanf(name, "best_step_%" SCNd64 "_%lf.safetensors", &step, &score) != 2) return false;
  if (!(step >= 0 && score >= 0 && score <= 1)) return false;
  *out = dpc_train_best_of(step, score);
  return strcmp(out->name, name) == 0;
}

static bool is_better(const dpc_train_best* a, const dpc_train_best* b) {
  return a->score > b->score || (a->score == b->score && a->step < b->step);
}

static void insert(dpc_train_best_list* list, const dpc_train_best* best) {
  int at = list->count;
  while (at > 0 && is_better(best, &list->items[at - 1])) --at;
  if (at == DPC_TRAIN_BEST_MAX) return;
  if (list->count < DPC_TRAIN_BEST_MAX) ++list->count;
  memmove(&list->items[at + 1], &list->items[at],
          (size_t)(list->count - 1 - at) * sizeof list->items[0]);
  list->items[at] = *best;
}

dpc_status dpc_train_best_read(const char* folder, dpc_train_best_list* out, dpc_error* error) {
  dpc_train_best_list list = {.count = 0};
  DIR* dir = opendir(folder);
  if (dir == NULL) return dpc_fail(error, DPC_ERR_IO, "%s: %s", folder, strerror(errno));
  for (const struct dirent* entry; (entry = readdir(dir)) != NULL;) {
    dpc_train_best best;
    if (parse_name(entry->d_name, &best)) insert(&list, &best);
  }
  (void)closedir(dir);
  *out = list;
  return DPC_OK;
}

bool dpc_train_best_belongs(const dpc_train_best_list* list, const dpc_train_best* policy,
                            int keep) {
  int better = 0;
  while (better < list->count && is_better(&list->items[better], policy)) ++better;
  return better < keep;
}

static dpc_status remove_one(const char* folder, const dpc_train_best* best, dpc_error* error) {
  const dpc_train_path path = dpc_train_file(folder, best->name);
  if (unlink(path.text) == 0 || errno == ENOENT) return DPC_OK;
  return dpc_fail(error, DPC_ERR_IO, "%s: not removed: %s", path.text, strerror(errno));
}

dpc_status dpc_train_best_prune(const char* folder, int keep, dpc_error* error) {
  dpc_train_best_list list = {.count = 0};
  DPC_TRY(dpc_train_best_read(folder, &list, error));
  for (int i = keep; i < list.count; ++i) DPC_TRY(remove_one(folder, &list.items[i], error));
  return DPC_OK;
}

dpc_status dpc_train_best_drop_later(const char* folder, int64_t step, dpc_error* error) {
  dpc_train_best_list list = {.count = 0};
  DPC_TRY(dpc_train_best_read(folder, &list, error));
  for (int i = 0; i < list.count; ++i) {
    if (list.items[i].step > step) DPC_TRY(remove_one(folder, &list.items[i], error));
  }
  return DPC_OK;
}

dpc_json* dpc_train_best_json(const char* folder, const dpc_train_best_list* list) {
  dpc_json* json = dpc_json_array();
  for (int i = 0; i < list->count; ++i) {
    dpc_json* each = dpc_json_push(json, dpc_json_object());
    dpc_json_set_text(each, "policy", dpc_train_file(folder, list->items[i].name).text);
    dpc_json_set_int(each, "step", list->items[i].step);
    dpc_json_set_real(each, "score", list->items[i].score);
  }
  return json;
}
