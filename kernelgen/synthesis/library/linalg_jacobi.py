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
def _pairs(turn, lane, size):
    # The pairs (p, q), p < q, of one turn of a round-robin tournament of `size` players, and which of them exist. Turns
    # 0 .. size - 1 (- 2 for an even size) pair everyone with everyone, and the pairs of a turn share no player.
    seats = size + size % 2
    around = seats - 1
    one = tl.where(lane == 0, around, (turn + lane) % around)
    two = (turn + around - lane) % around
    live = (lane < seats // 2) & (one < size) & (two < size)
    return tl.minimum(one, two).to(tl.int64), tl.maximum(one, two).to(tl.int64), live


@triton.jit
def _rotate(x, p, q, live, row, column, length, c, s, BLOCK: tl.constexpr):
    # (x[p], x[q]) = (c x[p] - s x[q], s x[p] + c x[q]) for every live pair; a row's elements are `column` apart.
    lane = tl.arange(0, BLOCK).to(tl.int64)
    for r in range(0, length, BLOCK):
        k = r + lane
        keep = live[:, None] & (k < length)[None, :]
        one = x + p[:, None] * row + k[None, :] * column
        two = x + q[:, None] * row + k[None, :] * column
        a = tl.load(one, mask=keep, other=0).to(tl.float64)
        b = tl.load(two, mask=keep, other=0).to(tl.float64)
        tl.store(one, c[:, None] * a - s[:, None] * b, mask=keep)
        tl.store(two, s[:, None] * a + c[:, None] * b, mask=keep)
    tl.debug_barrier()


@triton.jit
def _rotation(alpha, beta, gamma, active):
    # Cosine and sine of the rotation that makes [[alpha, gamma], [gamma, beta]] diagonal; none where not active.
    zeta = (beta - alpha) / (2.0 * tl.where(active, gamma, 1.0))
    tangent = tl.where(zeta < 0, -1.0, 1.0) / (tl.abs(zeta) + tl.sqrt(1.0 + zeta * zeta))
    tangent = tl.where(active, tangent, 0.0)
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
def _svd_kernel(w, v, values, order, size, length, epsilon, BLOCK: tl.constexpr):
    # Make the rows of w [size, length] orthogonal, the same rotations applied to the rows of v. values are the rows'
    # norms and order[i] the place of row i when they descend. Products far below the whole's rounding count as zero.
    batch = tl.program_id(0).to(tl.int64)
    w += batch * size * length
    v += batch * size * size
    values += batch * size
    order += batch * size
    lane = tl.arange(0, BLOCK)
    changed = size * 0 + 1
    sweep = size * 0
    while (changed > 0) & (sweep < 60):
        changed = size * 0
        floor = _square_norms(w, values, size, length, BLOCK) * 1e-20
        for turn in range(size - 1 + size % 2):
            for first in range(0, (size + 1) // 2, BLOCK):
                p, q, live = _pairs(turn, first + lane, size)
                alpha = tl.zeros([BLOCK], tl.float64)
                beta = tl.zeros([BLOCK], tl.float64)
                gamma = tl.zeros([BLOCK], tl.float64)
                for r in range(0, length, BLOCK):
                    k = r + lane
                    keep = live[:, None] & (k < length)[None, :]
                    x = tl.load(w + p[:, None] * length + k[None, :], mask=keep, other=0).to(tl.float64)
                    y = tl.load(w + q[:, None] * length + k[None, :], mask=keep, other=0).to(tl.float64)
                    alpha += tl.sum(x * x, axis=1)
                    beta += tl.sum(y * y, axis=1)
                    gamma += tl.sum(x * y, axis=1)
                limit = tl.maximum(epsilon * tl.sqrt(alpha) * tl.sqrt(beta), floor)
                active = live & (tl.abs(gamma) > limit)
                count = tl.sum(active.to(tl.int32), axis=0)
                tl.debug_barrier()
                if count > 0:
                    changed += count
                    c, s = _rotation(alpha, beta, gamma, active)
                    _rotate(w, p, q, live, length, 1, length, c, s, BLOCK)
                    _rotate(v, p, q, live, size, 1, size, c, s, BLOCK)
        sweep += 1
    _square_norms(w, values, size, length, BLOCK)
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
    lane = tl.arange(0, BLOCK)
    norm = tl.sqrt(_vector_dot(a, 1, a, 1, 0, size * size, BLOCK))
    changed = size * 0 + 1
    sweep = size * 0
    while (changed > 0) & (sweep < 60):
        changed = size * 0
        for turn in range(size - 1 + size % 2):
            for first in range(0, (size + 1) // 2, BLOCK):
                p, q, live = _pairs(turn, first + lane, size)
                gamma = tl.load(a + p * size + q, mask=live, other=0).to(tl.float64)
                active = live & (tl.abs(gamma) > epsilon * norm)
                count = tl.sum(active.to(tl.int32), axis=0)
                if count > 0:
                    changed += count
                    alpha = tl.load(a + p * (size + 1), mask=live, other=0).to(tl.float64)
                    beta = tl.load(a + q * (size + 1), mask=live, other=0).to(tl.float64)
                    tl.debug_barrier()
                    c, s = _rotation(alpha, beta, gamma, active)
                    _rotate(a, p, q, live, size, 1, size, c, s, BLOCK)
                    _rotate(a, p, q, live, 1, size, size, c, s, BLOCK)
                    _rotate(v, p, q, live, size, 1, size, c, s, BLOCK)
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


def _rounding(size):
    # What rounding alone leaves of a product of two unit vectors; rotating further would never end.
    return 2.3e-16 * max(4, size)


def _singular(a, wide):
    # Of a tall scratch batch [batch, length, size], destroyed: left vectors [batch, length, wide], values
    # [batch, size], right vectors [batch, size, size] as columns. The rotations act on the R of a QR factorisation, so
    # little is left to rotate when the rank is low. wide None: the values alone count.
    batch, length, size = a.shape
    tau = _factor_qr(a)
    rows = torch.empty((batch, size, size), dtype=torch.float64, device=a.device)
    _part(rows, a, 2)
    turned = _identity(batch, size, a)
    values = torch.empty((batch, size), dtype=torch.float64, device=a.device)
    order = torch.empty((batch, size), dtype=torch.int32, device=a.device)
    if batch and size:
        _svd_kernel[(batch,)](rows, turned, values, order, size, size, _rounding(size), BLOCK=32)
    scaled, ordered = _arrange(rows, values, order)
    inner, _ = _arrange(turned, values, order)
    if wide is None:
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
        _eigh_kernel[(batch,)](a, turned, values, order, size, _rounding(size), BLOCK=32)
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
