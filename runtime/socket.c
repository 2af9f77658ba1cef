#include "runtime/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

uint64_t dpc_socket_random(void) {
  uint64_t number = 0;
  // 8 bytes are never cut short; only a signal before the pool is ready can make this fail.
  while (number == 0) {
    if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number) number = 0;
  }
  return number;
}

void dpc_socket_text(char* out, size_t capacity, const char* text) {
  size_t length = strnlen(text, capacity);
  if (length == capacity) {
    for (--length; length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80;) --length;
  }
  memset(out, 0, capacity);
  for (size_t i = 0; i < length; ++i) {
    const bool control = (unsigned char)text[i] < ' ' || text[i] == 0x7f;
    out[i] = control ? '?' : text[i];
  }
}

dpc_status dpc_socket_check_interface(const dpc_interface* interface, dpc_error* error) {
  DPC_TRY(dpc_interface_check(interface, error));
  const int obs = dpc_layout_dim(&interface->obs), action = dpc_layout_dim(&interface->action);
  if (obs <= DPC_MESSAGE_VALUE_MAX && action <= DPC_MESSAGE_VALUE_MAX) return DPC_OK;
  return dpc_fail(error, DPC_ERR_INVALID, "%d observed and %d commanded values: at most %d each",
                  obs, action, DPC_MESSAGE_VALUE_MAX);
}

// --- a path's lock --------------------------------------------------------------------------------

// libzmq removes a socket file that is in its way, even when a living process listens on it. So
// whoever holds the lock beside it owns the path.
static dpc_status lock_path(dpc_socket* socket, const char* path, dpc_error* error) {
  const int length = snprintf(socket->lock_path, sizeof socket->lock_path, "%s.lock", path);
  if (length >= (int)sizeof socket->lock_path) {
    return dpc_fail(error, DPC_ERR_CONFIG, "ipc://%s: the path is too long", path);
  }
  // libzmq would remove a file of any kind
  struct stat there;
  if (lstat(path, &there) == 0 && !S_ISSOCK(there.st_mode)) {
    return dpc_fail(error, DPC_ERR_IO, "ipc://%s: there is a file that is no socket", path);
  }
  for (;;) {
    const int fd = open(socket->lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
      return dpc_fail(error, DPC_ERR_IO, "%s: %s", socket->lock_path, strerror(errno));
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
      const int reason = errno;
      close(fd);
      if (reason != EWOULDBLOCK) {
        return dpc_fail(error, DPC_ERR_IO, "%s: %s", socket->lock_path, strerror(reason));
      }
      return dpc_fail(error, DPC_ERR_IO, "ipc://%s: another process listens here", path);
    }
    // the last owner may have removed the file while we opened it
    struct stat ours;
    if (fstat(fd, &ours) == 0 && stat(socket->lock_path, &there) == 0 &&
        ours.st_ino == there.st_ino && ours.st_dev == there.st_dev) {
      socket->lock_fd = fd;
      return DPC_OK;
    }
    close(fd);
  }
}

// Take the socket file away, which libzmq leaves, and then the lock.
static void unlock_path(dpc_socket* socket) {
  if (socket->lock_fd < 0) return;
  char path[DPC_ENDPOINT_MAX];
  const size_t length = strlen(socket->lock_path) - strlen(".lock");
  snprintf(path, sizeof path, "%.*s", (int)length, socket->lock_path);
  unlink(path);
  unlink(socket->lock_path);
  close(socket->lock_fd);
  socket->lock_fd = -1;
}

// --- opening and closing --------------------------------------------------------------------------

static dpc_status zmq_failed(const char* endpoint, dpc_error* error) {
  const int reason = zmq_errno();
  if (reason == EADDRINUSE) {
    return dpc_fail(error, DPC_ERR_IO, "%s: another process listens here", endpoint);
  }
  return dpc_fail(error, DPC_ERR_IO, "%s: %s", endpoint, zmq_strerror(reason));
}

