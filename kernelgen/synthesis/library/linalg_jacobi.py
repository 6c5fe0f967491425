"""Jacobi rotations: singular values and vectors of any matrix, eigenvalues and eigenvectors of a symmetric one.

One-sided and cyclic two-sided Jacobi as in Golub and Van Loan, Matrix Computations, sections 8.5 and 8.6. Vectors have
the orthogonality of float64; the sign of each is free, as PyTorch documents.
"""

import torch
import triton
import triton.language as tl

from kernelgen.synthesis.library.host import _copy_into
from kernelgen.synthesis.library.linalg_dense import _identity, _part, _vector_dot
from kernelgen.synthesis.library.linalg_qr import _eye_like, _factor_qr, _reflect


@triton.jit
def _rotate(x, y, step, length, c, s, BLOCK: tl.constexpr):
    # (x, y) = (c x - s y, s x + c y)
    lane = tl.arange(0, BLOCK).to(tl.int64)
    for r in range(0, length, BLOCK):
        i = r + lane
        a = tl.load(x + i * step, mask=i < length, other=0).to(tl.float64)
        b = tl.load(y + i * step, mask=i < length, other=0).to(tl.float64)
        tl.store(x + i * step, c * a - s * b, mask=i < length)
        tl.store(y + i * step, s * a + c * b, mask=i < length)
    tl.debug_barrier()


@triton.jit
def _rotation(alpha, beta, gamma):
    # Cosine and sine of the rotation that makes [[alpha, gamma], [gamma, beta]] diagonal; gamma is not zero.
    zeta = (beta - alpha) / (2.0 * gamma)
    tangent = tl.where(zeta < 0, -1.0, 1.0) / (tl.abs(zeta) + tl.sqrt(1.0 + zeta * zeta))
    c = 1.0 / tl.sqrt(1.0 + tangent * tangent)
    return c, c * tangent


@triton.jit
def _square_norms(w, norms, size, length, BLOCK: tl.constexpr):
    # norms[i] = the squared norm of row i of w; returns their sum.
    lane = tl.arange(0, BLOCK).to(tl.int64)
    whole = tl.zeros([BLOCK], tl.float64)
    for r in range(0, size, BLOCK):
        i = r + lane
        total = tl.zeros([BLOCK], tl.float64)
        for s in range(0, length, BLOCK):
            k = s + lane
            live = (i < size)[:, None] & (k < length)[None, :]
            value = tl.load(w + i[:, None] * length + k[None, :], mask=live, other=0).to(tl.float64)
            total += tl.sum(value * value, axis=1)
        tl.store(norms + i, total, mask=i < size)
        whole += total
    tl.debug_barrier()
    return tl.sum(whole, axis=0)


@triton.jit
def _coupled(w, norms, p, size, length, epsilon, floor, BLOCK: tl.constexpr):
    # How many rows after row p are not yet orthogonal to it.
    lane = tl.arange(0, BLOCK).to(tl.int64)
    own = tl.load(norms + p).to(tl.float64)
    count = tl.zeros([BLOCK], tl.int32)
    for r in range(p + 1, size, BLOCK):
        i = r + lane
        total = tl.zeros([BLOCK], tl.float64)
        for s in range(0, length, BLOCK):
            k = s + lane
            live = (i < size)[:, None] & (k < length)[None, :]
            value = tl.load(w + i[:, None] * length + k[None, :], mask=live, other=0).to(tl.float64)
            x = tl.load(w + tl.cast(p, tl.int64) * length + k, mask=k < length, other=0).to(tl.float64)
            total += tl.sum(value * x[None, :], axis=1)
        other = tl.load(norms + i, mask=i < size, other=0).to(tl.float64)
        limit = tl.maximum(epsilon * tl.sqrt(own) * tl.sqrt(other), floor)
        count += (tl.abs(total) > limit).to(tl.int32)
    return tl.sum(count, axis=0)


