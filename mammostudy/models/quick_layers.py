"""The 4x4 convolutions of the cGAN for training on a processor: channels last, quicker gradients.

Weights, names and results stay those of torch's layers, but for rounding and for the order in
which dropout draws. What is slow in torch, and what is done instead:

- the gradient of a batch norm that gets a slice of channels (of a concatenation): it is copied;
- gradients of weights in channels last: the pixels of large images are folded 2 x 2 into channels,
  and four matrix products remain; small images are turned to torch's usual layout;
- stride 1: Winograd's F(3x3, 4x4), a quarter of the products (Lavin and Gray 2016);
- a layer to a few channels: one matrix product, whose columns are added up.
"""

from __future__ import annotations

import ctypes
import platform
from functools import cache, partial
from itertools import product
from typing import Any, Final, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

Gradients = tuple[Tensor | None, ...]
LARGE, FEW, DEEP = 64, 3, 32  # pixels a side to fold from, channels to add up columns, to fold
TILE, KERNEL, SIDE = 3, 4, 6
LAID: Final = partial(Tensor.contiguous, memory_format=torch.channels_last)
POINTS: Final = (0.0, 1.0, -1.0, 0.5, -0.5)


def lay_channels_last(network: nn.Module) -> nn.Module:
    """Make a network's 4x4 convolutions and its batch norms quick, in place.

    Other layers, and networks on another device, stay as they are; parameters keep their identity.
    """
    if any(each.device.type != "cpu" for each in network.parameters()):
        return network
    network.to(memory_format=torch.channels_last)
    for layer in network.modules():
        if type(layer) is nn.BatchNorm2d:
            layer.__class__ = _BatchNorm
        elif type(layer) in (nn.Conv2d, nn.ConvTranspose2d) and _fits(layer):
            layer.__class__ = _Up if isinstance(layer, nn.ConvTranspose2d) else _Down
    return network


def _fits(layer: Any) -> bool:
    strided = layer.stride == (2, 2) or (layer.stride, layer.transposed) == ((1, 1), False)
    shape = (layer.kernel_size, layer.padding, layer.dilation, layer.groups, layer.padding_mode)
    return strided and shape == ((4, 4), (1, 1), (1, 1), 1, "zeros") and layer.bias is not None


class _BatchNorm(nn.BatchNorm2d):
    def forward(self, values: Tensor) -> Tensor:
        normed: Tensor = super().forward(values)
        if normed.requires_grad:
            normed.register_hook(LAID)  # type: ignore[no-untyped-call]
        return normed


class _Down(nn.Conv2d):
    def forward(self, images: Tensor) -> Tensor:
        strided = self.stride == (2, 2) or self.out_channels <= FEW
        return _apply(_Strided if strided else _Winograd, images, self, self.stride[0])


class _Up(nn.ConvTranspose2d):
    def forward(self, images: Tensor, output_size: list[int] | None = None) -> Tensor:
        return _apply(_UpToFew if self.out_channels <= FEW else _Strided, images, self, -2)


def _apply(function: Any, images: Tensor, layer: Any, stride: int) -> Tensor:
    return cast(Tensor, function.apply(images, layer.weight, layer.bias, stride))


class _Strided(torch.autograd.Function):
    """Convolution of stride 1 or 2; of stride -2 the transposed one, which is 2's gradient."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(images, weight)
        ctx.stride = stride
        convolve = functional.conv2d if stride > 0 else functional.conv_transpose2d
        return convolve(images, weight, bias, abs(stride), 1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Gradients:
        (images, weight), stride, gradient = ctx.saved_tensors, ctx.stride, LAID(gradient)
        of_images = of_weight = None
        if ctx.needs_input_grad[0] and stride < 0:
            of_images = functional.conv2d(gradient, weight, None, 2, 1)
        elif ctx.needs_input_grad[0]:
            of_images = _torch_gradient(0, gradient, images, weight, stride=stride)
        if ctx.needs_input_grad[1]:
            below, above = (images, gradient) if stride > 0 else (gradient, images)
            of_weight = _of_weight(below, above, weight, abs(stride))
        of_bias = gradient.permute(0, 2, 3, 1).reshape(-1, gradient.shape[1]).sum(dim=0)
        return of_images, of_weight, of_bias, None


class _UpToFew(torch.autograd.Function):
    """Transposed convolution of stride 2 to a few channels: a product, and its columns added up."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, bias: Tensor, _: int) -> Tensor:
        n, c, h, w = images.shape
        ctx.save_for_backward(images, weight)
        pixels = images.permute(0, 2, 3, 1).reshape(n, h * w, c)
        columns = weight.reshape(c, -1).t() @ pixels.transpose(1, 2)
        out = functional.fold(columns, (2 * h, 2 * w), 4, padding=1, stride=2)
        return out + bias[:, None, None]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Gradients:
        images, weight = ctx.saved_tensors
        n, c, h, w = images.shape
        columns = functional.unfold(gradient, 4, padding=1, stride=2)
        spread = columns.transpose(1, 2) @ weight.reshape(c, -1).t()
        pixels = images.permute(0, 2, 3, 1).reshape(n, h * w, c)
        of_images = spread.view(n, h, w, c).permute(0, 3, 1, 2)
        of_weight = (columns @ pixels).sum(dim=0).t().reshape(weight.shape)
        return of_images, of_weight, gradient.sum(dim=(0, 2, 3)), None


