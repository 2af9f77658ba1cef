/// Settings from a YAML file and from `section.key=value` arguments into settings structs, driven
/// by their field tables.
///
/// A file looks like this; a table whose section is "" has its keys at the top level:
///
///     seed: 42
///     sampler:
///       kind: ddim
///       steps: 10
///
/// Order: defaults, then the file, then the arguments from left to right. YAML has many ways to
/// say surprising things, so only this much of it is read: one document of sections of scalars and
/// lists of scalars. Anchors, aliases, tags, merge keys, deeper nesting and duplicate keys are
/// refused, numbers are parsed by the field table and never guessed, and text in quotes is never a
/// number. Brackets inside a list element need no quotes: `[keypoint, state[0:2] as agent_pos]`.
#pragma once

#include <stdio.h>

#include "policy/field.h"

typedef struct dpc_config_section {
  const dpc_field_table* table;  // its `section` is the key in the file
  void* def;                     // the settings struct to fill
  bool keep;                     // def already holds its defaults (a checkpoint's, say)
} dpc_config_section;

/// Fill the sections' structs. `path` may be NULL: then only defaults and overrides count.
/// Overrides are "section.key=value", or "key=value" for the section "".
/// Returns DPC_ERR_CONFIG for an unknown section or key (and says which is near), a wrong type, a
/// value out of range or not finite, with file, line and column or the argument, and what is
/// allowed; DPC_ERR_NOT_FOUND or DPC_ERR_IO for a file that cannot be read. No struct changes on
/// failure. Relations between fields are not looked at: call each struct's own check afterwards.
/// Allocates: heap, freed before it returns. Blocks: on the disk. Thread: any.
DPC_NODISCARD dpc_status dpc_config_read(const char* path, const char* const* overrides,
                                         int override_count, const dpc_config_section* sections,
                                         int section_count, dpc_error* error);

/// Print every setting with its default, meaning, unit and allowed range, as a YAML file that
/// `dpc_config_read` reads: what `--help-config` shows. Structs are not used.
/// Allocates: heap, freed before it returns. Blocks: on the stream. Thread: any.
void dpc_config_print_reference(FILE* stream, const dpc_config_section* sections,
                                int section_count);

/// Save the structs' values as a YAML file that reads back to the same bits, to lie beside a run's
/// outputs. `comment` becomes the first line ("written by dpc train"); NULL for none.
/// Allocates: heap, freed before it returns. Blocks: on the disk. Thread: any.
DPC_NODISCARD dpc_status dpc_config_save(const char* path, const char* comment,
                                         const dpc_config_section* sections, int section_count,
                                         dpc_error* error);
