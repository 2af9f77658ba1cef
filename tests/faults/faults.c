// The fault matrix: a controller and a robot as processes, a bad network between them, one row for each
// thing that goes wrong. Each row has a seed, lasts some seconds, and is judged by what both ends report,
// by what the network did, and by the controller's recording, which must be the same bits when it is
// computed again.
//
//     faults BINARIES POLICY [--long] [--markdown] [--json FILE] [ROW...]
//
// prints a line for each row, and ends with 1 when one does not hold.

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/faults/judge.h"

typedef struct runner {
  const char *binaries, *policy, *json_path;
  bool is_long, markdown;
  int name_count;
  char** names;  // of the rows that are wanted; none: all
  dpc_json* report;
} runner;

// --- playing --------------------------------------------------------------------------------------

static uint64_t seed_of(const row* r) {
  uint64_t seed = 1469598103934665603u;
  for (const char* c = r->name; *c != '\0'; ++c) seed = (seed ^ (unsigned char)*c) * 1099511628211u;
  return seed;
}

static void print_log(const scene* s, const char* name) {
  char command[256];
  (void)snprintf(command, sizeof command, "tail -n 15 %s/%s | sed 's/^/    %s: /' >&2", s->folder,
                 name, name);
  (void)system(command);  // NOLINT(cert-env33-c): a file of our own
}

static void play(const runner* u, const row* r, scene* s, played* out) {
  char preload[256];
  (void)snprintf(preload, sizeof preload, "%s/tests/%s", u->binaries, r->preload);
  *out = (played){.row = r};
  scene_begin(s, &(scene_def){.binaries = u->binaries,
                              .policy = u->policy,
                              .seed = seed_of(r),
                              .settings = r->settings,
                              .preload = r->preload != NULL ? preload : NULL,
                              .file_max = r->file_max});
  if (s->problem[0] == '\0') {
    const double seconds = r->seconds * (u->is_long ? 10 : 1);
    proxy_set(s->net, TO_ROBOT, &r->to_robot);
    proxy_set(s->net, TO_CONTROLLER, &r->to_controller);
    if (r->play != NULL) r->play(s, seconds);
    if (r->play == NULL) scene_wait(seconds);
  }
  const proxy_faults none = {0};
  proxy_set(s->net, TO_ROBOT, &none);
  proxy_set(s->net, TO_CONTROLLER, &none);
  for (int way = 0; way < PROXY_WAYS; ++way) out->net[way] = proxy_counted(s->net, way);
  scene_end(s);
  judge(s, out);
  if (out->holds) return;
  (void)fprintf(stderr, "    %s: %s\n", r->name, out->why);
  print_log(s, "run.log");
  print_log(s, "sim.log");
  print_log(s, "replay.log");
}

// --- showing --------------------------------------------------------------------------------------

enum { CELL = 32 };

// Of a controller that was killed, the recording tells.
static const struct {
  const char* key;
  source from;
  const char* figure;
  source otherwise;
} figures[] = {
    {"ticks", RUN, "ticks", REPLAY},
    {"missed_ticks", RUN, "missed_ticks", RUN},
    {"plans", RUN, "plans", REPLAY},
    {"late_plans", RUN, "late_plans", RUN},
    {"held_ticks", RUN, "holds", RUN},
    {"faults", RUN, "faults", RUN},
    {"replayed_ticks", REPLAY, "compared", REPLAY},
};
enum { FIGURES = DPC_COUNT(figures) };

// -1: there is none.
static int64_t figure_of(const scene* s, const played* p, int i) {
  double value = -1;
  if (!judge_look_up(s, p, figures[i].from, figures[i].figure, &value)) {
    (void)judge_look_up(s, p, figures[i].otherwise, figures[i].figure, &value);
  }
  return (int64_t)value;
}

// 12345 as 12,345.
static const char* in_groups(int64_t value, char out[CELL]) {
  if (value < 0) return strcpy(out, "-");
  char digits[CELL];
  const int count = snprintf(digits, sizeof digits, "%" PRId64, value);
  int at = 0;
  for (int i = 0; i < count; ++i) {
    if (i > 0 && (count - i) % 3 == 0) out[at++] = ',';
    out[at++] = digits[i];
  }
  out[at] = '\0';
  return out;
}

// What was compared within the row, for people.
static void say_stretches(const played* p, char* out, size_t size) {
  char cells[5][CELL];
  const stretches* c = &p->stretches;
  out[0] = '\0';
  if (!p->has_stretches) return;
  (void)snprintf(out, size, " (%s a second; missed %s of %s, without %s of %s)",
                 in_groups((int64_t)c->per_second, cells[0]),
                 in_groups((int64_t)c->missed, cells[1]),
                 in_groups((int64_t)(c->missed + c->ticks), cells[2]),
                 in_groups((int64_t)c->quiet_missed, cells[3]),
                 in_groups((int64_t)(c->quiet_missed + c->quiet_ticks), cells[4]));
}

