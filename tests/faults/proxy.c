#include "tests/faults/proxy.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "policy/rng.h"
#include "runtime/clock.h"

enum {
  PEERS_MAX = 256,  // sessions of controllers in the life of a proxy: a new one for each connection
  WAITING_MAX = 4096,           // messages on their way
  ADDED_MAX = WAITING_MAX / 2,  // those of our own leave room for the real ones
  FRONT_MAX = 1000,   // messages that a socket keeps for a controller: what is sent is soon read
  BACK_MAX = 100000,  // and for the robot
  OLD_MAX = 64,       // kept to be replayed
  SIZE_MAX_BYTES = 65536,
  OVERSIZE_BYTES = 1 << 20,
  ID_MAX = 255,
};

// A reordered message waits this much longer than those behind it, s.
static const double KEPT_BACK = 0.15;

typedef struct message {
  size_t size;
  unsigned char* bytes;
} message;

typedef struct waiting {
  dpc_time due;
  int peer;
  message message;
} waiting;

typedef struct peer {
  size_t id_size;
  unsigned char id[ID_MAX];
  void* back;  // the socket that stands for this controller at the robot's end
} peer;

typedef struct lane {
  proxy_faults faults;
  proxy_counts counts;
  waiting queue[WAITING_MAX];
  int queued;
  message old[OLD_MAX];  // ring
  uint64_t old_count;
  int last_peer;
  dpc_time added_until;  // what is added has been, up to here
} lane;

struct proxy {
  pthread_t thread;
  pthread_mutex_t lock;  // of everything below
  bool stop, cut;
  void* context;
  void* front;
  char back[256];
  peer peers[PEERS_MAX];
  int peer_count;
  lane lanes[PROXY_WAYS];
  uint64_t seed;
  uint32_t draws;
};

static void check(bool good, const char* what) {
  if (good) return;
  (void)fprintf(stderr, "proxy: %s: %s\n", what, zmq_strerror(zmq_errno()));
  exit(2);
}

// --- chance ---------------------------------------------------------------------------------------

static double draw(proxy* p) {
  float u;
  dpc_rng_uniform((dpc_rng_key){(uint32_t)p->seed, 77}, DPC_STREAM_TEST, p->draws++, 0, 1, &u);
  return (double)u;
}

static bool chance(proxy* p, double probability) {
  return probability > 0 && draw(p) < probability;
}

static size_t draw_below(proxy* p, size_t end) {
  const size_t at = (size_t)(draw(p) * (double)end);
  return at < end ? at : end - 1;
}

// --- messages on their way -----------------------------------------------------------------------

static message copy_of(const message* m) {
  message copy = {m->size, malloc(m->size + 1)};
  check(copy.bytes != NULL, "memory");
  memcpy(copy.bytes, m->bytes, m->size);
  return copy;
}

/// Take over `m`, which leaves after `delay` seconds; what finds no room is lost.
static void enqueue(lane* l, int to, message m, double delay) {
  if (l->queued == WAITING_MAX) {
    free(m.bytes);
    l->counts.dropped++;
    return;
  }
  l->queue[l->queued++] = (waiting){dpc_time_after(dpc_clock_now(), dpc_seconds(delay)), to, m};
}

static void remember(lane* l, const message* m) {
  message* slot = &l->old[l->old_count++ % OLD_MAX];
  free(slot->bytes);
  *slot = copy_of(m);
}

static void damage(proxy* p, lane* l, message* m) {
  if (m->size > 0 && chance(p, l->faults.corrupt)) {
    m->bytes[draw_below(p, m->size)] ^= (unsigned char)(1u << draw_below(p, 8));
    l->counts.corrupted++;
  }
  if (m->size > 0 && chance(p, l->faults.truncate)) {
    m->size = draw_below(p, m->size);
    l->counts.truncated++;
  }
}

static void take_in(proxy* p, lane* l, int from, message m) {
  const proxy_faults* f = &l->faults;
  l->last_peer = from;
  remember(l, &m);
  if (p->cut || chance(p, f->drop)) {
    free(m.bytes);
    l->counts.dropped++;
    return;
  }
  double delay = f->delay_min + (f->delay_max - f->delay_min) * draw(p);
  if (chance(p, f->replay)) {
    const uint64_t kept = l->old_count < OLD_MAX ? l->old_count : OLD_MAX;
    enqueue(l, from, copy_of(&l->old[draw_below(p, (size_t)kept)]), delay);
    l->counts.replayed++;
  }
  if (chance(p, f->duplicate)) {
    enqueue(l, from, copy_of(&m), delay);
    l->counts.duplicated++;
  }
  if (chance(p, f->reorder)) {
    delay += KEPT_BACK;
    l->counts.reordered++;
  }
  damage(p, l, &m);
  enqueue(l, from, m, delay);
}

