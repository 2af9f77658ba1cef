#include "tools/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const char* folder(void) {
  const char* named = getenv("TMPDIR");
  return named != NULL && named[0] != '\0' ? named : "/var/tmp";
}

static dpc_status fail(const char* what, dpc_error* error) {
  return dpc_fail(error, DPC_ERR_IO, "%s: %s: %s (TMPDIR names another folder)", folder(), what,
                  strerror(errno));
}

dpc_status dpc_spool_open(dpc_spool* out, dpc_error* error) {
  char path[4096];
  const int length = snprintf(path, sizeof path, "%s/dpc-XXXXXX", folder());
  errno = ENAMETOOLONG;
  const int file = length < (int)sizeof path ? mkostemp(path, O_CLOEXEC) : -1;
  if (file < 0) return fail("cannot make a file for the episodes", error);
  (void)unlink(path);
  FILE* stream = fdopen(file, "w+");
  if (stream == NULL) {
    (void)close(file);
    return fail("cannot make a file for the episodes", error);
  }
  *out = (dpc_spool){.stream = stream};
  return DPC_OK;
}

dpc_status dpc_spool_add(dpc_spool* spool, const float* values, size_t count, dpc_error* error) {
  if (fwrite(values, sizeof *values, count, spool->stream) != count) {
    return fail("cannot keep the episodes", error);
  }
  spool->size += sizeof *values * count;
  return DPC_OK;
}

dpc_status dpc_spool_map(dpc_spool* spool, const float** out, dpc_error* error) {
  DPC_ASSERT(spool->size > 0);
  if (fflush(spool->stream) != 0) return fail("cannot keep the episodes", error);
  void* data = mmap(NULL, spool->size, PROT_READ, MAP_SHARED, fileno(spool->stream), 0);
  if (data == MAP_FAILED) return fail("cannot map the episodes", error);
  *out = data;
  return DPC_OK;
}

void dpc_spool_close(dpc_spool* spool) {
  if (spool->stream != NULL) (void)fclose(spool->stream);
  *spool = (dpc_spool){.size = 0};
}