static void show_line(const scene* s, const played* p) {
  char compared[128];
  say_stretches(p, compared, sizeof compared);
  (void)printf("%-19s %-50s %8" PRIu64 " of %8" PRIu64 ", replayed %6" PRId64 "  %s%s%s\n",
               p->row->name, p->row->fault, judge_disturbed(p), judge_passed(p),
               figure_of(s, p, FIGURES - 1),
               p->holds ? "" : "DOES NOT HOLD: ", p->holds ? p->row->holds : p->why, compared);
}

static void show_markdown(const scene* s, const played* p) {
  char compared[128], cells[FIGURES + 2][CELL];
  say_stretches(p, compared, sizeof compared);
  for (int i = 0; i < FIGURES; ++i) (void)in_groups(figure_of(s, p, i), cells[i]);
  (void)printf("| %s | %s%s%s | %s, %s | %s, %s | %s, %s | %s | %s | %s |\n", p->row->fault,
               p->holds ? "" : "DOES NOT HOLD: ", p->holds ? p->row->holds : p->why, compared,
               in_groups((int64_t)judge_disturbed(p), cells[FIGURES]),
               in_groups((int64_t)judge_passed(p), cells[FIGURES + 1]), cells[0], cells[1],
               cells[2], cells[3], cells[4], cells[5], cells[6]);
}

static void show(const runner* u, const scene* s, const played* p) {
  if (u->markdown) {
    show_markdown(s, p);
  } else {
    show_line(s, p);
  }
  (void)fflush(stdout);
  dpc_json* json = dpc_json_push(u->report, dpc_json_object());
  dpc_json_set_text(json, "row", p->row->name);
  dpc_json_set_text(json, "fault", p->row->fault);
  dpc_json_set_text(json, "expected", p->row->holds);
  dpc_json_set_int(json, "disturbed", (int64_t)judge_disturbed(p));
  dpc_json_set_int(json, "messages", (int64_t)judge_passed(p));
  for (int i = 0; i < FIGURES; ++i) {
    const int64_t value = figure_of(s, p, i);
    if (value >= 0) dpc_json_set_int(json, figures[i].key, value);
  }
  dpc_json_set_bool(json, "holds", p->holds);
  dpc_json_set_text(json, "why", p->why);
}

// --- the matrix -----------------------------------------------------------------------------------

static bool wanted(const runner* u, const row* r) {
  for (int i = 0; i < u->name_count; ++i) {
    if (strcmp(u->names[i], r->name) == 0) return true;
  }
  return u->name_count == 0;
}

static int usage(void) {
  (void)fprintf(stderr,
                "usage: faults BINARIES POLICY [--long] [--markdown] [--json FILE] [ROW...]\n");
  return 2;
}

static bool read_arguments(runner* u, int argc, char** argv) {
  if (argc < 3) return false;
  // the programs are started in a folder of their own
  static char binaries[PATH_MAX], policy[PATH_MAX];
  u->binaries = realpath(argv[1], binaries);
  u->policy = realpath(argv[2], policy);
  if (u->binaries == NULL || u->policy == NULL) return false;
  int at = 3;
  for (; at < argc && strncmp(argv[at], "--", 2) == 0; ++at) {
    if (strcmp(argv[at], "--long") == 0) {
      u->is_long = true;
    } else if (strcmp(argv[at], "--markdown") == 0) {
      u->markdown = true;
    } else if (strcmp(argv[at], "--json") == 0 && at + 1 < argc) {
      u->json_path = argv[++at];
    } else {
      return false;
    }
  }
  u->names = argv + at;
  u->name_count = argc - at;
  return true;
}

// A busy machine disturbs once; what is wrong is wrong twice.
static bool play_and_show(const runner* u, const row* r) {
  scene s;
  played p;
  play(u, r, &s, &p);
  if (!p.holds) {
    scene_free(&s);
    play(u, r, &s, &p);
  }
  show(u, &s, &p);
  scene_free(&s);
  return p.holds;
}

int main(int argc, char** argv) {
  runner u = {.report = NULL};
  if (!read_arguments(&u, argc, argv)) return usage();
  u.report = dpc_json_array();
  int count = 0, held = 0;
  if (u.markdown) {
    (void)printf(
        "| what goes wrong | what must hold | messages disturbed, delivered | ticks, missed | "
        "plans, late | held | faults | replayed |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- |\n");
  }
  for (int i = 0; i < row_count; ++i) {
    if (!wanted(&u, &rows[i])) continue;
    ++count;
    held += play_and_show(&u, &rows[i]);
  }
  (void)fprintf(u.markdown ? stderr : stdout, "%d of %d rows hold\n", held, count);
  dpc_error error;
  if (u.json_path != NULL && dpc_json_save(u.report, u.json_path, &error) != DPC_OK) {
    (void)fprintf(stderr, "faults: %s\n", error.text);
    held = -1;
  }
  dpc_json_free(u.report);
  return held == count && count > 0 ? 0 : 1;
}
