#include "tools/inspect_table.h"

#include <math.h>
#include <string.h>

void dpc_inspect_print_title(const dpc_cli* cli, const char* what, const char* const titles[3]) {
  dpc_cli_print(cli, "\n  %-22s %5s  %-5s %11s %11s %11s\n", what, "dim", "unit", titles[0],
                titles[1], titles[2]);
}

void dpc_inspect_print_signal(const dpc_cli* cli, const dpc_signal* signal, int index,
                              bool relative, const double numbers[3]) {
  char name[DPC_NAME_MAX + 16], dim[16] = "";
  if (index >= 0) {
    (void)snprintf(name, sizeof(name), "  [%d]", index);
  } else {
    (void)snprintf(name, sizeof(name), "%s", signal->name);
    (void)snprintf(dim, sizeof(dim), "%d", signal->dim);
  }
  dpc_cli_print(cli, "  %-22s %5s  %-5s", name, dim, index >= 0 ? "" : signal->unit);
  for (int i = 0; i < 3; i++) {
    if (isfinite(numbers[i])) {
      dpc_cli_print(cli, " %11.5g", numbers[i]);
    } else {
      dpc_cli_print(cli, " %11s", "");
    }
  }
  const bool tracks = index < 0 && signal->tracks[0] != '\0';
  const char* how = relative ? "  relative to " : "  follows ";
  dpc_cli_print(cli, "%s%s\n", tracks ? how : "", tracks ? signal->tracks : "");
}

void dpc_inspect_print_entry(const dpc_cli* cli, const char* name, const char* value) {
  enum { INDENT = 29, WIDTH = 100 };
  const bool is_list = value[0] == '[' && strlen(value) + INDENT > WIDTH;
  dpc_cli_print(cli, "    %-24s ", name);
  while (is_list && strstr(value, ", ") != NULL) {
    const int length = (int)(strstr(value, ", ") - value);
    dpc_cli_print(cli, "%.*s,\n%*s", length, value, INDENT + 1, "");
    value += length + 2;
  }
  dpc_cli_print(cli, "%.200s\n", value);
}
