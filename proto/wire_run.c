#include "proto/wire_run.h"

#include <string.h>

#include "proto/wire_kinds.h"

static const dpc_wire_member gap_members[] = {
    DPC_WIRE_NUMBER(1, "sequence", dpc_run_gap, sequence),
    DPC_WIRE_NUMBER(1, "count", dpc_run_gap, count),
};
const dpc_wire_table dpc_run_gap_table = {"dpc.Gap", gap_members, DPC_COUNT(gap_members)};

static const dpc_wire_member end_members[] = {
    DPC_WIRE_NUMBER(1, "ticks", dpc_run_end, ticks),
    DPC_WIRE_NUMBER(1, "dropped", dpc_run_end, dropped),
};
const dpc_wire_table dpc_run_end_table = {"dpc.End", end_members, DPC_COUNT(end_members)};

static dpc_status check_text(const char* what, const char* text, dpc_error* error) {
  return dpc_wire_check_text(what, text, DPC_RUN_TEXT_MAX, error);
}

static dpc_status check(const dpc_run_info* info, dpc_error* error) {
  DPC_TRY(check_text("run: software", info->software, error));
  DPC_TRY(check_text("run: build", info->build, error));
  DPC_TRY(check_text("run: policy", info->policy, error));
  DPC_TRY(check_text("run: weights_sha256", info->weights_sha256, error));
  DPC_TRY(check_text("run: isa", info->isa, error));
  DPC_TRY(check_text("run: precision", info->precision, error));
  for (int i = 0; i < info->setting_count; i++) {
    DPC_TRY(check_text("run: key of a setting", info->settings[i].key, error));
    DPC_TRY(check_text("run: a setting", info->settings[i].value, error));
  }
  return DPC_OK;
}

size_t dpc_wire_run_size(const dpc_run_info* info) {
  const size_t texts = 6 + 2 * (size_t)info->setting_count;
  return 64 + texts * (DPC_RUN_TEXT_MAX + 16);
}

// Texts that protobuf-c only reads from when packing.
static char* borrowed(const char* text) {
  return (char*)text;
}

static void pack(const dpc_run_info* info, Dpc__Note* notes, Dpc__Note** list, Dpc__Run* out) {
  dpc__run__init(out);
  out->software = borrowed(info->software);
  out->build = borrowed(info->build);
  out->policy = borrowed(info->policy);
  out->weights_sha256 = borrowed(info->weights_sha256);
  out->isa = borrowed(info->isa);
  out->precision = borrowed(info->precision);
  out->start_ns = info->start_ns;
  out->start_unix_ns = info->start_unix_ns;
  out->n_settings = (size_t)info->setting_count;
  out->settings = list;
  for (int i = 0; i < info->setting_count; i++) {
    dpc__note__init(&notes[i]);
    notes[i].key = borrowed(info->settings[i].key);
    notes[i].value = borrowed(info->settings[i].value);
    list[i] = &notes[i];
  }
}

dpc_status dpc_wire_encode_run(const dpc_run_info* info, void* buffer, size_t capacity,
                               size_t* size, dpc_error* error) {
  DPC_ASSERT(info->setting_count <= DPC_RUN_SETTING_MAX);
  DPC_TRY(check(info, error));
  Dpc__Note notes[DPC_RUN_SETTING_MAX];
  Dpc__Note* list[DPC_RUN_SETTING_MAX];
  Dpc__Run run;
  pack(info, notes, list, &run);
  if (dpc__run__get_packed_size(&run) > capacity) {
    return dpc_fail(error, DPC_ERR_NO_MEMORY, "run: does not fit in %zu bytes", capacity);
  }
  *size = dpc__run__pack(&run, buffer);
  return DPC_OK;
}

dpc_status dpc_wire_decode_run(const void* data, size_t size, dpc_arena* memory, dpc_run_info* info,
                               dpc_error* error) {
  const void* unpacked = NULL;
  DPC_TRY(dpc_wire_unpack(&dpc__run__descriptor, data, size, memory, &unpacked, error));
  const Dpc__Run* run = unpacked;
  if (run->n_settings > DPC_RUN_SETTING_MAX) {
    return dpc_fail(error, DPC_ERR_INVALID, "run: %zu settings, at most %d", run->n_settings,
                    DPC_RUN_SETTING_MAX);
  }
  dpc_run_setting* settings = DPC_TAKE(memory, dpc_run_setting, run->n_settings);
  if (settings == NULL) return dpc_arena_full(memory, "run", error);
  for (size_t i = 0; i < run->n_settings; i++) {
    settings[i] = (dpc_run_setting){run->settings[i]->key, run->settings[i]->value};
  }
  const dpc_interface* robot = info->robot;
  *info = (dpc_run_info){.software = run->software,
                         .build = run->build,
                         .policy = run->policy,
                         .weights_sha256 = run->weights_sha256,
                         .isa = run->isa,
                         .precision = run->precision,
                         .start_ns = run->start_ns,
                         .start_unix_ns = run->start_unix_ns,
                         .setting_count = (int)run->n_settings,
                         .settings = settings,
                         .robot = robot};
  return check(info, error);
}
