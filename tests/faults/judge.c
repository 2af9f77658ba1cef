#include "tests/faults/judge.h"

#include <stdio.h>
#include <string.h>

typedef struct figure {
  const char* key;
  double value;
} figure;

static const dpc_json* find(const dpc_json* json, const char* key) {
  char part[64];
  while (json != NULL) {
    const size_t length = strcspn(key, ".");
    (void)snprintf(part, sizeof part, "%.*s", (int)length, key);
    json = dpc_json_get(json, part);
    if (key[length] == '\0') return json;
    key += length + 1;
  }
  return NULL;
}

static bool reported(const dpc_json* report, const char* key, double* out) {
  const dpc_json* value = find(report, key);
  bool truth = false;
  if (dpc_json_as_real(value, out)) return true;
  if (!dpc_json_as_bool(value, &truth)) return false;
  *out = truth;
  return true;
}

static bool pick(const figure* figures, int count, const char* key, double* out) {
  for (int i = 0; i < count; ++i) {
    if (strcmp(figures[i].key, key) != 0) continue;
    *out = figures[i].value;
    return true;
  }
  return false;
}

static bool counted(const proxy_counts* c, const char* key, double* out) {
  const figure figures[] = {
      {"passed", (double)c->passed},         {"dropped", (double)c->dropped},
      {"duplicated", (double)c->duplicated}, {"reordered", (double)c->reordered},
      {"corrupted", (double)c->corrupted},   {"truncated", (double)c->truncated},
      {"replayed", (double)c->replayed},     {"added", (double)c->added}};
  return pick(figures, DPC_COUNT(figures), key, out);
}

static bool compared(const played* p, const char* key, double* out) {
  const stretches* s = &p->stretches;
  const figure figures[] = {{"ticks", (double)s->ticks},
                            {"quiet_ticks", (double)s->quiet_ticks},
                            {"extra_missed", stretches_extra(s)},
                            {"per_second", s->per_second}};
  return p->has_stretches && pick(figures, DPC_COUNT(figures), key, out);
}

bool judge_look_up(const scene* s, const played* p, source from, const char* key, double* out) {
  switch (from) {
    case RUN:
      return reported(s->run_report, key, out);
    case SIM:
      return reported(s->sim_report, key, out);
    case REPLAY:
      return reported(s->replay_report, key, out);
    case NET_TO_ROBOT:
      return counted(&p->net[TO_ROBOT], key, out);
    case NET_TO_CONTROLLER:
      return counted(&p->net[TO_CONTROLLER], key, out);
    case STRETCHES:
      return compared(p, key, out);
    case RUN_CODE:
      *out = s->run_code;
      return true;
    case SIM_CODE:
      *out = s->sim_code;
      return true;
    case REPLAY_CODE:
      *out = s->replay_code;
      return true;
  }
  return false;
}

static void check(const scene* s, played* p, const expected* e) {
  static const char* const sources[] = {
      "controller", "robot", "replay", "network to robot", "network to controller", "stretches",
      "controller", "robot", "replay"};
  double value = 0;
  if (!p->holds) return;
  if (!judge_look_up(s, p, e->from, e->key, &value)) {
    p->holds = false;
    (void)snprintf(p->why, sizeof p->why, "%s: no figure '%s'", sources[e->from], e->key);
  } else if (value < e->at_least || value > e->at_most) {
    p->holds = false;
    (void)snprintf(p->why, sizeof p->why, "%s: %s is %g, not in [%g, %g]", sources[e->from], e->key,
                   value, e->at_least, e->at_most);
  }
}

// Of a run that ended in order, nothing is missing.
static void check_replay(const scene* s, played* p) {
  check(s, p, &(expected){REPLAY_CODE, "exit", 0, 0});
  check(s, p, &(expected){REPLAY, "equal", 1, 1});
  check(s, p, &(expected){REPLAY, "missing_ticks", 0, 0});
  double ticks = 0, complete = 0;
  if (!judge_look_up(s, p, RUN, "record.complete", &complete) || complete < 1) {
    (void)judge_look_up(s, p, REPLAY, "ticks", &ticks);
  } else {
    (void)judge_look_up(s, p, RUN, "ticks", &ticks);
  }
  check(s, p, &(expected){REPLAY, "compared", ticks, ticks});
}

void judge(const scene* s, played* p) {
  p->holds = s->problem[0] == '\0';
  (void)snprintf(p->why, sizeof p->why, "%s", s->problem);
  p->has_stretches = stretches_read(s, &p->stretches);
  for (const expected* e = p->row->judged; e->key != NULL; ++e) check(s, p, e);
  check_replay(s, p);
}

uint64_t judge_disturbed(const played* p) {
  uint64_t sum = 0;
  for (int way = 0; way < PROXY_WAYS; ++way) {
    const proxy_counts* c = &p->net[way];
    sum += c->dropped + c->duplicated + c->reordered + c->corrupted + c->truncated + c->replayed +
           c->added;
  }
  return sum;
}

uint64_t judge_passed(const played* p) {
  return p->net[TO_ROBOT].passed + p->net[TO_CONTROLLER].passed;
}
