/// The one door to OpenBLAS. Matrices are row-major; each call runs in the thread that makes it.
#pragma once

#include "policy/base.h"

/// Set OpenBLAS to one thread per caller and check that it took effect. Once, before other threads.
/// DPC_ERR_UNSUPPORTED when the library keeps its own threads (an OpenMP build).
/// Allocates: OpenBLAS's own buffers. Blocks: no. Thread: start-up only.
DPC_NODISCARD dpc_status dpc_gemm_start(dpc_error* error);

/// c = a b + beta c, with a [m x k], b [k x n], c [m x n]; lda, ldb, ldc floats from row to row.
/// Allocates: OpenBLAS's own buffers. Blocks: no. Thread: any.
void dpc_gemm_nn(int m, int n, int k, const float* a, int lda, const float* b, int ldb, float beta,
                 float* c, int ldc);

/// c = a b' + beta c, with a [m x k], b [n x k], c [m x n].
/// Allocates: OpenBLAS's own buffers. Blocks: no. Thread: any.
void dpc_gemm_nt(int m, int n, int k, const float* a, int lda, const float* b, int ldb, float beta,
                 float* c, int ldc);

/// c = a' b + beta c, with a [k x m], b [k x n], c [m x n].
/// Allocates: OpenBLAS's own buffers. Blocks: no. Thread: any.
void dpc_gemm_tn(int m, int n, int k, const float* a, int lda, const float* b, int ldb, float beta,
                 float* c, int ldc);
