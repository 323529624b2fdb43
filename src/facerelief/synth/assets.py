"""What makes rendered heads look real, and where it is found on this computer.

Skins, hair, environment maps, scanned shapes and photographs are not part of the package. They lie
in folders of fixed names under one root: the environment variable ``FACERELIEF_DATA``, or the
option ``--assets``. What is missing is done without: heads then have procedural skins and lights.
"""

from __future__ import annotations

import csv
import os
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facerelief.data.facemesh import WHOLE_SOURCES

#: Height and width of environment maps.
MAP_SHAPE = (128, 256)


class AssetError(ValueError):
    """An asset is missing or damaged; the text is one line that says which, and how to get it."""


@dataclass(frozen=True)
class Asset:
    """One kind of asset, and where it comes from."""

    name: str
    path: str  # under the root
    adds: str
    licence: str
    published: str
    files: str  # what to put there


_MAKEHUMAN = "https://github.com/makehumancommunity/makehuman-assets"
_MAKEHUMAN_LICENCE = "CC0-1.0"

#: Everything that can be added, the most useful first.
CATALOGUE = (
    Asset(
        "skins",
        "makehuman/base/skins",
        "textures of skin, from young to old, light to dark",
        _MAKEHUMAN_LICENCE,
        _MAKEHUMAN,
        "the repository's folder base/skins (needs git-lfs)",
    ),
    Asset(
        "environments",
        "hdri",
        "natural light: panoramas of rooms, streets and skies",
        "CC0-1.0",
        "https://polyhaven.com/hdris",
        "any .hdr or .exr files (1K is plenty), or .npz of arrays (128, 256, 3), linear RGB",
    ),
    Asset(
        "hair",
        "makehuman/base/hair",
        "hair that covers parts of the face and casts shadows",
        _MAKEHUMAN_LICENCE,
        _MAKEHUMAN,
        "the repository's folder base/hair",
    ),
    Asset(
        "brows",
        "makehuman/base/eyebrows",
        "eyebrows",
        _MAKEHUMAN_LICENCE,
        _MAKEHUMAN,
        "the repository's folder base/eyebrows",
    ),
    Asset(
        "lashes",
        "makehuman/base/eyelashes",
        "eyelashes",
        _MAKEHUMAN_LICENCE,
        _MAKEHUMAN,
        "the repository's folder base/eyelashes",
    ),
    Asset(
        "eyes",
        "makehuman/base/eyes",
        "irises of many colours",
        _MAKEHUMAN_LICENCE,
        _MAKEHUMAN,
        "the repository's folder base/eyes",
    ),
    Asset(
        "teeth",
        "makehuman/base/teeth",
        "textures of teeth",
        _MAKEHUMAN_LICENCE,
        _MAKEHUMAN,
        "the repository's folder base/teeth",
    ),
    Asset(
        "scanned shapes",
        "ict/ict_facekit.npz",
        "identities and expressions measured on people (ICT-FaceKit light)",
        "MIT",
        "https://github.com/ICT-VGL/ICT-FaceKit",
        "ict_facekit.npz with its arrays mean, identity, expression, expression_names, quads, uv"
        " and quads_uv, and its vertex_indices.json",
    ),
    Asset(
        "photographs",
        "photos/manifest.csv",
        "backgrounds, and skins lifted from studio portraits",
        "CC-BY-4.0 (credit the authors)",
        "https://github.com/joojs/fairface and https://doi.org/10.6084/m9.figshare.5047666",
        "photographs and a table of columns path, source, licence;"
        f" used are the sources {' and '.join(WHOLE_SOURCES)}",
    ),
)


