/// A bad network between the two ends of the link: a thread that passes messages on, and delays, loses,
/// repeats, overtakes and damages them on the way, as its faults and a seed say. It knows nothing of
/// what is in them.
#pragma once

#include <stdint.h>

#include "policy/base.h"

typedef enum proxy_way { TO_CONTROLLER, TO_ROBOT, PROXY_WAYS } proxy_way;

/// Probabilities are per message; the delay is drawn evenly.
typedef struct proxy_faults {
  double drop, duplicate;
  double reorder;               // kept back, so that messages after it come first
  double corrupt;               // one bit is another
  double truncate;              // cut at a random place
  double delay_min, delay_max;  // s
  double replay;                // an old message of this way comes again beside it
  int flood;     // messages per second beside the real ones, copies of the last real one
  int garbage;   // messages per second beside the real ones, random bytes
  int oversize;  // the same, larger than any message may be
} proxy_faults;

/// What has happened, per way.
typedef struct proxy_counts {
  uint64_t passed, dropped, duplicated, reordered, corrupted, truncated, replayed, added;
} proxy_counts;

typedef struct proxy proxy;

/// Begin to pass on between controllers, which connect to `front`, and the robot, which listens at
/// `back`; without faults. Everything random follows from `seed`. Exits the program when it cannot.
proxy* proxy_start(const char* front, const char* back, uint64_t seed);

/// From now on messages that go this way suffer `faults`.
void proxy_set(proxy* p, proxy_way way, const proxy_faults* faults);

/// While true, nothing passes in either way, and what comes is lost: a cut cable.
void proxy_cut(proxy* p, bool cut);

/// What has happened so far.
proxy_counts proxy_counted(const proxy* p, proxy_way way);

/// Stop, and let go of the sockets.
void proxy_stop(proxy* p);
