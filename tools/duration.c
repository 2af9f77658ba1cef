#include "tools/duration.h"

#include <math.h>
#include <stdio.h>

dpc_duration_text dpc_duration_print(double seconds) {
  dpc_duration_text out = {"-"};
  if (!(seconds >= 0 && seconds < 1e15)) return out;
  const long long whole = llround(seconds), hours = whole / 3600, minutes = whole / 60 % 60;
  if (hours > 0) {
    (void)snprintf(out.text, sizeof out.text, "%lld h %02lld min", hours, minutes);
  } else if (minutes > 0) {
    (void)snprintf(out.text, sizeof out.text, "%lld min %02lld s", minutes, whole % 60);
  } else {
    (void)snprintf(out.text, sizeof out.text, "%lld s", whole);
  }
  return out;
}
