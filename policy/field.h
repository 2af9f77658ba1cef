/// One table per settings struct: key, default, range, unit and meaning of every field. The table
/// drives the default function, the check, the YAML reader, the metadata of a checkpoint,
/// `--help-config` and the settings reference, so none of them can disagree.
///
/// A settings struct holds only the member types below:
///
///   bool, int, uint64_t, double     DPC_BOOL, DPC_INT, DPC_UINT64, DPC_REAL
///   an enum stored in an int        DPC_CHOICE, with the names of its values in order
///   char[n]                         DPC_TEXT
///   dpc_int_list, dpc_text_list     DPC_INT_LIST, DPC_TEXT_LIST
///
/// A key is the member's name.
#pragma once

#include "policy/base.h"

enum { DPC_LIST_MAX = 32, DPC_LIST_TEXT_MAX = 112 };

typedef struct dpc_int_list {
  int count;
  int values[DPC_LIST_MAX];
} dpc_int_list;

typedef struct dpc_text_list {
  int count;
  char values[DPC_LIST_MAX][DPC_LIST_TEXT_MAX];
} dpc_text_list;

typedef enum dpc_field_type {
  DPC_FIELD_BOOL,
  DPC_FIELD_INT,
  DPC_FIELD_UINT64,
  DPC_FIELD_REAL,
  DPC_FIELD_CHOICE,
  DPC_FIELD_TEXT,
  DPC_FIELD_INT_LIST,
  DPC_FIELD_TEXT_LIST,
} dpc_field_type;

typedef struct dpc_field {
  dpc_field_type type;
  const char* key;
  size_t offset;             // of the member in its struct
  size_t size;               // of the member, bytes
  const char* fallback;      // default, as text ("10", "[64, 128]"); "" is an empty text or list
  double min, max;           // allowed range, inclusive; of each element in a list
  const char* unit;          // "" where there is none
  const char* doc;           // one sentence
  const char* const* names;  // DPC_CHOICE: value names, NULL-terminated
  bool later;                // than the first files: one without it means the default
} dpc_field;

typedef struct dpc_field_table {
  const char* section;  // YAML section and prefix in messages, such as "sampler"
  const char* doc;      // one sentence about the whole
  const dpc_field* fields;
  int count;
  size_t struct_size;
} dpc_field_table;

#define DPC_MEMBER(def_type, member) \
  .key = #member, .offset = offsetof(def_type, member), .size = sizeof(((def_type*)0)->member)

// What every row begins and ends with; the macros below add what their type needs.
#define DPC_ROW(kind, def_type, member, fallback_, unit_, doc_, ...)                               \
  {                                                                                                \
    .type = kind, DPC_MEMBER(def_type, member), .fallback = fallback_, .unit = unit_, .doc = doc_, \
    __VA_ARGS__                                                                                    \
  }

#define DPC_BOOL(def_type, member, fallback_, doc_) \
  DPC_ROW(DPC_FIELD_BOOL, def_type, member, fallback_, "", doc_, .max = 1)
#define DPC_INT(def_type, member, fallback_, min_, max_, unit_, doc_) \
  DPC_ROW(DPC_FIELD_INT, def_type, member, fallback_, unit_, doc_, .min = min_, .max = max_)
#define DPC_INT_LATER(def_type, member, fallback_, min_, max_, unit_, doc_)                  \
  DPC_ROW(DPC_FIELD_INT, def_type, member, fallback_, unit_, doc_, .min = min_, .max = max_, \
          .later = true)
#define DPC_UINT64(def_type, member, fallback_, doc_) \
  DPC_ROW(DPC_FIELD_UINT64, def_type, member, fallback_, "", doc_, .max = 0x1p64)
#define DPC_REAL(def_type, member, fallback_, min_, max_, unit_, doc_) \
  DPC_ROW(DPC_FIELD_REAL, def_type, member, fallback_, unit_, doc_, .min = min_, .max = max_)
#define DPC_REAL_LATER(def_type, member, fallback_, min_, max_, unit_, doc_)                  \
  DPC_ROW(DPC_FIELD_REAL, def_type, member, fallback_, unit_, doc_, .min = min_, .max = max_, \
          .later = true)
#define DPC_CHOICE(def_type, member, fallback_, names_, doc_) \
  DPC_ROW(DPC_FIELD_CHOICE, def_type, member, fallback_, "", doc_, .names = names_)
#define DPC_TEXT(def_type, member, fallback_, doc_) \
  DPC_ROW(DPC_FIELD_TEXT, def_type, member, fallback_, "", doc_, .max = 0)
#define DPC_INT_LIST(def_type, member, fallback_, min_, max_, unit_, doc_) \
  DPC_ROW(DPC_FIELD_INT_LIST, def_type, member, fallback_, unit_, doc_, .min = min_, .max = max_)
#define DPC_TEXT_LIST(def_type, member, fallback_, doc_) \
  DPC_ROW(DPC_FIELD_TEXT_LIST, def_type, member, fallback_, "", doc_, .max = 0)

#define DPC_FIELD_TABLE(table, def_type, section_, doc_, fields_) \
  const dpc_field_table table = {.section = section_,             \
                                 .doc = doc_,                     \
                                 .fields = fields_,               \
                                 .count = DPC_COUNT(fields_),     \
                                 .struct_size = sizeof(def_type)}

/// Zero `def` and set every field to its default. A default outside its range asserts.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_fields_default(const dpc_field_table* table, void* def);

/// Check every field against its range. Returns DPC_ERR_CONFIG and names the field, its value and
/// what is allowed; NaN is never allowed.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_fields_check(const dpc_field_table* table, const void* def,
                                          dpc_error* error);

/// The field with this key, or NULL.
/// Allocates: no. Blocks: no. Thread: any.
const dpc_field* dpc_fields_find(const dpc_field_table* table, const char* key);

/// The key nearest to a misspelt one, for "did you mean"; NULL when none is near.
/// Allocates: no. Blocks: no. Thread: any.
const char* dpc_fields_nearest(const dpc_field_table* table, const char* key);

/// Parse `text` into the field of `def` and check its range. Lists are written "[1, 2]"; a
/// text element holds no comma, and closes each bracket that it opens ("state[0:2]"). On failure
/// `def` is unchanged and the message says the key, what was written and what is allowed.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_field_parse(const dpc_field_table* table, const dpc_field* field,
                                         const char* text, void* def, dpc_error* error);

/// Write the field's value as text that `dpc_field_parse` reads back to the same bits.
/// Returns DPC_ERR_NO_MEMORY when `capacity` is too small.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_field_print(const dpc_field* field, const void* def, char* text,
                                         size_t capacity);

/// Describe what a field accepts: "an integer in [1, 1000]", "one of ddpm, ddim".
/// Allocates: no. Blocks: no. Thread: any.
void dpc_field_allowed(const dpc_field* field, char* text, size_t capacity);