@dataclass(frozen=True)
class Assets:
    """The assets under `root`; None is none at all."""

    root: Path | None = None

    @classmethod
    def find(cls, folder: Path | None = None) -> Assets:
        """Those under `folder`, else under ``FACERELIEF_DATA``, else none.

        Raises:
            AssetError: the folder does not exist, or holds nothing that is known.
        """
        where, chosen = "--assets", folder
        if chosen is None:
            where = "FACERELIEF_DATA"
            if not os.environ.get(where):
                return cls()
            chosen = Path(os.environ[where])
        if not chosen.is_dir():
            raise AssetError(f"{where} names {chosen}, which is no folder")
        assets = cls(chosen)
        if folder is not None and len(assets.missing()) == len(CATALOGUE):
            wanted = ", ".join(asset.path for asset in CATALOGUE)
            raise AssetError(
                f"{where} names {chosen}, which has none of {wanted};"
                " `facerelief synth --assets-help` says where they are published"
            )
        return assets

    def path(self, name: str) -> Path | None:
        """Where the asset `name` of `CATALOGUE` is, None where it is missing.

        Raises:
            ValueError: unknown name; the message lists the valid ones.
        """
        for asset in CATALOGUE:
            if asset.name == name:
                path = None if self.root is None else self.root / asset.path
                return path if path is not None and _has_content(path) else None
        known = ", ".join(asset.name for asset in CATALOGUE)
        raise ValueError(f"unknown asset {name!r}; one of {known}")

    def holder(self, name: str) -> Path | None:
        """The root, if the asset `name` is there."""
        return None if self.path(name) is None else self.root

    def missing(self) -> tuple[str, ...]:
        """Names of the assets that are not there."""
        return tuple(asset.name for asset in CATALOGUE if self.path(asset.name) is None)

    def describe(self) -> list[dict[str, str | bool]]:
        """One row an asset: name, found, adds, licence, published, path and files."""
        return [
            {
                "name": asset.name,
                "found": self.path(asset.name) is not None,
                "adds": asset.adds,
                "licence": asset.licence,
                "published": asset.published,
                "path": asset.path,
                "files": asset.files,
            }
            for asset in CATALOGUE
        ]

    def environment_maps(self) -> Mapping[str, NDArray[np.float16]]:
        """Name -> (128, 256, 3) linear radiance, read when asked for; empty where there are none.

        Row 0 is up; the middle column is where a map's author looked. Raises AssetError for files
        that are damaged.
        """
        return EnvironmentMaps(self.path("environments"))

    def backgrounds(self) -> list[Path]:
        """Photographs whose licence permits any use, sorted; empty where there are none.

        They show people. Raises AssetError for a manifest that cannot be read.
        """
        manifest = self.path("photographs")
        if manifest is None:
            return []
        try:
            with open(manifest, newline="", encoding="utf-8") as file:
                table = csv.DictReader(file)
                usable = {"path", "source"} <= set(table.fieldnames or ())
                rows = list(table)
        except (UnicodeDecodeError, csv.Error):
            usable = False
        if not usable:
            raise AssetError(f"{manifest}: no table with columns path and source")
        chosen = sorted(row["path"] for row in rows if row["source"] in WHOLE_SOURCES)
        return [manifest.parent / path for path in chosen]


class EnvironmentMaps(Mapping[str, NDArray[np.float16]]):
    """The maps of a folder by name, sorted: arrays of its .npz files, and .hdr and .exr files."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def __getitem__(self, name: str) -> NDArray[np.float16]:
        path = self._files[name]
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                return _to_map(np.asarray(arrays[name]), path)
        return _to_map(_read_radiance(path), path)

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    @cached_property
    def _files(self) -> dict[str, Path]:
        """The file that each map is in."""
        files: dict[str, Path] = {}
        for path in sorted(self.folder.iterdir()) if self.folder is not None else ():
            if path.suffix in (".hdr", ".exr"):
                files[path.stem] = path
            elif path.suffix == ".npz":
                try:
                    with np.load(path, allow_pickle=False) as arrays:
                        files.update(dict.fromkeys(arrays.files, path))
                except (OSError, ValueError, zipfile.BadZipFile, EOFError):
                    raise AssetError(f"{path}: not a NumPy archive that can be read") from None
        return dict(sorted(files.items()))


def _has_content(path: Path) -> bool:
    return path.is_file() or (path.is_dir() and next(path.iterdir(), None) is not None)


def _read_radiance(path: Path) -> NDArray[np.floating]:
    try:
        import mitsuba
    except ImportError:
        raise AssetError(
            f"{path}: reading .hdr and .exr needs Mitsuba: pip install 'facerelief[synth]'"
        ) from None
    if mitsuba.variant() is None:
        mitsuba.set_variant("scalar_rgb")
    try:
        picture = mitsuba.Bitmap(str(path))
    except RuntimeError:
        raise AssetError(f"{path}: not a picture that can be read") from None
    rgb = picture.convert(mitsuba.Bitmap.PixelFormat.RGB, mitsuba.Struct.Type.Float32, False)
    return np.array(rgb)


def _to_map(radiance: NDArray[np.floating], path: Path) -> NDArray[np.float16]:
    """Shrunk to `MAP_SHAPE` by areas, so that the light's sum stays."""
    if radiance.ndim != 3 or radiance.shape[2] != 3:
        raise AssetError(f"{path}: {radiance.shape} is no RGB panorama")
    if radiance.shape[:2] != MAP_SHAPE:
        size = (MAP_SHAPE[1], MAP_SHAPE[0])
        channels = np.moveaxis(radiance.astype(np.float32), -1, 0)
        shrunk = [Image.fromarray(c).resize(size, Image.Resampling.BOX) for c in channels]
        radiance = np.stack([np.asarray(c) for c in shrunk], -1)
    finite = np.nan_to_num(radiance, nan=0.0, posinf=np.inf)
    return finite.clip(0, np.finfo(np.float16).max).astype(np.float16)
