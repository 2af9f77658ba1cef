/// Status codes, error text, assertions, logging and typed time: what every module speaks.
///
/// Two kinds of mistakes are kept apart. A programmer's error asserts (`DPC_ASSERT`). The world's
/// errors (files, settings, network, sensors) come back as a `dpc_status`, with a message in the
/// caller's `dpc_error` that names the file, line or field. Libraries never print and never exit.
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DPC_NODISCARD       __attribute__((warn_unused_result))
#define DPC_PRINTF(fmt, at) __attribute__((format(printf, fmt, at)))
#define DPC_COUNT(array)    ((int)(sizeof(array) / sizeof((array)[0])))

// --- status -------------------------------------------------------------------------------------

#define DPC_STATUS_LIST(X)                              \
  X(DPC_OK, 0, "ok")                                    \
  X(DPC_ERR_INVALID, -1, "invalid value")               \
  X(DPC_ERR_NO_MEMORY, -2, "not enough memory")         \
  X(DPC_ERR_IO, -3, "input or output failed")           \
  X(DPC_ERR_FORMAT, -4, "malformed data")               \
  X(DPC_ERR_CONFIG, -5, "wrong usage or configuration") \
  X(DPC_ERR_MISMATCH, -6, "two sides do not agree")     \
  X(DPC_ERR_NOT_FOUND, -7, "not found")                 \
  X(DPC_ERR_TIMEOUT, -8, "timed out")                   \
  X(DPC_ERR_CLOSED, -9, "the other side is gone")       \
  X(DPC_ERR_STALE, -10, "too old")                      \
  X(DPC_ERR_INTERRUPTED, -11, "interrupted")            \
  X(DPC_ERR_UNSUPPORTED, -12, "not supported")

typedef enum dpc_status {
#define X(name, value, text) name = value,
  DPC_STATUS_LIST(X)
#undef X
} dpc_status;

/// The fixed text of a status, for people.
/// Allocates: no. Blocks: no. Thread: any.
const char* dpc_status_text(dpc_status status);

/// What went wrong, in words, owned by the caller. Pass NULL where the words are not wanted.
typedef struct dpc_error {
  char text[512];
} dpc_error;

/// Write a message into `error` (which may be NULL) and return `status`, so that failing is one
/// line: `return dpc_fail(error, DPC_ERR_IO, "%s: %s", path, strerror(errno));`
/// Allocates: no. Blocks: no. Thread: any, one `error` each.
dpc_status dpc_fail(dpc_error* error, dpc_status status, const char* format, ...) DPC_PRINTF(3, 4);

/// Put words in front of the message that is already in `error` ("config.yaml:3: " + what it says)
/// and return `status`.
/// Allocates: no. Blocks: no. Thread: any, one `error` each.
dpc_status dpc_fail_prefix(dpc_error* error, dpc_status status, const char* format, ...)
    DPC_PRINTF(3, 4);

/// Return early when `call` fails.
#define DPC_TRY(call)                                    \
  do {                                                   \
    const dpc_status dpc_try_status = (call);            \
    if (dpc_try_status != DPC_OK) return dpc_try_status; \
  } while (0)

// --- assertions ---------------------------------------------------------------------------------

/// A condition that only a bug in the calling code can break. Kept in optimised builds.
#define DPC_ASSERT(condition) \
  ((condition) ? (void)0 : dpc_assert_fail(#condition, __FILE__, __LINE__))

/// Print where and abort. Called by `DPC_ASSERT` only.
/// Allocates: no. Blocks: no. Thread: any.
_Noreturn void dpc_assert_fail(const char* condition, const char* file, int line);

// --- log hook -----------------------------------------------------------------------------------

typedef enum dpc_log_level {
  DPC_LOG_ERROR,
  DPC_LOG_WARNING,
  DPC_LOG_INFO,
  DPC_LOG_DEBUG
} dpc_log_level;

typedef void (*dpc_log_sink)(void* context, dpc_log_level level, const char* message);

/// Choose who receives log messages; NULL (the default) drops them. Set once, before threads start.
/// Allocates: no. Blocks: no. Thread: start-up only.
void dpc_log_to(dpc_log_sink sink, void* context);

/// Send one line (no newline) to the sink. Never called from the control thread while it runs.
/// Allocates: no. Blocks: as the sink does. Thread: any.
void dpc_log(dpc_log_level level, const char* format, ...) DPC_PRINTF(2, 3);

// --- time ---------------------------------------------------------------------------------------

/// A point on the monotonic clock. Not a wall-clock time and not a length: the types differ so that
/// the compiler refuses to mix them.
typedef struct dpc_time {
  int64_t ns;
} dpc_time;

/// A length of time.
typedef struct dpc_duration {
  int64_t ns;
} dpc_duration;

static inline dpc_duration dpc_time_since(dpc_time later, dpc_time earlier) {
  return (dpc_duration){later.ns - earlier.ns};
}

static inline dpc_time dpc_time_after(dpc_time time, dpc_duration length) {
  return (dpc_time){time.ns + length.ns};
}

static inline dpc_duration dpc_seconds(double seconds) {
  return (dpc_duration){(int64_t)(seconds * 1e9 + (seconds < 0 ? -0.5 : 0.5))};
}

static inline double dpc_to_seconds(dpc_duration length) {
  return (double)length.ns * 1e-9;
}
