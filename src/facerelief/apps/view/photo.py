"""A photo to subjects: its faces, each as several systems see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from facerelief import fine, photo_frame
from facerelief.apps import photos
from facerelief.apps.products import Photo, Product, face_stems
from facerelief.apps.texture import unwrap
from facerelief.apps.view.page import page
from facerelief.apps.view.scene import Layers, Solid, Subject, layers_of, terms_of, window_round
from facerelief.catalogue import Entry
from facerelief.crops import Crop
from facerelief.detail import Detail, Maker
from facerelief.detailed import DetailedFace
from facerelief.mesh_writing import Asset
from facerelief.runtime import Estimator
from facerelief.types import Face

MOST_FACES = 6  # of a photo: a page of more would be of tens of megabytes
TEXTURE = 1024  # pixels of a mesh's texture


@dataclass(frozen=True, eq=False)
class Seen:
    """What one system says of a face."""

    entry: Entry
    face: Face
    around: Face | None = None  # the same in a larger crop: see `photo_frame.AROUND`
    relief: Detail | None = None  # on its mesh

    def layers(self, photo: Photo, window: Crop) -> Layers:
        """In a window of the photo, with the photo's own detail."""
        face, size = self.face, fine.native_size(self.face)
        sized = face if size <= face.crop.size else fine.at_size(face, photo.pixels, size)
        return layers_of(sized, self.around, window, self.entry.name, terms_of(self.entry))

    @classmethod
    def by(cls, estimator: Estimator, photo: Photo, faces: Sequence[Face]) -> list[Seen]:
        """The faces at whose places `estimator` has looked, with what lies round them."""
        if estimator.makes_shapes:  # they are drawn whole
            return [cls(estimator.entry, face) for face in faces]
        places = [face.place.enlarged(photo_frame.AROUND) for face in faces]
        around = estimator.estimate(photo.pixels, places)
        return [cls(estimator.entry, *pair) for pair in zip(faces, around, strict=True)]

    def with_relief(self, maker: Maker | None, photo: Photo) -> Seen:
        """The same with what `maker` makes of its mesh, if it has one."""
        if maker is None or self.face.sound is None:
            return self
        return replace(self, relief=maker(self.face, photo.pixels))


def subject_of(photo: Photo, title: str, seen: Sequence[Seen]) -> Subject:
    """One face of `photo`, as one system or more see it."""
    first = seen[0].face
    window = window_round(first.crop, first.photo_size)
    layers = [one.layers(photo, window) for one in seen]
    solids = [solid_of(photo, one) for one in seen if one.face.sound is not None]
    warnings = dict.fromkeys(
        text
        for one in seen
        for text in (*one.face.warnings, *(one.relief.warnings if one.relief else ()))
    )
    return Subject(title, window.extract(photo.pixels), layers, solids, tuple(warnings))


def solid_of(photo: Photo, seen: Seen) -> Solid:
    """The mesh of a face that has one, with its skin and its relief."""
    mesh = seen.face.need_shape("a mesh").mesh
    skin = unwrap(photo.pixels, seen.face, TEXTURE).colours
    bumps = None
    if seen.relief is not None and seen.relief.displacement.any():
        bumps = DetailedFace(seen.face, seen.relief).normal_map(mesh)
    return Solid(seen.entry.name, terms_of(seen.entry), Asset(mesh, skin, bumps))


def subjects_in(
    photo: Photo,
    estimators: Sequence[Estimator],
    maker: Maker | None,
    search: photos.Search,
) -> list[Subject]:
    """The faces that the first of `estimators` finds in `photo`, as all of them see each.

    `maker` makes the relief on the meshes of those that make shapes.

    Raises PhotoError for a photo without a face.
    """
    faces = photos.find_faces(photo, estimators[0], search)
    places = [face.place for face in faces]
    columns = []
    for estimator in estimators:
        own = faces if estimator is estimators[0] else estimator.estimate(photo.pixels, places)
        seen = Seen.by(estimator, photo, own)
        columns.append([one.with_relief(maker, photo) for one in seen])
    return subjects_of(photo, face_stems(photo.stem, len(faces)), columns)


def subjects_of(
    photo: Photo, titles: Sequence[str], columns: Sequence[Sequence[Seen]]
) -> list[Subject]:
    """Faces of `photo`, each by its title and as all systems, a column each, see it."""
    rows = zip(titles, zip(*columns, strict=True), strict=True)
    return [subject_of(photo, title, row) for title, row in rows]


def produce(
    photo: Photo,
    estimators: Sequence[Estimator],
    maker: Maker | None,
    search: photos.Search,
    name: str,
) -> Product:
    """The page called `name` of a photo's faces. Raises PhotoError for a photo without one."""
    subjects = subjects_in(photo, estimators, maker, search)
    sidecars = [{"face": subject.title} for subject in subjects]
    return Product(sidecars, {name: page(subjects, photo.stem)})
