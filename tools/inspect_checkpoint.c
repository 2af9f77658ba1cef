#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "policy/checkpoint.h"
#include "tools/inspect.h"
#include "tools/inspect_table.h"

enum { KIND_TENSORS, KIND_CHECKPOINT, KIND_TRAINER };

static const size_t ADDRESS_SPACE = (size_t)16 << 30;  // reserved; only what is touched is used

typedef struct contents {
  const dpc_safetensors* file;
  int kind;
  dpc_checkpoint_info info;  // of a checkpoint or a trainer's file
  size_t params;             // numbers in one set of weights
} contents;

// --- reading ------------------------------------------------------------------------------------

static size_t count_params(const dpc_safetensors* file, const char* prefix) {
  size_t count = 0;
  for (int i = 0; i < dpc_safetensors_count(file); i++) {
    const dpc_tensor_view* tensor = dpc_safetensors_at(file, i);
    if (strncmp(tensor->name, prefix, strlen(prefix)) == 0) count += tensor->count;
  }
  return count;
}

/// Tell what kind of file it is, and check all that a controller would check.
static dpc_status examine(const dpc_safetensors* file, dpc_arena* arena, contents* out,
                          dpc_error* error) {
  *out = (contents){.file = file, .kind = KIND_TENSORS, .params = count_params(file, "")};
  if (dpc_safetensors_metadata(file, "dpc_format") == NULL) return DPC_OK;
  if (dpc_safetensors_metadata(file, "state.step") != NULL) {
    out->kind = KIND_TRAINER;
    out->params = count_params(file, "ema/");
    return dpc_checkpoint_info_read(file, arena, &out->info, error);
  }
  out->kind = KIND_CHECKPOINT;
  dpc_unet* unet = NULL;
  float* params = NULL;
  return dpc_checkpoint_load(dpc_safetensors_path(file), arena, &out->info, &unet, &params, error);
}

// --- metadata, as sections of settings ------------------------------------------------------------

/// Entries that are shown in another way, or say nothing to people.
static bool is_shown_elsewhere(const char* key) {
  static const char* const keys[] = {"format",      "dpc_format",     "dpc_version",   "interface.",
                                     "normalizer.", "dataset_sha256", "weights_sha256"};
  for (int i = 0; i < DPC_COUNT(keys); i++) {
    const size_t length = strlen(keys[i]);
    if (strncmp(key, keys[i], length) != 0) continue;
    if (keys[i][length - 1] == '.' || key[length] == '\0') return true;
  }
  return false;
}

/// Print "section:" and its settings in aligned lines; sections come one after the other.
static void print_metadata(const dpc_cli* cli, const dpc_safetensors* file) {
  char section[64] = "";
  for (int i = 0; i < dpc_safetensors_metadata_count(file); i++) {
    const dpc_metadata_entry entry = dpc_safetensors_metadata_at(file, i);
    if (is_shown_elsewhere(entry.key)) continue;
    const char* dot = strchr(entry.key, '.');
    const size_t length = dot == NULL ? 0 : (size_t)(dot - entry.key);
    if (strncmp(section, entry.key, length) != 0 || section[length] != '\0' || i == 0) {
      (void)snprintf(section, sizeof(section), "%.*s", (int)length, entry.key);
      dpc_cli_print(cli, "\n  %s\n", length == 0 ? "metadata" : section);
    }
    dpc_inspect_print_entry(cli, dot == NULL ? entry.key : dot + 1, entry.value);
  }
}

// --- for people ---------------------------------------------------------------------------------

/// The physical value that is normalised to `target`.
static double denormalized(const dpc_normalizer* normalizer, int i, double target) {
  return (target - (double)normalizer->offset[i]) / (double)normalizer->scale[i];
}

/// Which physical values the network sees as -1, 0 and 1. For a signal of several values: the
/// smallest that is -1 and the largest that is 1. `relative` is NULL for observations.
static void print_layout(const dpc_cli* cli, const char* what, const dpc_layout* layout,
                         const dpc_normalizer* n, const dpc_relative* relative) {
  static const char* const titles[3] = {"as -1", "as 0", "as 1"};
  dpc_inspect_print_title(cli, what, titles);
  for (int s = 0, first = 0; s < layout->count; s++) {
    const dpc_signal* signal = &layout->signals[s];
    double low = INFINITY, high = -INFINITY;
    for (int i = first; i < first + signal->dim; i++) {
      low = fmin(low, denormalized(n, i, -1));
      high = fmax(high, denormalized(n, i, 1));
    }
    const double middle = signal->dim == 1 ? denormalized(n, first, 0) : NAN;
    const bool differs = relative != NULL && dpc_relative_has(relative, first);
    dpc_inspect_print_signal(cli, signal, -1, differs, (double[]){low, middle, high});
    for (int i = 0; cli->verbosity > 0 && signal->dim > 1 && i < signal->dim; i++) {
      const int v = first + i;
      dpc_inspect_print_signal(
          cli, signal, i, differs,
          (double[]){denormalized(n, v, -1), denormalized(n, v, 0), denormalized(n, v, 1)});
    }
    first += signal->dim;
  }
}

static void print_line(const dpc_cli* cli, const char* what, const char* value) {
  if (value != NULL && value[0] != '\0') dpc_cli_print(cli, "  %-10s %s\n", what, value);
}

static void print_tensors(const dpc_cli* cli, const dpc_safetensors* file) {
  dpc_cli_print(cli, "\n  tensors\n");
  for (int i = 0; i < dpc_safetensors_count(file); i++) {
    const dpc_tensor_view* tensor = dpc_safetensors_at(file, i);
    dpc_cli_print(cli, "    %-52s %-4s [", tensor->name, dpc_dtype_name(tensor->dtype));
    for (int d = 0; d < tensor->rank; d++) {
      dpc_cli_print(cli, "%s%lld", d == 0 ? "" : ", ", (long long)tensor->shape[d]);
    }
    dpc_cli_print(cli, "]\n");
  }
}

