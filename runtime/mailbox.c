#include "runtime/mailbox.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { SLOTS = 3, FRESH = 4 };  // the shared word: a slot's index, and whether it was never taken

// Each side's own members have a cache line to themselves.
// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding)
struct dpc_mailbox {
  char* slots[SLOTS];
  int fd;
  _Alignas(DPC_ARENA_ALIGN) unsigned writers;  // index of the slot that is the writer's
  _Alignas(DPC_ARENA_ALIGN) unsigned readers;
  _Alignas(DPC_ARENA_ALIGN) _Atomic unsigned shared;
};

dpc_status dpc_mailbox_create(size_t slot_size, bool wake, dpc_arena* arena, dpc_mailbox** out,
                              dpc_error* error) {
  const size_t mark = dpc_arena_mark(arena);
  dpc_mailbox* box = DPC_TAKE(arena, dpc_mailbox, 1);
  if (box == NULL) return dpc_arena_full(arena, "a mailbox", error);
  for (int i = 0; i < SLOTS; i++) {
    box->slots[i] = dpc_arena_take(arena, slot_size);
    if (box->slots[i] == NULL) {
      dpc_arena_release(arena, mark);
      return dpc_arena_full(arena, "a mailbox's slots", error);
    }
  }
  box->fd = wake ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;
  if (wake && box->fd < 0) {
    dpc_arena_release(arena, mark);
    return dpc_fail(error, DPC_ERR_IO, "eventfd: %s", strerror(errno));
  }
  box->writers = 0;
  box->readers = 1;
  atomic_init(&box->shared, 2);
  *out = box;
  return DPC_OK;
}

void dpc_mailbox_destroy(dpc_mailbox* box) {
  if (box == NULL || box->fd < 0) return;
  close(box->fd);
  box->fd = -1;
}

void* dpc_mailbox_slot(dpc_mailbox* box) {
  return box->slots[box->writers];
}

bool dpc_mailbox_publish(dpc_mailbox* box) {
  // Release: what was written into the slot comes before it. Acquire: the reader is done with the
  // slot that comes back.
  const unsigned back =
      atomic_exchange_explicit(&box->shared, box->writers | FRESH, memory_order_acq_rel);
  box->writers = back & ~(unsigned)FRESH;
  dpc_mailbox_wake(box);
  return (back & FRESH) != 0;
}

const void* dpc_mailbox_take(dpc_mailbox* box) {
  // Only the reader clears FRESH, so what is seen here stays true until the exchange.
  if ((atomic_load_explicit(&box->shared, memory_order_relaxed) & FRESH) == 0) return NULL;
  const unsigned fresh = atomic_exchange_explicit(&box->shared, box->readers, memory_order_acq_rel);
  box->readers = fresh & ~(unsigned)FRESH;
  return box->slots[box->readers];
}

int dpc_mailbox_fd(const dpc_mailbox* box) {
  return box->fd;
}

void dpc_mailbox_wake(dpc_mailbox* box) {
  if (box->fd < 0) return;
  const uint64_t one = 1;
  // Fails only when the counter is full, and then the fd is readable anyway.
  const ssize_t written = write(box->fd, &one, sizeof one);
  (void)written;
}

void dpc_mailbox_quiet(dpc_mailbox* box) {
  if (box->fd < 0) return;
  uint64_t count;
  const ssize_t got = read(box->fd, &count, sizeof count);
  (void)got;
}

bool dpc_mailbox_wait(dpc_mailbox* box, dpc_duration timeout) {
  DPC_ASSERT(box->fd >= 0);
  struct pollfd watched = {.fd = box->fd, .events = POLLIN};
  const struct timespec limit = {.tv_sec = timeout.ns / 1000000000,
                                 .tv_nsec = timeout.ns % 1000000000};
  if (ppoll(&watched, 1, timeout.ns < 0 ? NULL : &limit, NULL) <= 0) return false;
  dpc_mailbox_quiet(box);
  return true;
}
