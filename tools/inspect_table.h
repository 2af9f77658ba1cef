/// The table of signals that `dpc inspect` prints, for episodes and checkpoints alike.
#pragma once

#include "policy/layout.h"
#include "tools/cli.h"

/// Print the title line of a table of signals: `what` is in it, and what its three numbers are.
/// Allocates: no. Blocks: on the stream. Thread: main only.
void dpc_inspect_print_title(const dpc_cli* cli, const char* what, const char* const titles[3]);

/// Print the line of one signal, or of one of its values when `index` is not -1. A number that is
/// not finite is left blank. `relative`: the numbers are differences to what the signal tracks.
/// Allocates: no. Blocks: on the stream. Thread: main only.
void dpc_inspect_print_signal(const dpc_cli* cli, const dpc_signal* signal, int index,
                              bool relative, const double numbers[3]);

/// Print a setting or another entry with its value, cut after 200 characters; a list that is longer
/// than a line has a line for each of its elements.
/// Allocates: no. Blocks: on the stream. Thread: main only.
void dpc_inspect_print_entry(const dpc_cli* cli, const char* name, const char* value);
