/// MCAP, the container that Foxglove and PlotJuggler open: time-stamped messages of several topics
/// in compressed chunks, each topic with the schema of its messages (https://mcap.dev/spec).
///
/// The writer makes one subset: protobuf schemas, chunks compressed with Zstandard, an index, and
/// a check sum over every byte. The reader takes any file whose chunks are uncompressed or
/// Zstandard's, from the first record to the last, and believes nothing: lengths, check sums and
/// counts are verified, so a cut or flipped byte is an error and never a wrong message.
#pragma once

#include "policy/base.h"

// --- writer -------------------------------------------------------------------------------------

/// One topic and what its messages are.
typedef struct dpc_mcap_channel {
  const char* topic;        // "/observation"
  const char* schema_name;  // "dpc.Observation"
  const void* schema;       // a serialised FileDescriptorSet that holds it
  size_t schema_size;       // bytes
} dpc_mcap_channel;

enum { DPC_MCAP_CHANNEL_MAX = 64 };

typedef struct dpc_mcap_writer dpc_mcap_writer;

/// Create the file `path`, replacing what is there. `channels` [count <= DPC_MCAP_CHANNEL_MAX] and
/// what they point to must outlive the writer. Errors name the file.
/// Allocates: yes, about 1 MiB. Blocks: disk. Thread: any, one writer each.
DPC_NODISCARD dpc_status dpc_mcap_writer_create(const char* path, const dpc_mcap_channel* channels,
                                                int count, dpc_mcap_writer** out, dpc_error* error);

/// Append one message to a channel. `time_ns` >= 0. Goes to the file when a chunk is full, so that
/// a killed program loses the last chunk at most. After a failure every later call fails as well.
/// Allocates: rarely (a message larger than a chunk, 100 bytes for each chunk in the file).
/// Blocks: disk. Thread: the writer's owner.
DPC_NODISCARD dpc_status dpc_mcap_write(dpc_mcap_writer* writer, int channel, int64_t time_ns,
                                        const void* data, size_t size, dpc_error* error);

/// Give the system what is there so far, so that a killed program does not lose it. Done often, it
/// costs about 200 bytes each time.
/// Allocates: rarely. Blocks: disk. Thread: the writer's owner.
DPC_NODISCARD dpc_status dpc_mcap_flush(dpc_mcap_writer* writer, dpc_error* error);

/// Write what is left and the index, have the disk keep it (fsync), close and free, also on failure.
/// Allocates: a little. Blocks: disk. Thread: the writer's owner.
DPC_NODISCARD dpc_status dpc_mcap_writer_finish(dpc_mcap_writer* writer, dpc_error* error);

/// Close and free without finishing; the file stays as it is. NULL is allowed.
/// Allocates: no. Blocks: disk. Thread: the writer's owner.
void dpc_mcap_writer_abandon(dpc_mcap_writer* writer);

// --- reader -------------------------------------------------------------------------------------

/// A message and where it came from. Pointers are the reader's, valid until its next call.
typedef struct dpc_mcap_message {
  const char* topic;
  const char* schema_name;  // "" when the channel has none
  int64_t time_ns;
  uint32_t sequence;  // counts from 0 in each channel, as the writer above counts
  const void* data;
  size_t size;
} dpc_mcap_message;

typedef struct dpc_mcap_reader dpc_mcap_reader;

/// Open a file. Errors name it.
/// Allocates: yes. Blocks: disk. Thread: any, one reader each.
DPC_NODISCARD dpc_status dpc_mcap_reader_open(const char* path, dpc_mcap_reader** out,
                                              dpc_error* error);

/// The next message in file order; `*end` is set instead when there is none and the whole file,
/// index and closing magic included, has been verified. Returns DPC_ERR_FORMAT, with file and
/// byte, for a file that is cut short or damaged.
/// Allocates: yes (the size of a chunk). Blocks: disk. Thread: the reader's owner.
DPC_NODISCARD dpc_status dpc_mcap_read(dpc_mcap_reader* reader, dpc_mcap_message* message,
                                       bool* end, dpc_error* error);

/// Close and free. NULL is allowed.
/// Allocates: no. Blocks: no. Thread: the reader's owner.
void dpc_mcap_reader_close(dpc_mcap_reader* reader);
