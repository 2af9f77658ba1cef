#include "policy/train/selection.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// One entry taken apart; empty texts and last = -1 stand for what was left out.
typedef struct entry {
  char name[DPC_NAME_MAX];
  int first, last;  // elements first .. last - 1
  char rename[DPC_NAME_MAX];
  char unit[DPC_UNIT_MAX];
  char tracks[DPC_NAME_MAX];
  bool relative, hold;
  dpc_scaling scaling;
} entry;

// --- reading an entry ---------------------------------------------------------------------------

static const char* skip_spaces(const char* at) {
  while (isspace((unsigned char)*at)) ++at;
  return at;
}

// Copy a word (up to a space, or '[' in a name); NULL when it is empty or too long.
static const char* read_word(const char* at, const char* ends, char* word, size_t capacity) {
  const size_t length = strcspn(at, ends);
  if (length == 0 || length >= capacity) return NULL;
  memcpy(word, at, length);
  word[length] = '\0';
  return skip_spaces(at + length);
}

static const char* read_index(const char* at, char end, int* value) {
  char* after = NULL;
  if (!isdigit((unsigned char)*at)) return NULL;
  const long index = strtol(at, &after, 10);
  if (*after != end || index > 65536) return NULL;
  *value = (int)index;
  return after + 1;
}

static const char* read_range(const char* at, entry* out) {
  at = read_index(at + 1, ':', &out->first);
  if (at != NULL) at = read_index(at, ']', &out->last);
  return at == NULL ? NULL : skip_spaces(at);
}

// "as NEW" and its like: read the word after `keyword` when that is what comes next.
static const char* read_clause(const char* at, const char* keyword, char* word, size_t capacity) {
  const size_t length = strlen(keyword);
  if (at == NULL || strncmp(at, keyword, length) != 0 || !isspace((unsigned char)at[length])) {
    return at;
  }
  return read_word(skip_spaces(at + length), " \t", word, capacity);
}

// A word that stands by itself.
static const char* read_flag(const char* at, const char* word, bool* flag) {
  const size_t length = strlen(word);
  if (at == NULL || strncmp(at, word, length) != 0) return at;
  if (at[length] != '\0' && !isspace((unsigned char)at[length])) return at;
  *flag = true;
  return skip_spaces(at + length);
}

static bool read_limits(const char* text, dpc_scaling* out) {
  char *colon = NULL, *end = NULL;
  out->low = strtod(text, &colon);
  if (colon == text || *colon != ':') return false;
  out->high = strtod(colon + 1, &end);
  out->is_given = true;
  return end != colon + 1 && *end == '\0' && isfinite(out->low) && isfinite(out->high) &&
         out->high - out->low >= DPC_NORMALIZER_CONSTANT;
}

// "scale HOW"; left as it is, limits of what was recorded.
static const char* read_scaling(const char* at, dpc_scaling* out) {
  char how[DPC_NAME_MAX] = "";
  at = read_clause(at, "scale", how, sizeof how);
  if (at == NULL || how[0] == '\0') return at;
  for (int i = 0; dpc_normalizer_modes[i] != NULL; ++i) {
    if (strcmp(how, dpc_normalizer_modes[i]) != 0) continue;
    out->mode = (dpc_normalizer_mode)i;
    return at;
  }
  return read_limits(how, out) ? at : NULL;
}

static bool read_entry(const char* text, entry* out) {
  *out = (entry){.last = -1};
  const char* at = read_word(skip_spaces(text), "[ \t", out->name, sizeof out->name);
  if (at != NULL && *at == '[') at = read_range(at, out);
  at = read_clause(at, "as", out->rename, sizeof out->rename);
  at = read_clause(at, "in", out->unit, sizeof out->unit);
  at = read_clause(at, "tracks", out->tracks, sizeof out->tracks);
  at = read_flag(at, "relative", &out->relative);
  at = read_scaling(at, &out->scaling);
  at = read_flag(at, "hold", &out->hold);
  return at != NULL && *at == '\0';
}

// --- finding it in the recording ----------------------------------------------------------------

