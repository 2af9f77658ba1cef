#include "runtime/acknowledge.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char WORD[] = "acknowledge";

// Endpoints may be longer than a socket's name: FNV-1a of it, after a first byte of 0.
static socklen_t name_of(const char* endpoint, struct sockaddr_un* address) {
  uint64_t hash = UINT64_C(0xcbf29ce484222325);
  for (const char* at = endpoint; *at != '\0'; ++at) {
    hash = (hash ^ (uint8_t)*at) * UINT64_C(0x100000001b3);
  }
  *address = (struct sockaddr_un){.sun_family = AF_UNIX};
  const int length =
      snprintf(address->sun_path + 1, sizeof address->sun_path - 1, "dpc-run-%016" PRIx64, hash);
  return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
}

static int make_socket(void) {
  return socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

dpc_status dpc_ack_open(const char* endpoint, int* fd, dpc_error* error) {
  struct sockaddr_un address;
  const socklen_t size = name_of(endpoint, &address);
  const int on = 1;
  const int made = make_socket();
  if (made >= 0 && setsockopt(made, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0 &&
      bind(made, (struct sockaddr*)&address, size) == 0) {
    *fd = made;
    return DPC_OK;
  }
  const int cause = errno;
  if (made >= 0) close(made);
  if (cause == EADDRINUSE) {
    return dpc_fail(error, DPC_ERR_IO, "another controller runs for the robot at %s", endpoint);
  }
  return dpc_fail(error, DPC_ERR_IO, "acknowledgements: %s", strerror(cause));
}

// Who sent it, as the kernel says.
static bool may_acknowledge(struct msghdr* message) {
  for (struct cmsghdr* part = CMSG_FIRSTHDR(message); part != NULL;
       part = CMSG_NXTHDR(message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_CREDENTIALS) continue;
    struct ucred who;
    memcpy(&who, CMSG_DATA(part), sizeof who);
    return who.uid == 0 || who.uid == geteuid();
  }
  return false;
}

bool dpc_ack_take(int fd, dpc_ack_sender* sender) {
  char text[sizeof WORD + 1];
  union {
    struct cmsghdr header;  // for its alignment
    char bytes[CMSG_SPACE(sizeof(struct ucred))];
  } control;
  struct iovec part = {.iov_base = text, .iov_len = sizeof text};
  struct msghdr message = {.msg_name = &sender->address,
                           .msg_namelen = sizeof sender->address,
                           .msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = sizeof control.bytes};
  const ssize_t size = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  sender->size = message.msg_namelen;
  return size == (ssize_t)sizeof WORD && memcmp(text, WORD, sizeof WORD) == 0 &&
         may_acknowledge(&message);
}

void dpc_ack_answer(int fd, const dpc_ack_sender* sender, const char* words) {
  const ssize_t sent = sendto(fd, words, strlen(words), MSG_DONTWAIT | MSG_NOSIGNAL,
                              (const struct sockaddr*)&sender->address, sender->size);
  (void)sent;
}

static dpc_status ask(int fd, const char* endpoint, dpc_duration timeout, char* answer,
                      size_t capacity, dpc_error* error) {
  struct sockaddr_un address;
  const socklen_t size = name_of(endpoint, &address);
  // a name of our own, which the kernel chooses, so that there is somewhere to answer to
  const struct sockaddr_un own = {.sun_family = AF_UNIX};
  if (bind(fd, (const struct sockaddr*)&own, sizeof own.sun_family) != 0 ||
      connect(fd, (const struct sockaddr*)&address, size) != 0 ||
      send(fd, WORD, sizeof WORD, MSG_NOSIGNAL) != (ssize_t)sizeof WORD) {
    if (errno == ECONNREFUSED) {
      return dpc_fail(error, DPC_ERR_NOT_FOUND, "no controller runs for the robot at %s", endpoint);
    }
    return dpc_fail(error, DPC_ERR_IO, "%s: %s", endpoint, strerror(errno));
  }
  struct pollfd watched = {.fd = fd, .events = POLLIN};
  const int ready = poll(&watched, 1, (int)(timeout.ns / 1000000));
  const ssize_t got = ready > 0 ? recv(fd, answer, capacity - 1, MSG_DONTWAIT) : -1;
  if (got < 0) {
    return dpc_fail(error, DPC_ERR_TIMEOUT,
                    "%s: no answer; the controller heeds its own user and root", endpoint);
  }
  answer[got] = '\0';
  return DPC_OK;
}

dpc_status dpc_ack_send(const char* endpoint, dpc_duration timeout, char* answer, size_t capacity,
                        dpc_error* error) {
  const int fd = make_socket();
  if (fd < 0) return dpc_fail(error, DPC_ERR_IO, "socket: %s", strerror(errno));
  const dpc_status status = ask(fd, endpoint, timeout, answer, capacity, error);
  close(fd);
  return status;
}
