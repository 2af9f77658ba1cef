// What SCHEDULE on the command line means.

#include <string.h>

#include "policy/train/settings.h"
#include "tools/diffuse.h"

// The index of a kind's name, or -1.
static int find_kind(const char* name) {
  const dpc_field* field = dpc_fields_find(&dpc_schedule_fields, "kind");
  for (int i = 0; field->names[i] != NULL; ++i) {
    if (strcmp(field->names[i], name) == 0) return i;
  }
  return -1;
}

static bool ends_with(const char* text, const char* end) {
  const size_t length = strlen(text), wanted = strlen(end);
  return length >= wanted && strcmp(text + length - wanted, end) == 0;
}

static dpc_status read_policy(dpc_diffuse* d, const char* path, dpc_schedule_def* out,
                              dpc_error* error) {
  dpc_safetensors* file = NULL;
  DPC_TRY(dpc_safetensors_open(path, &file, error));
  dpc_checkpoint_info info;
  const dpc_status status = dpc_checkpoint_info_read(file, &d->arena, &info, error);
  dpc_safetensors_close(file);
  if (status == DPC_OK) *out = info.schedule;
  return status;
}

// Where SCHEDULE is a file of settings, `*config` is its path.
static dpc_status begin_schedule(dpc_diffuse* d, const char* text, dpc_schedule_def* def,
                                 const char** config, dpc_error* error) {
  if (text == NULL) {
    *def = (dpc_schedule_def){DPC_SCHEDULE_LINEAR, 1000, 1e-4, 0.02, DPC_PREDICT_EPSILON};
    return DPC_OK;
  }
  if (ends_with(text, ".safetensors")) return read_policy(d, text, def, error);
  const int kind = find_kind(text);
  if (kind < 0) {
    *config = text;
    return DPC_OK;
  }
  def->kind = kind;
  if (kind == DPC_SCHEDULE_FLOW) def->prediction = DPC_PREDICT_VELOCITY;
  return DPC_OK;
}

dpc_status dpc_diffuse_read_schedule(dpc_diffuse* d, const char* text, dpc_error* error) {
  const dpc_cli* cli = &d->cli;
  const char* config = NULL;
  dpc_config_section sections[DPC_TRAIN_SECTIONS];
  dpc_train_settings settings = dpc_train_settings_default();
  DPC_TRY(begin_schedule(d, text, &settings.schedule, &config, error));
  for (int i = 0; i < DPC_TRAIN_SECTIONS; ++i) {
    char* def = (char*)&settings + dpc_train_sections[i].offset;
    sections[i] =
        (dpc_config_section){.table = dpc_train_sections[i].table, .def = def, .keep = true};
  }
  DPC_TRY(dpc_config_read(config, cli->overrides, cli->override_count, sections, DPC_TRAIN_SECTIONS,
                          error));
  return dpc_schedule_create(&settings.schedule, &d->arena, &d->schedule, error);
}
