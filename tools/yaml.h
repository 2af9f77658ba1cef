/// The part of YAML that settings files use: one document of sections, each holding scalars and
/// lists of scalars, as a flat list of entries that know their place. The door to libfyaml.
///
/// Values stay text: what a number is, the reader of the settings decides. Anchors, aliases, tags,
/// deeper nesting, duplicate keys and several documents are refused. An element of a one-line list
/// may hold brackets without quotes: `[keypoint, state[0:2] as agent_pos]`.
#pragma once

#include "policy/base.h"

typedef enum dpc_yaml_kind {
  DPC_YAML_NULL,     // nothing, ~ or null
  DPC_YAML_PLAIN,    // a scalar without quotes
  DPC_YAML_QUOTED,   // a scalar in quotes, or a block of text
  DPC_YAML_LIST,     // written "[a, b]"; no element holds a comma
  DPC_YAML_SECTION,  // a section begins; its entries follow
} dpc_yaml_kind;

typedef struct dpc_yaml_entry {
  const char* section;  // "" at the top level
  const char* key;
  const char* value;  // "" for null and sections
  dpc_yaml_kind kind;
  bool quoted_element;                     // some element of a list is in quotes
  int key_line, key_column, line, column;  // of the key and of the value, from 1
} dpc_yaml_entry;

typedef struct dpc_yaml {
  int count;
  dpc_yaml_entry* entries;  // in the order of the file
} dpc_yaml;

/// Parse `text`; `name` is what messages call it. Returns DPC_ERR_CONFIG with "name:line:column:".
/// The caller frees `*out` with `dpc_yaml_free`.
/// Allocates: heap. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_yaml_parse(const char* text, const char* name, dpc_yaml* out,
                                        dpc_error* error);

/// Free what `dpc_yaml_parse` made.
/// Allocates: no. Blocks: no. Thread: the owner.
void dpc_yaml_free(dpc_yaml* yaml);
