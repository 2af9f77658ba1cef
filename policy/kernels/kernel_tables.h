/// Inside the kernels: one table per file. Used by kernels.c and nobody else.
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

// What one file lends to others; each is the function of its table that kernels.h describes.

/// dpc_kernels.group.
/// Allocates: no. Blocks: no. Thread: any.
int dpc_group_avx2(int positions);

/// dpc_kernels.conv.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_conv_avx2(const dpc_conv_call* call);

/// dpc_kernels.conv_widened.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_conv_widened_avx2(const dpc_conv_call* call);

/// dpc_kernels.conv_int8.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_conv_int8_avx2(const dpc_conv_call* call);

/// dpc_kernels.norm.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_norm_avx2(const dpc_norm_call* call);

/// dpc_kernels.to_int8.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_to_int8_avx2(const dpc_int8_call* call);

/// dpc_kernels.group.
/// Allocates: no. Blocks: no. Thread: any.
int dpc_group_avx512(int positions);

/// dpc_kernels.conv.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_conv_avx512(const dpc_conv_call* call);

/// dpc_kernels.conv_widened.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_conv_widened_avx512(const dpc_conv_call* call);

/// dpc_kernels.conv_int8.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_conv_int8_avx512(const dpc_conv_call* call);

/// dpc_kernels.norm.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_norm_avx512(const dpc_norm_call* call);

/// dpc_kernels.to_int8.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_to_int8_avx512(const dpc_int8_call* call);

/// dpc_kernels.conv_int8.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_conv_int8_avx512_vnni(const dpc_conv_call* call);

/// dpc_kernels.group.
/// Allocates: no. Blocks: no. Thread: any.
int dpc_group_neon(int positions);

/// dpc_kernels.conv.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_conv_neon(const dpc_conv_call* call);

/// dpc_kernels.conv_widened.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_conv_widened_neon(const dpc_conv_call* call);

/// dpc_kernels.conv_int8.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_conv_int8_neon(const dpc_conv_call* call);

/// dpc_kernels.norm.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_norm_neon(const dpc_norm_call* call);

/// dpc_kernels.to_int8.
/// Allocates: no. Blocks: no. Thread: any.
void dpc_to_int8_neon(const dpc_int8_call* call);
