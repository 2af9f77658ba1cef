/// Inside the link: ZeroMQ sockets as both ends use them. One frame for each message, nothing that
/// waits without a limit, and nothing queued for a peer that is not there.
#pragma once

#include "proto/wire.h"
#include "runtime/link_def.h"

enum {
  DPC_PEER_MAX = 255,   // bytes of a routing id
  DPC_DRAIN_MAX = 256,  // frames taken in one go
};

/// A frame, and on the robot's end who sent it (the routing id that ZeroMQ gave to the connection).
typedef struct dpc_frame {
  size_t peer_size;
  uint8_t peer[DPC_PEER_MAX];
  size_t size;
  uint8_t data[DPC_MESSAGE_MAX + 1];  // one byte more shows that it is too long
} dpc_frame;

typedef struct dpc_socket {
  void* context;
  void* handle;                      // NULL when closed
  bool router;                       // the robot's end
  int lock_fd;                       // of an ipc path that we are bound to; -1 for none
  char lock_path[DPC_ENDPOINT_MAX];  //
  char endpoint[DPC_ENDPOINT_MAX];   // as it is, with the port that a wildcard got
} dpc_socket;

/// A number that no one else has: a session id, never 0.
/// Allocates: no. Blocks: no. Thread: any.
uint64_t dpc_socket_random(void);

/// Copy a text into a field of a message, which holds printable UTF-8: cut at a whole character,
/// with '?' for control characters.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_socket_text(char* out, size_t capacity, const char* text);

/// The interface is sound, and its rows fit in messages. DPC_ERR_INVALID says what is wrong.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_socket_check_interface(const dpc_interface* interface,
                                                    dpc_error* error);

/// Bind a ROUTER. DPC_ERR_IO names the endpoint; a port or path that another process has is not
/// taken over.
/// Allocates: inside libzmq. Blocks: no. Thread: the end's owner.
DPC_NODISCARD dpc_status dpc_socket_bind(dpc_socket* socket, const char* endpoint,
                                         dpc_error* error);

/// Connect a DEALER; the connection comes about in the background, and again after it breaks. A
/// socket that was connected before is connected anew: what it had queued is gone.
/// Allocates: inside libzmq. Blocks: no. Thread: the end's owner.
DPC_NODISCARD dpc_status dpc_socket_connect(dpc_socket* socket, const char* endpoint,
                                            dpc_error* error);

/// Close the connection but keep what is needed to connect again; what is queued has `linger` to
/// leave, in the background.
/// Allocates: no. Blocks: no. Thread: the end's owner.
void dpc_socket_hang_up(dpc_socket* socket, dpc_duration linger);

/// Close, waiting at most `linger` for what is queued, and release the path's lock. A zeroed or
/// closed socket is left alone.
/// Allocates: no. Blocks: up to `linger`. Thread: the end's owner.
void dpc_socket_close(dpc_socket* socket, dpc_duration linger);

/// Wait until a frame is there or `wake_fd` (-1: none) is readable, or a signal came: the latter two
/// set `*woken`.
/// Allocates: no. Blocks: up to `timeout`. Thread: the end's owner.
void dpc_socket_wait(dpc_socket* socket, dpc_duration timeout, int wake_fd, bool* woken);

/// Take the next frame. False when there is none. Frames with too many parts or bytes are counted
/// and skipped.
/// Allocates: inside libzmq. Blocks: no. Thread: the end's owner.
bool dpc_socket_receive(dpc_socket* socket, dpc_frame* frame, dpc_link_counters* counters);

/// Send `frame->data`, on the robot's end to `frame->peer`. DPC_ERR_CLOSED when the peer is not
/// connected, DPC_ERR_TIMEOUT when its queue is full; nothing is sent then.
/// Allocates: inside libzmq. Blocks: no. Thread: the end's owner.
DPC_NODISCARD dpc_status dpc_socket_send(dpc_socket* socket, const dpc_frame* frame,
                                         dpc_link_counters* counters, dpc_error* error);

/// Decode a frame and count it: as sound, or by what is wrong with it, which `error` says. `value_count`
/// as in dpc_wire_decode; values last until the caller releases `scratch`.
/// Allocates: no. Blocks: no. Thread: the end's owner.
DPC_NODISCARD dpc_status dpc_socket_decode(dpc_direction direction, const dpc_frame* frame,
                                           int value_count, dpc_arena* scratch,
                                           dpc_link_counters* counters, dpc_message* out,
                                           dpc_error* error);
