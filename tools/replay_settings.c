#include "tools/replay_settings.h"

#include <string.h>

// The settings that a replay needs; others are for people.
static dpc_status take_setting(const char* path, const dpc_run_setting* setting,
                               dpc_replay_settings* out, dpc_error* error) {
  const struct {
    const dpc_field_table* table;
    void* def;
  } sections[] = {{&dpc_controller_fields, &out->controller},
                  {&dpc_engine_fields, &out->engine},
                  {&dpc_sampler_fields, &out->sampler}};
  for (int i = 0; i < DPC_COUNT(sections); ++i) {
    const dpc_field_table* table = sections[i].table;
    const size_t length = strlen(table->section);
    if (strncmp(setting->key, table->section, length) != 0 || setting->key[length] != '.') continue;
    const dpc_field* field = dpc_fields_find(table, setting->key + length + 1);
    if (field == NULL) {
      return dpc_fail(error, DPC_ERR_FORMAT, "%s: '%s' is no setting of this version", path,
                      setting->key);
    }
    const dpc_status status = dpc_field_parse(table, field, setting->value, sections[i].def, error);
    return status == DPC_OK ? DPC_OK : dpc_fail_prefix(error, DPC_ERR_FORMAT, "%s: ", path);
  }
  return DPC_OK;
}

dpc_status dpc_replay_take_settings(const char* path, const dpc_run_info* info,
                                    dpc_replay_settings* out, dpc_error* error) {
  dpc_replay_settings settings = {.controller = dpc_controller_def_default(),
                                  .engine = dpc_engine_def_default(),
                                  .sampler = dpc_sampler_def_default()};
  for (int i = 0; i < info->setting_count; ++i) {
    DPC_TRY(take_setting(path, &info->settings[i], &settings, error));
  }
  if (settings.controller.switching == DPC_SWITCHING_GUIDED) {
    return dpc_fail(error, DPC_ERR_FORMAT, "%s: controller.switching: guided, which no run is",
                    path);
  }
  // what `auto` was where it ran
  for (int i = 0; dpc_precision_names[i] != NULL; ++i) {
    if (strcmp(dpc_precision_names[i], info->precision) == 0) settings.engine.precision = i;
  }
  *out = settings;
  return DPC_OK;
}

dpc_status dpc_replay_load_policy(const char* path, const dpc_run_info* info,
                                  const dpc_engine_def* engine, dpc_arena* arena, dpc_policy** out,
                                  dpc_error* error) {
  DPC_TRY(dpc_policy_load_for(path, engine, arena, out, error));
  const char* sha256 = dpc_policy_info(*out)->weights_sha256;
  if (strcmp(sha256, info->weights_sha256) != 0) {
    return dpc_fail(error, DPC_ERR_MISMATCH,
                    "%s: not the policy of this run: its weights_sha256 is %.16s…, the recording's "
                    "%.16s… (--policy FILE)",
                    path, sha256, info->weights_sha256);
  }
  const char* isa = dpc_engine_describe(dpc_policy_engine(*out)).isa;
  if (strcmp(isa, info->isa) != 0) {
    dpc_log(DPC_LOG_WARNING, "recorded with %s and computed with %s: expect other bits (DPC_ISA)",
            info->isa, isa);
  }
  return DPC_OK;
}
