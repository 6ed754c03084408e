"""The 4x4 convolution of stride 1 with a quarter of its products: Winograd's F(3x3, 4x4).

An output tile of 3 x 3 needs 36 products a pair of channels instead of 144. Tiles and kernel are
transformed, multiplied as 36 matrix products, and transformed back. Gradients take the transposes
of the same three transforms.

Source: Winograd 1980; Lavin and Gray 2016 (arXiv:1509.09308); the matrices are Cook's and Toom's
at the points 0, 1, -1, 1/2, -1/2 and infinity.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

VERSION: Final = 1
"""Recipe version: raised by hand when :func:`convolve` gives other numbers."""
TILE: Final = 3
KERNEL: Final = 4
POINTS: Final = (0.0, 1.0, -1.0, 0.5, -0.5)


def transforms(
    tile: int, kernel: int, points: tuple[float, ...]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the matrices A, G, B of ``y = A [(G w) * (B x)]``, the valid correlation of x and w.

    Args:
        tile: outputs.
        kernel: taps.
        points: tile + kernel - 2 different numbers; infinity joins them.

    Returns:
        float64 ``(tile, n)``, ``(n, kernel)`` and ``(n, n)``, n = tile + kernel - 1.
    """
    n = tile + kernel - 1
    out, taps, inputs = np.zeros((tile, n)), np.zeros((n, kernel)), np.zeros((n, n))
    at = np.asarray(points)
    for column, point in enumerate(at):
        others = np.delete(at, column)
        out[:, column] = point ** np.arange(tile)
        taps[column] = point ** np.arange(kernel) / np.prod(point - others)
        inputs[column, :-1] = np.poly(others)[::-1]
    out[-1, -1] = taps[-1, -1] = 1.0
    inputs[-1] = np.poly(at)[::-1]
    return out, taps, inputs


class _Planes(NamedTuple):
    """The transforms of both axes at once, and their transposes, all contiguous float32."""

    out: Tensor
    taps: Tensor
    inputs: Tensor
    out_t: Tensor
    taps_t: Tensor
    inputs_t: Tensor


@cache
def _planes() -> _Planes:
    both = [np.kron(matrix, matrix) for matrix in transforms(TILE, KERNEL, POINTS)]
    with torch.inference_mode(mode=False):
        there = [torch.from_numpy(matrix.astype(np.float32)) for matrix in both]
        return _Planes(*there, *(matrix.t().contiguous() for matrix in there))


def convolve(images: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Convolve with 4 x 4 kernels, stride 1, padding 1, on a processor.

    Args:
        images: float32 ``(n, c, h, w)``, channels last.
        weight: float32 ``(o, c, 4, 4)``.
        bias: float32 ``(o,)``.

    Returns:
        ``(n, o, h - 1, w - 1)``, channels last, equal to a direct convolution to about 1e-5 of the
        largest output.
    """
    out: Tensor = _Convolution.apply(images, weight, bias)
    return out


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        n, c, h, w = images.shape
        outputs, (rows, columns) = weight.shape[0], (-(-(h - 1) // TILE), -(-(w - 1) // TILE))
        right, below = TILE * (columns + 1) - w - 1, TILE * (rows + 1) - h - 1
        padded = functional.pad(images.permute(0, 2, 3, 1), (0, 0, 1, right, 1, below))
        padded = padded.contiguous()
        by_image, by_row, by_column, _ = padded.stride()
        side = TILE + KERNEL - 1
        tiles = padded.as_strided(
            (side, side, n, rows, columns, c),
            (by_row, by_column, by_image, TILE * by_row, TILE * by_column, 1),
        )
        seen = (_planes().inputs @ tiles.reshape(side**2, -1)).view(side**2, -1, c)
        taps = weight.permute(2, 3, 1, 0).reshape(KERNEL**2, -1)
        kernels = (_planes().taps @ taps).view(side**2, c, outputs)
        products = torch.bmm(seen, kernels).view(side**2, -1)
        tiled = (_planes().out @ products).view(TILE, TILE, n, rows, columns, outputs)
        whole = tiled.permute(2, 3, 0, 4, 1, 5).reshape(n, TILE * rows, TILE * columns, outputs)
        ctx.save_for_backward(seen, kernels)
        ctx.sizes = (n, c, h, w, outputs, rows, columns)
        return torch.add(whole[:, : h - 1, : w - 1], bias).permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        seen, kernels = ctx.saved_tensors
        n, c, h, w, outputs, rows, columns = ctx.sizes
        laid = gradient.permute(0, 2, 3, 1)
        right, below = TILE * columns - w + 1, TILE * rows - h + 1
        tiled = functional.pad(laid, (0, 0, 0, right, 0, below)).view(
            n, rows, TILE, columns, TILE, outputs
        )
        flat = tiled.permute(2, 4, 0, 1, 3, 5).reshape(TILE**2, -1)
        slopes = (_planes().out_t @ flat).view(len(kernels), -1, outputs)
        of_images = of_weight = of_bias = None
        if ctx.needs_input_grad[0]:
            back = torch.bmm(slopes, kernels.transpose(1, 2)).view(len(kernels), -1)
            of_images = _together(_planes().inputs_t @ back, n, rows, columns, c)[:, :, :h, :w]
            of_images = of_images.contiguous(memory_format=torch.channels_last)
        if ctx.needs_input_grad[1]:
            taps = torch.bmm(seen.transpose(1, 2), slopes).view(len(kernels), -1)
            square = (_planes().taps_t @ taps).view(KERNEL, KERNEL, c, outputs)
            of_weight = square.permute(3, 2, 0, 1)
        if ctx.needs_input_grad[2]:
            of_bias = laid.sum(dim=(0, 1, 2))
        return of_images, of_weight, of_bias


def _together(tiles: Tensor, n: int, rows: int, columns: int, c: int) -> Tensor:
    """Add up overlapping 6 x 6 tiles, 3 apart; ``(n, c, h, w)`` without the first row and column.

    A tile is 2 x 2 blocks of 3 x 3, and blocks do not overlap within one of the four.
    """
    blocks = tiles.view(2, TILE, 2, TILE, n, rows, columns, c)
    total = tiles.new_zeros(n, rows + 1, TILE, columns + 1, TILE, c)
    for down in (0, 1):
        for across in (0, 1):
            part = blocks[down, :, across].permute(2, 3, 0, 4, 1, 5)
            total[:, down : down + rows, :, across : across + columns] += part
    whole = total.view(n, TILE * (rows + 1), TILE * (columns + 1), c)
    return whole[:, 1:, 1:].permute(0, 3, 1, 2)
