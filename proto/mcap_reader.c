#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <zlib.h>
#include <zstd.h>

#include "proto/mcap.h"
#include "proto/mcap_record.h"

enum {
  TEXT_MAX = 256,         // of a topic or schema name
  CHUNK_MAX = 256 << 20,  // uncompressed bytes; a larger chunk is refused, not allocated
};

typedef struct channel {
  bool known;
  uint16_t schema;
  char topic[TEXT_MAX];
} channel;

struct dpc_mcap_reader {
  FILE* file;
  const char* path;
  uint64_t size;      // of the file
  uint64_t offset;    // bytes read
  uint32_t data_crc;  // over all of them
  bool ended;         // and verified
  ZSTD_DCtx* zstd;
  channel channels[DPC_MCAP_CHANNEL_MAX];            // by id
  char schemas[DPC_MCAP_CHANNEL_MAX + 1][TEXT_MAX];  // names by id; id 0 is no schema
  uint64_t message_count;
  mcap_bytes body;   // of the record read last
  mcap_bytes chunk;  // uncompressed
  mcap_cursor rest;  // of the chunk
};

static dpc_status damaged(const dpc_mcap_reader* r, const char* what, dpc_error* error) {
  return dpc_fail(error, DPC_ERR_FORMAT, "%s: before byte %" PRIu64 ": %s", r->path, r->offset,
                  what);
}

static dpc_status too_many(const dpc_mcap_reader* r, const char* what, dpc_error* error) {
  return dpc_fail(error, DPC_ERR_UNSUPPORTED, "%s: more than %d %s", r->path, DPC_MCAP_CHANNEL_MAX,
                  what);
}

// --- bytes from the file ------------------------------------------------------------------------

/// Make room for `size` bytes in an emptied buffer.
static dpc_status reserve(const dpc_mcap_reader* r, mcap_bytes* bytes, size_t size,
                          dpc_error* error) {
  bytes->size = 0;
  if (mcap_grow(bytes, size) != NULL) return DPC_OK;
  return dpc_fail(error, DPC_ERR_NO_MEMORY, "%s: no memory for %zu bytes", r->path, size);
}

static dpc_status fetch(dpc_mcap_reader* r, void* out, uint64_t size, dpc_error* error) {
  if (size > r->size - r->offset) {
    return dpc_fail(error, DPC_ERR_FORMAT, "%s: cut short at byte %" PRIu64, r->path, r->size);
  }
  if (fread(out, 1, size, r->file) != size) {
    const char* why = ferror(r->file) ? strerror(errno) : "it became shorter while being read";
    return dpc_fail(error, DPC_ERR_IO, "%s: %s", r->path, why);
  }
  r->offset += size;
  return DPC_OK;
}

/// Read the next record into `body`. `crc_before` is the sum over everything in front of it.
static dpc_status next_record(dpc_mcap_reader* r, uint8_t* opcode, uint32_t* crc_before,
                              dpc_error* error) {
  uint8_t prefix[MCAP_PREFIX_SIZE] = {0};
  DPC_TRY(fetch(r, prefix, sizeof(prefix), error));
  mcap_cursor in = {prefix, prefix + sizeof(prefix), false};
  *opcode = mcap_get_u8(&in);
  const uint64_t size = mcap_get_u64(&in);
  if (size > r->size - r->offset) {
    return damaged(r, "a record is longer than the file, which is cut short or damaged", error);
  }
  DPC_TRY(reserve(r, &r->body, size, error));
  DPC_TRY(fetch(r, r->body.data, size, error));
  *crc_before = r->data_crc;
  r->data_crc = (uint32_t)crc32_z(r->data_crc, prefix, sizeof(prefix));
  r->data_crc = (uint32_t)crc32_z(r->data_crc, r->body.data, size);
  return DPC_OK;
}

static mcap_cursor body_cursor(const dpc_mcap_reader* r) {
  return (mcap_cursor){r->body.data, r->body.data + r->body.size, false};
}

