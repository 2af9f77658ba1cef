/// Settings and counters of the link between a controller and a robot, the same on both ends.
#pragma once

#include "policy/field.h"

enum { DPC_ENDPOINT_MAX = 128 };

typedef struct dpc_link_def {
  char endpoint[DPC_ENDPOINT_MAX];  // "tcp://127.0.0.1:5755", "ipc:///run/dpc/robot"
  double connect_timeout;           // s, of the first handshake
  double dead_after;                // s without a message until the other end counts as dead
  bool insecure;                    // let other machines in, though nothing is authenticated yet
} dpc_link_def;

/// Section "link".
extern const dpc_field_table dpc_link_fields;

/// The defaults.
/// Allocates: no. Blocks: no. Thread: any.
dpc_link_def dpc_link_def_default(void);

/// Every field in range, and an endpoint that is tcp with a port or ipc with a path. One that other
/// machines can reach needs `insecure`. DPC_ERR_CONFIG says what is wrong.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_link_def_check(const dpc_link_def* def, dpc_error* error);

/// What has happened on one end since it was made.
typedef struct dpc_link_counters {
  uint64_t received;       // frames that were sound
  uint64_t replaced;       // sound observations or commands, dropped because a newer one was there
  uint64_t other_session;  // sound, of a session that is not the current one
  uint64_t unexpected;     // sound, but not at this time: an old tick, a second Hello
  uint64_t refused;        // handshakes that ended in a refusal
  uint64_t bad_frame;      // not one frame of at most DPC_MESSAGE_MAX bytes
  uint64_t bad_format;     // not one message that travels this way
  uint64_t bad_value;      // not finite, out of range, or not printable
  uint64_t bad_count;      // the wrong number of values
  uint64_t sent;           // frames
  uint64_t send_failed;    // frames that the queue had no room for
  uint64_t connected;      // handshakes that were accepted
  uint64_t lost;           // times the other end was taken for dead
  uint64_t expired;        // robot's end: leases that were over before another command came
} dpc_link_counters;