static int set_options(void* handle, const char* endpoint) {
  static const struct {
    int option, value;
  } options[] = {
      {ZMQ_LINGER, 0},  // nothing outlives its socket
      // nothing waits for a connection that is not there; the price is that what is unread when a
      // connection closes is lost, so Bye is answered before it does
      {ZMQ_IMMEDIATE, 1},
      {ZMQ_SNDHWM, 16},               //
      {ZMQ_RCVHWM, 16},               //
      {ZMQ_SNDTIMEO, 100},            // ms; a guard, all calls are non-blocking
      {ZMQ_RCVTIMEO, 100},            // ms
      {ZMQ_RECONNECT_IVL, 20},        // ms
      {ZMQ_RECONNECT_IVL_MAX, 500},   // ms
      {ZMQ_HANDSHAKE_IVL, 1000},      // ms
      {ZMQ_HEARTBEAT_IVL, 1000},      // ms; clears connections that a cut cable left behind
      {ZMQ_HEARTBEAT_TIMEOUT, 5000},  // ms
  };
  for (int i = 0; i < DPC_COUNT(options); ++i) {
    if (zmq_setsockopt(handle, options[i].option, &options[i].value, sizeof(int)) != 0) return -1;
  }
  const int ipv6 = strchr(endpoint, '[') != NULL;
  // twice what is allowed, so that a frame somewhat too long is counted, and only a huge one costs
  // its sender the connection
  const int64_t max_size = INT64_C(2) * DPC_MESSAGE_MAX;
  if (zmq_setsockopt(handle, ZMQ_MAXMSGSIZE, &max_size, sizeof max_size) != 0) return -1;
  return zmq_setsockopt(handle, ZMQ_IPV6, &ipv6, sizeof ipv6);
}

static dpc_status open_socket(dpc_socket* socket, int type, const char* endpoint,
                              dpc_error* error) {
  if (socket->context == NULL) {
    *socket = (dpc_socket){.context = zmq_ctx_new(), .lock_fd = -1};
    if (socket->context == NULL) return zmq_failed(endpoint, error);
  }
  socket->router = type == ZMQ_ROUTER;
  socket->handle = zmq_socket(socket->context, type);
  if (socket->handle == NULL || set_options(socket->handle, endpoint) != 0) {
    return zmq_failed(endpoint, error);
  }
  return DPC_OK;
}

static dpc_status bind_socket(dpc_socket* socket, const char* endpoint, dpc_error* error) {
  DPC_TRY(open_socket(socket, ZMQ_ROUTER, endpoint, error));
  // sending to a peer that is gone fails instead of vanishing
  const int mandatory = 1;
  if (zmq_setsockopt(socket->handle, ZMQ_ROUTER_MANDATORY, &mandatory, sizeof mandatory) != 0) {
    return zmq_failed(endpoint, error);
  }
  const char* path = strncmp(endpoint, "ipc://", 6) == 0 ? endpoint + 6 : NULL;
  if (path != NULL && path[0] != '@' && path[0] != '*') DPC_TRY(lock_path(socket, path, error));
  if (zmq_bind(socket->handle, endpoint) != 0) return zmq_failed(endpoint, error);
  size_t size = sizeof socket->endpoint;
  if (zmq_getsockopt(socket->handle, ZMQ_LAST_ENDPOINT, socket->endpoint, &size) != 0) {
    return zmq_failed(endpoint, error);
  }
  return DPC_OK;
}

dpc_status dpc_socket_bind(dpc_socket* socket, const char* endpoint, dpc_error* error) {
  *socket = (dpc_socket){.lock_fd = -1};
  const dpc_status status = bind_socket(socket, endpoint, error);
  if (status != DPC_OK) dpc_socket_close(socket, (dpc_duration){0});
  return status;
}

dpc_status dpc_socket_connect(dpc_socket* socket, const char* endpoint, dpc_error* error) {
  dpc_socket_hang_up(socket, (dpc_duration){0});
  dpc_status status = open_socket(socket, ZMQ_DEALER, endpoint, error);
  if (status == DPC_OK && zmq_connect(socket->handle, endpoint) != 0) {
    status = zmq_failed(endpoint, error);
  }
  if (status != DPC_OK) dpc_socket_close(socket, (dpc_duration){0});
  return status;
}

