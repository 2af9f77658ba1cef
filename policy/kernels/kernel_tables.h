/// Inside the kernels: the tables, which kernels.c chooses from, and what files lend to them.
#pragma once

#include "policy/kernels/kernels.h"

extern const dpc_kernels dpc_kernels_generic;
extern const dpc_kernels dpc_kernels_avx2;
extern const dpc_kernels dpc_kernels_avx2_vnni;
extern const dpc_kernels dpc_kernels_avx512;
extern const dpc_kernels dpc_kernels_avx512_vnni;
extern const dpc_kernels dpc_kernels_avx512_bf16;
extern const dpc_kernels dpc_kernels_neon;
extern const dpc_kernels dpc_kernels_neon_dot;

// Each is the function of a table that kernels.h describes.

/// dpc_kernels.conv_widened.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_conv_widened_avx2(const dpc_conv_call* call);

/// dpc_kernels.conv_int8.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_conv_int8_avx2(const dpc_conv_call* call);

/// dpc_kernels.conv_int8.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_conv_int8_avx2_vnni(const dpc_conv_call* call);

/// dpc_kernels.to_int8.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_to_int8_avx2(const dpc_int8_call* call);

/// dpc_kernels.conv_widened.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_conv_widened_avx512(const dpc_conv_call* call);

/// dpc_kernels.conv_int8.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_conv_int8_avx512(const dpc_conv_call* call);

/// dpc_kernels.conv_int8.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_conv_int8_avx512_vnni(const dpc_conv_call* call);

/// dpc_kernels.to_int8.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_to_int8_avx512(const dpc_int8_call* call);

/// dpc_kernels.conv_widened.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_conv_widened_neon(const dpc_conv_call* call);

/// dpc_kernels.conv_int8.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_conv_int8_neon(const dpc_conv_call* call);

/// dpc_kernels.conv_int8.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_conv_int8_neon_dot(const dpc_conv_call* call);

/// dpc_kernels.to_int8.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_to_int8_neon(const dpc_int8_call* call);

/// dpc_kernels.conv_bf16.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_conv_bf16_avx512_bf16(const dpc_conv_call* call);

/// dpc_kernels.norm.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_norm_avx512_bf16(const dpc_norm_call* call);

/// dpc_kernels.to_bf16.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_to_bf16_avx512_bf16(int n, const float* from, uint16_t* to);
