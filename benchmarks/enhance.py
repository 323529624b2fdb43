"""Coarse meshes beside what `facerelief enhance` makes of them: normals against true ones.

    FACERELIEF_DATA=... python benchmarks/enhance.py [--every 16] [--scans 2]

Of people photographed (Extended Yale B, test, S1 to S4) and of pictures of scans. Meshes are what
`facerelief mesh` writes, read back from their files, and lie in the picture where landmarks say.
Writes results/enhance.json and its table, after every two pictures.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import measuring
import numpy as np
import tables
from numpy.typing import NDArray

import facerelief as fr
from facerelief.apps import mesh as mesh_app
from facerelief.apps.products import Photo
from facerelief.detailed import tangents_of
from facerelief.enhancement import Enhanced, enhance
from facerelief.evaluate.basel import Basel
from facerelief.evaluate.scores import score_image
from facerelief.evaluate.yaleb import POOLED, Yaleb
from facerelief.geometry.camera import camera_space
from facerelief.geometry.drawing import sample_texture
from facerelief.geometry.mesh import vertex_normals
from facerelief.geometry.normals import normalise
from facerelief.geometry.raster import rasterise
from facerelief.mesh_reading import MeshError, read_asset
from facerelief.mesh_writing import Asset
from facerelief.normal_png import NormalMap
from facerelief.placement import Placement, place
from facerelief.runtime import Estimator
from facerelief.types import Face, Mesh, Place

NORMALS = "casfne_compact"  # of the command by default
LANDMARKS = "prnet"  # of the command
FORMATS = {"prnet": "obj", "full_pose": "glb"}  # systems of meshes, and how they are written
MAP = 512  # pixels of normal maps: two of a crop's

Drawn = tuple[NDArray[np.float32], NDArray[np.bool_]]


@dataclass(frozen=True, eq=False)
class Picture:
    """A crop (256, 256, 3) and the true normals of what it shows, camera space."""

    kind: str
    name: str
    pixels: NDArray[np.uint8]
    normals: NDArray[np.float32]
    mask: NDArray[np.bool_]


def photographs(every: int) -> Iterator[Picture]:
    """Every so many photographs of each test person of Extended Yale B, S1 to S4."""
    protocol = Yaleb("test")
    people = protocol.keys()
    for key in people:
        subject = protocol.load(key)
        names, crops = protocol.pictures(subject)
        for i in np.flatnonzero(np.isin(subject.person.subsets, POOLED))[::every]:
            yield Picture("yaleb", names[i], crops[i], subject.normals, subject.mask)


def scans(count: int) -> Iterator[Picture]:
    """So many pictures of each scan, turned about random axes, no two scans alike."""
    protocol = Basel()
    for index, key in enumerate(protocol.keys()):
        shown = [one for one in protocol.load(key) if one.pose.protocol == "random"]
        for one in shown[index :: max(1, len(shown) // count)][:count]:
            yield Picture("basel", one.names[0], one.photos[0], one.normals, one.mask)


def as_written(picture: Picture, face: Face, estimator: Estimator, folder: Path) -> Asset:
    """The mesh that `facerelief mesh` writes of a face, read from its file."""
    kind = FORMATS[estimator.name]
    photo = Photo(picture.pixels, picture.name, picture.name)
    options = mesh_app.Options(formats=(kind,))
    product = mesh_app.produce(photo, estimator, options, found=[face])
    for name, content in product.files.items():
        (folder / name).write_bytes(content)
    return read_asset(folder / f"{picture.name}.{kind}")


def drawn(mesh: Mesh, placement: Placement, size: int, bumps: NormalMap | None = None) -> Drawn:
    """Normals (S, S, 3) of a mesh in its picture, camera space, and where it is (S, S).

    With a normal map as viewers of glTF shade it: in the frame of interpolated normal and tangent.
    """
    raster = rasterise(camera_space(placement.pose(mesh.vertices)), mesh.triangles, (size, size))
    normals = normalise(raster.interpolate(vertex_normals(mesh.vertices, mesh.triangles)))
    if bumps is not None and mesh.uv is not None:
        flat = np.where(bumps.mask[..., None], bumps.normals, np.array([0, 0, 1], np.float32))
        local = np.zeros_like(normals)
        local[raster.mask] = sample_texture(flat, raster.interpolate(mesh.uv)[raster.mask])
        across = raster.interpolate(tangents_of(mesh)[0])
        along = (across * normals).sum(-1, keepdims=True)
        across = normalise(across - normals * along)
        frame = (across, np.cross(normals, across), normals)
        normals = normalise(sum(local[..., i : i + 1] * axis for i, axis in enumerate(frame)))
    turned = normals @ placement.pose.rotation.T
    return np.where(raster.mask[..., None], turned, 0).astype(np.float32), raster.mask


def rows_of(made: Enhanced, placement: Placement, size: int) -> dict[str, Drawn]:
    """The coarse mesh and what the command makes of it, with and without its normal map."""
    found = {
        "coarse": drawn(made.mesh, placement, size),
        "displaced": drawn(made.displaced, placement, size),
    }
    if made.coarse.uv is not None:
        for name, mesh in (("coarse", made.coarse), ("displaced", made.displaced)):
            bumps = made.normal_map(name == "displaced", MAP)
            found[f"{name} with map"] = drawn(mesh, placement, size, bumps)
    return found


def measure(picture: Picture, systems: dict[str, Estimator]) -> dict[str, Any]:
    """Mean angles to the truth, degrees, at the pixels that all rows and the truth have."""
    size, where = len(picture.pixels), [Place.of_crop(len(picture.pixels))]
    told: dict[str, Any] = {"kind": picture.kind, "name": picture.name}
    (face,) = systems[NORMALS].estimate(picture.pixels, where)
    shapes = {name: systems[name].estimate(picture.pixels, where)[0] for name in FORMATS}
    found: dict[str, Drawn] = {NORMALS: (face.normals, face.mask)}
    off = {}
    for name, shape in shapes.items():
        try:
            with tempfile.TemporaryDirectory() as folder:
                if shape.sound is None:
                    raise MeshError("no shape")
                asset = as_written(picture, shape, systems[name], Path(folder))
            placement = place(asset, shapes[LANDMARKS], systems[LANDMARKS])
            made = enhance(asset.mesh, face, placement, shapes[LANDMARKS].landmarks)
        except MeshError as error:
            return told | {"failed": f"{name}: {error}"}
        off[name] = round(100 * placement.off, 2)
        rows = rows_of(made, placement, size)
        found |= {f"{name}, {kind}": row for kind, row in rows.items()}
    mask = picture.mask & np.all([known for _, known in found.values()], axis=0)
    degrees = {}
    for name, (normals, _) in found.items():
        errors = score_image(normals, None, picture.normals, mask).errors
        degrees[name] = round(float(errors.mean(dtype=np.float64)), 3)
    share = round(float(mask.sum() / picture.mask.sum()), 3)
    return told | {"degrees": degrees, "landmarks_off": off, "share": share}


def cost(photo: Path) -> dict[str, float]:
    """Processor seconds and peak memory, MB, of whole processes: a mesh, and its enhancement."""
    run = [sys.executable, "-m", "facerelief"]
    with tempfile.TemporaryDirectory() as folder:
        measuring.launch(*run, "mesh", str(photo), "-o", folder, "--system", "prnet")
        mesh = str(Path(folder) / f"{photo.stem}.glb")
        _, work, memory = measuring.launch(*run, "enhance", mesh, str(photo), "-o", folder)
    return {"cpu_seconds": round(work, 2), "peak_mb": round(memory)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--every", type=int, default=16, help="photographs of Yale: every so many")
    parser.add_argument("--scans", type=int, default=2, help="pictures of each scan")
    parser.add_argument("--photo", type=Path, default=Path("examples/astronaut.jpg"))
    options = parser.parse_args()
    systems = {name: fr.load(name, threads=1) for name in (NORMALS, *FORMATS)}
    result: dict[str, Any] = {
        "normals": NORMALS,
        "map": MAP,
        "cost": cost(options.photo),
        "pictures": [],
    }
    for pair in zip_longest(scans(options.scans), photographs(options.every)):
        result["pictures"] += [measure(one, systems) for one in pair if one is not None]
        print(result["pictures"][-len(pair) :], flush=True)
        tables.write("enhance", result)


if __name__ == "__main__":
    main()
