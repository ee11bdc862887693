"""Compiled layer norms with GELU after them, and with what comes before them: one pass over rows that stay in cache.

Numbers agree with PyTorch's to the rounding of float32.
"""

from __future__ import annotations

import numpy as np
from numba import njit

# Sums in any order, products and sums in one rounding; division as IEEE has it, without an error for 0. Infinities
# and NaNs are not foreseen: who calls has checked what comes in.
_FAST = {"contract", "reassoc", "nnan", "ninf", "nsz", "arcp"}

_END = np.float32(5.4)
"""Beyond, the normal distribution function is 0 or 1 to half of float32's last digit."""

_ZERO, _HALF, _ONE = np.float32(0), np.float32(0.5), np.float32(1)

# x P(x²) / Q(x²) is the distribution function less 1/2: least squares over 0..5.4, relative error 1.3e-8.
_P0, _P1, _P2 = np.float32(0.398942275415343), np.float32(0.033028205595351856), np.float32(0.004628878965798207)
_P3, _P4, _P5 = (
    np.float32(0.00016068154301484316),
    np.float32(6.323487851061481e-06),
    np.float32(2.3591034602490542e-08),
)
_Q1, _Q2, _Q3 = np.float32(0.2494558981369023), np.float32(0.028179395682534268), np.float32(0.0018385784905542923)
_Q4, _Q5 = np.float32(7.11678769319915e-05), np.float32(1.2198079500072125e-06)


@njit(cache=True, nogil=True, fastmath=_FAST, error_model="numpy")
def norm_members(
    rows: np.ndarray,
    values: np.ndarray,
    column: np.ndarray,
    scale: np.ndarray,
    shift: np.ndarray,
    eps: np.float32,
    out: np.ndarray,
) -> None:
    """``out = gelu(norm(rows + values[:, None] * column))`` of float32 ``rows`` (R, C) and ``values`` (R,)."""
    row = np.empty(rows.shape[1], np.float32)
    for r in range(len(rows)):
        value = values[r]
        for c in range(len(row)):
            row[c] = rows[r, c] + value * column[c]
        _norm_gelu(row, scale, shift, eps, out[r])


@njit(cache=True, nogil=True, fastmath=_FAST, error_model="numpy")
def norm_patches(rows: np.ndarray, told: np.ndarray, scale: np.ndarray, shift: np.ndarray, eps: np.float32) -> None:
    """``rows = gelu(norm(rows + told))``; each row of ``told`` (P, C) is for the next R / P of ``rows`` (R, C)."""
    row = np.empty(rows.shape[1], np.float32)
    size = len(rows) // len(told)
    for r in range(len(rows)):
        for c in range(len(row)):
            row[c] = rows[r, c] + told[r // size, c]
        _norm_gelu(row, scale, shift, eps, rows[r])


@njit(cache=True, nogil=True, fastmath=_FAST, error_model="numpy")
def norm_interpolated(
    features: np.ndarray,
    near: np.ndarray,
    weights: np.ndarray,
    scale: np.ndarray,
    shift: np.ndarray,
    eps: np.float32,
    out: np.ndarray,
) -> None:
    """``out[n] = gelu(norm(sum of weights[n, i] * features[near[n, i]]))``; ``near`` and ``weights`` (N, 3)."""
    row = np.empty(features.shape[1], np.float32)
    for n in range(len(near)):
        a, b, c = features[near[n, 0]], features[near[n, 1]], features[near[n, 2]]
        of_a, of_b, of_c = weights[n, 0], weights[n, 1], weights[n, 2]
        for i in range(len(row)):
            row[i] = of_a * a[i] + of_b * b[i] + of_c * c[i]
        _norm_gelu(row, scale, shift, eps, out[n])


@njit(cache=True, nogil=True, fastmath=_FAST, error_model="numpy")
def _norm_gelu(row: np.ndarray, scale: np.ndarray, shift: np.ndarray, eps: np.float32, out: np.ndarray) -> None:
    total = _ZERO
    for c in range(len(row)):
        total += row[c]
    mean = total / np.float32(len(row))
    squares = _ZERO
    for c in range(len(row)):
        squares += (row[c] - mean) * (row[c] - mean)
    narrow = _ONE / np.sqrt(squares / np.float32(len(row)) + eps)
    for c in range(len(row)):
        x = (row[c] - mean) * narrow * scale[c] + shift[c]
        z = min(max(x, -_END), _END)
        s = z * z
        over = ((((_P5 * s + _P4) * s + _P3) * s + _P2) * s + _P1) * s + _P0
        under = ((((_Q5 * s + _Q4) * s + _Q3) * s + _Q2) * s + _Q1) * s + _ONE
        out[c] = x * (_HALF + z * over / under)
