#include "runtime/safety.h"

#include <math.h>

dpc_gate_report dpc_gate_pass(const dpc_gate* gate, const float* wanted, const float* fallback,
                              int dim, float* out) {
  dpc_gate_report report = {0};
  for (int i = 0; i < dim; ++i) report.rejected |= !isfinite(wanted[i]);
  const float* from = report.rejected ? fallback : wanted;
  for (int i = 0; i < dim; ++i) {
    const float value = from[i];
    const float held = value < gate->low ? gate->low : value > gate->high ? gate->high : value;
    report.clamped += held != value;
    out[i] = held;
  }
  return report;
}