@triton.jit
def _svd_kernel(w, v, values, order, size, length, epsilon, BLOCK: tl.constexpr):
    # Make the rows of w [size, length] orthogonal, the same rotations applied to the rows of v. values are the rows'
    # norms and order[i] the place of row i when they descend. Products far below the whole's rounding count as zero.
    batch = tl.program_id(0).to(tl.int64)
    w += batch * size * length
    v += batch * size * size
    values += batch * size
    order += batch * size
    changed = size * 0 + 1
    sweep = size * 0
    while (changed > 0) & (sweep < 60):
        changed = size * 0
        floor = _square_norms(w, values, size, length, BLOCK) * 1e-20
        for p in range(size - 1):
            if _coupled(w, values, p, size, length, epsilon, floor, BLOCK) > 0:
                x = w + tl.cast(p, tl.int64) * length
                for q in range(p + 1, size):
                    y = w + tl.cast(q, tl.int64) * length
                    alpha = _vector_dot(x, 1, x, 1, 0, length, BLOCK)
                    beta = _vector_dot(y, 1, y, 1, 0, length, BLOCK)
                    gamma = _vector_dot(x, 1, y, 1, 0, length, BLOCK)
                    if tl.abs(gamma) > tl.maximum(epsilon * tl.sqrt(alpha) * tl.sqrt(beta), floor):
                        changed += 1
                        c, s = _rotation(alpha, beta, gamma)
                        _rotate(x, y, 1, length, c, s, BLOCK)
                        _rotate(v + tl.cast(p, tl.int64) * size, v + tl.cast(q, tl.int64) * size, 1, size, c, s, BLOCK)
        sweep += 1
    _square_norms(w, values, size, length, BLOCK)
    lane = tl.arange(0, BLOCK)
    for r in range(0, size, BLOCK):
        i = r + lane
        tl.store(values + i, tl.sqrt(tl.load(values + i, mask=i < size, other=0).to(tl.float64)), mask=i < size)
    tl.debug_barrier()
    _rank(values, order, size, True, BLOCK)


@triton.jit
def _rank(values, order, size, DESCENDING: tl.constexpr, BLOCK: tl.constexpr):
    # order[i] = the number of values that come before values[i]; equal ones, and NaN, keep their order.
    lane = tl.arange(0, BLOCK)
    for p in range(size):
        own = tl.load(values + p + lane * 0).to(tl.float64)
        before = tl.zeros([BLOCK], tl.int32)
        for r in range(0, size, BLOCK):
            i = r + lane
            other = tl.load(values + i, mask=i < size, other=0).to(tl.float64)
            ahead = other > own if DESCENDING else other < own
            unordered = (other == own) | (other != other) | (own != own)
            ahead = (i < size) & (ahead | (unordered & (i < p)))
            before += ahead.to(tl.int32)
        tl.store(order + p, tl.sum(before, axis=0))


@triton.jit
def _eigh_kernel(a, v, values, order, size, epsilon, BLOCK: tl.constexpr):
    # Make the symmetric a diagonal by rotations of its rows and columns; the rows of v become the eigenvectors.
    batch = tl.program_id(0).to(tl.int64)
    a += batch * size * size
    v += batch * size * size
    values += batch * size
    order += batch * size
    norm = tl.sqrt(_vector_dot(a, 1, a, 1, 0, size * size, BLOCK))
    changed = size * 0 + 1
    sweep = size * 0
    while (changed > 0) & (sweep < 60):
        changed = size * 0
        for p in range(size - 1):
            row_p = a + tl.cast(p, tl.int64) * size
            for q in range(p + 1, size):
                row_q = a + tl.cast(q, tl.int64) * size
                gamma = tl.load(row_p + q).to(tl.float64)
                if tl.abs(gamma) > epsilon * norm:
                    changed += 1
                    c, s = _rotation(tl.load(row_p + p).to(tl.float64), tl.load(row_q + q).to(tl.float64), gamma)
                    tl.debug_barrier()
                    _rotate(row_p, row_q, 1, size, c, s, BLOCK)
                    _rotate(a + p, a + q, size, size, c, s, BLOCK)
                    _rotate(v + tl.cast(p, tl.int64) * size, v + tl.cast(q, tl.int64) * size, 1, size, c, s, BLOCK)
        sweep += 1
    for p in range(size):
        tl.store(values + p, tl.load(a + tl.cast(p, tl.int64) * (size + 1)).to(tl.float64))
    tl.debug_barrier()
    _rank(values, order, size, False, BLOCK)


@triton.jit
def _arrange_kernel(out, rows, sorted_values, values, order, size, length, BLOCK: tl.constexpr):
    # out[:, order[i]] = rows[i], sorted_values[order[i]] = values[i]; out is [length, size].
    batch = tl.program_id(0).to(tl.int64)
    lane = tl.arange(0, BLOCK).to(tl.int64)
    for i in range(size):
        place = tl.load(order + batch * size + i).to(tl.int64)
        tl.store(sorted_values + batch * size + place, tl.load(values + batch * size + i).to(tl.float64))
        for r in range(0, length, BLOCK):
            k = r + lane
            value = tl.load(rows + (batch * size + i) * length + k, mask=k < length, other=0).to(tl.float64)
            tl.store(out + batch * size * length + k * size + place, value, mask=k < length)


