#include "policy/base.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char* dpc_status_text(dpc_status status) {
  switch (status) {
#define X(name, value, text) \
  case name:                 \
    return text;
    DPC_STATUS_LIST(X)
#undef X
  }
  return "unknown status";
}

dpc_status dpc_fail(dpc_error* error, dpc_status status, const char* format, ...) {
  if (error == NULL) return status;
  va_list args;
  va_start(args, format);
  vsnprintf(error->text, sizeof error->text, format, args);
  va_end(args);
  return status;
}

dpc_status dpc_fail_prefix(dpc_error* error, dpc_status status, const char* format, ...) {
  if (error == NULL) return status;
  char rest[sizeof error->text];
  memcpy(rest, error->text, sizeof rest);
  va_list args;
  va_start(args, format);
  const int used = vsnprintf(error->text, sizeof error->text, format, args);
  va_end(args);
  const size_t start = used < 0 ? 0 : (size_t)used;
  if (start >= sizeof error->text) return status;
  const size_t room = sizeof error->text - start - 1;
  const size_t length = strnlen(rest, sizeof rest - 1);
  memcpy(error->text + start, rest, length < room ? length : room);
  error->text[start + (length < room ? length : room)] = '\0';
  return status;
}

_Noreturn void dpc_assert_fail(const char* condition, const char* file, int line) {
  fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, condition);
  abort();
}

static struct {
  dpc_log_sink sink;
  void* context;
} log_target;

void dpc_log_to(dpc_log_sink sink, void* context) {
  log_target.sink = sink;
  log_target.context = context;
}

void dpc_log(dpc_log_level level, const char* format, ...) {
  if (log_target.sink == NULL) return;
  char message[1024];
  va_list args;
  va_start(args, format);
  vsnprintf(message, sizeof message, format, args);
  va_end(args);
  log_target.sink(log_target.context, level, message);
}
