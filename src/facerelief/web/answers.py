"""Photos to answers: what each part of the API makes of the bytes that came in.

Nothing here knows of HTTP but the numbers of errors. What a client calls its photo is never used:
here it is called `photo`, in names of files and in sidecars.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import numpy as np

from facerelief import catalogue
from facerelief.apps import everything, mesh, normals, photos, relight
from facerelief.apps.products import Photo
from facerelief.apps.view import photo as view
from facerelief.catalogue import UnknownSystemError, WeightsError
from facerelief.detail import NORMALS, Maker, available, fused
from facerelief.geometry.light import Light
from facerelief.inputs import ForeignError, PhotoError
from facerelief.photo_files import PhotoFile
from facerelief.runtime import Estimator, load
from facerelief.types import Face
from facerelief.web.problems import Problem
from facerelief.web.settings import Settings

STEM = "photo"
PNG, JPEG, GLB, PLY = "image/png", "image/jpeg", "model/gltf-binary", "application/octet-stream"
ZIP, NPZ, JSON, HTML = "application/zip", "application/x-npz", "application/json", "text/html"
_OLD = (1980, 1, 1, 0, 0, 0)  # the time of files in zips, so that equal answers are equal bytes


@dataclass(frozen=True)
class Answer:
    """A file."""

    content: bytes
    media_type: str
    name: str


class Networks:
    """The systems that are offered, each in memory once, from when it is first asked for."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._kept: dict[str, Estimator] = {}
        self._lock = Lock()

    def get(self, name: str) -> Estimator:
        """Raises UnknownSystemError, WeightsError."""
        name = catalogue.find(name).name
        with self._lock:
            if name not in self._kept:
                self._kept[name] = load(name, self.settings.threads)
            return self._kept[name]

    def maker(self, kind: str) -> Maker | None:
        """Of relief on meshes; None for none."""
        if kind == "none":
            return None
        if kind == "fused":  # its network is in memory once
            return fused(everything.RELIEF, self.settings.threads, self.get(NORMALS))
        return available()[kind](everything.RELIEF, self.settings.threads)

    def everything(self, system: str) -> everything.Systems:
        """Those of `facerelief all`, with `system` for the normals and, if it can, for shapes."""
        first = self.get(system)
        found = everything.Systems.load(self.settings.threads, self.get)
        shapes = first if first.makes_shapes else found.shapes
        return replace(found, normals=first, shapes=shapes)


