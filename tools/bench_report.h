/// What a benchmark found, for people and for programs.
#pragma once

#include "tools/bench_case.h"
#include "tools/cli.h"

/// Put a configuration's results into `json`.
/// Allocates: heap. Blocks: no. Thread: any.
void dpc_bench_report(dpc_json* json, const dpc_bench_result* result);

/// The machine, and its peaks as that configuration met them: a new object, owned by the caller.
/// Allocates: heap. Blocks: no. Thread: any.
dpc_json* dpc_bench_report_machine(const dpc_cpus* cpus, const dpc_bench_result* result);

/// Print one configuration in full.
/// Allocates: no. Blocks: on the stream. Thread: any.
void dpc_bench_print(const dpc_cli* cli, const dpc_bench_result* result);

/// Print the heading of a table of configurations.
/// Allocates: no. Blocks: on the stream. Thread: any.
void dpc_bench_print_heading(const dpc_cli* cli);

/// Print a line of it.
/// Allocates: no. Blocks: on the stream. Thread: any.
void dpc_bench_print_line(const dpc_cli* cli, const dpc_bench_result* result);
