"""The one batch type that every data set gives and every system trains on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


@dataclass(frozen=True)
class Shapes:
    """Where the skin is in the pictures of a batch: UV position maps (PRNet), or some points of it.

    Maps are in the built-in head's layout, which `facerelief.data.positions` knows, as it knows
    which points these are. Positions are x right, y down, z nearer, in half picture sides from the
    middle.
    """

    position: Tensor  # (B, 3, S, S)
    known: Tensor  # (B,) float in [0, 1]: how far a map is believed, 0 for none
    points: Tensor  # (B, N, 3); z is right but for a shift
    points_known: Tensor  # (B, N, 2) float in [0, 1]: how far x with y, and z, are believed


@dataclass(frozen=True)
class Heads:
    """What a model of heads would say of the pictures of a batch: the face model's coefficients."""

    identity: Tensor  # (B, K) standard deviations
    expression: Tensor  # (B, E) weights in [0, 1]
    distance: Tensor  # (B,) mm from the camera to the head's origin
    albedo: Tensor  # (B, 3, H, W) sRGB in [0, 1] of what the picture shows
    known: Tensor  # (B,) bool: without it all of that is zero


@dataclass(frozen=True)
class Layouts:
    """Coarse faces in the layout of the head, for pictures that are laid out in it themselves.

    Their `Sample` has texels where others have pixels: its image has the channels of
    `geometry.laid_out.CHANNELS`, its normals are those with the true relief, and its face is what
    the picture shows, in [0, 1].
    """

    position: Tensor  # (B, 3, S, S) camera space, mm
    normals: Tensor  # (B, 3, S, S) unit, camera space
    light: Tensor  # (B, 9, 3) harmonics, fitted


@dataclass(frozen=True)
class Sample:
    """A batch of crops with what is known about them. Every truth has its own mask.

    A kind of truth that few sources have is a group of tensors, a dataclass as `Shapes` is, or
    None; whatever moves samples about moves every group.

    Normals are unit vectors in camera space (x right, y up, z towards the viewer), channels first.
    """

    image: Tensor  # (B, 3, H, W) float, RGB in [0, 1]
    normals: Tensor  # (B, 3, H, W) float; zero where unknown
    normals_mask: Tensor  # (B, 1, H, W) float in [0, 1]: where the normals are known
    face_mask: Tensor  # (B, 1, H, W) float in [0, 1]: visible face
    face_known: Tensor  # (B, 1, H, W) float in [0, 1]: where face_mask is known
    weak: Tensor  # (B,) bool: the normals are a smooth teacher's, not measured
    pictured: Tensor  # (B,) bool: there is a picture; where there is none, image is zero
    estimated: Tensor  # (B,) bool: a network said the normals; nobody knows how far it erred
    shapes: Shapes | None = None  # of sources that were asked for them
    heads: Heads | None = None  # likewise
    layouts: Layouts | None = None  # of sources that lay faces out

    def __len__(self) -> int:
        return len(self.image)

    @property
    def measured_mask(self) -> Tensor:
        """(B, 1, H, W): ``normals_mask`` of the samples whose normals are measured."""
        return self.normals_mask * ~self.weak.view(-1, 1, 1, 1)

    def need_shapes(self) -> Shapes:
        """The shapes. Raises ValueError where there are none."""
        if self.shapes is None:
            raise ValueError("PRNet learns from position maps: sources need the option positions")
        return self.shapes

    def need_heads(self) -> Heads:
        """The coefficients. Raises ValueError where there are none."""
        if self.heads is None:
            raise ValueError("coefficients are to be learnt: sources need the option heads")
        return self.heads

    def need_layouts(self) -> Layouts:
        """The layouts. Raises ValueError where there are none."""
        if self.layouts is None:
            raise ValueError("relief is learnt from laid_photos and laid_renderings alone")
        return self.layouts

    def map(self, change: Callable[[Tensor], Tensor]) -> Sample:
        """Every tensor changed."""
        return mapped(self, change)

    def chosen(self, flags: Tensor) -> Sample:
        """The samples that a (B,) bool tensor marks."""
        return self if flags.all() else self.map(lambda tensor: tensor[flags])

    def first(self, count: int) -> Sample:
        """The first samples, ``count`` at most."""
        return self.map(lambda tensor: tensor[:count])

    def to(self, device: torch.device | str) -> Sample:
        """The batch on another device."""
        return self.map(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Sample:
        """The batch in page-locked memory (called by the data loader for GPUs)."""
        return self.map(Tensor.pin_memory)


def concatenate(batches: list[Sample]) -> Sample:
    """One batch out of several.

    Raises:
        ValueError: some have a kind of truth, shapes for one, and others not.
    """
    joined: Sample = _joined(batches, "samples")
    return joined


def mapped(tree: T, change: Callable[[Tensor], Tensor]) -> T:
    """Every tensor changed in a tensor, a dataclass or tuple of such things, or None."""
    result: Any = tree
    if isinstance(tree, Tensor):
        result = change(tree)
    elif isinstance(tree, tuple):
        result = tuple(mapped(part, change) for part in tree)
    elif is_dataclass(tree) and not isinstance(tree, type):
        parts = {f.name: mapped(getattr(tree, f.name), change) for f in fields(tree)}
        result = replace(tree, **parts)
    return result


def _joined(trees: Sequence[Any], name: str) -> Any:
    """Trees as `mapped` takes them, of the same form, as one."""
    if isinstance(trees[0], Tensor):
        return torch.cat(list(trees))
    absent = sum(tree is None for tree in trees)
    if absent == len(trees):
        return None
    if absent:
        raise ValueError(f"some sources give {name} and others do not (shapes: option positions)")
    parts = {
        f.name: _joined([getattr(tree, f.name) for tree in trees], f.name) for f in fields(trees[0])
    }
    return replace(trees[0], **parts)
