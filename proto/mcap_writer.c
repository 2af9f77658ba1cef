#include <errno.h>
#include <stdio.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "proto/mcap.h"
#include "proto/mcap_record.h"

enum {
  CHUNK_SIZE = 256 << 10,  // bytes of records after which a chunk is written
  CHUNK_MESSAGES = 8192,   // or this many messages, so that the index of a chunk is bounded too
  COMPRESSION_LEVEL = 3
};

typedef struct index_entry {
  uint16_t channel;
  uint64_t time;
  uint64_t offset;  // in the uncompressed chunk
} index_entry;

struct dpc_mcap_writer {
  FILE* file;
  const char* path;
  uint64_t offset;    // bytes written
  uint32_t data_crc;  // over all of them
  dpc_status broken;  // the first failure; everything fails after it
  const dpc_mcap_channel* channels;
  int channel_count;
  uint64_t counts[DPC_MCAP_CHANNEL_MAX];  // messages
  ZSTD_CCtx* zstd;

  // the chunk being filled
  mcap_bytes chunk;
  index_entry* index;  // [CHUNK_MESSAGES]
  int index_count;
  uint64_t chunk_first, chunk_last;  // times

  mcap_bytes packed;         // scratch: a compressed chunk
  mcap_bytes record;         // scratch: everything else
  mcap_bytes chunk_indexes;  // the summary's ChunkIndex records, one for each chunk
  uint32_t chunk_count;
  uint64_t message_count, first, last;
};

// --- bytes to the file --------------------------------------------------------------------------

static dpc_status fail(dpc_mcap_writer* w, dpc_status status, const char* what, dpc_error* error) {
  if (w->broken == DPC_OK) w->broken = status;
  return dpc_fail(error, status, "%s: %s", w->path, what);
}

static dpc_status emit(dpc_mcap_writer* w, const void* data, size_t size, dpc_error* error) {
  if (fwrite(data, 1, size, w->file) != size) return fail(w, DPC_ERR_IO, strerror(errno), error);
  w->data_crc = (uint32_t)crc32_z(w->data_crc, data, size);
  w->offset += size;
  return DPC_OK;
}

/// Write what was put together in a buffer, and empty it.
static dpc_status emit_bytes(dpc_mcap_writer* w, mcap_bytes* bytes, dpc_error* error) {
  if (bytes->failed) return fail(w, DPC_ERR_NO_MEMORY, "out of memory", error);
  DPC_TRY(emit(w, bytes->data, bytes->size, error));
  bytes->size = 0;
  return DPC_OK;
}

// --- records ------------------------------------------------------------------------------------

static void put_schema(mcap_bytes* out, int channel, const dpc_mcap_channel* c) {
  const size_t body = mcap_begin(out, MCAP_SCHEMA);
  mcap_put_u16(out, (uint16_t)(channel + 1));  // 0 is not allowed
  mcap_put_text(out, c->schema_name);
  mcap_put_text(out, "protobuf");
  mcap_put_u32(out, (uint32_t)c->schema_size);
  mcap_put(out, c->schema, c->schema_size);
  mcap_end(out, body);
}

static void put_channel(mcap_bytes* out, int channel, const dpc_mcap_channel* c) {
  const size_t body = mcap_begin(out, MCAP_CHANNEL);
  mcap_put_u16(out, (uint16_t)channel);
  mcap_put_u16(out, (uint16_t)(channel + 1));
  mcap_put_text(out, c->topic);
  mcap_put_text(out, "protobuf");
  mcap_put_u32(out, 0);  // no metadata
  mcap_end(out, body);
}

static dpc_status put_header(dpc_mcap_writer* w, dpc_error* error) {
  mcap_put(&w->record, mcap_magic, sizeof(mcap_magic));
  const size_t body = mcap_begin(&w->record, MCAP_HEADER);
  mcap_put_text(&w->record, "");
  mcap_put_text(&w->record, "dpc " DPC_VERSION);
  mcap_end(&w->record, body);
  DPC_TRY(emit_bytes(w, &w->record, error));

  // In the first chunk, schemas are compressed; the summary repeats them for random access.
  for (int c = 0; c < w->channel_count; c++) put_schema(&w->chunk, c, &w->channels[c]);
  for (int c = 0; c < w->channel_count; c++) put_channel(&w->chunk, c, &w->channels[c]);
  return DPC_OK;
}

