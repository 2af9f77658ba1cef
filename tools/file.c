#include "tools/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static dpc_status fail_errno(dpc_error* error, const char* path) {
  return dpc_fail(error, errno == ENOENT ? DPC_ERR_NOT_FOUND : DPC_ERR_IO, "%s: %s", path,
                  strerror(errno));
}

// Reads until the end rather than trusting the size, so that pipes can be read too.
static dpc_status read_all(FILE* file, const char* path, size_t limit, char** data, size_t* size,
                           dpc_error* error) {
  char* buffer = malloc(limit + 1);
  if (buffer == NULL) return dpc_fail(error, DPC_ERR_NO_MEMORY, "%s: no memory to read it", path);
  const size_t length = fread(buffer, 1, limit + 1, file);
  if (ferror(file) || length > limit) {
    free(buffer);
    if (ferror(file)) return fail_errno(error, path);
    return dpc_fail(error, DPC_ERR_INVALID, "%s: larger than %zu bytes", path, limit);
  }
  char* const fitted = realloc(buffer, length + 1);
  *data = fitted != NULL ? fitted : buffer;
  (*data)[length] = '\0';
  *size = length;
  return DPC_OK;
}

dpc_status dpc_file_read(const char* path, size_t limit, char** data, size_t* size,
                         dpc_error* error) {
  FILE* file = fopen(path, "rbe");
  if (file == NULL) return fail_errno(error, path);
  const dpc_status status = read_all(file, path, limit, data, size, error);
  (void)fclose(file);
  return status;
}

static bool write_all(int fd, const char* data, size_t size) {
  while (size > 0) {
    const ssize_t written = write(fd, data, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    data += written;
    size -= (size_t)written;
  }
  return true;
}

// Write, sync when it is a file on disk, and close. What fails first is left in errno.
static bool write_and_close(int fd, const void* data, size_t size, bool sync) {
  const bool written = write_all(fd, data, size) && (!sync || fsync(fd) == 0);
  const int reason = errno;
  const bool closed = close(fd) == 0;
  if (!written) errno = reason;
  return written && closed;
}

// A rename lasts through a power cut only once its folder is on disk too.
static bool sync_folder_of(const char* path) {
  char folder[PATH_MAX];
  const char* slash = strrchr(path, '/');
  const int length = slash == NULL ? 0 : (int)(slash - path);
  (void)snprintf(folder, sizeof folder, "%.*s", length, path);
  const char* name = slash == NULL ? "." : length == 0 ? "/" : folder;
  const int fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool synced = fsync(fd) == 0;
  (void)close(fd);
  return synced;
}

static dpc_status replace(const char* path, const void* data, size_t size, dpc_error* error) {
  char temporary[PATH_MAX];
  const int length = snprintf(temporary, sizeof temporary, "%s.%ld.tmp", path, (long)getpid());
  if (length < 0 || (size_t)length >= sizeof temporary) {
    return dpc_fail(error, DPC_ERR_INVALID, "%.200s…: path too long", path);
  }
  const int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) return fail_errno(error, path);
  if (!write_and_close(fd, data, size, true) || rename(temporary, path) != 0 ||
      !sync_folder_of(path)) {
    const dpc_status status = fail_errno(error, path);
    (void)unlink(temporary);
    return status;
  }
  return DPC_OK;
}

dpc_status dpc_file_save(const char* path, const void* data, size_t size, dpc_error* error) {
  struct stat info;
  if (stat(path, &info) != 0 || S_ISREG(info.st_mode)) return replace(path, data, size, error);
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || !write_and_close(fd, data, size, false)) return fail_errno(error, path);
  return DPC_OK;
}
