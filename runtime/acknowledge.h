/// How a person tells a running controller that a fault has been seen: a datagram to a socket of this
/// machine, named after the robot's endpoint. The kernel says who sent it; only the user whom the
/// controller runs as, and root, are heeded. The name is an abstract one, so nothing is left behind by
/// a controller that is killed, and no other machine can reach it. There is nothing else to say.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include "policy/base.h"

/// Who asked, to answer to.
typedef struct dpc_ack_sender {
  struct sockaddr_un address;
  socklen_t size;
} dpc_ack_sender;

/// The controller's end for the robot at `endpoint`: a file descriptor, readable when someone has
/// written. DPC_ERR_IO when another controller has it.
/// Allocates: no. Blocks: no. Thread: any.
DPC_NODISCARD dpc_status dpc_ack_open(const char* endpoint, int* fd, dpc_error* error);

/// Take one message. False when there is none, or it was not an acknowledgement, or not from someone
/// who may.
/// Allocates: no. Blocks: no. Thread: the owner of `fd`.
bool dpc_ack_take(int fd, dpc_ack_sender* sender);

/// Answer in words; who does not wait for it misses it.
/// Allocates: no. Blocks: no. Thread: the owner of `fd`.
void dpc_ack_answer(int fd, const dpc_ack_sender* sender, const char* words);

/// Acknowledge, and wait for the answer. DPC_ERR_NOT_FOUND when no controller runs for this endpoint,
/// DPC_ERR_TIMEOUT when it does not answer (it may be another user's).
/// Allocates: no. Blocks: up to `timeout`. Thread: any.
DPC_NODISCARD dpc_status dpc_ack_send(const char* endpoint, dpc_duration timeout, char* answer,
                                      size_t capacity, dpc_error* error);