// Messages of our own, as many as this moment owes.
static void add_own(proxy* p, lane* l, dpc_time now) {
  const int rate = l->faults.flood + l->faults.garbage + l->faults.oversize;
  if (rate == 0 || p->peer_count == 0 || l->old_count == 0) {
    l->added_until = now;
    return;
  }
  const int64_t owed = dpc_time_since(now, l->added_until).ns * rate / 1000000000;
  for (int64_t i = 0; i < owed && l->queued < ADDED_MAX; ++i) {
    message m = copy_of(&l->old[(l->old_count - 1) % OLD_MAX]);
    if (l->faults.flood == 0) {
      m.size = l->faults.oversize > 0 ? (size_t)OVERSIZE_BYTES : draw_below(p, 2048);
      m.bytes = realloc(m.bytes, m.size + 1);
      check(m.bytes != NULL, "memory");
      for (size_t k = 0; k < m.size && k < 2048; ++k) {
        m.bytes[k] = (unsigned char)draw_below(p, 256);
      }
    }
    enqueue(l, l->last_peer, m, 0);
    l->counts.added++;
  }
  if (owed > 0)
    l->added_until = dpc_time_after(l->added_until, (dpc_duration){owed * 1000000000 / rate});
}

// --- sockets --------------------------------------------------------------------------------------

static void* open_socket(proxy* p, int type, int most) {
  void* s = zmq_socket(p->context, type);
  const int none = 0, many = 100000;
  check(s != NULL, "socket");
  (void)zmq_setsockopt(s, ZMQ_LINGER, &none, sizeof none);
  (void)zmq_setsockopt(s, ZMQ_SNDHWM, &most, sizeof most);
  (void)zmq_setsockopt(s, ZMQ_RCVHWM, &many, sizeof many);
  return s;
}

static int find_peer(proxy* p, const unsigned char* id, size_t size) {
  for (int i = 0; i < p->peer_count; ++i) {
    if (p->peers[i].id_size == size && memcmp(p->peers[i].id, id, size) == 0) return i;
  }
  check(p->peer_count < PEERS_MAX && size <= ID_MAX, "too many controllers");
  peer* new = &p->peers[p->peer_count];
  new->id_size = size;
  memcpy(new->id, id, size);
  new->back = open_socket(p, ZMQ_DEALER, BACK_MAX);
  check(zmq_connect(new->back, p->back) == 0, p->back);
  return p->peer_count++;
}

static message read_message(zmq_msg_t* part) {
  const message m = {zmq_msg_size(part), zmq_msg_data(part)};
  return copy_of(&m);
}

static void read_front(proxy* p) {
  zmq_msg_t id, body;
  (void)zmq_msg_init(&id);
  while (zmq_msg_recv(&id, p->front, ZMQ_DONTWAIT) >= 0) {
    (void)zmq_msg_init(&body);
    if (zmq_msg_recv(&body, p->front, ZMQ_DONTWAIT) >= 0) {
      const int from = find_peer(p, zmq_msg_data(&id), zmq_msg_size(&id));
      take_in(p, &p->lanes[TO_ROBOT], from, read_message(&body));
    }
    (void)zmq_msg_close(&body);
  }
  (void)zmq_msg_close(&id);
}

static void read_back(proxy* p, int from) {
  zmq_msg_t body;
  (void)zmq_msg_init(&body);
  while (zmq_msg_recv(&body, p->peers[from].back, ZMQ_DONTWAIT) >= 0) {
    take_in(p, &p->lanes[TO_CONTROLLER], from, read_message(&body));
  }
  (void)zmq_msg_close(&body);
}

// False when the other side takes no more for now. What there is no one for is lost.
static bool send_on(proxy* p, proxy_way way, const waiting* w) {
  const peer* to = &p->peers[w->peer];
  int sent = 0;
  if (way == TO_ROBOT) {
    sent = zmq_send(to->back, w->message.bytes, w->message.size, ZMQ_DONTWAIT);
  } else {
    sent = zmq_send(p->front, to->id, to->id_size, ZMQ_DONTWAIT | ZMQ_SNDMORE);
    if (sent >= 0) sent = zmq_send(p->front, w->message.bytes, w->message.size, ZMQ_DONTWAIT);
  }
  p->lanes[way].counts.passed += sent >= 0;
  return sent >= 0 || zmq_errno() != EAGAIN;
}

