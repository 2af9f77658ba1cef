/// JSON values: built to report results, read from other people's files. The door to jansson.
///
/// A value is owned by whoever made it until it is put into another one, which then owns it; free
/// the root. Running out of heap while building asserts: these programs have nothing to fall back
/// to, and none of them does it while a robot moves.
///
///     dpc_json* report = dpc_json_object();
///     dpc_json_set_real(report, "score_mean", mean);
///     dpc_json* seeds = dpc_json_set(report, "per_seed", dpc_json_array());
///     dpc_json* row = dpc_json_push(seeds, dpc_json_array());
///     dpc_json_push_int(row, 100000);
#pragma once

#include <stdio.h>

#include "policy/base.h"

typedef struct dpc_json dpc_json;

// --- building ------------------------------------------------------------------------------------

/// A new, empty object or array, owned by the caller.
/// Allocates: heap. Blocks: no. Thread: any.
dpc_json* dpc_json_object(void);
/// A new, empty array, owned by the caller.
/// Allocates: heap. Blocks: no. Thread: any.
dpc_json* dpc_json_array(void);

/// Free a root and all that is in it. NULL is left alone.
/// Allocates: no. Blocks: no. Thread: the value's owner.
void dpc_json_free(dpc_json* root);

/// Put `value` into `object` under `key`, replacing what was there, and return it. The object owns
/// it from now on.
/// Allocates: heap. Blocks: no. Thread: the value's owner.
dpc_json* dpc_json_set(dpc_json* object, const char* key, dpc_json* value);
/// Put a number, truth value or text under `key`. A number that is not finite becomes null; text
/// that is not UTF-8 has its bad bytes replaced by '?'.
/// Allocates: heap. Blocks: no. Thread: the value's owner.
void dpc_json_set_int(dpc_json* object, const char* key, int64_t value);
/// As above: a real number.
/// Allocates: heap. Blocks: no. Thread: the value's owner.
void dpc_json_set_real(dpc_json* object, const char* key, double value);
/// As above: true or false.
/// Allocates: heap. Blocks: no. Thread: the value's owner.
void dpc_json_set_bool(dpc_json* object, const char* key, bool value);
/// As above: text.
/// Allocates: heap. Blocks: no. Thread: the value's owner.
void dpc_json_set_text(dpc_json* object, const char* key, const char* value);

/// Append `value` to `array` and return it. The array owns it from now on.
/// Allocates: heap. Blocks: no. Thread: the value's owner.
dpc_json* dpc_json_push(dpc_json* array, dpc_json* value);
/// Append an integer.
/// Allocates: heap. Blocks: no. Thread: the value's owner.
void dpc_json_push_int(dpc_json* array, int64_t value);
/// Append a real number; null when it is not finite.
/// Allocates: heap. Blocks: no. Thread: the value's owner.
void dpc_json_push_real(dpc_json* array, double value);
/// Append text.
/// Allocates: heap. Blocks: no. Thread: the value's owner.
void dpc_json_push_text(dpc_json* array, const char* value);

// --- reading -------------------------------------------------------------------------------------

/// Parse `size` bytes. Duplicate keys, trailing text and deep nesting are refused; the message says
/// `name` (usually a path), line and column. The caller frees `*out`.
/// Allocates: heap. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_json_parse(const char* text, size_t size, const char* name,
                                        dpc_json** out, dpc_error* error);

/// Parse a file of at most 64 MB. The caller frees `*out`.
/// Allocates: heap. Blocks: on the disk. Thread: any.
DPC_NODISCARD dpc_status dpc_json_read(const char* path, dpc_json** out, dpc_error* error);

/// The value under `key`, still owned by `object`; NULL when absent or when `object` is NULL or
/// not an object, so that look-ups can be chained.
/// Allocates: no. Blocks: no. Thread: any.
const dpc_json* dpc_json_get(const dpc_json* object, const char* key);

/// Number of elements of an array or members of an object; -1 for anything else and for NULL.
/// Allocates: no. Blocks: no. Thread: any.
int dpc_json_count(const dpc_json* array);

/// Element `i` of an array, still owned by it; NULL when there is none.
/// Allocates: no. Blocks: no. Thread: any.
const dpc_json* dpc_json_at(const dpc_json* array, int i);

/// True, with the value in `*out`, when `value` is of that type; `*out` is untouched otherwise.
/// An integer is also a real number. NULL is of no type.
/// Allocates: no. Blocks: no. Thread: any.
bool dpc_json_as_int(const dpc_json* value, int64_t* out);
/// As above: a number.
/// Allocates: no. Blocks: no. Thread: any.
bool dpc_json_as_real(const dpc_json* value, double* out);
/// As above: true or false.
/// Allocates: no. Blocks: no. Thread: any.
bool dpc_json_as_bool(const dpc_json* value, bool* out);
/// The text, still owned by `value`; NULL when it is not text.
/// Allocates: no. Blocks: no. Thread: any.
const char* dpc_json_as_text(const dpc_json* value);
/// True for null.
/// Allocates: no. Blocks: no. Thread: any.
bool dpc_json_is_null(const dpc_json* value);

// --- writing -------------------------------------------------------------------------------------

/// The value as text: indented, reals with the fewest digits that read back to the same bits. With
/// `one_line`, without any line break (JSON lines). The caller frees it with `free`.
/// Allocates: heap. Blocks: no. Thread: any.
char* dpc_json_print(const dpc_json* value, bool one_line);

/// Write the indented text and a newline to a file, replaced as a whole or not at all, or to
/// standard output when `path` is "-".
/// Allocates: heap. Blocks: on the disk. Thread: any.
DPC_NODISCARD dpc_status dpc_json_save(const dpc_json* value, const char* path, dpc_error* error);

/// Write the value as one line, newline included, and flush: for metrics that are followed live.
/// Allocates: heap. Blocks: on the stream. Thread: any.
DPC_NODISCARD dpc_status dpc_json_write_line(const dpc_json* value, FILE* stream, dpc_error* error);