static const char* dtype_of(const dpc_safetensors* file) {
  const int count = dpc_safetensors_count(file);
  if (count == 0) return "no tensors";
  const dpc_dtype first = dpc_safetensors_at(file, 0)->dtype;
  for (int i = 1; i < count; i++) {
    if (dpc_safetensors_at(file, i)->dtype != first) return "mixed";
  }
  return dpc_dtype_name(first);
}

/// A count with separators: 4 123 456.
static const char* grouped(size_t value, char out[32]) {
  char digits[32];
  const int length = snprintf(digits, sizeof(digits), "%zu", value);
  int used = 0;
  for (int i = 0; i < length; i++) {
    if (i > 0 && (length - i) % 3 == 0) out[used++] = ' ';
    out[used++] = digits[i];
  }
  out[used] = '\0';
  return out;
}

static void print(const dpc_cli* cli, const contents* c, int64_t bytes) {
  static const char* const kinds[] = {"safetensors file", "checkpoint", "trainer's own file"};
  const dpc_safetensors* file = c->file;
  char count[32];
  dpc_cli_print(cli, "%s: %s, %s parameters in %d tensors (%s), %.2f MB\n",
                dpc_safetensors_path(file), kinds[c->kind], grouped(c->params, count),
                dpc_safetensors_count(file), dtype_of(file), (double)bytes * 1e-6);
  print_line(cli, "weights", dpc_safetensors_metadata(file, DPC_SAFETENSORS_SHA256));
  print_line(cli, "data set", dpc_safetensors_metadata(file, "dataset_sha256"));
  print_line(cli, "dpc", dpc_safetensors_metadata(file, "dpc_version"));
  if (c->kind != KIND_TENSORS) {
    dpc_cli_print(cli, "  %-10s %g ms\n", "step", (double)c->info.interface.period_ns * 1e-6);
    print_layout(cli, "observation", &c->info.interface.obs, &c->info.obs_normalizer, NULL);
    print_layout(cli, "action", &c->info.interface.action, &c->info.action_normalizer,
                 &c->info.relative);
  }
  print_metadata(cli, file);
  if (cli->verbosity > 0 || c->kind == KIND_TENSORS) print_tensors(cli, file);
}

// --- for programs -------------------------------------------------------------------------------

static void set_layout(dpc_json* report, const char* key, const dpc_layout* layout,
                       const dpc_relative* relative) {
  dpc_json* list = dpc_json_set(report, key, dpc_json_array());
  for (int i = 0, first = 0; i < layout->count; i++) {
    const dpc_signal* signal = &layout->signals[i];
    dpc_json* json = dpc_json_push(list, dpc_json_object());
    dpc_json_set_text(json, "name", signal->name);
    dpc_json_set_int(json, "dim", signal->dim);
    dpc_json_set_text(json, "unit", signal->unit);
    if (signal->tracks[0] != '\0') dpc_json_set_text(json, "tracks", signal->tracks);
    if (relative != NULL) {
      dpc_json_set_bool(json, "relative", dpc_relative_has(relative, first));
    }
    first += signal->dim;
  }
}

static dpc_json* make_report(const contents* c, int64_t bytes) {
  static const char* const kinds[] = {"tensors", "checkpoint", "trainer"};
  const dpc_safetensors* file = c->file;
  dpc_json* report = dpc_json_object();
  dpc_json_set_text(report, "kind", kinds[c->kind]);
  dpc_json_set_text(report, "path", dpc_safetensors_path(file));
  dpc_json_set_int(report, "bytes", bytes);
  dpc_json_set_int(report, "tensors", dpc_safetensors_count(file));
  dpc_json_set_int(report, "parameters", (int64_t)c->params);
  dpc_json_set_text(report, "dtype", dtype_of(file));
  if (c->kind != KIND_TENSORS) {
    dpc_json_set_real(report, "period_s", (double)c->info.interface.period_ns * 1e-9);
    set_layout(report, "observation", &c->info.interface.obs, NULL);
    set_layout(report, "action", &c->info.interface.action, &c->info.relative);
  }
  dpc_json* metadata = dpc_json_set(report, "metadata", dpc_json_object());
  for (int i = 0; i < dpc_safetensors_metadata_count(file); i++) {
    const dpc_metadata_entry entry = dpc_safetensors_metadata_at(file, i);
    dpc_json_set_text(metadata, entry.key, entry.value);
  }
  return report;
}

// --- both ---------------------------------------------------------------------------------------

static dpc_status show(const dpc_cli* cli, const dpc_safetensors* file, dpc_arena* arena,
                       dpc_error* error) {
  contents c;
  DPC_TRY(examine(file, arena, &c, error));
  struct stat info = {0};
  (void)stat(dpc_safetensors_path(file), &info);
  print(cli, &c, info.st_size);
  return dpc_cli_report(cli, make_report(&c, info.st_size), error);
}

dpc_status dpc_inspect_safetensors(const dpc_cli* cli, const char* path, dpc_error* error) {
  dpc_safetensors* file = NULL;
  dpc_arena arena = {0};
  DPC_TRY(dpc_safetensors_open(path, &file, error));
  dpc_status status = dpc_arena_map(&arena, ADDRESS_SPACE, error);
  if (status == DPC_OK) status = show(cli, file, &arena, error);
  dpc_arena_unmap(&arena);
  dpc_safetensors_close(file);
  return status;
}