// --- chunks -------------------------------------------------------------------------------------

static dpc_status compress_chunk(dpc_mcap_writer* w, dpc_error* error) {
  if (w->chunk.failed) return fail(w, DPC_ERR_NO_MEMORY, "out of memory", error);
  const size_t bound = ZSTD_compressBound(w->chunk.size);
  w->packed.size = 0;
  uint8_t* out = mcap_grow(&w->packed, bound);
  if (out == NULL) return fail(w, DPC_ERR_NO_MEMORY, "out of memory", error);
  const size_t size =
      ZSTD_compressCCtx(w->zstd, out, bound, w->chunk.data, w->chunk.size, COMPRESSION_LEVEL);
  if (ZSTD_isError(size)) return fail(w, DPC_ERR_NO_MEMORY, ZSTD_getErrorName(size), error);
  w->packed.size = size;
  return DPC_OK;
}

/// MessageIndex of one channel. Returns whether it has messages in this chunk.
static bool put_message_index(dpc_mcap_writer* w, int channel) {
  uint32_t count = 0;
  for (int i = 0; i < w->index_count; i++) count += w->index[i].channel == channel;
  if (count == 0) return false;
  const size_t body = mcap_begin(&w->record, MCAP_MESSAGE_INDEX);
  mcap_put_u16(&w->record, (uint16_t)channel);
  mcap_put_u32(&w->record, count * 16);
  for (int i = 0; i < w->index_count; i++) {
    if (w->index[i].channel != channel) continue;
    mcap_put_u64(&w->record, w->index[i].time);
    mcap_put_u64(&w->record, w->index[i].offset);
  }
  mcap_end(&w->record, body);
  return true;
}

static dpc_status put_chunk(dpc_mcap_writer* w, dpc_error* error) {
  const uint32_t crc = (uint32_t)crc32_z(0, w->chunk.data, w->chunk.size);
  const size_t body = mcap_begin(&w->record, MCAP_CHUNK);
  mcap_put_u64(&w->record, w->chunk_first);
  mcap_put_u64(&w->record, w->chunk_last);
  mcap_put_u64(&w->record, w->chunk.size);
  mcap_put_u32(&w->record, crc);
  mcap_put_text(&w->record, "zstd");
  mcap_put_u64(&w->record, w->packed.size);
  mcap_put(&w->record, w->packed.data, w->packed.size);
  mcap_end(&w->record, body);
  return emit_bytes(w, &w->record, error);
}

/// Write the chunk, the index of its messages, and remember where they are for the summary.
static dpc_status flush_chunk(dpc_mcap_writer* w, dpc_error* error) {
  if (w->chunk.size == 0) return DPC_OK;
  DPC_TRY(compress_chunk(w, error));
  const uint64_t chunk_at = w->offset;
  DPC_TRY(put_chunk(w, error));

  const uint64_t index_at = w->offset;
  mcap_bytes* summary = &w->chunk_indexes;
  const size_t body = mcap_begin(summary, MCAP_CHUNK_INDEX);
  mcap_put_u64(summary, w->chunk_first);
  mcap_put_u64(summary, w->chunk_last);
  mcap_put_u64(summary, chunk_at);
  mcap_put_u64(summary, index_at - chunk_at);
  const size_t map = summary->size;
  mcap_put_u32(summary, 0);  // the map's size, filled in below
  uint32_t map_size = 0;
  for (int c = 0; c < w->channel_count; c++) {
    const uint64_t at = index_at + w->record.size;
    if (!put_message_index(w, c)) continue;
    mcap_put_u16(summary, (uint16_t)c);
    mcap_put_u64(summary, at);
    map_size += 10;
  }
  DPC_TRY(emit_bytes(w, &w->record, error));
  mcap_put_u64(summary, w->offset - index_at);
  mcap_put_text(summary, "zstd");
  mcap_put_u64(summary, w->packed.size);
  mcap_put_u64(summary, w->chunk.size);
  mcap_end(summary, body);
  if (summary->failed) return fail(w, DPC_ERR_NO_MEMORY, "out of memory", error);
  for (size_t i = 0; i < 4; i++) summary->data[map + i] = (uint8_t)(map_size >> (8 * i));

  w->chunk_count++;
  w->chunk.size = 0;
  w->index_count = 0;
  return DPC_OK;
}

