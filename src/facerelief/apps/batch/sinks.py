"""Where results are kept: a folder that mirrors the source, or Parquet, part by part."""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from facerelief.apps import mesh, normals, photos
from facerelief.apps.batch.manifest import Manifest
from facerelief.apps.batch.rows import Row
from facerelief.apps.batch.work import DONE, Form, Found, Result, Settings
from facerelief.apps.products import Photo, is_ours
from facerelief.files import appearing, make_folder, write_files
from facerelief.inputs import in_line
from facerelief.runtime import Estimator

#: Photos whose results are kept at once: a line of the manifest, and a table of Parquet.
PHOTOS = {"folder": 8, "parquet": 256}
#: What is wrong with a disk, and not with a file on it.
_DISK = {errno.ENOSPC, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ESTALE}
_DISK |= {getattr(errno, "EDQUOT", errno.ENOSPC)}
_PART = re.compile(r"part.*-[0-9a-f]{16}\.parquet")


class Sink(Protocol):
    """A place for results. `stage` is called by several threads, `commit` by one."""

    photos: int  # that are committed at once

    @property
    def form(self) -> Form[Any]:
        """What of a face is kept."""

    def open(self, manifest: Manifest) -> None:
        """Clear away what a run that was killed has left. Raises OSError."""

    def stage(self, results: Sequence[Result[Any]]) -> list[Result[Any]]:
        """Keep what can be kept at once; those that cannot be kept have failed.

        Raises OSError where nothing can be kept any more, such as on a full disk.
        """

    def commit(self, results: Sequence[Result[Any]], ending: str) -> str | None:
        """All of `results` is on the disk when it returns; the name of their table, if in one."""


def sink(out: Path, settings: Settings, estimators: Mapping[str, Estimator], many: int) -> Sink:
    """That of `settings.to`, in the folder `out`, for `many` photos at once."""
    if settings.to == "folder":
        return Tree(out, Files(settings, estimators), many)
    told = settings.described({what: e.entry for what, e in estimators.items()})
    terms = {
        e.name: {"licence": e.entry.licence, "tier": e.entry.tier} for e in estimators.values()
    }
    return Parquet(out, Row(settings.what, settings.encoding), {**told, "terms": terms}, many)


@dataclass(frozen=True)
class Files:
    """A `Form`: one face to files, by their names below OUT.

    They begin with the photo's key and the face's number, `a/b.jpg_0_normal.png`: no two photos'
    can be called alike, since no ending is a number.
    """

    settings: Settings
    estimators: Mapping[str, Estimator]

    @property
    def needs_photos(self) -> bool:
        return "mesh" in self.settings.what

    def __call__(self, found: Found) -> dict[str, bytes]:
        folder, _, name = found.item.key.rpartition("/")
        stem = f"{name}_{found.number}"
        pixels = found.pixels if found.pixels is not None else np.zeros((0, 0, 3), np.uint8)
        photo = Photo(pixels, stem, found.item.source)
        files: dict[str, bytes] = {}
        for what, face in found.faces.items():
            estimator = self.estimators[what]
            if what == "normals":
                wanted = normals.Options(self.settings.only, search=self.settings.search)
                files |= normals.produce(photo, estimator, wanted, [face]).files
            elif what == "mesh":
                files |= mesh.produce(photo, estimator, mesh.Options(), found=[face]).files
            elif what == "landmarks" and face.sound is not None:
                ending = mesh.SIDECARS["landmarks"][0]
                files[stem + ending] = photos.to_json(mesh.describe_landmarks(face))
            elif what == "coefficients" and face.sound is not None:
                ending = mesh.SIDECARS["coefficients"][0]
                files[stem + ending] = photos.to_json(mesh.describe_coefficients(face.sound))
        if "normals" not in found.faces:
            face, estimator = next(iter(found.faces.values())), next(iter(self.estimators.values()))
            said = photos.describe_place(photo, face) | {"warnings": list(face.warnings)}
            said |= {"files": sorted(files), **photos.describe_model(estimator)}
            files[f"{stem}.json"] = photos.to_json(said)
        return {f"{folder}/{name}" if folder else name: data for name, data in files.items()}


class Tree:
    """Files in folders like those of the source: all of a photo's, or none."""

    def __init__(self, out: Path, form: Files, photos: int) -> None:
        self.out, self.form, self.photos = out, form, photos

    def open(self, manifest: Manifest) -> None:
        self._made: set[Path] = set()

    def stage(self, results: Sequence[Result[Any]]) -> list[Result[Any]]:
        return [self._kept(result) if result.status == DONE else result for result in results]

    def _kept(self, result: Result[Any]) -> Result[Any]:
        contents = {self.out / name: data for one in result.made for name, data in one.items()}
        try:
            folder = (self.out / result.key).parent
            if folder not in self._made:
                make_folder(folder)  # and clears it of what a killed run has left
                self._made.add(folder)
            for path in contents:
                if path.exists() and not is_ours(path, [path.name]):
                    text = f"{path} is not facerelief's; move it, or choose another folder"
                    raise FileExistsError(errno.EEXIST, text)
            write_files(contents)
            for path in contents:
                _to_disk(path)
        except OSError as error:
            if error.errno in _DISK:
                raise
            return result.failed(f"{result.key}: cannot write: {error.strerror or error}")
        return replace(result, made=(None,) * len(result.made))

    def commit(self, results: Sequence[Result[Any]], ending: str) -> None:
        return None  # all is there


class Parquet:
    """Tables of some hundred photos' faces, each there as a whole or not at all."""

    def __init__(self, out: Path, form: Row, said: Mapping[str, Any], photos: int) -> None:
        self.out, self.form, self.said, self.photos = out, form, said, photos

    def open(self, manifest: Manifest) -> None:
        manifest.remove_orphans(_PART)
        if "mesh" in self.form.what:
            from facerelief.geometry.skin_mesh import skin_mesh

            layout = skin_mesh().face_mesh
            write_files(
                {
                    self.out / "mesh_triangles.npy": _npy(layout.triangles.astype(np.int32)),
                    self.out / "mesh_uv.npy": _npy(layout.uv.astype(np.float32)),
                }
            )

    def stage(self, results: Sequence[Result[Any]]) -> list[Result[Any]]:
        return list(results)

    def commit(self, results: Sequence[Result[Any]], ending: str) -> str | None:
        from pyarrow import parquet

        made = [result.made for result in results if result.made]
        if not made:
            return None
        names = "\0".join(result.key for result in results)
        name = f"part{ending}-{hashlib.sha256(names.encode()).hexdigest()[:16]}.parquet"
        table = self.form.table(made, self.said)
        with appearing(self.out / name) as own:
            # Pictures are compressed, and numbers hardly can be.
            parquet.write_table(
                table, own, compression="none", use_dictionary=False, write_statistics=["key"]
            )
            _to_disk(own)
        return name


FORMS = ("folder", "parquet")


def _to_disk(path: Path) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def _npy(array: Any) -> bytes:
    import io

    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def cannot_go_on(out: Path, error: OSError) -> str:
    """One line for a disk that takes nothing more."""
    return in_line(f"{out}: cannot write there: {error.strerror or error}; what is done stays")