// --- records ------------------------------------------------------------------------------------

static dpc_status take_schema(dpc_mcap_reader* r, mcap_cursor in, dpc_error* error) {
  const uint16_t id = mcap_get_u16(&in);
  if (id > DPC_MCAP_CHANNEL_MAX) return too_many(r, "schemas", error);
  char name[TEXT_MAX];
  mcap_get_text(&in, name, sizeof(name));
  if (id == 0 || in.failed) return damaged(r, "a broken schema record", error);
  memcpy(r->schemas[id], name, sizeof(name));
  return DPC_OK;
}

static dpc_status take_channel(dpc_mcap_reader* r, mcap_cursor in, dpc_error* error) {
  const uint16_t id = mcap_get_u16(&in);
  if (id >= DPC_MCAP_CHANNEL_MAX) return too_many(r, "channels", error);
  channel c = {.known = true, .schema = mcap_get_u16(&in)};
  mcap_get_text(&in, c.topic, sizeof(c.topic));
  if (in.failed) return damaged(r, "a broken channel record", error);
  if (c.schema > DPC_MCAP_CHANNEL_MAX) return too_many(r, "schemas", error);
  r->channels[id] = c;
  return DPC_OK;
}

static dpc_status take_message(dpc_mcap_reader* r, mcap_cursor in, dpc_mcap_message* message,
                               dpc_error* error) {
  const uint16_t id = mcap_get_u16(&in);
  const uint32_t sequence = mcap_get_u32(&in);
  const uint64_t time = mcap_get_u64(&in);
  (void)mcap_get_u64(&in);  // publish time
  if (in.failed || time > INT64_MAX) return damaged(r, "a broken message record", error);
  if (id >= DPC_MCAP_CHANNEL_MAX || !r->channels[id].known) {
    return damaged(r, "a message of a channel that is not there", error);
  }
  r->message_count++;
  *message = (dpc_mcap_message){.topic = r->channels[id].topic,
                                .schema_name = r->schemas[r->channels[id].schema],
                                .time_ns = (int64_t)time,
                                .sequence = sequence,
                                .data = in.at,
                                .size = mcap_left(&in)};
  return DPC_OK;
}

/// Uncompress a chunk into `chunk`, from where its messages are taken one by one.
static dpc_status open_chunk(dpc_mcap_reader* r, dpc_error* error) {
  mcap_cursor in = body_cursor(r);
  (void)mcap_get_u64(&in);  // first time
  (void)mcap_get_u64(&in);  // last time
  const uint64_t size = mcap_get_u64(&in);
  const uint32_t crc = mcap_get_u32(&in);
  char compression[TEXT_MAX];
  mcap_get_text(&in, compression, sizeof(compression));
  const uint64_t packed_size = mcap_get_u64(&in);
  const uint8_t* packed = mcap_get(&in, packed_size);
  if (in.failed || mcap_left(&in) != 0) return damaged(r, "a broken chunk record", error);
  if (size > CHUNK_MAX) return damaged(r, "a chunk of more than 256 MiB", error);
  DPC_TRY(reserve(r, &r->chunk, size, error));

  if (strcmp(compression, "zstd") == 0) {
    const size_t got = ZSTD_decompressDCtx(r->zstd, r->chunk.data, size, packed, packed_size);
    if (ZSTD_isError(got) || got != size) {
      return damaged(r, "a chunk that does not uncompress to its size", error);
    }
  } else if (compression[0] == '\0') {
    if (packed_size != size) return damaged(r, "a chunk of the wrong size", error);
    memcpy(r->chunk.data, packed, size);
  } else {
    return dpc_fail(error, DPC_ERR_UNSUPPORTED, "%s: a chunk compressed with '%s', not zstd",
                    r->path, compression);
  }
  if (crc != 0 && crc != (uint32_t)crc32_z(0, r->chunk.data, size)) {
    return damaged(r, "a chunk whose check sum is wrong", error);
  }
  r->rest = (mcap_cursor){r->chunk.data, r->chunk.data + size, false};
  return DPC_OK;
}

