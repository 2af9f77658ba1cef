/// Settings, layouts and numbers as the flat text metadata of a safetensors file, both ways: one
/// entry "section.key" per setting, so that `jq` or five lines of Python can read it.
#pragma once

#include "policy/arena.h"
#include "policy/field.h"
#include "policy/layout.h"
#include "policy/safetensors.h"

/// A list of entries being put together; texts live in the arena. Adding never fails on the spot:
/// what does not fit sets `full`, which `dpc_metadata_check` reports.
typedef struct dpc_metadata {
  dpc_arena* arena;
  dpc_metadata_entry* entries;
  int count;
  int capacity;
  bool full;
} dpc_metadata;

/// An empty list with room for `capacity` entries.
/// Allocates: from the arena. Blocks: no. Thread: the arena's owner.
void dpc_metadata_init(dpc_metadata* metadata, int capacity, dpc_arena* arena);

/// DPC_ERR_NO_MEMORY when something did not fit.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_metadata_check(const dpc_metadata* metadata, dpc_error* error);

/// Add an entry whose text is formatted as by printf. Key and text are copied.
/// Allocates: from the arena. Blocks: no. Thread: the arena's owner.
void dpc_metadata_add(dpc_metadata* metadata, const char* key, const char* format, ...)
    DPC_PRINTF(3, 4);

/// Add every setting of a struct as "section.key".
/// Allocates: from the arena. Blocks: no. Thread: the arena's owner.
void dpc_metadata_add_fields(dpc_metadata* metadata, const dpc_field_table* table, const void* def);

/// Add numbers as a JSON array that `dpc_metadata_read_floats` reads back to the same bits.
/// Allocates: from the arena. Blocks: no. Thread: the arena's owner.
void dpc_metadata_add_floats(dpc_metadata* metadata, const char* key, const float* values,
                             int count);

/// Add a layout as a JSON array of {"name", "dim", "unit", "tracks"}.
/// Allocates: from the arena; jansson's heap. Blocks: no. Thread: the arena's owner.
void dpc_metadata_add_layout(dpc_metadata* metadata, const char* key, const dpc_layout* layout);

/// Read an entry that must be there. DPC_ERR_FORMAT names file and key.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_metadata_read_text(const dpc_safetensors* file, const char* key,
                                                const char** out, dpc_error* error);

/// Read an entry that must be a whole number in [min, max]. DPC_ERR_FORMAT names file, key and what
/// is allowed.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_metadata_read_integer(const dpc_safetensors* file, const char* key,
                                                   int64_t min, int64_t max, int64_t* out,
                                                   dpc_error* error);

/// Read every setting of a struct. Each must be present, in range and known: DPC_ERR_FORMAT names
/// the file and the setting that is missing, wrong, or not in the table. `def` is unchanged on
/// failure except for settings read before it. Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_metadata_read_fields(const dpc_safetensors* file,
                                                  const dpc_field_table* table, void* def,
                                                  dpc_error* error);

/// Read a JSON array of exactly `count` finite numbers. DPC_ERR_FORMAT names file and key.
/// Allocates: jansson's heap. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_metadata_read_floats(const dpc_safetensors* file, const char* key,
                                                  int count, float* out, dpc_error* error);

/// Read and check a layout. DPC_ERR_FORMAT names file, key and what is wrong.
/// Allocates: jansson's heap. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_metadata_read_layout(const dpc_safetensors* file, const char* key,
                                                  dpc_layout* out, dpc_error* error);
