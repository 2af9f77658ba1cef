/// Inside the probes: one table per file. Used by probe.c and nobody else.
#pragma once

#include "policy/kernels/probe.h"

extern const dpc_probe dpc_probe_avx2;
extern const dpc_probe dpc_probe_avx2_vnni;
extern const dpc_probe dpc_probe_avx512;
extern const dpc_probe dpc_probe_avx512_vnni;
extern const dpc_probe dpc_probe_avx512_bf16;
extern const dpc_probe dpc_probe_neon;
extern const dpc_probe dpc_probe_neon_dot;