/// Take one record out of the open chunk; a message sets `*found`.
static dpc_status next_in_chunk(dpc_mcap_reader* r, dpc_mcap_message* message, bool* found,
                                dpc_error* error) {
  const uint8_t opcode = mcap_get_u8(&r->rest);
  const uint64_t size = mcap_get_u64(&r->rest);
  const uint8_t* body = mcap_get(&r->rest, size);
  if (body == NULL) return damaged(r, "a record longer than its chunk", error);
  const mcap_cursor in = {body, body + size, false};
  switch (opcode) {
    case MCAP_SCHEMA:
      return take_schema(r, in, error);
    case MCAP_CHANNEL:
      return take_channel(r, in, error);
    case MCAP_MESSAGE:
      *found = true;
      return take_message(r, in, message, error);
    default:
      return damaged(r, "a record that may not be in a chunk", error);
  }
}

// --- the end of the file ------------------------------------------------------------------------

/// The one figure of the summary that can be compared with what was read.
static dpc_status check_statistics(const dpc_mcap_reader* r, dpc_error* error) {
  mcap_cursor in = body_cursor(r);
  in.end -= MCAP_FOOTER_SIZE + sizeof(mcap_magic);
  while (mcap_left(&in) > 0) {
    const uint8_t opcode = mcap_get_u8(&in);
    const uint64_t size = mcap_get_u64(&in);
    const uint8_t* body = mcap_get(&in, size);
    if (body == NULL) return damaged(r, "a broken summary", error);
    if (opcode != MCAP_STATISTICS) continue;
    mcap_cursor statistics = {body, body + size, false};
    if (mcap_get_u64(&statistics) != r->message_count || statistics.failed) {
      return damaged(r, "another number of messages than the file says", error);
    }
  }
  return DPC_OK;
}

/// After DataEnd: read the summary, footer and magic as one piece and verify them.
static dpc_status check_end(dpc_mcap_reader* r, uint32_t crc_before, dpc_error* error) {
  mcap_cursor in = body_cursor(r);
  const uint32_t data_crc = mcap_get_u32(&in);
  if (in.failed) return damaged(r, "a broken end of data", error);
  if (data_crc != 0 && data_crc != crc_before) {
    return damaged(r, "the check sum over all data is wrong", error);
  }
  const uint64_t start = r->offset;
  const size_t size = (size_t)(r->size - start);
  if (size < MCAP_FOOTER_SIZE + sizeof(mcap_magic)) return damaged(r, "no footer", error);
  DPC_TRY(reserve(r, &r->body, size, error));
  DPC_TRY(fetch(r, r->body.data, size, error));

  const uint8_t* magic = r->body.data + size - sizeof(mcap_magic);
  const uint8_t* footer = magic - MCAP_FOOTER_SIZE;
  if (memcmp(magic, mcap_magic, sizeof(mcap_magic)) != 0) {
    return damaged(r, "no magic at the end", error);
  }
  in = (mcap_cursor){footer, magic, false};
  if (mcap_get_u8(&in) != MCAP_FOOTER || mcap_get_u64(&in) != MCAP_FOOTER_SIZE - MCAP_PREFIX_SIZE) {
    return damaged(r, "no footer", error);
  }
  const uint64_t summary_at = mcap_get_u64(&in);
  (void)mcap_get_u64(&in);  // summary offsets: only for random access
  const uint32_t crc = mcap_get_u32(&in);
  if (summary_at != 0 && summary_at != start) return damaged(r, "a misplaced summary", error);
  const size_t covered = size - sizeof(mcap_magic) - 4;
  if (crc != 0 && crc != (uint32_t)crc32_z(0, r->body.data, covered)) {
    return damaged(r, "the check sum over the summary is wrong", error);
  }
  return check_statistics(r, error);
}

// --- reading ------------------------------------------------------------------------------------

