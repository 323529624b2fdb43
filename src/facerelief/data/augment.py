"""Batched augmentation in torch, on whatever device the batch is on.

Everything random comes from the generator that is passed in. What moves pixels moves normals.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Generator, Tensor

from facerelief.data.sample import Sample
from facerelief.nn.exposure import luminance
from facerelief.nn.losses import normalize

_ENCODING = 2.2  # exponent from the values of common files to light, about

#: What covers faces: parts of other pictures, or noise.
Occluders = Literal["pictures", "noise"]


@dataclass(frozen=True)
class WarpRange:
    """How far a crop may be moved. Fractions are of the crop's side, angles degrees."""

    rotation: float = 12.0  # standard deviation, cut at two and a half of them
    upside_down: float = 0.0  # probability of a further half turn
    log_scale: float = 0.2  # standard deviation of log scale, cut at two of them
    shift: float = 0.06
    stretch: float = 0.08  # of one image axis against the other: faces are longer or broader
    relief: float = 0.0  # of depth against the image plane
    flip: float = 0.5
    zoom: float = 1.0  # half of the crops are enlarged, up to this factor: parts at finer scale
    # Rotation and shift are the limits of what is drawn evenly, and no standard deviations.
    even: bool = False
    scales: tuple[float, float] | None = None  # least and most, drawn evenly, for log_scale


@dataclass(frozen=True)
class Warp:
    """An affine map of image and surface. ``matrix`` takes output offsets to input offsets."""

    matrix: Tensor  # (B, 2, 2) pixels from the centre, x right, y down
    offset: Tensor  # (B, 2) input pixels from the centre
    relief: Tensor  # (B,) factor on depth beside the one that a plain scaling brings

    def grid(self, size: int, height: int, width: int, samples: int = 1) -> Tensor:
        """(B, size * samples, size * samples, 2) for ``grid_sample`` on (height, width)."""
        steps = size * samples
        axis = (torch.arange(steps, device=self.matrix.device) + 0.5) / samples - size / 2
        extent = torch.tensor([width, height], device=axis.device) / 2
        # Affine: what a column adds, plus what a row adds.
        columns = axis[:, None] * (self.matrix[:, None, :, 0] / extent)
        rows = axis[:, None] * (self.matrix[:, None, :, 1] / extent)
        rows = rows + (self.offset / extent)[:, None]
        return rows[:, :, None] + columns[:, None]

    def normals(self, normals: Tensor) -> Tensor:
        """Turn (B, 3, H, W) normals with the surface; the result is unit where the input is not 0.

        With depth scaled like the image, a surface z(x) becomes s z(M x): its normal is
        (M^T n_xy, n_z / s) with s = |det M|^(-1/2), in axes with y up.
        """
        flip = torch.tensor([1.0, -1.0], device=normals.device)
        matrix = self.matrix * flip[:, None] * flip[None, :]
        scale = torch.linalg.det(matrix).abs().rsqrt() * self.relief
        xy = torch.einsum("bji,bjhw->bihw", matrix, normals[:, :2])
        turned = torch.cat([xy, normals[:, 2:] / scale[:, None, None, None]], 1)
        return normalize(turned)

    def apply(self, channels: Tensor, size: int, samples: int = 1) -> Tensor:
        """Resample (B, C, H, W) to (B, C, size, size); black outside.

        ``samples``, a power of two, is of positions a pixel and axis, averaged against aliasing.
        """
        height, width = channels.shape[-2:]
        grid = self.grid(size, height, width, samples)
        out = F.grid_sample(channels, grid, align_corners=False)
        for _ in range(samples.bit_length() - 1):
            out = _halved(out)
        return out


def random_warp(count: int, zoom: float, unit: float, ranges: WarpRange, g: Generator) -> Warp:
    """Warps around a plain resampling.

    Args:
        zoom: input pixels per output pixel when nothing is varied.
        unit: the crop's side in input pixels, which shifts are fractions of.
    """

    def drawn(shape: int | tuple[int, ...], cut: float) -> Tensor:
        if ranges.even:
            return _uniform(shape, -1, 1, g)
        return torch.randn(shape, generator=g).clamp(-cut, cut)

    angle = torch.deg2rad(drawn(count, 2.5) * ranges.rotation)
    angle = angle + math.pi * (torch.rand(count, generator=g) < ranges.upside_down)
    if ranges.scales is None:
        log_scale = torch.randn(count, generator=g).clamp(-2, 2) * ranges.log_scale
    else:
        log_scale = _uniform(count, *ranges.scales, g).log()
    stretch = torch.randn(count, generator=g).clamp(-2, 2) * ranges.stretch / 2
    mirror = torch.where(torch.rand(count, generator=g) < ranges.flip, -1.0, 1.0)
    cos, sin = angle.cos(), angle.sin()
    rotation = torch.stack([cos, -sin, sin, cos], -1).view(-1, 2, 2)
    axes = torch.stack([mirror * torch.exp(stretch), torch.exp(-stretch)], -1)
    enlarge = ranges.zoom ** torch.rand(count, generator=g)
    enlarge = torch.where(torch.rand(count, generator=g) < 0.5, enlarge, 1.0)
    matrix = axes[:, :, None] * rotation * (zoom * torch.exp(-log_scale) / enlarge)[:, None, None]
    offset = drawn((count, 2), 2) * ranges.shift * unit
    # What enlarging pushes out of the picture is looked at too.
    room = 0.35 * unit * (1 - 1 / enlarge)
    offset = offset + (torch.rand(count, 2, generator=g) * 2 - 1) * room[:, None]
    relief = torch.exp(torch.randn(count, generator=g).clamp(-2, 2) * ranges.relief)
    return Warp(matrix, offset, relief)


