"""Subjects from files: meshes, and folders that `normals`, `mesh` or `all` wrote.

What sidecars say is read with care: anybody may have written it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facerelief.apps import mesh, normals
from facerelief.apps.view.scene import Layers, Solid, Subject, layers_of, window_round
from facerelief.crops import Crop
from facerelief.images import Pixels, open_photo
from facerelief.inputs import PhotoError
from facerelief.mesh_reading import SUFFIXES, MeshError, read_asset
from facerelief.normal_png import decode_png
from facerelief.pictures import ERROR_SCALE, colour_error
from facerelief.types import Face, Place, Surface

MOST_SUBJECTS = 12  # of a folder: a page of more would be of tens of megabytes
_LONGEST = 2**20  # bytes of a sidecar that is read
_NORMAL, _ERROR = (normals.OUTPUTS[key][0] for key in ("normal", "error"))
_POSE, _JSON = mesh.SIDECARS["pose"][0], normals.OUTPUTS["json"][0]


def subject_of_mesh(path: Path) -> Subject:
    """A mesh alone. Raises MeshError."""
    return Subject(path.stem, None, solids=[Solid(path.name, "", read_asset(path))])


def subjects_of_folder(folder: Path) -> list[Subject]:
    """The faces that earlier commands wrote to `folder`, by name.

    Raises PhotoError for a folder that has none.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for stem, kind, said in _sidecars(folder):
        found.setdefault(stem, {})[kind] = said
    subjects = [one for stem in sorted(found) if (one := _subject(folder, stem, found[stem]))]
    if not subjects:
        raise PhotoError(f"{folder}: nothing in it that facerelief normals, mesh or all wrote")
    return subjects[:MOST_SUBJECTS]


def _sidecars(folder: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Stem, kind (normals or mesh) and content of our sidecars in a folder."""
    for path in sorted(folder.glob(f"*{_JSON}")):
        try:
            with open(path, "rb") as file:
                said = json.loads(file.read(_LONGEST))
        except (OSError, ValueError, RecursionError):
            continue
        if not (isinstance(said, dict) and "facerelief" in said and "crop" in said):
            continue
        if path.name.endswith(_POSE):
            yield path.name.removesuffix(_POSE), "mesh", said
        elif "frame" in said or "left_out" in said:
            yield path.stem, "normals", said


def _subject(folder: Path, stem: str, kinds: dict[str, dict[str, Any]]) -> Subject | None:
    """None where nothing that the sidecars speak of can be read."""
    warnings: list[str] = []
    picture, layers, solids = None, list[Layers](), list[Solid]()
    for kind, said in kinds.items():
        try:
            warnings += [str(text) for text in said.get("warnings", [])]
            if kind == "mesh":
                solids.append(_solid(folder, said))
                continue
            face, window = _face(folder, stem, said)
            layers.append(layers_of(face, None, window, *_model(said)))
            photo = _photo(folder, said, face.photo_size)
            if photo is None:
                warnings.append("the photo is not where it was; it is shown without")
            picture = None if photo is None else window.extract(photo)
        except (PhotoError, MeshError) as error:
            warnings.append(str(error))
        except (KeyError, TypeError, ValueError, AttributeError, OSError):
            warnings.append(f"{stem}: its files do not fit together")
    if not layers and not solids:
        return None
    return Subject(stem, picture, layers, solids, tuple(dict.fromkeys(warnings)))


def _face(folder: Path, stem: str, said: dict[str, Any]) -> tuple[Face, Crop]:
    """A face with the surface that its files hold, and the window of its photo that is shown."""
    read = decode_png(folder / (stem + _NORMAL))
    height, width = read.mask.shape
    if height != width or read.frame != "opengl":
        raise ValueError("normals of a crop in the frame opengl are needed")
    crop, photo = said["crop"], said["photo"]
    x, y = (float(value) for value in crop["centre"])
    lies = Crop((x, y), float(crop["side"]), float(crop["angle"]), size=width)
    photo_size = (int(photo["height"]), int(photo["width"]))
    if not 0 < min(photo_size) <= max(photo_size) < 2**20:
        raise ValueError("a photo of no size")
    box = (x - lies.side / 2, y - lies.side / 2, x + lies.side / 2, y + lies.side / 2)
    place = Place(lies, box, 1.0, np.full((5, 2), np.nan), photo_size)
    error = _expected_error(folder / (stem + _ERROR), width)
    surface = Surface(read.normals, read.mask, error, alpha=read.alpha)
    return Face(place, surface, None, _model(said)[0]), window_round(lies, photo_size)


def _model(said: dict[str, Any]) -> tuple[str, str]:
    """Name and terms of a sidecar's system."""
    model = said["model"]
    return str(model["name"]), f"{model['tier']}: {model['licence']}"


def _expected_error(path: Path, size: int) -> NDArray[np.float32] | None:
    """Degrees (size, size) that a picture of `pictures.error_picture` shows, if there is one."""
    if not path.is_file():
        return None
    with Image.open(path, formats=["PNG"]) as image:
        if image.height != size or not size <= image.width <= 2 * size:
            return None
        colours = np.asarray(image.convert("RGB"))[:, :size].astype(np.int64)
    steps = colour_error(np.linspace(0, ERROR_SCALE, 256)).astype(np.int64)
    keys, known = (values @ np.array([65536, 256, 1]) for values in (colours, steps))
    order = np.argsort(known, kind="stable")
    at = order[np.searchsorted(known[order], keys).clip(0, 255)]
    degrees = np.where(known[at] == keys, at * (ERROR_SCALE / 255), 0)
    return degrees.astype(np.float32)


def _photo(folder: Path, said: dict[str, Any], size: tuple[int, int]) -> Pixels | None:
    """The photo that a sidecar names: where it was, or in the folder, or beside it."""
    path = Path(str(said["photo"]["path"]))
    for candidate in (path, folder / path.name, folder.parent / path.name):
        try:
            photo = open_photo(candidate)
        except PhotoError:
            continue
        if photo.shape[:2] == size:
            return photo
    return None


def _solid(folder: Path, said: dict[str, Any]) -> Solid:
    """The mesh that a sidecar names. Raises MeshError."""
    names = [str(name) for name in said["files"]]
    known = [name for suffix in SUFFIXES for name in names if name.lower().endswith(suffix)]
    if not known or Path(known[0]).name != known[0]:
        raise MeshError(f"{folder}: its sidecar names no mesh")
    return Solid(*_model(said), read_asset(folder / known[0]))