class Desk:
    """Takes photos as bytes, gives answers. Its methods take a while: they are for a worker.

    They raise Problem for a photo, or a wish, of which nothing can be made.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings, self.networks = settings, Networks(settings)

    def normals(
        self, content: bytes, system: str, format: str, bits: int, size: int | None, face: int
    ) -> Answer:
        """Of one face as PNG; of all as NPZ, as JSON or as a zip of what `normals` writes."""
        photo, estimator = self.opened(content), self.networks.get(system)
        faces = self._faces(photo, estimator)
        if format == "png":
            one = [_chosen(faces, face)]
            options = normals.Options(("normal",), bits, size=size)
            product = normals.produce(photo, estimator, options, one)
            return _only(product.files, "_normal.png", PNG)
        if format == "npz":
            sized = faces if size is None else list(normals.at_sizes(photo, faces, size))
            return Answer(to_npz(sized), NPZ, f"{STEM}_normals.npz")
        options = normals.Options(bits=bits, size=size)
        if format == "json":
            told = [normals.describe_face(photo, one, estimator) for one in faces]
            return _told(told, "normals")
        product = normals.produce(photo, estimator, options, faces)
        return zipped(product.files, "normals")

    def mesh(
        self, content: bytes, system: str, format: str, detail: str, texture: int, face: int
    ) -> Answer:
        """Of one face as GLB or PLY; of all as JSON, or as a zip of what `mesh` writes."""
        photo, estimator = self.opened(content), self._shapes(system)
        faces = self._faces(photo, estimator)
        if format == "json":
            return _told([mesh.describe_face(photo, one, estimator) for one in faces], "mesh")
        maker = self.networks.maker(detail)
        single = format != "zip"
        if single:
            faces = [_chosen(faces, face)]
            _check_shape(faces[0], face)
        options = mesh.Options((format,) if single else ("glb", "obj", "ply"), texture=texture)
        product = mesh.produce(photo, estimator, options, maker, detail, faces)
        if single:
            return _only(product.files, f".{format}", GLB if format == "glb" else PLY)
        return zipped(product.files, "mesh")

    def relight(
        self,
        content: bytes,
        system: str,
        format: str,
        azimuth: float,
        elevation: float,
        strength: float,
        keep: float,
    ) -> Answer:
        """The photo, in its size, with its largest faces under one lamp."""
        photo, estimator = self.opened(content), self.networks.get(system)
        light = Light.from_angles(azimuth, elevation)
        search = photos.Search(self.settings.max_faces)
        options = relight.Options(light, strength, keep, f".{format}", search)
        try:
            product = relight.produce(photo, estimator, options)
        except PhotoError as error:
            raise _refused(error) from None
        return _only(product.files, f"_relit.{format}", PNG if format == "png" else JPEG)

    def landmarks(self, content: bytes, system: str, scheme: str) -> Answer:
        """Of all faces that have a shape."""
        photo, estimator = self.opened(content), self._shapes(system)
        told = []
        for face in self._faces(photo, estimator):
            place = photos.describe_place(photo, face) | {"warnings": list(face.warnings)}
            if face.sound is not None:
                place |= mesh.describe_landmarks(face, scheme)
            told.append(place)
        return _told(told, "landmarks")

    def coefficients(self, content: bytes, system: str) -> Answer:
        """Of all faces whose shape coefficients made."""
        photo, estimator = self.opened(content), self._shapes(system)
        told = []
        for face in self._faces(photo, estimator):
            place = photos.describe_place(photo, face) | {"warnings": list(face.warnings)}
            if face.sound is not None and face.sound.coefficients is not None:
                place["coefficients"] = mesh.describe_coefficients(face.sound)
            told.append(place)
        if not any("coefficients" in one for one in told):
            text = (
                f"{system} tells no coefficients of this photo. Ask full_pose, with a clear face."
            )
            raise Problem(422, text)
        return _told(told, "coefficients")

    def view(self, content: bytes, system: str) -> Answer:
        """The page of `facerelief view`."""
        photo, first = self.opened(content), self.networks.get(system)
        both = [first] if first.makes_shapes else [first, self.networks.get("prnet")]
        maker = self.networks.maker("fused")
        search = photos.Search(min(self.settings.max_faces, view.MOST_FACES))
        try:
            product = view.produce(photo, both, maker, search, f"{STEM}.html")
        except PhotoError as error:
            raise _refused(error) from None
        return _only(product.files, ".html", HTML)

    def all(self, content: bytes, system: str) -> Answer:
        """What `facerelief all` writes, as a zip."""
        return zipped(self.everything(content, system), "all")

    def everything(self, content: bytes, system: str) -> dict[str, bytes]:
        """The same by file name."""
        photo, systems = self.opened(content), self.networks.everything(system)
        options = everything.Options(photos.Search(self.settings.max_faces))
        try:
            return everything.produce(photo, systems, options).files
        except PhotoError as error:
            raise _refused(error) from None

    def opened(self, content: bytes) -> Photo:
        """Raises Problem for what is no photo, or a larger one than the settings allow."""
        if not content:
            raise Problem(422, "The photo is an empty file. Send the picture's file as `photo`.")
        try:
            file = PhotoFile(content)
            file.name = STEM
            width, height = file.size
            if width * height > self.settings.max_pixels:
                raise Problem(
                    413,
                    f"The photo has {width} x {height} pixels; at most "
                    f"{self.settings.max_megapixels:g} million are taken here. Send it smaller.",
                )
            return Photo(file.read(), STEM, STEM, file)
        except ForeignError as error:
            text = f"{_reason(error)}. Send a JPEG, PNG, WebP, TIFF, GIF, BMP or AVIF file."
            raise Problem(415, text) from None
        except PhotoError as error:
            text = f"{_reason(error)}. Save the picture anew, as JPEG or PNG, and send that."
            raise Problem(422, text) from None

    def _faces(self, photo: Photo, estimator: Estimator) -> list[Face]:
        try:
            search = photos.Search(self.settings.max_faces)
            return photos.find_faces(photo, estimator, search)
        except PhotoError as error:
            raise _refused(error) from None

    def _shapes(self, system: str) -> Estimator:
        estimator = self.networks.get(system)
        if not estimator.makes_shapes:
            text = f"{estimator.name} estimates normals, not shapes. Choose prnet or full_pose."
            raise Problem(422, text)
        return estimator


def to_npz(faces: list[Face]) -> bytes:
    """Arrays of N faces of one size, the largest first: `docs/serve.md` names them."""
    arrays: dict[str, Any] = {
        "normals": np.stack([face.normals for face in faces]),
        "mask": np.stack([face.mask for face in faces]),
        "crop_to_photo": np.stack([face.crop.matrix for face in faces]),
        "box": np.array([face.box for face in faces], np.float32),
        "score": np.array([face.score for face in faces], np.float32),
        "points": np.stack([face.points for face in faces]).astype(np.float32),
    }
    expected = [face.expected_error for face in faces]
    if all(error is not None for error in expected):
        arrays["expected_error"] = np.stack([e for e in expected if e is not None])
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def zipped(files: Mapping[str, bytes], name: str) -> Answer:
    """Files as they are: pictures are compressed already."""
    buffer = io.BytesIO()
    with ZipFile(buffer, "w", ZIP_STORED) as archive:
        for path, content in files.items():
            archive.writestr(ZipInfo(path, _OLD), content)
    return Answer(buffer.getvalue(), ZIP, f"{STEM}_{name}.zip")


def faults(job: Callable[[], Answer]) -> Answer:
    """What `job` gives; damaged weights and too little memory are problems, too."""
    try:
        return job()
    except UnknownSystemError as error:
        raise Problem(422, f"{error}. Choose one of these.") from None
    except MemoryError:
        raise Problem(413, "There is not enough memory for the photo. Send it smaller.") from None
    except WeightsError as error:
        raise Problem(503, f"A network cannot be used: {error}.") from None


def _told(faces: list[dict[str, Any]], name: str) -> Answer:
    return Answer(photos.to_json({"faces": faces}), JSON, f"{STEM}_{name}.json")


def _only(files: Mapping[str, bytes], ending: str, media_type: str) -> Answer:
    name = STEM + ending
    return Answer(files[name], media_type, name)


def _chosen(faces: list[Face], number: int) -> Face:
    if number < len(faces):
        return faces[number]
    count = "1 face" if len(faces) == 1 else f"{len(faces)} faces"
    raise Problem(404, f"The photo shows {count}: `face` is 0 to {len(faces) - 1}, not {number}.")


def _check_shape(face: Face, number: int) -> None:
    if face.shape is not None and face.shape.problem is not None:
        raise Problem(
            422,
            f"Face {number} has no mesh: {face.shape.problem}. Send a photo that shows it larger, "
            "and less turned or covered.",
        )


def _refused(error: PhotoError) -> Problem:
    return Problem(
        422,
        f"{_reason(error)}. Send one that shows a face upright, sharp, and of at least 24 pixels.",
    )


def _reason(error: PhotoError) -> str:
    """As a sentence of a photo that has no name here."""
    text = str(error)
    for name in ("the bytes: ", f"{STEM}: "):
        text = text.removeprefix(name)
    return f"The photo: {text}".rstrip(".")