@triton.jit
def _match_signs_kernel(v, r, rows, size, width, BLOCK: tl.constexpr):
    # Negate column j of v [rows, size] where the diagonal of r [.., width] is negative there.
    batch = tl.program_id(0).to(tl.int64)
    lane = tl.arange(0, BLOCK).to(tl.int64)
    for s in range(0, size, BLOCK):
        j = s + lane
        negative = tl.load(r + batch * rows * width + j * (width + 1), mask=j < size, other=0).to(tl.float64) < 0
        for i in range(size):
            place = v + (batch * size + i) * size + j
            value = tl.load(place, mask=j < size, other=0).to(tl.float64)
            tl.store(place, tl.where(negative, -value, value), mask=j < size)


def _arrange(rows, values, order):
    # Rows, put in order, as columns [batch, length, size], and the values in order.
    batch, size, length = rows.shape
    out = torch.empty((batch, length, size), dtype=torch.float64, device=rows.device)
    ordered = torch.empty((batch, size), dtype=torch.float64, device=rows.device)
    if batch and size:
        _arrange_kernel[(batch,)](out, rows, ordered, values, order, size, length, BLOCK=32)
    return out, ordered


def _singular(a, wide):
    # Of a tall scratch batch [batch, length, size], destroyed: left vectors [batch, length, wide], values
    # [batch, size], right vectors [batch, size, size] as columns. The rotations act on the R of a QR factorisation, so
    # little is left to rotate when the rank is low. wide 0: the values alone count.
    batch, length, size = a.shape
    tau = _factor_qr(a)
    rows = torch.empty((batch, size, size), dtype=torch.float64, device=a.device)
    _part(rows, a, 2)
    turned = _identity(batch, size, a)
    values = torch.empty((batch, size), dtype=torch.float64, device=a.device)
    order = torch.empty((batch, size), dtype=torch.int32, device=a.device)
    if batch and size:
        _svd_kernel[(batch,)](rows, turned, values, order, size, size, 1e-15, BLOCK=32)
    scaled, ordered = _arrange(rows, values, order)
    inner, _ = _arrange(turned, values, order)
    if wide == 0:
        return inner, ordered, scaled
    # Orthonormal right vectors, for zero singular values too: the Q of the QR of right vectors times values.
    factors = _factor_qr(scaled)
    right = _reflect(_identity(batch, size, a), scaled, factors, False)
    if batch and size:
        _match_signs_kernel[(batch,)](inner, scaled, size, size, size, BLOCK=32)
    left = _eye_like(batch, length, wide, a)
    if inner.numel():
        _copy_into(left.narrow(1, 0, size).narrow(2, 0, size), inner)
    return _reflect(left, a, tau, False), ordered, right


def _symmetric(a):
    # Eigenvalues, ascending [batch, size], and eigenvectors as columns, of a symmetric scratch batch (destroyed).
    batch, size, _ = a.shape
    turned = _identity(batch, size, a)
    values = torch.empty((batch, size), dtype=torch.float64, device=a.device)
    order = torch.empty((batch, size), dtype=torch.int32, device=a.device)
    if batch and size:
        _eigh_kernel[(batch,)](a, turned, values, order, size, 1e-16, BLOCK=32)
    vectors, ordered = _arrange(turned, values, order)
    return ordered, vectors


@triton.jit
def _mirror_kernel(a, size, LOWER: tl.constexpr, BLOCK: tl.constexpr):
    # Copy one triangle onto the other.
    batch = tl.program_id(0).to(tl.int64)
    a += batch * size * size
    lane = tl.arange(0, BLOCK).to(tl.int64)
    for r in range(0, size, BLOCK):
        i = (r + lane)[:, None]
        for s in range(0, size, BLOCK):
            k = (s + lane)[None, :]
            keep = (k < i) & (i < size)
            if LOWER:
                value = tl.load(a + i * size + k, mask=keep, other=0).to(tl.float64)
                tl.store(a + k * size + i, value, mask=keep)
            else:
                value = tl.load(a + k * size + i, mask=keep, other=0).to(tl.float64)
                tl.store(a + i * size + k, value, mask=keep)


def _mirror(a, lower):
    if a.numel():
        _mirror_kernel[(a.shape[0],)](a, a.shape[1], LOWER=lower, BLOCK=32)
    return a
