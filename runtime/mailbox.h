/// The newest value between two threads, wait-free: one writes, one reads, and neither ever waits
/// for the other. Three slots: one is the writer's, one the reader's, one changes hands.
///
///     float* row = dpc_mailbox_slot(box);         // writer
///     …                                           // fill it
///     dpc_mailbox_publish(box);
///
///     const float* row = dpc_mailbox_take(box);   // reader: NULL when there is nothing new
///
/// A value that has not been taken when the next is published is lost; whoever needs every value
/// needs a queue instead.
#pragma once

#include "policy/arena.h"

typedef struct dpc_mailbox dpc_mailbox;

/// Make one whose slots hold `slot_size` bytes, zeroed. With `wake`, an eventfd tells the reader.
/// Release that with dpc_mailbox_destroy. DPC_ERR_NO_MEMORY; DPC_ERR_IO without an eventfd.
/// Allocates: arena. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_mailbox_create(size_t slot_size, bool wake, dpc_arena* arena,
                                            dpc_mailbox** out, dpc_error* error);

/// Close the eventfd. NULL is allowed.
/// Allocates: no. Blocks: no. Thread: when no other uses it any more.
void dpc_mailbox_destroy(dpc_mailbox* box);

/// The slot to write the next value into, whole: it holds some earlier value.
/// Allocates: no. Blocks: no. Thread: the writer.
void* dpc_mailbox_slot(dpc_mailbox* box);

/// Hand the slot over, and wake the reader. True when it takes the place of a value that was never
/// taken.
/// Allocates: no. Blocks: no. Thread: the writer.
bool dpc_mailbox_publish(dpc_mailbox* box);

/// The newest value if it has not been taken yet, else NULL. It stays valid until the next call
/// that returns a value.
/// Allocates: no. Blocks: no. Thread: the reader.
const void* dpc_mailbox_take(dpc_mailbox* box);

/// Becomes readable when a value is published; -1 for a mailbox without `wake`.
/// Allocates: no. Blocks: no. Thread: any.
int dpc_mailbox_fd(const dpc_mailbox* box);

/// Wait for a value, at most `timeout` (negative: for ever). True when woken, by a value or by
/// dpc_mailbox_wake; what is in the mailbox is for dpc_mailbox_take to say. A signal may end it early.
/// Allocates: no. Blocks: up to `timeout`. Thread: the reader.
bool dpc_mailbox_wait(dpc_mailbox* box, dpc_duration timeout);

/// Wake the reader without a value, to make it look at something else.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_mailbox_wake(dpc_mailbox* box);

/// The reader has been told by the fd and comes to look: the fd becomes unreadable. Call it before
/// dpc_mailbox_take, so that nothing is missed; dpc_mailbox_wait does.
/// Allocates: no. Blocks: no. Thread: the reader.
void dpc_mailbox_quiet(dpc_mailbox* box);
