"""Faces laid out in the head's texture, with what their pictures show: what relief is learnt from.

Photographs show a head that was fitted to them (`data.photos`), and no truth but themselves;
renderings one that is known, with the relief that it has. Either way the coarse face, its light and
its albedo are made as `geometry.laid_out` makes them of any photo.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import Generator, Tensor

from facerelief.cache import cached_rows, digest
from facerelief.data import photos
from facerelief.data.sample import Layouts, Sample
from facerelief.geometry import laid_out, position, uv
from facerelief.geometry.laid_out import LaidOut, NoLightError, lay_out
from facerelief.geometry.skin import Skin
from facerelief.samples.files import SampleError
from facerelief.samples.shards import ShardReader

_TEXELS = laid_out.SIZE
#: Steps of what is kept: slopes, normals, mm, and the difference of normals.
_SLOPE, _NORMAL, _MM, _RELIEF = 63, 127, 200, 254
#: Harmonics that a mirror changes the sign of: x, xy and xz.
_ODD = [3, 4, 7]
_SEEN = 0.2  # of the face, below which a picture teaches nothing

_Row = dict[str, NDArray[np.generic]]


class LaidPhotos:
    """Open photographs with the heads that were fitted to them.

    Args:
        root: the data folder; cache: where the maps are kept (about 1 MB a photo).
        sources: names in the manifest's ``source`` column, of `facemesh.OPEN_SOURCES`.
        held_out: those that training never sees. limit: so many, the first ones.
    """

    def __init__(
        self,
        root: Path,
        cache: Path,
        sources: list[str],
        held_out: bool = False,
        limit: int | None = None,
    ) -> None:
        given = photos.Photos(
            root, cache / "photos", sources, held_out, truth="aligned", positions=True
        )
        assert given.positions is not None
        chosen = given.chosen.numpy()
        believed = given.positions[chosen, 0, 0, 3]
        chosen = chosen[believed > 50][:limit]
        maps = given.positions

        def row(index: int) -> _Row:
            texels = maps[index, ..., :3].astype(np.float32) * np.float32(photos.POSITION_STEP)
            points = position.read(texels + np.array([photos.PIXELS / 2] * 2 + [0], np.float32))
            picture = given.pictures[index] / np.float32(255)
            return _stored(_laid(picture, Skin(points, photos.PIXELS)))

        key = digest(maps[chosen, ::16, ::16], *_code())
        rows = (row(index) for index in chosen)
        self.maps = _Maps(cache / "laid", f"photos_{key}", rows, len(chosen))

    def batch(self, count: int, size: int, g: Generator) -> Sample:
        """``count`` samples of ``size`` x ``size`` texels."""
        return self.maps.batch(count, size, g)


class LaidRenderings:
    """Rendered heads, whose relief is known.

    Args:
        folder: of shards, with position maps; cache: where the maps are kept.
        limit: of the heads only so many, the first ones.

    Raises:
        FileNotFoundError: no heads there.
    """

    def __init__(self, folder: Path | str, cache: Path, limit: int | None = None) -> None:
        try:
            reader = ShardReader(Path(folder))
        except SampleError:
            raise FileNotFoundError(
                f"no rendered heads in {folder}: make them with facerelief synth -o {folder}"
            ) from None
        count = min(limit or len(reader), len(reader))
        first = np.frombuffer(reader.files(reader.indices[0], ("json",))["json"], np.uint8)

        def row(place: int) -> _Row:
            made = reader[place]
            skin = Skin(position.read(made.position), len(made.photo))
            face = made.mask[..., None].astype(np.float32)
            bumps = (made.normals - made.normals_smooth) * face
            picture = np.concatenate([made.photo / np.float32(255), bumps, face], -1)
            laid = _laid(picture, skin)
            stored = _stored(laid)
            more = np.zeros((_TEXELS, _TEXELS, 4)) if laid is None else laid.more
            # What is before the face is none of it: photographs do not tell, renderings do.
            seen = more[..., 3] > 0.9
            shown = stored["visible"] * seen
            relief = np.clip(np.rint(more[..., :3] * _RELIEF), -127, 127) * seen[..., None]
            return stored | {"visible": shown, "relief": relief.astype(np.int8)}

        key = digest(str(Path(folder).resolve()), str(count), first, *_code())
        rows = (row(place) for place in range(count))
        self.maps = _Maps(cache / "laid", f"renderings_{key}", rows, count)

    def batch(self, count: int, size: int, g: Generator) -> Sample:
        """``count`` samples of ``size`` x ``size`` texels."""
        return self.maps.batch(count, size, g)


class _Maps:
    """Rows that were laid out once, and batches of them."""

    def __init__(self, folder: Path, key: str, rows: Iterator[_Row], count: int) -> None:
        names = ["photo", "rendering", "slopes", "visible", "position", "normals", "light"]
        names += ["relief"] if key.startswith("renderings") else []

        def made() -> Iterator[_Row]:
            with threadpool_limits(1, "blas"):
                yield from rows

        self.rows = cached_rows(folder, key, names, made, count)
        shown = np.array([np.mean(row[::8, ::8]) for row in self.rows["visible"]]) / 255
        self.chosen = torch.from_numpy(
            np.flatnonzero(shown > _SEEN * laid_out.skin_weights(_TEXELS).mean())
        )

    def batch(self, count: int, size: int, g: Generator) -> Sample:
        """``count`` samples, half of them mirrored."""
        index = self.chosen[torch.randint(len(self.chosen), (count,), generator=g)].numpy()
        return self.samples(index, size, torch.rand(count, generator=g) < 0.5)

    def samples(self, index: NDArray[np.int64], size: int, mirror: Tensor) -> Sample:
        """Those of an index (n,), some of them mirrored, (n,) bool."""
        read = {
            name: torch.from_numpy(np.ascontiguousarray(self.rows[name][index])).float()
            for name in self.rows
        }
        light = read.pop("light")
        light[:, _ODD] *= torch.where(mirror, -1.0, 1.0).view(-1, 1, 1)

        def plane(name: str, step: float, odd: int | None = None) -> Tensor:
            """(n, C, size, size); channel `odd` changes its sign in a mirror."""
            rows = read[name].reshape(len(index), _TEXELS, _TEXELS, -1).permute(0, 3, 1, 2)
            maps = _shrunk(rows, size) / step
            turned = maps.flip(-1)
            if odd is not None:
                turned[:, odd] = -turned[:, odd]
            return torch.where(mirror.view(-1, 1, 1, 1), turned, maps)

        visible = plane("visible", 255)
        parts = [plane("photo", 255), plane("rendering", 255), plane("slopes", _SLOPE, 0)]
        # A texel of a smaller map is so many mm longer, and a slope of one mm a texel less steep.
        parts[2] = parts[2] * (size / _TEXELS)
        image = torch.cat([*(part * (visible > 0) for part in parts), visible], 1)
        normals = F.normalize(plane("normals", _NORMAL, 0), dim=1)
        truth, known = torch.zeros_like(normals), torch.zeros_like(visible)
        if "relief" in read:
            known = (visible > 0.5).float()
            bumps = plane("relief", _RELIEF, 0)
            truth = F.normalize(normals + bumps, dim=1) * known
        return Sample(
            image=image,
            normals=truth,
            normals_mask=known,
            face_mask=visible,
            face_known=torch.ones_like(visible),
            weak=torch.full((len(index),), "relief" not in read),
            estimated=torch.zeros(len(index), dtype=torch.bool),
            pictured=torch.ones(len(index), dtype=torch.bool),
            layouts=Layouts(plane("position", _MM, 0), normals, light),
        )


def _shrunk(maps: Tensor, size: int) -> Tensor:
    factor = maps.shape[-1] // size
    return F.avg_pool2d(maps, factor) if factor > 1 else maps


def _laid(picture: NDArray[np.float32], skin: Skin) -> LaidOut | None:
    try:
        return lay_out(picture, skin)
    except NoLightError:
        return None


def _stored(laid: LaidOut | None) -> _Row:
    """What is kept of a face; nothing of one in no light is seen."""
    if laid is None:
        shape = (_TEXELS, _TEXELS)
        return {
            "photo": np.zeros((*shape, 3), np.uint8), "rendering": np.zeros((*shape, 3), np.uint8),
            "slopes": np.zeros((*shape, 2), np.int8), "visible": np.zeros(shape, np.uint8),
            "position": np.zeros((*shape, 3), np.int16), "normals": np.zeros((*shape, 3), np.int8),
            "light": np.zeros((9, 3), np.float32),
        }  # fmt: skip
    return {
        "photo": np.rint(laid.photo * 255).astype(np.uint8),
        "rendering": np.rint(laid.rendering * 255).astype(np.uint8),
        "slopes": np.rint(laid.slopes * _SLOPE).astype(np.int8),
        "visible": np.rint(laid.visible * 255).astype(np.uint8),
        "position": np.rint(_centred(laid.position) * _MM).astype(np.int16),
        "normals": np.rint(laid.normals * _NORMAL).astype(np.int8),
        "light": laid.light,
    }


def _centred(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Where the origin is does not matter; neck and scalp may be cut."""
    middle = points[laid_out.skin_weights(_TEXELS) > 0].mean(0)
    centred: NDArray[np.float32] = np.clip(points - middle, -160, 160)
    return centred


def _code() -> tuple[ModuleType, ...]:
    return (sys.modules[__name__], laid_out, position, uv)