/// Send what is due, in the order in which it came; the rest stays.
static void send_due(proxy* p, proxy_way way, dpc_time now) {
  lane* l = &p->lanes[way];
  int left = 0;
  bool blocked = false;
  for (int i = 0; i < l->queued; ++i) {
    const waiting w = l->queue[i];
    const bool due = w.due.ns <= now.ns && !blocked;
    if (due && !p->cut) blocked = !send_on(p, way, &w);
    if (due && !blocked) {
      free(w.message.bytes);
    } else {
      l->queue[left++] = w;
    }
  }
  l->queued = left;
}

static void* run(void* context) {
  proxy* p = context;
  for (;;) {
    zmq_pollitem_t items[PEERS_MAX + 1] = {{p->front, 0, ZMQ_POLLIN, 0}};
    for (int i = 0; i < p->peer_count; ++i) {
      items[i + 1] = (zmq_pollitem_t){p->peers[i].back, 0, ZMQ_POLLIN, 0};
    }
    (void)zmq_poll(items, p->peer_count + 1, 1);
    (void)pthread_mutex_lock(&p->lock);
    const bool stop = p->stop;
    const int peers = p->peer_count;
    read_front(p);
    for (int i = 0; i < peers; ++i) read_back(p, i);
    const dpc_time now = dpc_clock_now();
    for (int way = 0; way < PROXY_WAYS; ++way) {
      add_own(p, &p->lanes[way], now);
      send_due(p, way, dpc_clock_now());
    }
    (void)pthread_mutex_unlock(&p->lock);
    if (stop) return NULL;
  }
}

// --- the outside ----------------------------------------------------------------------------------

proxy* proxy_start(const char* front, const char* back, uint64_t seed) {
  proxy* p = calloc(1, sizeof *p);
  check(p != NULL, "memory");
  p->seed = seed;
  p->context = zmq_ctx_new();
  (void)snprintf(p->back, sizeof p->back, "%s", back);
  p->front = open_socket(p, ZMQ_ROUTER, FRONT_MAX);
  const int tell = 1;  // when a controller takes no more, or is gone
  (void)zmq_setsockopt(p->front, ZMQ_ROUTER_MANDATORY, &tell, sizeof tell);
  check(zmq_bind(p->front, front) == 0, front);
  (void)pthread_mutex_init(&p->lock, NULL);
  check(pthread_create(&p->thread, NULL, run, p) == 0, "thread");
  return p;
}

void proxy_set(proxy* p, proxy_way way, const proxy_faults* faults) {
  (void)pthread_mutex_lock(&p->lock);
  p->lanes[way].faults = *faults;
  p->lanes[way].added_until = dpc_clock_now();
  (void)pthread_mutex_unlock(&p->lock);
}

void proxy_cut(proxy* p, bool cut) {
  (void)pthread_mutex_lock(&p->lock);
  p->cut = cut;
  (void)pthread_mutex_unlock(&p->lock);
}

proxy_counts proxy_counted(const proxy* p, proxy_way way) {
  proxy* inside = (proxy*)p;  // only its lock changes
  (void)pthread_mutex_lock(&inside->lock);
  const proxy_counts counts = p->lanes[way].counts;
  (void)pthread_mutex_unlock(&inside->lock);
  return counts;
}

static void empty(lane* l) {
  for (int i = 0; i < l->queued; ++i) free(l->queue[i].message.bytes);
  for (int i = 0; i < OLD_MAX; ++i) free(l->old[i].bytes);
}

void proxy_stop(proxy* p) {
  (void)pthread_mutex_lock(&p->lock);
  p->stop = true;
  (void)pthread_mutex_unlock(&p->lock);
  (void)pthread_join(p->thread, NULL);
  for (int i = 0; i < p->peer_count; ++i) (void)zmq_close(p->peers[i].back);
  (void)zmq_close(p->front);
  (void)zmq_ctx_term(p->context);
  for (int way = 0; way < PROXY_WAYS; ++way) empty(&p->lanes[way]);
  (void)pthread_mutex_destroy(&p->lock);
  free(p);
}
