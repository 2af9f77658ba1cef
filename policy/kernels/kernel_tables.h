/// Inside the kernels: one table per file. Used by kernels.c and nobody else.
#pragma once

#include "policy/kernels/kernels.h"

extern const dpc_kernels dpc_kernels_generic;
extern const dpc_kernels dpc_kernels_avx2;
extern const dpc_kernels dpc_kernels_avx512;
extern const dpc_kernels dpc_kernels_avx512_bf16;

// Functions that one file lends to the next: what an instruction set does not do better.
int dpc_group_generic(int positions);
void dpc_conv_bf16_generic(const dpc_conv_call* call);
void dpc_to_bf16_generic(int n, const float* from, uint16_t* to);
int dpc_group_avx512(int positions);
void dpc_conv_avx512(const dpc_conv_call* call);
void dpc_norm_avx512(const dpc_norm_call* call);
