#include <inttypes.h>
#include <string.h>

#include "proto/wire_kinds.h"

// protobuf-c never writes through the pointers of a message that it packs.
static char* borrowed(const char* text) {
  return (char*)text;
}

// --- signals --------------------------------------------------------------------------------------

static void pack_layout(const dpc_layout* layout, Dpc__Signal* signals, Dpc__Signal** list) {
  for (int i = 0; i < layout->count; ++i) {
    const dpc_signal* signal = &layout->signals[i];
    dpc__signal__init(&signals[i]);
    signals[i].name = borrowed(signal->name);
    signals[i].dim = (uint32_t)signal->dim;
    signals[i].unit = borrowed(signal->unit);
    signals[i].tracks = borrowed(signal->tracks);
    list[i] = &signals[i];
  }
}

static dpc_status unpack_layout(Dpc__Signal* const* signals, size_t count, dpc_layout* layout,
                                dpc_error* error) {
  if (count > DPC_SIGNAL_MAX) {
    return dpc_fail(error, DPC_ERR_INVALID, "hello: %zu signals, at most %d", count,
                    DPC_SIGNAL_MAX);
  }
  layout->count = (int)count;
  for (size_t i = 0; i < count; ++i) {
    const Dpc__Signal* in = signals[i];
    dpc_signal* out = &layout->signals[i];
    DPC_TRY(dpc_wire_take_text("hello: name of a signal", in->name, out->name, sizeof out->name,
                               error));
    DPC_TRY(dpc_wire_take_text("hello: unit of a signal", in->unit, out->unit, sizeof out->unit,
                               error));
    DPC_TRY(
        dpc_wire_take_text("hello: tracks", in->tracks, out->tracks, sizeof out->tracks, error));
    if (in->dim > DPC_SIGNAL_DIM_MAX) {
      return dpc_fail(error, DPC_ERR_INVALID, "hello: signal %zu: dim %" PRIu32 ", at most %d", i,
                      in->dim, DPC_SIGNAL_DIM_MAX);
    }
    out->dim = (int)in->dim;
  }
  return DPC_OK;
}

// --- a robot's own limits -------------------------------------------------------------------------

typedef struct limit_list {
  size_t* count;
  float** values;
} limit_list;

static limit_list list_of(Dpc__Limits* limits, dpc_limit limit) {
  const limit_list lists[DPC_LIMIT_COUNT] = {
      [DPC_LIMIT_LOW] = {&limits->n_low, &limits->low},
      [DPC_LIMIT_HIGH] = {&limits->n_high, &limits->high},
      [DPC_LIMIT_SPEED] = {&limits->n_speed, &limits->speed},
      [DPC_LIMIT_ACCELERATION] = {&limits->n_acceleration, &limits->acceleration},
      [DPC_LIMIT_JERK] = {&limits->n_jerk, &limits->jerk},
  };
  return lists[limit];
}

// A signal without limits has no message for them, as from those who know of none.
static void pack_limits(const dpc_interface* interface, dpc_wire_packing* out,
                        Dpc__Signal* signals) {
  int at = 0;
  for (int i = 0; i < interface->action.count; ++i) {
    const int dim = interface->action.signals[i].dim;
    dpc__limits__init(&out->limits[i]);
    for (int k = 0; k < DPC_LIMIT_COUNT; ++k) {
      if (!interface->limits.given[i][k]) continue;
      const limit_list list = list_of(&out->limits[i], (dpc_limit)k);
      *list.count = (size_t)dim;
      *list.values = (float*)&interface->limits.values[k][at];
      signals[i].limits = &out->limits[i];
    }
    at += dim;
  }
}

// Of action signal `index`, whose first value is `at`.
static dpc_status unpack_limit(Dpc__Limits* in, dpc_limit limit, const dpc_signal* signal,
                               int index, int at, dpc_action_limits* out, dpc_error* error) {
  const limit_list list = list_of(in, limit);
  if (*list.count == 0) return DPC_OK;
  if (*list.count != (size_t)signal->dim) {
    return dpc_fail(error, DPC_ERR_INVALID, "hello: action '%s': limit %s has %zu values, not %d",
                    signal->name, dpc_limit_name(limit), *list.count, signal->dim);
  }
  if (at + signal->dim > DPC_LIMITED_MAX) {
    return dpc_fail(error, DPC_ERR_INVALID,
                    "hello: action '%s': has limits, but only the first %d values of an action may",
                    signal->name, DPC_LIMITED_MAX);
  }
  out->given[index][limit] = true;
  memcpy(&out->values[limit][at], *list.values, sizeof(float) * *list.count);
  return DPC_OK;
}

