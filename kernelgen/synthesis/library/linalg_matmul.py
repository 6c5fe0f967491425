"""The tiled matrix product and its launcher, for the matmul family and for linear algebra; holds no operator itself."""

import torch
import triton
import triton.language as tl

from kernelgen.synthesis.library.host import _COMPUTE


@triton.jit
def _matmul_kernel(
    out,
    left,
    right,
    bias,
    rows,
    columns,
    inner,
    outer,
    alpha,
    beta,
    out_stride,
    left_stride,
    right_stride,
    bias_stride,
    HAS_BIAS: tl.constexpr,
    USE_DOT: tl.constexpr,
    COMPUTE: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    # out[b, m, n] = beta * bias[b, m, n] + alpha * sum over o, k of left[b, o, m, k] * right[b, o, k, n]
    across = tl.cdiv(columns, BLOCK_N)
    tiles = tl.cdiv(rows, BLOCK_M) * across
    batch = (tl.program_id(0) // tiles).to(tl.int64)
    tile = tl.program_id(0) % tiles
    m = ((tile // across) * BLOCK_M + tl.arange(0, BLOCK_M)).to(tl.int64)
    n = ((tile % across) * BLOCK_N + tl.arange(0, BLOCK_N)).to(tl.int64)
    step = tl.arange(0, BLOCK_K).to(tl.int64)
    left_row = left + batch * left_stride[0] + m[:, None] * left_stride[2]
    right_column = right + batch * right_stride[0] + n[None, :] * right_stride[3]
    total = tl.zeros([BLOCK_M, BLOCK_N], COMPUTE)
    for o in range(outer):
        for start in range(0, inner, BLOCK_K):
            k = start + step
            x = tl.load(
                left_row + o * left_stride[1] + k[None, :] * left_stride[3],
                mask=(m < rows)[:, None] & (k < inner)[None, :],
                other=0,
            ).to(COMPUTE)
            y = tl.load(
                right_column + o * right_stride[1] + k[:, None] * right_stride[2],
                mask=(k < inner)[:, None] & (n < columns)[None, :],
                other=0,
            ).to(COMPUTE)
            if USE_DOT:
                total = tl.dot(x, y, total, input_precision="ieee", out_dtype=COMPUTE)
            else:
                total += tl.sum(x[:, :, None] * y[None, :, :], axis=1).to(COMPUTE)
    live = (m < rows)[:, None] & (n < columns)[None, :]
    total = total * alpha
    if HAS_BIAS:
        where = bias + batch * bias_stride[0] + m[:, None] * bias_stride[1] + n[None, :] * bias_stride[2]
        total += tl.load(where, mask=live, other=0).to(COMPUTE) * beta
    place = out + batch * out_stride[0] + m[:, None] * out_stride[1] + n[None, :] * out_stride[2]
    tl.store(place, total.to(out.dtype.element_ty), mask=live)


def _gemm(out, left, right, bias=None, beta=1, alpha=1):
    # out [B, M, N] = beta * bias + alpha * (left [B, O, M, K] times right [B, O, K, N], summed over O); any strides.
    batch, outer, rows, inner = left.shape
    columns = right.shape[3]
    if right.shape[0] != batch or right.shape[1] != outer or right.shape[2] != inner:
        raise RuntimeError("the shapes of the two matrices do not fit each other")
    if left.dtype != right.dtype or (bias is not None and bias.dtype != left.dtype):
        raise RuntimeError("expected operands of the same dtype")
    if out.numel() == 0:
        return out
    floating = left.dtype.is_floating_point
    if columns == 1:
        use_dot, block_m, block_n, block_k = False, 1 if rows == 1 else 16, 1, 1024 if rows == 1 else 128
    elif floating:
        use_dot, block_m, block_n, block_k = True, 16 if rows <= 16 else 64, 16 if columns <= 16 else 64, 32
    else:
        use_dot, block_m, block_n, block_k = False, 16, 16, 16
    has_bias = bias is not None and beta != 0
    number = float if floating else int
    _matmul_kernel[(triton.cdiv(rows, block_m) * triton.cdiv(columns, block_n) * batch,)](
        out,
        left,
        right,
        bias if has_bias else out,
        rows,
        columns,
        inner,
        outer,
        number(alpha),
        number(beta),
        out.stride(),
        left.stride(),
        right.stride(),
        bias.stride() if has_bias else out.stride(),
        HAS_BIAS=has_bias,
        USE_DOT=use_dot,
        COMPUTE=_COMPUTE[left.dtype],
        BLOCK_M=block_m,
        BLOCK_N=block_n,
        BLOCK_K=block_k,
    )
    return out


def _matmul(left, right):
    # The product of two 3-D batches of matrices, as a new tensor.
    out = torch.empty((left.shape[0], left.shape[1], right.shape[2]), dtype=left.dtype, device=left.device)
    return _gemm(out, left.unsqueeze(1), right.unsqueeze(1))