/// Take one record from the file; a message outside of chunks sets `*found`.
static dpc_status next_in_file(dpc_mcap_reader* r, dpc_mcap_message* message, bool* found,
                               dpc_error* error) {
  uint8_t opcode = 0;
  uint32_t crc_before = 0;
  DPC_TRY(next_record(r, &opcode, &crc_before, error));
  switch (opcode) {
    case MCAP_SCHEMA:
      return take_schema(r, body_cursor(r), error);
    case MCAP_CHANNEL:
      return take_channel(r, body_cursor(r), error);
    case MCAP_MESSAGE:
      *found = true;
      return take_message(r, body_cursor(r), message, error);
    case MCAP_CHUNK:
      return open_chunk(r, error);
    case MCAP_FOOTER:
      return damaged(r, "a footer before the end of data", error);
    case MCAP_DATA_END:
      DPC_TRY(check_end(r, crc_before, error));
      r->ended = true;
      return DPC_OK;
    default:
      return DPC_OK;  // indexes, attachments, metadata, and what later versions may add
  }
}

dpc_status dpc_mcap_read(dpc_mcap_reader* r, dpc_mcap_message* message, bool* end,
                         dpc_error* error) {
  bool found = false;
  while (!found && !r->ended) {
    DPC_TRY(mcap_left(&r->rest) > 0 ? next_in_chunk(r, message, &found, error)
                                    : next_in_file(r, message, &found, error));
  }
  *end = !found;
  return DPC_OK;
}

static dpc_status read_start(dpc_mcap_reader* r, dpc_error* error) {
  struct stat info;
  if (fstat(fileno(r->file), &info) != 0) {
    return dpc_fail(error, DPC_ERR_IO, "%s: %s", r->path, strerror(errno));
  }
  if (!S_ISREG(info.st_mode)) {
    return dpc_fail(error, DPC_ERR_IO, "%s: not a regular file", r->path);
  }
  r->size = (uint64_t)info.st_size;
  uint8_t magic[sizeof(mcap_magic)] = {0};
  if (r->size >= sizeof(magic)) DPC_TRY(fetch(r, magic, sizeof(magic), error));
  if (memcmp(magic, mcap_magic, sizeof(magic)) != 0) {
    return dpc_fail(error, DPC_ERR_FORMAT, "%s: not an MCAP file", r->path);
  }
  r->data_crc = (uint32_t)crc32_z(0, magic, sizeof(magic));
  uint8_t opcode = 0;
  uint32_t crc_before = 0;
  DPC_TRY(next_record(r, &opcode, &crc_before, error));
  return opcode == MCAP_HEADER ? DPC_OK : damaged(r, "no header", error);
}

dpc_status dpc_mcap_reader_open(const char* path, dpc_mcap_reader** out, dpc_error* error) {
  FILE* file = fopen(path, "rbe");
  if (file == NULL) return dpc_fail(error, DPC_ERR_IO, "%s: %s", path, strerror(errno));
  dpc_mcap_reader* r = calloc(1, sizeof(*r) + strlen(path) + 1);
  ZSTD_DCtx* zstd = ZSTD_createDCtx();
  if (r == NULL || zstd == NULL) {
    (void)fclose(file);
    ZSTD_freeDCtx(zstd);
    free(r);
    return dpc_fail(error, DPC_ERR_NO_MEMORY, "%s: out of memory", path);
  }
  r->file = file;
  r->zstd = zstd;
  r->path = memcpy(r + 1, path, strlen(path) + 1);
  const dpc_status status = read_start(r, error);
  if (status != DPC_OK) {
    dpc_mcap_reader_close(r);
    return status;
  }
  *out = r;
  return DPC_OK;
}

void dpc_mcap_reader_close(dpc_mcap_reader* r) {
  if (r == NULL) return;
  (void)fclose(r->file);
  ZSTD_freeDCtx(r->zstd);
  free(r->body.data);
  free(r->chunk.data);
  free(r);
}
