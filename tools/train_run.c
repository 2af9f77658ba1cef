#include "tools/train_run.h"

#include <string.h>
#include <unistd.h>

#include "tools/config.h"
#include "tools/train_output.h"

bool dpc_train_run_is(const char* path) {
  return access(dpc_train_file(path, "config.yaml").text, F_OK) == 0 &&
         (access(dpc_train_file(path, "metrics.jsonl").text, F_OK) == 0 ||
          access(dpc_train_file(path, "state.safetensors").text, F_OK) == 0);
}

static dpc_status read_settings(const char* path, dpc_train_settings* settings, dpc_error* error) {
  dpc_config_section sections[DPC_TRAIN_SECTIONS];
  for (int i = 0; i < DPC_TRAIN_SECTIONS; ++i) {
    sections[i] = (dpc_config_section){.table = dpc_train_sections[i].table,
                                       .def = (char*)settings + dpc_train_sections[i].offset};
  }
  return dpc_config_read(dpc_train_file(path, "config.yaml").text, NULL, 0, sections,
                         DPC_TRAIN_SECTIONS, error);
}

static dpc_status read_saved(const char* path, int64_t* step, dpc_error* error) {
  const dpc_train_path state = dpc_train_file(path, "state.safetensors");
  *step = -1;
  if (access(state.text, F_OK) != 0) return DPC_OK;
  dpc_safetensors* file = NULL;
  DPC_TRY(dpc_safetensors_open(state.text, &file, error));
  const dpc_status status =
      dpc_metadata_read_integer(file, "state.step", 0, INT64_MAX / 2, step, error);
  dpc_safetensors_close(file);
  return status;
}

dpc_status dpc_train_run_read(const char* path, dpc_train_run* out, dpc_error* error) {
  dpc_train_run run = {.path = path};
  if (strlen(path) >= sizeof run.settings.train.output) {
    return dpc_fail(error, DPC_ERR_INVALID, "%.64s...: the folder's name is too long", path);
  }
  DPC_TRY(read_settings(path, &run.settings, error));
  DPC_TRY(read_saved(path, &run.saved, error));
  DPC_TRY(dpc_train_best_read(path, &run.best, error));
  DPC_TRY(dpc_train_history_read(dpc_train_file(path, "metrics.jsonl").text, &run.history, error));
  run.steps = run.saved > run.history.latest.step ? run.saved : run.history.latest.step;
  run.summary = dpc_train_summarize(&run.history, run.settings.train.batch);
  *out = run;
  return DPC_OK;
}

void dpc_train_run_free(dpc_train_run* run) {
  dpc_train_history_free(&run->history);
}

bool dpc_train_run_finished(const dpc_train_run* run) {
  return run->saved >= run->settings.train.steps;
}

// --- settings -----------------------------------------------------------------------------------

dpc_setting_text dpc_train_setting(const dpc_train_settings* settings, int section, int field) {
  const dpc_train_section* in = &dpc_train_sections[section];
  dpc_setting_text out;
  const dpc_status status = dpc_field_print(
      &in->table->fields[field], (const char*)settings + in->offset, out.text, sizeof out.text);
  DPC_ASSERT(status == DPC_OK);  // the longest list fits
  return out;
}

bool dpc_train_setting_differs(const dpc_train_settings* a, const dpc_train_settings* b,
                               int section, int field) {
  return strcmp(dpc_train_setting(a, section, field).text,
                dpc_train_setting(b, section, field).text) != 0;
}
