#include "tools/inspect_table.h"

#include <math.h>

void dpc_inspect_print_title(const dpc_cli* cli, const char* what, const char* const titles[3]) {
  dpc_cli_print(cli, "\n  %-22s %5s  %-5s %11s %11s %11s\n", what, "dim", "unit", titles[0],
                titles[1], titles[2]);
}

void dpc_inspect_print_signal(const dpc_cli* cli, const dpc_signal* signal, int index,
                              const double numbers[3]) {
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
  dpc_cli_print(cli, "%s%s\n", tracks ? "  follows " : "", tracks ? signal->tracks : "");
}
