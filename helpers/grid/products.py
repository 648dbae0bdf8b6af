"""How the matrix products of the fast step are handed to BLAS: every choice that was measured.

A choice depends on the kernels that OpenBLAS has chosen for the processor and on the shape of a
product, never on which networks share a stack: each network is bit for bit the one that is
trained alone. Kernels that are not named here get each product whole.

No product of one network is merged with that of another, although one product for all first
layers would save up to a sixth of a step with Haswell kernels: those sum a row in one of two
orders, by its place among twelve, so a network's bits would depend on its neighbours. (With the
kernels of AVX-512 merging gains nothing.) Left out: what the products mean
(`helpers.grid.workspace`).
"""

import numpy as np

from helpers.grid.machine import blas_kernels

SMALL_PRODUCT = 1_000_000
"""Multiply-adds up to which OpenBLAS takes its small-matrix kernels (measured, not documented)."""
MAX_PIECES = 4
"""Into how many small products a product may be cut; with more, cutting gains nothing."""


def has_small_kernels(dtype):
    """Tell whether OpenBLAS has kernels for small products of this dtype: those of AVX-512."""
    return blas_kernels() == "SkylakeX" and dtype == np.float32


def adds_in_place(matrix, batch_size):
    """Tell whether BLAS adds the first layer's change to its weights: C <- A B + beta C.

    This saves writing the change and reading it again. But it has to be SciPy's BLAS, whose wheel
    carries an older OpenBLAS (0.3.30) than NumPy's (0.3.31), and the older is slower where products
    are not small. So only the small products of AVX-512 kernels are added in place. Microseconds a
    network in a stack of nine, product and sum apart -> in place:

    =========  =====  ============  ============  ============  ============
    kernels    units  Cascade Lake                EPYC (Zen 4)
                      batch 16      batch 64      batch 16      batch 64
    =========  =====  ============  ============  ============  ============
    SkylakeX   30     18.3 -> 11.8  46.8 -> 41.8  10.0 ->  8.3  31.2 -> 29.4
    (cut)      50     36.4 -> 24.3  79.7 -> 67.0  16.7 -> 13.2  48.7 -> 47.0
    Haswell    30     30.2 -> 26.5  72.2 -> 90.6  13.3 -> 14.9  38.6 -> 56.4
    (not cut)  40     38.4 -> 30.3  82.4 -> 98.3  16.2 -> 17.1  46.4 -> 61.8
               50     49.2 -> 36.2  106. -> 116.  19.9 -> 20.0  58.8 -> 73.3
    =========  =====  ============  ============  ============  ============
    """
    is_small = matrix[0].size * batch_size <= MAX_PIECES * SMALL_PRODUCT
    return has_small_kernels(matrix.dtype) and is_small


def wants_images_first(dtype):
    """Tell whether the products delta h.T are faster with a copy of h, images first.

    The kernels for small products do not take a transposed right factor here. Microseconds for
    nine networks, EPYC (Zen 4): transposed, copied, and the copy: 30 units, batch 16: 8.2, 3.9,
    2.0; 30 units, batch 64: 15.4, 11.0, 6.5; 50 units, batch 64: 50.6, 30.3, 9.7.
    """
    return has_small_kernels(dtype)


def num_pieces(matrix, batch_size, length):
    """Say into how many products a product of a matrix and a minibatch is cut.

    The kernels for small products are up to twice as fast as the others; a product a few times
    too large for them is cut along an axis of some `length`. This is worth up to 40 % of it.
    """
    work = matrix.shape[-2] * matrix.shape[-1] * batch_size / SMALL_PRODUCT
    if not has_small_kernels(matrix.dtype) or work > MAX_PIECES:
        return 1
    counts = [count for count in range(1, length + 1) if length % count == 0 and work <= count]
    return min(counts, default=1)  # an axis of one or two cannot be cut finely enough


def cut_columns(matrix, B, out):
    """View the product matrix @ B as several, each with some columns of B."""
    count = num_pieces(matrix, B.shape[-1], B.shape[-1])
    return matrix[..., None, :, :], split_columns(B, count), split_columns(out, count)


def cut_rows(delta, h_transposed, change):
    """View the product delta @ h_transposed as several, each with some rows of delta."""
    count = num_pieces(change, delta.shape[-1], delta.shape[-2])
    return split_rows(delta, count), h_transposed[..., None, :, :], split_rows(change, count)


def split_columns(matrix, count):
    """View a matrix, (..., m, n), as several beside each other, (..., count, m, n / count)."""
    parts = matrix.reshape(*matrix.shape[:-1], count, -1)
    return np.moveaxis(parts, -2, -3)


def split_rows(matrix, count):
    """View a matrix, (..., m, n), as several below each other, (..., count, m / count, n)."""
    return matrix.reshape(*matrix.shape[:-2], count, -1, matrix.shape[-1])