@dataclass(frozen=True)
class PhotometricRange:
    """Probabilities and strengths of what cameras and files do to a picture."""

    gain: float = 0.3  # standard deviation of log gain
    gamma: float = 0.25  # of log gamma
    tint: float = 0.12  # of log colour gains
    contrast: float = 0.15
    noise: float = 0.02  # largest standard deviation
    grey: float = 0.3
    blur: float = 0.25
    low_resolution: float = 0.15
    jpeg: float = 0.3
    channels: tuple[float, float] | None = None  # factors of the three colours, drawn evenly
    linear: float = 0.0  # probability that values are linear in light, as those of cameras are


#: Pictures as they are.
NO_PHOTOMETRIC = PhotometricRange(0, 0, 0, 0, 0, 0, 0, 0, 0)


def photometric(image: Tensor, ranges: PhotometricRange, g: Generator) -> Tensor:
    """Vary exposure, colour and quality of (B, 3, H, W) pictures in [0, 1]."""
    count = len(image)

    def factor(scale: float, channels: int = 1) -> Tensor:
        return torch.exp(torch.randn(count, channels, 1, 1, generator=g) * scale)

    image = image * factor(ranges.gain) * factor(ranges.tint, 3)
    if ranges.channels is not None:
        image = image * _uniform((count, 3, 1, 1), *ranges.channels, g)
    image = image.clamp(0, 1).clamp_min(1e-4)
    if ranges.linear:
        image = torch.where(_chosen(count, ranges.linear, g), image**_ENCODING, image)
    image = image ** factor(ranges.gamma)
    mean = image.mean((1, 2, 3), keepdim=True)
    image = (image - mean) * factor(ranges.contrast) + mean

    grey = _chosen(count, ranges.grey, g)
    image = torch.where(grey, luminance(image), image)
    image = image.contiguous()
    chosen = _chosen(count, ranges.blur, g).flatten()
    image[chosen] = _blurred(image[chosen], g)
    chosen = _chosen(count, ranges.low_resolution, g).flatten()
    low = _halved(image[chosen])
    image[chosen] = F.interpolate(low, scale_factor=2.0, mode="bilinear")
    strength = torch.rand(count, 1, 1, 1, generator=g) ** 2 * ranges.noise
    noise = torch.randn(image.shape, generator=g)
    # A grey file has one noise for its three channels.
    noise = torch.where(grey, noise[:, :1], noise)
    image = (image + noise * strength).clamp(0, 1)
    return _jpeg(image, ranges.jpeg, g)


def frame(sample: Sample, probability: float, g: Generator) -> Sample:
    """Cut some pictures by the edges of a photo: beyond some of them is black, and no face.

    Each edge takes up to 18 % of the picture.
    """
    count, size = len(sample), sample.image.shape[-1]
    cut = torch.rand(count, 4, generator=g) * 0.18
    cut = cut * (torch.rand(count, 4, generator=g) < 0.6)
    cut = cut * (torch.rand(count, 1, generator=g) < probability)
    axis = (torch.arange(size) + 0.5) / size
    columns = (axis > cut[:, :1]) & (axis < 1 - cut[:, 1:2])
    rows = (axis > cut[:, 2:3]) & (axis < 1 - cut[:, 3:])
    inside = (rows[:, None, :, None] & columns[:, None, None, :]).float()
    return replace(
        sample,
        image=sample.image * inside,
        normals=sample.normals * inside,
        normals_mask=sample.normals_mask * inside,
        face_mask=sample.face_mask * inside,
    )


def spoil(
    sample: Sample,
    occluded: float,
    ranges: PhotometricRange,
    g: Generator,
    occluders: Occluders = "pictures",
) -> Sample:
    """Cover some faces, then vary exposure and quality.

    Args:
        occluders: parts of the batch's other pictures, or noise.
    """
    if occluders == "noise":
        textures = noise_textures(len(sample), sample.image.shape[-1], g)
    else:
        textures = sample.image
    sample = occlude(sample, occluded, textures, g)
    return replace(sample, image=photometric(sample.image, ranges, g))