dpc_status dpc_mcap_write(dpc_mcap_writer* w, int channel, int64_t time_ns, const void* data,
                          size_t size, dpc_error* error) {
  DPC_ASSERT(channel >= 0 && channel < w->channel_count);
  if (w->broken != DPC_OK) return fail(w, w->broken, "an earlier write failed", error);
  if (time_ns < 0) return dpc_fail(error, DPC_ERR_INVALID, "%s: time before 0", w->path);
  const uint64_t time = (uint64_t)time_ns;

  if (w->index_count == 0 || time < w->chunk_first) w->chunk_first = time;
  if (w->index_count == 0 || time > w->chunk_last) w->chunk_last = time;
  if (w->message_count == 0 || time < w->first) w->first = time;
  if (w->message_count == 0 || time > w->last) w->last = time;
  w->index[w->index_count++] = (index_entry){(uint16_t)channel, time, w->chunk.size};

  const size_t body = mcap_begin(&w->chunk, MCAP_MESSAGE);
  mcap_put_u16(&w->chunk, (uint16_t)channel);
  mcap_put_u32(&w->chunk, (uint32_t)w->counts[channel]);
  mcap_put_u64(&w->chunk, time);
  mcap_put_u64(&w->chunk, time);
  mcap_put(&w->chunk, data, size);
  mcap_end(&w->chunk, body);
  w->counts[channel]++;
  w->message_count++;
  const bool full = w->chunk.size >= CHUNK_SIZE || w->index_count == CHUNK_MESSAGES;
  return full ? flush_chunk(w, error) : DPC_OK;
}

dpc_status dpc_mcap_flush(dpc_mcap_writer* w, dpc_error* error) {
  if (w->broken != DPC_OK) return fail(w, w->broken, "an earlier write failed", error);
  DPC_TRY(flush_chunk(w, error));
  if (fflush(w->file) != 0) return fail(w, DPC_ERR_IO, strerror(errno), error);
  return DPC_OK;
}

// --- summary ------------------------------------------------------------------------------------

static void put_statistics(dpc_mcap_writer* w, mcap_bytes* out) {
  const size_t body = mcap_begin(out, MCAP_STATISTICS);
  mcap_put_u64(out, w->message_count);
  mcap_put_u16(out, (uint16_t)w->channel_count);  // schemas
  mcap_put_u32(out, (uint32_t)w->channel_count);
  mcap_put_u32(out, 0);  // attachments
  mcap_put_u32(out, 0);  // metadata
  mcap_put_u32(out, w->chunk_count);
  mcap_put_u64(out, w->first);
  mcap_put_u64(out, w->last);
  mcap_put_u32(out, (uint32_t)(w->channel_count * 10));
  for (int c = 0; c < w->channel_count; c++) {
    mcap_put_u16(out, (uint16_t)c);
    mcap_put_u64(out, w->counts[c]);
  }
  mcap_end(out, body);
}

static void put_summary_offset(mcap_bytes* out, uint8_t opcode, uint64_t start, uint64_t size) {
  const size_t body = mcap_begin(out, MCAP_SUMMARY_OFFSET);
  mcap_put_u8(out, opcode);
  mcap_put_u64(out, start);
  mcap_put_u64(out, size);
  mcap_end(out, body);
}