class _Winograd(torch.autograd.Function):
    """Convolution of stride 1; gradients take the transposes of the same three transforms."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, bias: Tensor, _: int) -> Tensor:
        (n, c, h, w), outputs = images.shape, weight.shape[0]
        rows, columns = -(-(h - 1) // TILE), -(-(w - 1) // TILE)
        right, below = TILE * (columns + 1) - w - 1, TILE * (rows + 1) - h - 1
        padded = functional.pad(images.permute(0, 2, 3, 1), (0, 0, 1, right, 1, below)).contiguous()
        image, row, column, _ = padded.stride()
        steps = (row, column, image, TILE * row, TILE * column, 1)
        tiles = padded.as_strided((SIDE, SIDE, n, rows, columns, c), steps)
        out, of_taps, of_inputs = _planes()[:3]
        seen = (of_inputs @ tiles.reshape(SIDE**2, -1)).view(SIDE**2, -1, c)
        kernels = of_taps @ weight.permute(2, 3, 1, 0).reshape(KERNEL**2, -1)
        kernels = kernels.view(SIDE**2, c, outputs)
        tiled = out @ torch.bmm(seen, kernels).view(SIDE**2, -1)
        tiled = tiled.view(TILE, TILE, n, rows, columns, outputs)
        whole = tiled.permute(2, 3, 0, 4, 1, 5).reshape(n, TILE * rows, TILE * columns, outputs)
        ctx.save_for_backward(seen, kernels)
        ctx.sizes = (n, c, h, w, outputs, rows, columns)
        return torch.add(whole[:, : h - 1, : w - 1], bias).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Gradients:
        seen, kernels = ctx.saved_tensors
        n, c, h, w, outputs, rows, columns = ctx.sizes
        laid = gradient.permute(0, 2, 3, 1)
        right, below = TILE * columns - w + 1, TILE * rows - h + 1
        padded = functional.pad(laid, (0, 0, 0, right, 0, below))
        tiled = padded.view(n, rows, TILE, columns, TILE, outputs)
        out_t, taps_t, inputs_t = _planes()[3:]
        slopes = out_t @ tiled.permute(2, 4, 0, 1, 3, 5).reshape(TILE**2, -1)
        slopes = slopes.view(SIDE**2, -1, outputs)
        back = torch.bmm(slopes, kernels.transpose(1, 2)).view(SIDE**2, -1)
        of_images = LAID(_together(inputs_t @ back, n, rows, columns, c)[:, :, :h, :w])
        of_weight = None
        if ctx.needs_input_grad[1]:
            taps = torch.bmm(seen.transpose(1, 2), slopes).view(SIDE**2, -1)
            of_weight = (taps_t @ taps).view(KERNEL, KERNEL, c, outputs).permute(3, 2, 0, 1)
        return of_images, of_weight, laid.sum(dim=(0, 1, 2)), None


def transforms() -> list[NDArray[np.float64]]:
    """The A, G, B of ``y = A [(G w) * (B x)]`` (Cook, Toom): correlation of 6 values and 4 taps."""
    out, taps, inputs = np.zeros((TILE, SIDE)), np.zeros((SIDE, KERNEL)), np.zeros((SIDE, SIDE))
    at = np.asarray(POINTS)
    for column, point in enumerate(at):
        others = np.delete(at, column)
        out[:, column] = point ** np.arange(TILE)
        taps[column] = point ** np.arange(KERNEL) / np.prod(point - others)
        inputs[column, :-1] = np.poly(others)[::-1]
    out[-1, -1] = taps[-1, -1] = 1.0
    inputs[-1] = np.poly(at)[::-1]
    return [out, taps, inputs]


@cache
def _planes() -> list[Tensor]:
    """The transforms of both axes at once, then their transposes: contiguous float32."""
    both = [np.kron(matrix, matrix) for matrix in transforms()]
    with torch.inference_mode(mode=False):
        there = [torch.from_numpy(matrix).float() for matrix in both]
        return [*there, *(matrix.t().contiguous() for matrix in there)]


def _together(tiles: Tensor, n: int, rows: int, columns: int, c: int) -> Tensor:
    """Add up overlapping 6 x 6 tiles, 3 apart, without the first row and column."""
    blocks = tiles.view(2, TILE, 2, TILE, n, rows, columns, c)
    total = tiles.new_zeros(n, rows + 1, TILE, columns + 1, TILE, c)
    for down, across in product((0, 1), (0, 1)):  # no overlap within one of these four
        part = blocks[down, :, across].permute(2, 3, 0, 4, 1, 5)
        total[:, down : down + rows, :, across : across + columns] += part
    whole = total.view(n, TILE * (rows + 1), TILE * (columns + 1), c)
    return whole[:, 1:, 1:].permute(0, 3, 1, 2)


def _of_weight(images: Tensor, gradient: Tensor, weight: Tensor, stride: int) -> Tensor:
    """The gradient of 4x4 weights; ``gradient`` of the output is channels last."""
    (c, h, w), outputs = images.shape[1:], gradient.shape[1]
    if min(c, outputs) < DEEP:
        return _torch_gradient(1, gradient, images, weight, stride=stride)
    if stride == 2 and min(h, w) >= LARGE and h % 2 == w % 2 == 0:
        return _by_products(images, gradient)
    usual = (_usual(gradient), _usual(images), weight.contiguous())
    return _torch_gradient(1, *usual, stride=stride)


def _by_products(images: Tensor, gradient: Tensor) -> Tensor:
    """The gradient of the weights at stride 2: folded, they have 2 x 2 taps, each a product."""
    (n, c, h, w), outputs = images.shape, gradient.shape[1]
    pixels = images.permute(0, 2, 3, 1)
    folded = images.new_zeros(n, h // 2 + 1, w // 2 + 1, 2, 2, c)
    folded[:, 1:, 1:, 0, 0] = pixels[:, 1::2, 1::2]
    folded[:, 1:, :-1, 0, 1] = pixels[:, 1::2, 0::2]
    folded[:, :-1, 1:, 1, 0] = pixels[:, 0::2, 1::2]
    folded[:, :-1, :-1, 1, 1] = pixels[:, 0::2, 0::2]
    margined = gradient.new_zeros(n, h // 2 + 1, w // 2 + 1, outputs)
    margined[:, :-1, :-1] = gradient.permute(0, 2, 3, 1)
    left, right = margined.view(-1, outputs), folded.view(-1, 4 * c)
    taps = images.new_empty(2, 2, outputs, 4 * c)
    for down, across in product((0, 1), (0, 1)):
        shift = down * (w // 2 + 1) + across
        torch.mm(left[: len(left) - shift].t(), right[shift:], out=taps[down, across])
    return taps.view(2, 2, outputs, 2, 2, c).permute(2, 5, 0, 3, 1, 4).reshape(outputs, c, 4, 4)


def _torch_gradient(at: int, gradient: Tensor, *conv: Tensor, stride: int) -> Tensor:
    """What torch finds for a convolution's images (at 0) or weights (at 1)."""
    sizes, asked = ([1, 1], [1, 1], False, [0, 0], 1), [at == 0, at == 1, False]
    backward = torch.ops.aten.convolution_backward
    return cast(Tensor, backward(gradient, *conv, None, [stride] * 2, *sizes, asked)[at])


def _usual(values: Tensor) -> Tensor:
    """Copy to torch's usual layout, image by image: quicker than at once."""
    n, c, h, w = values.shape
    out = values.new_empty(n, c, h * w)
    for each, image in zip(out, values.permute(0, 2, 3, 1).reshape(n, h * w, c), strict=True):
        each.copy_(image.t())
    return out.view(n, c, h, w)


def keep_freed_memory() -> None:
    """Ask glibc, where it is the C library, to keep what is freed (manual, 3.2.3.7).

    It maps each block above 32 MiB anew: every step of training would pay for fresh zeroed pages.
    """
    if platform.system() == "Linux" and platform.libc_ver()[0] == "glibc":
        mallopt = ctypes.CDLL(None).mallopt
        for name, value in ((-4, 0), (-1, 2**31 - 1), (-2, 64 * 2**20)):
            mallopt(name, value)  # M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD
