/// The beginning and the end of an MCAP file with neither summary nor check sums, which the format allows: as
/// others write it, and a fuzzer gets past.
#pragma once

#include "proto/mcap_record.h"

static inline void wrap_begin(mcap_bytes* out) {
  mcap_put(out, mcap_magic, sizeof(mcap_magic));
  const size_t body = mcap_begin(out, MCAP_HEADER);
  mcap_end(out, body);
}

static inline void wrap_end(mcap_bytes* out) {
  size_t body = mcap_begin(out, MCAP_DATA_END);
  mcap_put_u32(out, 0);
  mcap_end(out, body);
  body = mcap_begin(out, MCAP_FOOTER);
  mcap_put_u64(out, 0);
  mcap_put_u64(out, 0);
  mcap_put_u32(out, 0);
  mcap_end(out, body);
  mcap_put(out, mcap_magic, sizeof(mcap_magic));
}