/// The summary, where each of its groups is, and the footer that points at both.
static void put_summary(dpc_mcap_writer* w, mcap_bytes* out) {
  const uint64_t summary_at = w->offset;
  const uint8_t opcodes[] = {MCAP_SCHEMA, MCAP_CHANNEL, MCAP_CHUNK_INDEX, MCAP_STATISTICS};
  size_t ends[DPC_COUNT(opcodes)];
  for (int c = 0; c < w->channel_count; c++) put_schema(out, c, &w->channels[c]);
  ends[0] = out->size;
  for (int c = 0; c < w->channel_count; c++) put_channel(out, c, &w->channels[c]);
  ends[1] = out->size;
  mcap_put(out, w->chunk_indexes.data, w->chunk_indexes.size);
  ends[2] = out->size;
  put_statistics(w, out);
  ends[3] = out->size;

  const uint64_t offsets_at = summary_at + out->size;
  for (int g = 0; g < DPC_COUNT(opcodes); g++) {
    const size_t start = g == 0 ? 0 : ends[g - 1];
    if (ends[g] > start) {
      put_summary_offset(out, opcodes[g], summary_at + start, ends[g] - start);
    }
  }
  const size_t body = mcap_begin(out, MCAP_FOOTER);
  mcap_put_u64(out, summary_at);
  mcap_put_u64(out, offsets_at);
  mcap_put_u32(out, 0);  // the check sum, filled in once all it covers is there
  mcap_end(out, body);
}

static dpc_status put_end(dpc_mcap_writer* w, dpc_error* error) {
  const size_t body = mcap_begin(&w->record, MCAP_DATA_END);
  mcap_put_u32(&w->record, w->data_crc);
  mcap_end(&w->record, body);
  DPC_TRY(emit_bytes(w, &w->record, error));
  put_summary(w, &w->record);
  if (!w->record.failed) {
    const size_t covered = w->record.size - 4;
    const uint32_t crc = (uint32_t)crc32_z(0, w->record.data, covered);
    for (size_t i = 0; i < 4; i++) w->record.data[covered + i] = (uint8_t)(crc >> (8 * i));
  }
  mcap_put(&w->record, mcap_magic, sizeof(mcap_magic));
  return emit_bytes(w, &w->record, error);
}

// --- life ---------------------------------------------------------------------------------------

dpc_status dpc_mcap_writer_create(const char* path, const dpc_mcap_channel* channels, int count,
                                  dpc_mcap_writer** out, dpc_error* error) {
  DPC_ASSERT(count > 0 && count <= DPC_MCAP_CHANNEL_MAX);
  dpc_mcap_writer* w = calloc(1, sizeof(*w) + strlen(path) + 1);
  if (w == NULL) return dpc_fail(error, DPC_ERR_NO_MEMORY, "%s: out of memory", path);
  w->path = memcpy(w + 1, path, strlen(path) + 1);
  w->channels = channels;
  w->channel_count = count;
  w->file = fopen(path, "wbe");
  if (w->file == NULL) {
    free(w);
    return dpc_fail(error, DPC_ERR_IO, "%s: %s", path, strerror(errno));
  }
  w->zstd = ZSTD_createCCtx();
  w->index = calloc(CHUNK_MESSAGES, sizeof(*w->index));
  dpc_status status = w->zstd != NULL && w->index != NULL
                          ? put_header(w, error)
                          : fail(w, DPC_ERR_NO_MEMORY, "out of memory", error);
  if (status != DPC_OK) {
    dpc_mcap_writer_abandon(w);
    return status;
  }
  *out = w;
  return DPC_OK;
}

dpc_status dpc_mcap_writer_finish(dpc_mcap_writer* w, dpc_error* error) {
  dpc_status status = w->broken != DPC_OK ? fail(w, w->broken, "an earlier write failed", error)
                                          : flush_chunk(w, error);
  if (status == DPC_OK) status = put_end(w, error);
  if (status == DPC_OK && (fflush(w->file) != 0 || fsync(fileno(w->file)) != 0)) {
    status = fail(w, DPC_ERR_IO, strerror(errno), error);
  }
  dpc_mcap_writer_abandon(w);
  return status;
}

void dpc_mcap_writer_abandon(dpc_mcap_writer* w) {
  if (w == NULL) return;
  (void)fclose(w->file);
  ZSTD_freeCCtx(w->zstd);
  free(w->index);
  free(w->chunk.data);
  free(w->packed.data);
  free(w->record.data);
  free(w->chunk_indexes.data);
  free(w);
}
