/// What every test needs: cmocka with the headers it wants before it, and checks of our own types.
#pragma once

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "policy/base.h"

/// The call succeeds; its message is printed when it does not.
#define assert_ok(call, error)                                                      \
  do {                                                                              \
    const dpc_status assert_status = (call);                                        \
    if (assert_status != DPC_OK) {                                                  \
      fail_msg("%s: %s: %s", #call, dpc_status_text(assert_status), (error)->text); \
    }                                                                               \
  } while (0)

/// The call fails with this status, and its message holds these words.
#define assert_fails(call, expected, error, words)                                   \
  do {                                                                               \
    const dpc_status assert_status = (call);                                         \
    if (assert_status != (expected)) {                                               \
      fail_msg("%s: got '%s', expected '%s'", #call, dpc_status_text(assert_status), \
               dpc_status_text(expected));                                           \
    }                                                                                \
    if (strstr((error)->text, (words)) == NULL) {                                    \
      fail_msg("%s: message '%s' does not say '%s'", #call, (error)->text, (words)); \
    }                                                                                \
  } while (0)

/// Two numbers within a tolerance; both are printed when they are not.
#define assert_near(a, b, tolerance)                                          \
  do {                                                                        \
    const double near_a = (a), near_b = (b);                                  \
    if (!(fabs(near_a - near_b) <= (tolerance))) {                            \
      fail_msg("%s = %.9g, %s = %.9g, apart by %.3g", #a, near_a, #b, near_b, \
               fabs(near_a - near_b));                                        \
    }                                                                         \
  } while (0)
