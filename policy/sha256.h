/// SHA-256 of bytes that arrive in pieces. The one door to libsodium.
#pragma once

#include "policy/base.h"

enum { DPC_SHA256_TEXT = 65 };  // 64 lower-case hexadecimal digits and the terminator

/// A hash being computed; its inside is libsodium's.
typedef struct dpc_sha256 {
  _Alignas(16) unsigned char state[128];
} dpc_sha256;

/// Begin.
/// Allocates: no. Blocks: no. Thread: any, one `hash` each.
void dpc_sha256_start(dpc_sha256* hash);

/// Take `size` more bytes in.
/// Allocates: no. Blocks: no. Thread: any, one `hash` each.
void dpc_sha256_add(dpc_sha256* hash, const void* bytes, size_t size);

/// Finish and write the digest as text. `hash` must be started again before further use.
/// Allocates: no. Blocks: no. Thread: any, one `hash` each.
void dpc_sha256_finish(dpc_sha256* hash, char text[DPC_SHA256_TEXT]);