def occlude(sample: Sample, probability: float, textures: Tensor, g: Generator) -> Sample:
    """Cover parts of the faces with blobs and bars of other pictures or of plain colour.

    Args:
        textures: (T, 3, H, W) pictures in [0, 1] to cut the occluders from.
    """
    chosen = torch.nonzero(_chosen(len(sample), probability, g).flatten()).flatten()
    count, (height, width) = len(chosen), sample.image.shape[-2:]
    if not count:
        return sample
    y = torch.linspace(-1, 1, height).view(1, -1, 1)
    x = torch.linspace(-1, 1, width).view(1, 1, -1)
    centre = _uniform((count, 2), -1.0, 1.0, g)
    angle = _uniform(count, 0, math.pi, g).view(-1, 1, 1)
    radius = _uniform((count, 2), 0.1, 0.5, g)
    dx, dy = x - centre[:, 0].view(-1, 1, 1), y - centre[:, 1].view(-1, 1, 1)
    u = (dx * angle.cos() + dy * angle.sin()) / radius[:, 0].view(-1, 1, 1)
    v = (dy * angle.cos() - dx * angle.sin()) / radius[:, 1].view(-1, 1, 1)
    # The exponent runs from a diamond over an ellipse to nearly a rectangle.
    power = _uniform(count, 1.0, 6.0, g).view(-1, 1, 1)
    inside = (u.abs() ** power + v.abs() ** power < 1)[:, None]

    fill = textures[torch.randint(len(textures), (count,), generator=g)].flip(-1)
    plain = torch.rand(count, 3, 1, 1, generator=g).expand_as(fill)
    fill = torch.where(_chosen(count, 0.5, g), plain, fill)

    def covered(channels: Tensor, by: Tensor | float) -> Tensor:
        out = channels.clone()
        out[chosen] = torch.where(inside, torch.as_tensor(by), channels[chosen])
        return out

    return replace(
        sample,
        image=covered(sample.image, fill),
        normals=covered(sample.normals, 0.0),
        normals_mask=covered(sample.normals_mask, 0.0),
        face_mask=covered(sample.face_mask, 0.0),
        # Where the face's outline is unknown an occluder is still known not to be face.
        face_known=covered(sample.face_known, 1.0),
    )


def noise_textures(count: int, size: int, g: Generator) -> Tensor:
    """(count, 3, size, size) in [0, 1]: coloured noise whose grain is any from a pixel to half."""
    octaves = int(math.log2(size))
    chosen = torch.randint(octaves, (count,), generator=g).tolist()
    made = []
    for octave in chosen:
        grains = torch.rand(1, 3, *(max(size >> octave, 2),) * 2, generator=g)
        made.append(F.interpolate(grains, size=size, mode="bilinear"))
    return torch.cat(made)


def _halved(image: Tensor) -> Tensor:
    """Average pooling by two; on CPUs several times faster than PyTorch's."""
    rows = image[..., ::2, :] + image[..., 1::2, :]
    return (rows[..., ::2] + rows[..., 1::2]) * 0.25


def _uniform(shape: int | tuple[int, ...], low: float, high: float, g: Generator) -> Tensor:
    return torch.rand(shape, generator=g) * (high - low) + low


def _chosen(count: int, probability: float, g: Generator) -> Tensor:
    return torch.rand(count, 1, 1, 1, generator=g) < probability


def _blurred(image: Tensor, g: Generator) -> Tensor:
    """One Gaussian of random width for the batch, as two separable passes."""
    sigma = float(_uniform(1, 0.5, 1.6, g)) * image.shape[-1] / 128
    taps = torch.arange(-3, 4, dtype=torch.float32) * max(1.0, image.shape[-1] / 128)
    kernel = torch.exp(-0.5 * (taps / sigma) ** 2)
    kernel = (kernel / kernel.sum()).view(1, 1, 1, -1).expand(3, 1, 1, -1)
    image = F.conv2d(F.pad(image, (3, 3, 0, 0), mode="replicate"), kernel, groups=3)
    return F.conv2d(F.pad(image, (0, 0, 3, 3), mode="replicate"), kernel.mT, groups=3)


def _jpeg(image: Tensor, probability: float, g: Generator) -> Tensor:
    """Pass some pictures through a real JPEG encoder (on the CPU, wherever they are)."""
    chosen = torch.nonzero(_chosen(len(image), probability, g).flatten()).flatten().tolist()
    if not chosen:
        return image
    out = image.clone()
    qualities = torch.randint(25, 95, (len(chosen),), generator=g).tolist()
    for index, quality in zip(chosen, qualities, strict=True):
        pixels = (image[index].permute(1, 2, 0).cpu().numpy() * 255).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
        decoded = np.asarray(Image.open(buffer))
        out[index] = torch.from_numpy(decoded.copy()).permute(2, 0, 1).to(image) / 255
    return out
