#include "policy/sha256.h"

#include <sodium.h>

_Static_assert(sizeof(crypto_hash_sha256_state) <= sizeof(dpc_sha256), "libsodium's state fits");

void dpc_sha256_start(dpc_sha256* hash) {
  crypto_hash_sha256_init((crypto_hash_sha256_state*)hash);
}

void dpc_sha256_add(dpc_sha256* hash, const void* bytes, size_t size) {
  crypto_hash_sha256_update((crypto_hash_sha256_state*)hash, bytes, size);
}

void dpc_sha256_finish(dpc_sha256* hash, char text[DPC_SHA256_TEXT]) {
  unsigned char digest[crypto_hash_sha256_BYTES];
  crypto_hash_sha256_final((crypto_hash_sha256_state*)hash, digest);
  sodium_bin2hex(text, DPC_SHA256_TEXT, digest, sizeof digest);
}
