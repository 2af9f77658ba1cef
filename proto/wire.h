/// Messages between plain structs and bytes: the door to protobuf-c, and a trust boundary. What
/// comes out of decoding is checked: every number finite and in range, every count as agreed,
/// every text terminated and printable. Both directions refuse what the other would refuse.
#pragma once

#include "policy/arena.h"
#include "policy/layout.h"

enum {
  DPC_MESSAGE_MAX = 65536,             // bytes of a message
  DPC_MESSAGE_VALUE_MAX = 16000,       // values of an observation or a command, so that it fits
  DPC_SOFTWARE_MAX = 64,               // bytes of texts, terminators included
  DPC_REASON_MAX = 256,                //
  DPC_NOTE_KEY_MAX = 48,               //
  DPC_NOTE_VALUE_MAX = 256,            //
  DPC_NOTE_MAX = 16,                   // notes of a Hello
  DPC_WIRE_SCRATCH_SIZE = 512 * 1024,  // an arena that decodes any honest message
};

/// Where an episode in a log comes from; not used on the link.
typedef struct dpc_note {
  char key[DPC_NOTE_KEY_MAX];
  char value[DPC_NOTE_VALUE_MAX];
} dpc_note;

/// The robot's: what it has. The controller's: what it needs.
typedef struct dpc_hello {
  uint64_t session;
  dpc_interface interface;
  char software[DPC_SOFTWARE_MAX];  // name and version of the sender
  int note_count;
  dpc_note notes[DPC_NOTE_MAX];
} dpc_hello;

typedef struct dpc_hello_ack {
  uint64_t session;
  bool accepted;
  bool busy;                    // refused because another controller holds the robot
  char reason[DPC_REASON_MAX];  // of a refusal
} dpc_hello_ack;

typedef struct dpc_observation {
  uint64_t session;
  uint32_t episode;        // counts from 0 within the session
  uint64_t seed;           // of the episode
  uint64_t tick;           // from 0 in each episode
  int64_t sample_time_ns;  // robot's monotonic clock, >= 0
  int value_count;
  const float* values;  // [value_count], physical units, in the order of the robot's layout
  double reward;
  bool done;  // the episode's last, not answered
} dpc_observation;

typedef struct dpc_command {
  uint64_t session;
  uint32_t episode;
  uint64_t tick;  // of the observation that it answers
  int value_count;
  const float* values;  // [value_count], physical units, in the order of the action layout
  int64_t lease_ns;     // how long it may be followed, in [0, 1 h]; 0: until the next
} dpc_command;

typedef struct dpc_reset {
  uint64_t session;
  uint64_t seed;
} dpc_reset;

typedef struct dpc_heartbeat {
  uint64_t session;
  int64_t time_ns;  // sender's monotonic clock, >= 0
} dpc_heartbeat;

typedef struct dpc_bye {
  uint64_t session;
  char reason[DPC_REASON_MAX];
} dpc_bye;

typedef enum dpc_message_kind {
  DPC_MESSAGE_HELLO,
  DPC_MESSAGE_HELLO_ACK,    // from the robot only
  DPC_MESSAGE_OBSERVATION,  // from the robot only
  DPC_MESSAGE_COMMAND,      // to the robot only
  DPC_MESSAGE_RESET,        // to the robot only
  DPC_MESSAGE_HEARTBEAT,
  DPC_MESSAGE_BYE,
} dpc_message_kind;

typedef struct dpc_message {
  dpc_message_kind kind;
  union {
    dpc_hello hello;
    dpc_hello_ack hello_ack;
    dpc_observation observation;
    dpc_command command;
    dpc_reset reset;
    dpc_heartbeat heartbeat;
    dpc_bye bye;
  };
} dpc_message;

typedef enum dpc_direction {
  DPC_FROM_ROBOT,  // a FromRobot message
  DPC_TO_ROBOT,    // a ToRobot message
} dpc_direction;

/// "observation", for messages and counters.
/// Allocates: no. Blocks: no. Thread: any.
const char* dpc_message_kind_name(dpc_message_kind kind);

/// The session that a message of any kind belongs to.
/// Allocates: no. Blocks: no. Thread: any.
uint64_t dpc_message_session(const dpc_message* message);

/// Pack one frame, a FromRobot or ToRobot, into `buffer`; `*size` is what it takes.
/// DPC_ERR_INVALID for what decoding would refuse, DPC_ERR_UNSUPPORTED for a kind that does not
/// travel this way, DPC_ERR_NO_MEMORY when it is larger than `capacity` or DPC_MESSAGE_MAX.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_wire_encode(dpc_direction direction, const dpc_message* message,
                                         void* buffer, size_t capacity, size_t* size,
                                         dpc_error* error);

/// Unpack one frame. `value_count` is how many values an observation (from the robot) or a command
/// (to the robot) must have; -1 takes any. Values lie in `scratch`, so they last until the caller
/// releases it; on failure it is left as it was.
/// DPC_ERR_FORMAT: not one whole message that travels this way, or larger than DPC_MESSAGE_MAX.
/// DPC_ERR_INVALID: not finite, out of range, or a text that is too long or not printable.
/// DPC_ERR_MISMATCH: the wrong number of values. DPC_ERR_NO_MEMORY: more parts than fit in scratch.
/// Allocates: no. Blocks: no. Thread: any, one scratch arena each.
DPC_NODISCARD dpc_status dpc_wire_decode(dpc_direction direction, const void* data, size_t size,
                                         int value_count, dpc_arena* scratch, dpc_message* out,
                                         dpc_error* error);

/// The same for a message without its envelope (dpc.Hello, dpc.Observation, dpc.Command, …), as
/// episode logs keep them.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_wire_encode_bare(const dpc_message* message, void* buffer,
                                              size_t capacity, size_t* size, dpc_error* error);

/// Unpack a message of this kind without its envelope; otherwise as dpc_wire_decode.
/// Allocates: no. Blocks: no. Thread: any, one scratch arena each.
DPC_NODISCARD dpc_status dpc_wire_decode_bare(dpc_message_kind kind, const void* data, size_t size,
                                              int value_count, dpc_arena* scratch, dpc_message* out,
                                              dpc_error* error);
