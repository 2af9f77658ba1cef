#include "policy/gemm.h"

#include <cblas.h>

dpc_status dpc_gemm_start(dpc_error* error) {
  openblas_set_num_threads(1);
  if (openblas_get_parallel() == OPENBLAS_OPENMP || openblas_get_num_threads() != 1) {
    return dpc_fail(error, DPC_ERR_UNSUPPORTED,
                    "OpenBLAS cannot be held to one thread per caller (%s); install its pthread "
                    "or serial build",
                    openblas_get_config());
  }
  return DPC_OK;
}

void dpc_gemm_nn(int m, int n, int k, const float* a, int lda, const float* b, int ldb, float beta,
                 float* c, int ldc) {
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, n, k, 1, a, lda, b, ldb, beta, c, ldc);
}

void dpc_gemm_nt(int m, int n, int k, const float* a, int lda, const float* b, int ldb, float beta,
                 float* c, int ldc) {
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, n, k, 1, a, lda, b, ldb, beta, c, ldc);
}

void dpc_gemm_tn(int m, int n, int k, const float* a, int lda, const float* b, int ldb, float beta,
                 float* c, int ldc) {
  cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, m, n, k, 1, a, lda, b, ldb, beta, c, ldc);
}
