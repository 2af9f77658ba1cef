#include "runtime/acknowledge.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/test.h"

static char endpoint[64];
static dpc_error error;

static int name_endpoint(void** state) {
  (void)state;
  snprintf(endpoint, sizeof endpoint, "ipc:///tmp/dpc_ack_test_%ld", (long)getpid());
  return 0;
}

typedef struct client {
  pthread_t thread;
  dpc_status status;
  char answer[64];
} client;

static void* acknowledge(void* context) {
  client* c = context;
  c->status = dpc_ack_send(endpoint, dpc_seconds(20), c->answer, sizeof c->answer, NULL);
  return NULL;
}

static bool wait_for(int fd, int ms) {
  struct pollfd watched = {.fd = fd, .events = POLLIN};
  return poll(&watched, 1, ms) > 0;
}

static void test_there_and_back(void** state) {
  (void)state;
  int fd;
  dpc_ack_sender sender;
  assert_ok(dpc_ack_open(endpoint, &fd, &error), &error);
  assert_false(dpc_ack_take(fd, &sender));
  for (int i = 0; i < 3; ++i) {
    client c = {0};
    assert_int_equal(pthread_create(&c.thread, NULL, acknowledge, &c), 0);
    assert_true(wait_for(fd, 20000));
    assert_true(dpc_ack_take(fd, &sender));
    dpc_ack_answer(fd, &sender, "heard");
    pthread_join(c.thread, NULL);
    assert_int_equal(c.status, DPC_OK);
    assert_string_equal(c.answer, "heard");
  }
  close(fd);
}

static void test_one_controller_each(void** state) {
  (void)state;
  int first, second = -1;
  char answer[8];
  assert_fails(dpc_ack_send(endpoint, dpc_seconds(1), answer, sizeof answer, &error),
               DPC_ERR_NOT_FOUND, &error, endpoint);
  assert_ok(dpc_ack_open(endpoint, &first, &error), &error);
  assert_fails(dpc_ack_open(endpoint, &second, &error), DPC_ERR_IO, &error, "another controller");
  assert_int_equal(second, -1);
  assert_fails(dpc_ack_send(endpoint, dpc_seconds(0.01), answer, sizeof answer, &error),
               DPC_ERR_TIMEOUT, &error, "no answer");
  close(first);
  assert_ok(dpc_ack_open(endpoint, &second, &error), &error);
  close(second);
}

// The child writes what it likes to whoever listens, as `user` where it may become that.
static void write_as(uid_t user, const char* words, size_t size, int listener) {
  struct sockaddr_un address;
  socklen_t length = sizeof address;
  assert_int_equal(getsockname(listener, (struct sockaddr*)&address, &length), 0);
  const pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    if (user != geteuid() && setuid(user) != 0) _exit(1);
    const int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    const ssize_t sent = sendto(fd, words, size, 0, (struct sockaddr*)&address, length);
    _exit(sent == (ssize_t)size ? 0 : 1);
  }
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
}

static void test_others_are_not_heeded(void** state) {
  (void)state;
  static const char word[] = "acknowledge";
  int fd;
  dpc_ack_sender sender;
  assert_ok(dpc_ack_open(endpoint, &fd, &error), &error);
  const struct {
    const char* words;
    size_t size;
  } wrong[] = {{"", 0}, {"ack", 4}, {word, sizeof word - 1}, {"acknowledge\0more", 17}};
  for (int i = 0; i < DPC_COUNT(wrong); ++i) {
    write_as(geteuid(), wrong[i].words, wrong[i].size, fd);
    assert_true(wait_for(fd, 20000));
    assert_false(dpc_ack_take(fd, &sender));
  }
  write_as(geteuid(), word, sizeof word, fd);
  assert_true(wait_for(fd, 20000));
  assert_true(dpc_ack_take(fd, &sender));
  dpc_ack_answer(fd, &sender, "to nobody");  // it has no name, and is gone
  if (geteuid() == 0) {
    write_as(65534, word, sizeof word, fd);
    assert_true(wait_for(fd, 20000));
    assert_false(dpc_ack_take(fd, &sender));
  }
  close(fd);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_there_and_back),
      cmocka_unit_test(test_one_controller_each),
      cmocka_unit_test(test_others_are_not_heeded),
  };
  return cmocka_run_group_tests(tests, name_endpoint, NULL);
}
