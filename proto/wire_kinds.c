#include "proto/wire_kinds.h"

// protobuf-c never writes through the pointers of a message that it packs.
static char* borrowed(const char* text) {
  return (char*)text;
}

static void pack_hello_ack(const dpc_message* message, dpc_wire_packing* out) {
  dpc__hello_ack__init(&out->hello_ack);
  out->hello_ack.session = message->hello_ack.session;
  out->hello_ack.accepted = message->hello_ack.accepted;
  out->hello_ack.busy = message->hello_ack.busy;
  out->hello_ack.reason = borrowed(message->hello_ack.reason);
}

static dpc_status unpack_hello_ack(const void* in, dpc_message* out, dpc_error* error) {
  const Dpc__HelloAck* ack = in;
  out->hello_ack = (dpc_hello_ack){
      .session = ack->session, .accepted = ack->accepted != 0, .busy = ack->busy != 0};
  return dpc_wire_take_text("hello_ack: reason", ack->reason, out->hello_ack.reason, DPC_REASON_MAX,
                            error);
}

static void pack_observation(const dpc_message* message, dpc_wire_packing* out) {
  const dpc_observation* observation = &message->observation;
  Dpc__Observation* packed = &out->observation;
  dpc__observation__init(packed);
  packed->session = observation->session;
  packed->episode = observation->episode;
  packed->seed = observation->seed;
  packed->tick = observation->tick;
  packed->sample_time_ns = observation->sample_time_ns;
  packed->n_values = (size_t)observation->value_count;
  packed->values = (float*)observation->values;
  packed->reward = observation->reward;
  packed->done = observation->done;
}

static dpc_status check_count(const char* what, size_t count, dpc_error* error) {
  if (count <= DPC_MESSAGE_VALUE_MAX) return DPC_OK;
  return dpc_fail(error, DPC_ERR_INVALID, "%s: %zu values, at most %d", what, count,
                  DPC_MESSAGE_VALUE_MAX);
}

static dpc_status unpack_observation(const void* in, dpc_message* out, dpc_error* error) {
  const Dpc__Observation* observation = in;
  DPC_TRY(check_count("observation", observation->n_values, error));
  out->observation = (dpc_observation){.session = observation->session,
                                       .episode = observation->episode,
                                       .seed = observation->seed,
                                       .tick = observation->tick,
                                       .sample_time_ns = observation->sample_time_ns,
                                       .value_count = (int)observation->n_values,
                                       .values = observation->values,
                                       .reward = observation->reward,
                                       .done = observation->done != 0};
  return DPC_OK;
}

static void pack_command(const dpc_message* message, dpc_wire_packing* out) {
  const dpc_command* command = &message->command;
  dpc__command__init(&out->command);
  out->command.session = command->session;
  out->command.episode = command->episode;
  out->command.tick = command->tick;
  out->command.n_values = (size_t)command->value_count;
  out->command.values = (float*)command->values;
  out->command.lease_ns = command->lease_ns;
}

static dpc_status unpack_command(const void* in, dpc_message* out, dpc_error* error) {
  const Dpc__Command* command = in;
  DPC_TRY(check_count("command", command->n_values, error));
  out->command = (dpc_command){.session = command->session,
                               .episode = command->episode,
                               .tick = command->tick,
                               .value_count = (int)command->n_values,
                               .values = command->values,
                               .lease_ns = command->lease_ns};
  return DPC_OK;
}

static void pack_reset(const dpc_message* message, dpc_wire_packing* out) {
  dpc__reset__init(&out->reset);
  out->reset.session = message->reset.session;
  out->reset.seed = message->reset.seed;
}

static dpc_status unpack_reset(const void* in, dpc_message* out, dpc_error* error) {
  (void)error;
  const Dpc__Reset* reset = in;
  out->reset = (dpc_reset){.session = reset->session, .seed = reset->seed};
  return DPC_OK;
}

static void pack_heartbeat(const dpc_message* message, dpc_wire_packing* out) {
  dpc__heartbeat__init(&out->heartbeat);
  out->heartbeat.session = message->heartbeat.session;
  out->heartbeat.time_ns = message->heartbeat.time_ns;
}

static dpc_status unpack_heartbeat(const void* in, dpc_message* out, dpc_error* error) {
  (void)error;
  const Dpc__Heartbeat* heartbeat = in;
  out->heartbeat = (dpc_heartbeat){.session = heartbeat->session, .time_ns = heartbeat->time_ns};
  return DPC_OK;
}

static void pack_bye(const dpc_message* message, dpc_wire_packing* out) {
  dpc__bye__init(&out->bye);
  out->bye.session = message->bye.session;
  out->bye.reason = borrowed(message->bye.reason);
}

static dpc_status unpack_bye(const void* in, dpc_message* out, dpc_error* error) {
  const Dpc__Bye* bye = in;
  out->bye = (dpc_bye){.session = bye->session};
  return dpc_wire_take_text("bye: reason", bye->reason, out->bye.reason, DPC_REASON_MAX, error);
}

#define FROM(KIND) DPC__FROM_ROBOT__MESSAGE_##KIND
#define TO(KIND)   DPC__TO_ROBOT__MESSAGE_##KIND

// clang-format off
#define KIND(kind, from, to)                                        \
  {.name = #kind, .tags = {from, to}, .size = sizeof(dpc_##kind),   \
   .descriptor = &dpc__##kind##__descriptor, .pack = pack_##kind, .unpack = unpack_##kind}
// clang-format on

const dpc_wire_kind dpc_wire_kinds[DPC_MESSAGE_KIND_COUNT] = {
    [DPC_MESSAGE_HELLO] = {.name = "hello",
                           .tags = {FROM(HELLO), TO(HELLO)},
                           .size = sizeof(dpc_hello),
                           .descriptor = &dpc__hello__descriptor,
                           .pack = dpc_wire_pack_hello,
                           .unpack = dpc_wire_unpack_hello},
    [DPC_MESSAGE_HELLO_ACK] = KIND(hello_ack, FROM(HELLO_ACK), 0),
    [DPC_MESSAGE_OBSERVATION] = KIND(observation, FROM(OBSERVATION), 0),
    [DPC_MESSAGE_COMMAND] = KIND(command, 0, TO(COMMAND)),
    [DPC_MESSAGE_RESET] = KIND(reset, 0, TO(RESET)),
    [DPC_MESSAGE_HEARTBEAT] = KIND(heartbeat, FROM(HEARTBEAT), TO(HEARTBEAT)),
    [DPC_MESSAGE_BYE] = KIND(bye, FROM(BYE), TO(BYE)),
};