static void list_signals(const dpc_layout* layout, char* text, size_t capacity) {
  size_t used = 0;
  text[0] = '\0';
  for (int i = 0; i < layout->count && used < capacity; ++i) {
    const dpc_signal* signal = &layout->signals[i];
    const int length = snprintf(text + used, capacity - used, "%s%s(%d)", i == 0 ? "" : ", ",
                                signal->name, signal->dim);
    used += (size_t)length;
  }
}

static dpc_status select_one(const entry* want, const dpc_layout* recorded, dpc_signal* signal,
                             int* column, dpc_error* error) {
  int offset = 0;
  const dpc_signal* found = dpc_layout_find(recorded, want->name, &offset);
  if (found == NULL) {
    char names[256];
    list_signals(recorded, names, sizeof names);
    return dpc_fail(error, DPC_ERR_NOT_FOUND, "'%s' was not recorded; there is %s", want->name,
                    names);
  }
  const int last = want->last < 0 ? found->dim : want->last;
  if (want->first >= last || last > found->dim) {
    return dpc_fail(error, DPC_ERR_CONFIG, "'%s' has %d elements; [%d:%d] are not among them",
                    want->name, found->dim, want->first, last);
  }
  if (want->unit[0] != '\0' && found->unit[0] != '\0' && strcmp(want->unit, found->unit) != 0) {
    return dpc_fail(error, DPC_ERR_MISMATCH, "'%s' was recorded in %s, not in %s", want->name,
                    found->unit, want->unit);
  }
  *signal = *found;
  signal->dim = last - want->first;
  if (want->rename[0] != '\0') memcpy(signal->name, want->rename, sizeof signal->name);
  if (want->unit[0] != '\0') memcpy(signal->unit, want->unit, sizeof signal->unit);
  if (want->tracks[0] != '\0') memcpy(signal->tracks, want->tracks, sizeof signal->tracks);
  *column = offset + want->first;
  return DPC_OK;
}

dpc_status dpc_selection_make(const char* setting, const dpc_text_list* entries,
                              const dpc_layout* recorded, dpc_selection* selection,
                              dpc_error* error) {
  dpc_selection made = {0};
  if (entries->count == 0) return dpc_fail(error, DPC_ERR_CONFIG, "%s: selects nothing", setting);
  for (int i = 0; i < entries->count; ++i) {
    entry want;
    if (!read_entry(entries->values[i], &want)) {
      return dpc_fail(error, DPC_ERR_CONFIG,
                      "%s: cannot read '%s'; an entry is NAME[a:b] as NEW in UNIT tracks SIGNAL "
                      "relative scale limits|gaussian|none|LOW:HIGH hold, all but NAME optional",
                      setting, entries->values[i]);
    }
    const dpc_status status =
        select_one(&want, recorded, &made.layout.signals[i], &made.columns[i], error);
    if (status != DPC_OK) return dpc_fail_prefix(error, status, "%s: ", setting);
    made.scaling[i] = want.scaling;
    made.relative[i] = want.relative;
    made.hold[i] = want.hold;
    made.layout.count = i + 1;
  }
  const dpc_status status = dpc_layout_check(&made.layout, error);
  if (status != DPC_OK) return dpc_fail_prefix(error, DPC_ERR_CONFIG, "%s: ", setting);
  *selection = made;
  return DPC_OK;
}

void dpc_selection_drop_tracks(const dpc_text_list* entries, const dpc_selection* obs,
                               dpc_selection* action) {
  for (int i = 0; i < action->layout.count; ++i) {
    dpc_signal* signal = &action->layout.signals[i];
    const dpc_signal* tracked = dpc_layout_find(&obs->layout, signal->tracks, NULL);
    entry want;
    const bool stated = read_entry(entries->values[i], &want) && want.tracks[0] != '\0';
    if (!stated && (tracked == NULL || tracked->dim != signal->dim)) signal->tracks[0] = '\0';
  }
}

void dpc_selection_apply(const dpc_selection* selection, const float* recorded, float* selected) {
  for (int i = 0; i < selection->layout.count; ++i) {
    const int dim = selection->layout.signals[i].dim;
    memcpy(selected, recorded + selection->columns[i], sizeof(float) * (size_t)dim);
    selected += dim;
  }
}
