"""Rendered heads with exact truth, read from the shards that `facerelief synth` writes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor

from facerelief.data import augment, positions
from facerelief.data import heads as head_models
from facerelief.data.sample import Heads, Sample, Shapes
from facerelief.geometry.uv import filled
from facerelief.samples.files import SampleError
from facerelief.samples.shards import ShardReader


class Renderings:
    """A source of rendered samples.

    Args:
        folder: of shards, relative to the working directory; margin: the `--margin` that they
            were drawn with.
        framed: share of samples that an edge of a photo cuts: black beyond.
        warp, photometric, occluded, occluders: what is varied.
        pictured: give the pictures too, not the normals alone.
        limit: of the heads only so many, the first ones.
        positions: give UV position maps too, which the folder must hold.
        heads: give what the face model says of the heads too; the z of position maps is then that
            along the ray to the head (see `data.heads.nearness`).

    Raises:
        FileNotFoundError: no heads there.
    """

    def __init__(
        self,
        folder: Path | str,
        margin: float = 1.0,
        warp: augment.WarpRange | None = None,
        photometric: augment.PhotometricRange | None = None,
        occluded: float = 0.15,
        occluders: augment.Occluders = "pictures",
        framed: float = 0.25,
        pictured: bool = True,
        limit: int | None = None,
        positions: bool = False,
        heads: bool = False,
    ) -> None:
        # Poses, light and cameras vary in the pictures already.
        self.warp = warp or augment.WarpRange(rotation=8, log_scale=0.12, stretch=0.06)
        self.photometric = photometric or augment.PhotometricRange(gain=0.2, gamma=0.2, tint=0.06)
        self.occluded, self.occluders = occluded, occluders
        self.framed, self.margin = framed, margin
        self.pictured, self.positions, self.heads = pictured, positions, heads
        try:
            self.reader = ShardReader(Path(folder))
        except SampleError:
            raise FileNotFoundError(
                f"no rendered heads in {folder}: make them with"
                f" facerelief synth --margin {margin} -o {folder}"
            ) from None
        self.count = min(limit or len(self.reader), len(self.reader))

    def batch(self, count: int, size: int, g: Generator) -> Sample:
        """``count`` samples of ``size`` x ``size`` pixels."""
        places = torch.randint(self.count, (count,), generator=g).tolist()
        pictures = [self.reader.training(place) for place in places]
        photo = _planes(np.stack([p.photo for p in pictures])) / 255
        normals = _planes(np.stack([p.normals for p in pictures]))
        face, hidden = (
            torch.from_numpy(np.stack(masks))[:, None].float()
            for masks in ([p.mask for p in pictures], [p.occluder for p in pictures])
        )
        unit = photo.shape[-1] / self.margin
        warp = augment.random_warp(count, unit / size, unit, self.warp, g)
        image = warp.apply(photo, size, samples=2 if unit > 1.5 * size else 1)
        # Weighting by the face before resampling keeps what lies beyond its outline from leaking.
        surface = warp.apply(torch.cat([normals * face, face, hidden], 1), size)
        mask = (surface[:, 3:4] > 0.5).float()
        sample = Sample(
            image=image,
            normals=warp.normals(surface[:, :3]) * mask,
            normals_mask=mask,
            face_mask=mask,
            face_known=torch.ones_like(mask),
            weak=torch.zeros(count, dtype=torch.bool),
            estimated=torch.zeros(count, dtype=torch.bool),
            pictured=torch.full((count,), self.pictured),
            shapes=self._shapes(places, warp, photo.shape[-1], size) if self.positions else None,
            heads=self._heads(places, warp, size) if self.heads else None,
        )
        if not self.pictured:  # nothing is in front of them, nor cut off
            return replace(sample, image=torch.zeros_like(image))
        sample = augment.frame(sample, self.framed, g)
        return augment.spoil(sample, self.occluded, self.photometric, g, self.occluders)

    def _shapes(self, places: list[int], warp: augment.Warp, width: int, size: int) -> Shapes:
        maps = _planes(np.stack([filled(self._position(i)) for i in places]))
        maps[:, :2] -= width / 2
        return positions.shapes(warp, size, maps)

    def _position(self, place: int) -> np.ndarray:
        position = self.reader.position(place)
        if self.heads:
            return head_models.nearness(position, self.reader.facts(place))
        return position

    def _heads(self, places: list[int], warp: augment.Warp, size: int) -> Heads:
        facts = [self.reader.facts(place) for place in places]
        told = [one["coefficients"] for one in facts]
        identity, expression = (
            torch.from_numpy(np.stack(rows))
            for rows in (
                [head_models.identity(one) for one in told],
                [head_models.expression(one["expression"]) for one in told],
            )
        )
        mirrored = (torch.linalg.det(warp.matrix) < 0)[:, None]
        identity = torch.where(mirrored, identity * head_models.mirror_signs(), identity)
        order = head_models.mirror_order()
        expression = torch.where(mirrored, expression[:, order], expression)
        distance = torch.tensor([float(np.linalg.norm(one["translation"])) for one in facts])
        albedo = _planes(np.stack([self.reader.albedo(place) for place in places])) / 255
        known = torch.ones(len(places), dtype=torch.bool)
        return Heads(identity, expression, distance, warp.apply(albedo, size), known)


def _planes(pictures: np.ndarray) -> Tensor:
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float()
