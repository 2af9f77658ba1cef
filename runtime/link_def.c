#include "runtime/link_def.h"

#include <string.h>
#include <sys/un.h>

static const dpc_field fields[] = {
    DPC_TEXT(dpc_link_def, endpoint, "tcp://127.0.0.1:5755",
             "where the robot listens: tcp://HOST:PORT or ipc://PATH"),
    DPC_REAL(dpc_link_def, connect_timeout, "10", 0.1, 86400, "s",
             "how long to wait for a robot at the start"),
    DPC_REAL(dpc_link_def, dead_after, "0.5", 0.1, 60, "s",
             "silence after which the other end is taken for dead"),
    DPC_BOOL(dpc_link_def, insecure, "false",
             "allow endpoints that other machines can reach; nothing is authenticated yet"),
};

DPC_FIELD_TABLE(dpc_link_fields, dpc_link_def, "link", "The link between controller and robot.",
                fields);

dpc_link_def dpc_link_def_default(void) {
  dpc_link_def def;
  dpc_fields_default(&dpc_link_fields, &def);
  return def;
}

static bool starts_with(const char* text, const char* start) {
  return strncmp(text, start, strlen(start)) == 0;
}

// The port is "*" (any free one, when binding) or a number in [1, 65535].
static bool is_port(const char* text) {
  if (strcmp(text, "*") == 0) return true;
  const size_t length = strlen(text);
  if (length < 1 || length > 5 || strspn(text, "0123456789") != length) return false;
  int port = 0;
  for (const char* at = text; *at != '\0'; ++at) port = port * 10 + (*at - '0');
  return port >= 1 && port <= 65535;
}

// Only numbers count: a name could mean any machine.
static bool is_loopback(const char* host, size_t length) {
  if (length == 5 && strncmp(host, "[::1]", 5) == 0) return true;
  if (length < 5 || !starts_with(host, "127.")) return false;
  return strspn(host, "0123456789.") == length;
}

static dpc_status check_tcp(const dpc_link_def* def, dpc_error* error) {
  const char* host = def->endpoint + strlen("tcp://");
  const char* colon = strrchr(host, ':');
  if (colon == NULL || colon == host || !is_port(colon + 1)) {
    return dpc_fail(error, DPC_ERR_CONFIG, "link.endpoint: '%s' is not tcp://HOST:PORT",
                    def->endpoint);
  }
  const size_t length = (size_t)(colon - host);
  const bool local = is_loopback(host, length) || (length == 9 && starts_with(host, "localhost"));
  if (local || def->insecure) return DPC_OK;
  return dpc_fail(error, DPC_ERR_CONFIG,
                  "link.endpoint: '%s' leaves this machine, and nothing is authenticated yet: use "
                  "127.0.0.1 or ipc, or set link.insecure=true",
                  def->endpoint);
}

static dpc_status check_ipc(const dpc_link_def* def, dpc_error* error) {
  const size_t max = sizeof((struct sockaddr_un*)0)->sun_path - 1;
  const size_t length = strlen(def->endpoint + strlen("ipc://"));
  if (length >= 1 && length <= max) return DPC_OK;
  return dpc_fail(error, DPC_ERR_CONFIG, "link.endpoint: '%s' needs a path of 1 to %zu bytes",
                  def->endpoint, max);
}

dpc_status dpc_link_def_check(const dpc_link_def* def, dpc_error* error) {
  DPC_TRY(dpc_fields_check(&dpc_link_fields, def, error));
  if (starts_with(def->endpoint, "tcp://")) return check_tcp(def, error);
  if (starts_with(def->endpoint, "ipc://")) return check_ipc(def, error);
  return dpc_fail(error, DPC_ERR_CONFIG,
                  "link.endpoint: '%s' is neither tcp://HOST:PORT nor ipc://PATH", def->endpoint);
}
