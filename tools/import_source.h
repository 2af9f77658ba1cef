/// Recorded episodes in somebody else's format, as `dpc import` sees them: an interface, and
/// episodes that are read one at a time. Two formats make one: `dpc_import_zarr_open` and
/// `dpc_import_hdf5_open`.
#pragma once

#include "proto/episode_log.h"
#include "tools/json.h"

typedef struct dpc_import_source dpc_import_source;

struct dpc_import_source {
  const char* format;       // for people: "Zarr replay buffer"
  dpc_interface interface;  // period_ns is 0 where the file does not say
  int episode_count;
  dpc_json* left_out;  // array of {"field", "reason"}, owned by the source
  dpc_note notes[4];   // of every episode; texts are owned by the source
  int note_count;
  void* state;  // the format's own

  /// Read one episode into a zeroed `out`, whose interface and seed stay zero; the caller frees it
  /// with `dpc_episode_free`, also on failure. Messages name the file and the field.
  dpc_status (*read)(dpc_import_source* source, int episode, dpc_episode* out, dpc_error* error);

  /// Free everything.
  void (*close)(dpc_import_source* source);
};

// Why fields are left out, the same for both formats.
#define DPC_IMPORT_DIM_REASON "not between 1 and 4096 values a step"
#define DPC_IMPORT_PICTURES_REASON(images) \
  ((images) ? "more than 8 fields of pictures" : "pictures; --images keeps them")

/// Note a field that is not imported, and why.
/// Allocates: heap. Blocks: no. Thread: the source's owner.
static inline void dpc_import_leave_out(dpc_import_source* source, const char* field,
                                        const char* reason) {
  dpc_json* row = dpc_json_push(source->left_out, dpc_json_object());
  dpc_json_set_text(row, "field", field);
  dpc_json_set_text(row, "reason", reason);
}