void dpc_socket_hang_up(dpc_socket* socket, dpc_duration linger) {
  if (socket->handle == NULL) return;
  const int linger_ms = (int)(linger.ns / 1000000);
  zmq_setsockopt(socket->handle, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
  zmq_close(socket->handle);
  socket->handle = NULL;
}

void dpc_socket_close(dpc_socket* socket, dpc_duration linger) {
  if (socket->context == NULL) return;
  dpc_socket_hang_up(socket, linger);
  while (zmq_ctx_term(socket->context) != 0 && zmq_errno() == EINTR) continue;
  unlock_path(socket);
  *socket = (dpc_socket){.lock_fd = -1};
}

// --- frames ---------------------------------------------------------------------------------------

void dpc_socket_wait(dpc_socket* socket, dpc_duration timeout, int wake_fd, bool* woken) {
  zmq_pollitem_t items[2] = {{.socket = socket->handle, .events = ZMQ_POLLIN},
                             {.fd = wake_fd, .events = ZMQ_POLLIN}};
  const long ms = timeout.ns <= 0 ? 0 : (long)((timeout.ns + 999999) / 1000000);
  // a closed socket has nothing to wait for but the wake-up
  zmq_pollitem_t* first = socket->handle == NULL ? items + 1 : items;
  const int count = (socket->handle != NULL) + (wake_fd >= 0);
  const int ready = zmq_poll(first, count, ms);
  if (ready < 0 && zmq_errno() == EINTR) *woken = true;
  if (ready > 0 && wake_fd >= 0 && items[1].revents != 0) *woken = true;
}

// One part into `buffer`, which may be too small for it: `*size` is what it really has.
static bool receive_part(void* handle, void* buffer, size_t capacity, size_t* size, bool* more) {
  const int received = zmq_recv(handle, buffer, capacity, ZMQ_DONTWAIT);
  if (received < 0) return false;
  int rest = 0;
  size_t rest_size = sizeof rest;
  zmq_getsockopt(handle, ZMQ_RCVMORE, &rest, &rest_size);
  *size = (size_t)received;
  *more = rest != 0;
  return true;
}

static void skip_parts(void* handle, bool more) {
  char buffer[1];
  size_t size = 0;
  while (more && receive_part(handle, buffer, sizeof buffer, &size, &more)) continue;
}

bool dpc_socket_receive(dpc_socket* socket, dpc_frame* frame, dpc_link_counters* counters) {
  for (;;) {
    bool more = socket->router;
    frame->peer_size = 0;
    if (socket->router &&
        !receive_part(socket->handle, frame->peer, sizeof frame->peer, &frame->peer_size, &more)) {
      return false;
    }
    bool sound = more || !socket->router;
    if (sound) {
      if (!receive_part(socket->handle, frame->data, sizeof frame->data, &frame->size, &more)) {
        return false;
      }
      sound = !more && frame->size <= DPC_MESSAGE_MAX && frame->peer_size <= sizeof frame->peer;
    }
    if (sound) return true;
    skip_parts(socket->handle, more);
    ++counters->bad_frame;
  }
}

dpc_status dpc_socket_send(dpc_socket* socket, const dpc_frame* frame, dpc_link_counters* counters,
                           dpc_error* error) {
  int sent = socket->handle == NULL ? -1 : 0;
  if (sent == 0 && socket->router) {
    sent = zmq_send(socket->handle, frame->peer, frame->peer_size, ZMQ_DONTWAIT | ZMQ_SNDMORE);
  }
  if (sent >= 0) sent = zmq_send(socket->handle, frame->data, frame->size, ZMQ_DONTWAIT);
  if (sent >= 0) {
    ++counters->sent;
    return DPC_OK;
  }
  ++counters->send_failed;
  if (socket->handle == NULL || zmq_errno() == EHOSTUNREACH) {
    return dpc_fail(error, DPC_ERR_CLOSED, "%s: the other end is not connected", socket->endpoint);
  }
  return dpc_fail(error, DPC_ERR_TIMEOUT, "%s: the queue to the other end is full",
                  socket->endpoint);
}

dpc_status dpc_socket_decode(dpc_direction direction, const dpc_frame* frame, int value_count,
                             dpc_arena* scratch, dpc_link_counters* counters, dpc_message* out,
                             dpc_error* error) {
  const dpc_status status =
      dpc_wire_decode(direction, frame->data, frame->size, value_count, scratch, out, error);
  if (status == DPC_OK) {
    ++counters->received;
  } else if (status == DPC_ERR_INVALID) {
    ++counters->bad_value;
  } else if (status == DPC_ERR_MISMATCH) {
    ++counters->bad_count;
  } else {
    ++counters->bad_format;
  }
  // once for each kind of trouble is enough to find it, and not enough to flood a log
  const uint64_t bad = counters->bad_value + counters->bad_count + counters->bad_format;
  if (status != DPC_OK && (bad & (bad - 1)) == 0) {
    dpc_log(DPC_LOG_WARNING, "link: ignored a message: %s", error->text);
  }
  return status;
}