static dpc_status unpack_limits(const Dpc__Hello* in, dpc_interface* out, dpc_error* error) {
  for (size_t i = 0; i < in->n_observation; ++i) {
    if (in->observation[i]->limits == NULL) continue;
    return dpc_fail(error, DPC_ERR_INVALID, "hello: observation %zu has limits: only actions may",
                    i);
  }
  // from here on names can be printed, and dims counted with
  const dpc_status status = dpc_layout_check(&out->action, error);
  if (status != DPC_OK) return dpc_fail_prefix(error, status, "hello: action: ");
  int at = 0;
  for (int i = 0; i < out->action.count; ++i) {
    const dpc_signal* signal = &out->action.signals[i];
    Dpc__Limits* limits = in->action[i]->limits;
    for (int k = 0; limits != NULL && k < DPC_LIMIT_COUNT; ++k) {
      DPC_TRY(unpack_limit(limits, (dpc_limit)k, signal, i, at, &out->limits, error));
    }
    at += signal->dim;
  }
  return DPC_OK;
}

// --- the whole ------------------------------------------------------------------------------------

void dpc_wire_pack_hello(const dpc_message* message, dpc_wire_packing* out) {
  const dpc_hello* hello = &message->hello;
  const int obs_count = hello->interface.obs.count;
  dpc__hello__init(&out->hello);
  pack_layout(&hello->interface.obs, out->signals, out->signal_list);
  pack_layout(&hello->interface.action, out->signals + obs_count, out->signal_list + obs_count);
  pack_limits(&hello->interface, out, out->signals + obs_count);
  for (int i = 0; i < hello->note_count; ++i) {
    dpc__note__init(&out->notes[i]);
    out->notes[i].key = borrowed(hello->notes[i].key);
    out->notes[i].value = borrowed(hello->notes[i].value);
    out->note_list[i] = &out->notes[i];
  }
  out->hello.session = hello->session;
  out->hello.n_observation = (size_t)obs_count;
  out->hello.observation = out->signal_list;
  out->hello.n_action = (size_t)hello->interface.action.count;
  out->hello.action = out->signal_list + obs_count;
  out->hello.period_ns = hello->interface.period_ns;
  out->hello.software = borrowed(hello->software);
  out->hello.n_notes = (size_t)hello->note_count;
  out->hello.notes = out->note_list;
}

dpc_status dpc_wire_unpack_hello(const void* in, dpc_message* message, dpc_error* error) {
  const Dpc__Hello* hello = in;
  dpc_hello* out = &message->hello;
  memset(out, 0, sizeof *out);
  out->session = hello->session;
  out->interface.period_ns = hello->period_ns;
  DPC_TRY(unpack_layout(hello->observation, hello->n_observation, &out->interface.obs, error));
  DPC_TRY(unpack_layout(hello->action, hello->n_action, &out->interface.action, error));
  DPC_TRY(unpack_limits(hello, &out->interface, error));
  DPC_TRY(dpc_wire_take_text("hello: software", hello->software, out->software, DPC_SOFTWARE_MAX,
                             error));
  if (hello->n_notes > DPC_NOTE_MAX) {
    return dpc_fail(error, DPC_ERR_INVALID, "hello: %zu notes, at most %d", hello->n_notes,
                    DPC_NOTE_MAX);
  }
  out->note_count = (int)hello->n_notes;
  for (int i = 0; i < out->note_count; ++i) {
    dpc_note* note = &out->notes[i];
    DPC_TRY(dpc_wire_take_text("hello: key of a note", hello->notes[i]->key, note->key,
                               sizeof note->key, error));
    DPC_TRY(dpc_wire_take_text("hello: value of a note", hello->notes[i]->value, note->value,
                               sizeof note->value, error));
  }
  return DPC_OK;
}
