#include "tools/bench_report.h"

#include <inttypes.h>

static double us(dpc_duration length) {
  return (double)length.ns * 1e-3;
}

// How much longer the worst of a thousand takes than the usual one.
static double tail(const dpc_latency_summary* s) {
  return s->p50.ns > 0 ? (double)s->p999.ns / (double)s->p50.ns : 0;
}

// The median step, in limits.
static double over_limit(const dpc_bench_result* r) {
  return r->limit_us > 0 ? us(r->step.p50) / r->limit_us : 0;
}

// --- for programs --------------------------------------------------------------------------------

static dpc_json* quantiles(const dpc_latency_summary* s) {
  dpc_json* json = dpc_json_object();
  dpc_json_set_real(json, "p50", us(s->p50));
  dpc_json_set_real(json, "p99", us(s->p99));
  dpc_json_set_real(json, "p999", us(s->p999));
  dpc_json_set_real(json, "max", us(s->max));
  dpc_json_set_real(json, "mean", us(s->mean));
  return json;
}

void dpc_bench_report(dpc_json* json, const dpc_bench_result* r) {
  dpc_json_set_text(json, "size", r->size);
  dpc_json_set_text(json, "isa", r->engine.isa);
  dpc_json_set_text(json, "precision", r->engine.precision);
  dpc_json_set_int(json, "threads", r->threads);
  dpc_json_set_int(json, "steps", r->steps);
  dpc_json_set_int(json, "chunks", (int64_t)r->chunk.count);
  dpc_json_set(json, "step_us", quantiles(&r->step));
  dpc_json_set(json, "chunk_us", quantiles(&r->chunk));
  dpc_json_set(json, "control_us", quantiles(&r->control));
  dpc_json_set_int(json, "weight_bytes_per_step", (int64_t)r->engine.weight_bytes);
  dpc_json_set_real(json, "multiply_adds_per_step", r->engine.macs);
  dpc_json_set_real(json, "gflops", r->gflops);
  dpc_json_set_real(json, "gbs", r->gbs);
  dpc_json_set_real(json, "peak_gflops", r->peaks.gflops * r->threads);
  dpc_json_set_real(json, "peak_gbs", r->peaks.gbs);
  dpc_json_set_real(json, "compute_us", r->compute_us);
  dpc_json_set_real(json, "read_us", r->read_us);
  dpc_json_set_real(json, "elementwise_us", r->elementwise_us);
  dpc_json_set_real(json, "limit_us", r->limit_us);
  dpc_json_set_int(json, "allocations", r->during.allocations);
  dpc_json_set_int(json, "page_faults", r->during.page_faults);
  dpc_json_set_int(json, "context_switches", r->during.context_switches);
}

dpc_json* dpc_bench_report_machine(const dpc_cpus* cpus, const dpc_bench_result* r) {
  dpc_json* json = dpc_json_object();
  dpc_json_set_text(json, "processor", cpus->model);
  dpc_json_set_int(json, "cpus", cpus->count);
  dpc_json_set_int(json, "cpu", cpus->last);
  dpc_json_set_real(json, "gflops_per_thread", r->peaks.gflops);
  dpc_json_set_real(json, "read_gbs", r->peaks.gbs);
  dpc_json_set_int(json, "read_bytes", (int64_t)r->engine.weight_bytes);
  dpc_json_set_int(json, "read_threads", r->threads);
  dpc_json_set_int(json, "read_streams", r->peaks.streams);
  return json;
}

// --- for people ----------------------------------------------------------------------------------

static void print_quantiles(const dpc_cli* cli, const char* name, const dpc_latency_summary* s) {
  dpc_cli_print(cli, "%-10s %8" PRIu64 " %10.1f %10.1f %10.1f %10.1f %10.2f\n", name, s->count,
                us(s->p50), us(s->p99), us(s->p999), us(s->max), tail(s));
}

void dpc_bench_print(const dpc_cli* cli, const dpc_bench_result* r) {
  const dpc_engine_info* engine = &r->engine;
  dpc_cli_print(cli, "%s on %s, threads: %d, steps per chunk: %d\n\n", engine->precision,
                engine->isa, r->threads, r->steps);
  dpc_cli_print(cli, "%-10s %8s %10s %10s %10s %10s %10s\n", "us", "count", "p50", "p99", "p99.9",
                "max", "p99.9/p50");
  print_quantiles(cli, "step", &r->step);
  print_quantiles(cli, "chunk", &r->chunk);
  print_quantiles(cli, "control", &r->control);
  dpc_cli_print(
      cli, "\nallocations %" PRId64 ", page faults %" PRId64 ", context switches %" PRId64 "\n",
      r->during.allocations, r->during.page_faults, r->during.context_switches);
  dpc_cli_print(cli,
                "a step reads %.2f MB of weights at %.1f GB/s and computes at %.1f GFLOP/s\n"
                "this machine reads as much at %.1f GB/s (%.1f us) and computes at %.1f GFLOP/s "
                "(%.1f us)\n",
                (double)engine->weight_bytes * 1e-6, r->gbs, r->gflops, r->peaks.gbs, r->read_us,
                r->peaks.gflops * r->threads, r->compute_us);
  dpc_cli_print(cli,
                "limit %.1f us, the longer one and %.1f us element by element; a step takes %.2f "
                "of it\n",
                r->limit_us, r->elementwise_us, over_limit(r));
}

void dpc_bench_print_heading(const dpc_cli* cli) {
  dpc_cli_print(cli,
                "\nTimes in us; tail and control are p99.9/p50 of the chunks and of the control.\n"
                "%-7s %-9s %-11s %7s %9s %9s %6s %6s %8s %10s %10s %10s %6s %8s\n",
                "size", "precision", "isa", "threads", "step p50", "limit", "ratio", "GB/s",
                "GFLOP/s", "chunk p50", "p99", "p99.9", "tail", "control");
}

void dpc_bench_print_line(const dpc_cli* cli, const dpc_bench_result* r) {
  dpc_cli_print(cli, "%-7s %-9s %-11s %7d %9.1f %9.1f %6.2f %6.1f %8.1f ", r->size,
                r->engine.precision, r->engine.isa, r->threads, us(r->step.p50), r->limit_us,
                over_limit(r), r->gbs, r->gflops);
  dpc_cli_print(cli, "%10.1f %10.1f %10.1f %6.2f %8.2f\n", us(r->chunk.p50), us(r->chunk.p99),
                us(r->chunk.p999), tail(&r->chunk), tail(&r->control));
}
