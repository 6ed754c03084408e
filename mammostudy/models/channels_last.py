"""The 4x4 convolutions of the cGAN for training on a processor: channels last, quicker gradients.

Weights, names and results stay those of torch's layers, but for rounding and for the order in
which dropout draws. What is done, and why:

- channels last: outputs and the gradients of inputs need no change of layout;
- the gradient of a batch norm that gets a slice of channels (of a concatenation) is copied first:
  torch takes another path otherwise, which is tens of times slower;
- gradients of weights are slow in channels last: large images are folded so that each 2 x 2 of
  their pixels is one with four times the channels, and four matrix products remain; small ones
  are turned to torch's usual layout;
- stride 1 goes by :mod:`mammostudy.models.winograd`;
- a layer to a few channels is one matrix product, and its columns are added up.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from mammostudy.models import winograd

VERSION: Final = 1
"""Recipe version: raised by hand when a layer gives other numbers, beyond rounding."""
LAST: Final = torch.channels_last
LARGE: Final = 64
FEW: Final = 3
DEEP: Final = 32


def lay_channels_last(network: nn.Module) -> nn.Module:
    """Make a network's 4x4 convolutions and its batch norms quick, in place.

    Other layers, and layers that are on another device than a processor, are left as they are.
    Parameters keep their identity, so that it does not matter when an optimiser was made.

    Args:
        network: such as :class:`~mammostudy.models.Generator`.

    Returns:
        The network.
    """
    if any(each.device.type != "cpu" for each in network.parameters()):
        return network
    network.to(memory_format=LAST)
    for layer in network.modules():
        if type(layer) is nn.BatchNorm2d:
            layer.__class__ = _BatchNorm
        elif isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and _fits(layer):
            layer.__class__ = _Up if isinstance(layer, nn.ConvTranspose2d) else _Down
    return network


def _fits(layer: nn.Conv2d | nn.ConvTranspose2d) -> bool:
    strides = ((2, 2),) if isinstance(layer, nn.ConvTranspose2d) else ((1, 1), (2, 2))
    return (
        type(layer) in (nn.Conv2d, nn.ConvTranspose2d)
        and layer.kernel_size == (4, 4)
        and layer.stride in strides
        and layer.padding == (1, 1)
        and layer.dilation == (1, 1)
        and layer.groups == 1
        and layer.bias is not None
        and layer.padding_mode == "zeros"
    )


class _BatchNorm(nn.BatchNorm2d):
    def forward(self, values: Tensor) -> Tensor:
        normed: Tensor = super().forward(values)
        if normed.requires_grad:
            normed.register_hook(_laid)  # type: ignore[no-untyped-call]
        return normed


class _Down(nn.Conv2d):
    def forward(self, images: Tensor) -> Tensor:
        if self.bias is None or self.stride == (2, 2) or self.out_channels <= FEW:
            out: Tensor = _Strided.apply(images, self.weight, self.bias, self.stride[0])
            return out
        return winograd.convolve(images, self.weight, self.bias)


class _Up(nn.ConvTranspose2d):
    def forward(self, images: Tensor, output_size: list[int] | None = None) -> Tensor:
        function = _UpToFew if self.out_channels <= FEW else _Transposed
        out: Tensor = function.apply(images, self.weight, self.bias)
        return out


class _Strided(torch.autograd.Function):
    """Convolution of stride 1 or 2."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(images, weight)
        ctx.stride = stride
        return functional.conv2d(images, weight, bias, stride, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        images, weight = ctx.saved_tensors
        gradient = _laid(gradient)
        of_images = of_weight = of_bias = None
        if ctx.needs_input_grad[0]:
            of_images = _torch_gradient(gradient, images, weight, ctx.stride, of_weight=False)
        if ctx.needs_input_grad[1]:
            of_weight = weight_gradient(images, gradient, weight, ctx.stride)
        if ctx.needs_input_grad[2]:
            of_bias = _of_bias(gradient)
        return of_images, of_weight, of_bias, None


class _Transposed(torch.autograd.Function):
    """Transposed convolution of stride 2: the gradient of a convolution of stride 2."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(images, weight)
        return functional.conv_transpose2d(images, weight, bias, 2, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        images, weight = ctx.saved_tensors
        gradient = _laid(gradient)
        of_images = of_weight = of_bias = None
        if ctx.needs_input_grad[0]:
            of_images = functional.conv2d(gradient, weight, None, 2, 1)
        if ctx.needs_input_grad[1]:
            of_weight = weight_gradient(gradient, images, weight, 2)
        if ctx.needs_input_grad[2]:
            of_bias = _of_bias(gradient)
        return of_images, of_weight, of_bias


class _UpToFew(torch.autograd.Function):
    """Transposed convolution of stride 2 to a few channels: a product, and its columns added up."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        n, c, h, w = images.shape
        ctx.save_for_backward(images, weight)
        pixels = images.permute(0, 2, 3, 1).reshape(n, h * w, c)
        columns = weight.reshape(c, -1).t() @ pixels.transpose(1, 2)
        out = functional.fold(columns, (2 * h, 2 * w), 4, padding=1, stride=2)
        return out + bias[:, None, None]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        images, weight = ctx.saved_tensors
        n, c, h, w = images.shape
        columns = functional.unfold(gradient, 4, padding=1, stride=2)
        of_images = of_weight = of_bias = None
        if ctx.needs_input_grad[0]:
            spread = columns.transpose(1, 2) @ weight.reshape(c, -1).t()
            of_images = spread.view(n, h, w, c).permute(0, 3, 1, 2)
        if ctx.needs_input_grad[1]:
            pixels = images.permute(0, 2, 3, 1).reshape(n, h * w, c)
            of_weight = (columns @ pixels).sum(dim=0).t().reshape(weight.shape)
        if ctx.needs_input_grad[2]:
            of_bias = gradient.sum(dim=(0, 2, 3))
        return of_images, of_weight, of_bias


def weight_gradient(images: Tensor, gradient: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Return the gradient of the 4x4 weights of a convolution with padding 1.

    Args:
        images: float32 ``(n, c, h, w)``, what was convolved.
        gradient: float32 ``(n, o, oh, ow)``, of the output; channels last.
        weight: ``(o, c, 4, 4)``.
        stride: 1 or 2.
    """
    (c, h, w), outputs = images.shape[1:], gradient.shape[1]
    if min(c, outputs) < DEEP:
        return _torch_gradient(gradient, images, weight, stride, of_weight=True)
    if stride == 2 and min(h, w) >= LARGE and h % 2 == w % 2 == 0:
        return _by_products(images, gradient)
    images, gradient = _usual(images), _usual(gradient)
    return _torch_gradient(gradient, images, weight.contiguous(), stride, of_weight=True)


def _by_products(images: Tensor, gradient: Tensor) -> Tensor:
    """Return the gradient of the weights at stride 2 as four products over all pixels.

    With 2 x 2 pixels folded into channels the kernel has 2 x 2 taps, each a product of shifted
    rows; the margin of zeros takes care of the edges.
    """
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
    for down in (0, 1):
        for across in (0, 1):
            shift = down * (w // 2 + 1) + across
            torch.mm(left[: len(left) - shift].t(), right[shift:], out=taps[down, across])
    square = taps.view(2, 2, outputs, 2, 2, c).permute(2, 5, 0, 3, 1, 4)
    return square.reshape(outputs, c, 4, 4)


def _torch_gradient(
    gradient: Tensor, images: Tensor, weight: Tensor, stride: int, *, of_weight: bool
) -> Tensor:
    """Return torch's gradient of a convolution's weights, or of its images."""
    found = torch.ops.aten.convolution_backward(
        gradient, images, weight, None, [stride] * 2, [1, 1], [1, 1], False, [0, 0], 1,
        [not of_weight, of_weight, False],
    )  # fmt: skip
    chosen: Tensor = found[int(of_weight)]
    return chosen


def _laid(values: Tensor) -> Tensor:
    return values.contiguous(memory_format=LAST)


def _usual(values: Tensor) -> Tensor:
    """Copy channels-last values to torch's usual layout, image by image: quicker than at once."""
    n, c, h, w = values.shape
    out = values.new_empty(n, c, h * w)
    for each, image in zip(out, values.permute(0, 2, 3, 1).reshape(n, h * w, c), strict=True):
        each.copy_(image.t())
    return out.view(n, c, h, w)


def _of_bias(gradient: Tensor) -> Tensor:
    return gradient.permute(0, 2, 3, 1).reshape(-1, gradient.shape[1]).sum(dim=0)
