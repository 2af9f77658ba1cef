#include "tools/run_record.h"

#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// --- the build -------------------------------------------------------------------------------------

// The linker's id of this program, in hexadecimal: the first object is the program itself.
static int find_build_id(struct dl_phdr_info* object, size_t size, void* context) {
  (void)size;
  char* text = context;
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const ElfW(Phdr)* segment = &object->dlpi_phdr[i];
    if (segment->p_type != PT_NOTE) continue;
    const char* at = (const char*)object->dlpi_addr + segment->p_vaddr;  // NOLINT: an address
    const char* end = at + segment->p_memsz;
    while (at + sizeof(ElfW(Nhdr)) <= end) {
      const ElfW(Nhdr)* note = (const void*)at;
      const unsigned char* id = (const unsigned char*)(note + 1) + ((note->n_namesz + 3) & ~3U);
      if (note->n_type == NT_GNU_BUILD_ID && note->n_descsz <= 32) {
        for (size_t j = 0; j < note->n_descsz; ++j) (void)sprintf(text + 2 * j, "%02x", id[j]);
        return 1;
      }
      at = (const char*)id + ((note->n_descsz + 3) & ~3U);
    }
  }
  return 1;
}

static const char* describe_build(void) {
  static char build[128];
  char id[2 * 32 + 1] = "unknown";
  (void)dl_iterate_phdr(find_build_id, id);
  (void)snprintf(build, sizeof build, "build id %s, compiler %.32s", id, __VERSION__);
  return build;
}

// --- settings --------------------------------------------------------------------------------------

enum { TEXT_MAX = 2048 };

static const char* copy(dpc_arena* arena, const char* text) {
  char* copied = dpc_arena_take(arena, strlen(text) + 1);
  return copied == NULL ? NULL : memcpy(copied, text, strlen(text) + 1);
}

static dpc_status describe_settings(const dpc_run_record_def* def, dpc_arena* arena,
                                    dpc_run_info* info, dpc_error* error) {
  int count = 0;
  for (int s = 0; s < def->section_count; ++s) count += def->sections[s].table->count;
  dpc_run_setting* settings = DPC_TAKE(arena, dpc_run_setting, count);
  if (settings == NULL) return dpc_arena_full(arena, "settings", error);
  for (int s = 0, i = 0; s < def->section_count; ++s) {
    const dpc_field_table* table = def->sections[s].table;
    for (int f = 0; f < table->count; ++f, ++i) {
      char key[128], value[TEXT_MAX];
      (void)snprintf(key, sizeof key, "%s.%s", table->section, table->fields[f].key);
      DPC_TRY(dpc_field_print(&table->fields[f], def->sections[s].def, value, sizeof value));
      settings[i] = (dpc_run_setting){copy(arena, key), copy(arena, value)};
      if (settings[i].key == NULL || settings[i].value == NULL) {
        return dpc_arena_full(arena, "settings", error);
      }
    }
  }
  info->setting_count = count;
  info->settings = settings;
  return DPC_OK;
}

// --- the recorder ----------------------------------------------------------------------------------

dpc_status dpc_run_record_create(const dpc_run_record_def* def, dpc_arena* arena,
                                 dpc_recorder** out, dpc_error* error) {
  const dpc_checkpoint_info* policy = dpc_policy_info(def->loaded);
  const dpc_engine_info engine = dpc_engine_describe(dpc_policy_engine(def->loaded));
  dpc_run_info* info = DPC_TAKE(arena, dpc_run_info, 1);
  char whole[PATH_MAX];
  const char* path = copy(arena, realpath(def->policy, whole) != NULL ? whole : def->policy);
  if (info == NULL || path == NULL) return dpc_arena_full(arena, "the recorder", error);
  *info = (dpc_run_info){.software = "dpc run " DPC_VERSION,
                         .build = describe_build(),
                         .policy = path,
                         .weights_sha256 = policy->weights_sha256,
                         .isa = engine.isa,
                         .precision = engine.precision,
                         .robot = def->robot};
  DPC_TRY(describe_settings(def, arena, info, error));
  const int action_dim = dpc_layout_dim(&policy->interface.action);
  const dpc_recorder_def recorder = {
      .path = def->path,
      .info = info,
      .dims = {.obs = dpc_layout_dim(&def->robot->obs),
               .chunk = policy->unet.horizon * action_dim,
               .action = action_dim},
      .period = def->period,
  };
  return dpc_recorder_create(&recorder, arena, out, error);
}
