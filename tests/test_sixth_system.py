"""What a sixth system needs: its class, a decoder and a catalogue entry, and nothing else.

A toy one that answers with coefficients of the built-in head, where a perspective camera sees it,
and with a relief: from its class to an ONNX file, a face, and a mesh that opens.
"""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

import trimesh  # noqa: E402

import facerelief as fr  # noqa: E402
from facerelief import catalogue  # noqa: E402
from facerelief.apps import mesh as mesh_app  # noqa: E402
from facerelief.apps.products import Photo  # noqa: E402
from facerelief.decoders import DECODERS, Arrays, Decoder  # noqa: E402
from facerelief.export import Provenance, export  # noqa: E402
from facerelief.geometry.camera import Perspective  # noqa: E402
from facerelief.geometry.head import builtin_head  # noqa: E402
from facerelief.geometry.mesh import vertex_normals  # noqa: E402
from facerelief.geometry.skin import Skin  # noqa: E402
from facerelief.geometry.skin_mesh import skin_mesh  # noqa: E402
from facerelief.reconstruction import ShapeEstimate, SkinShape  # noqa: E402
from facerelief.train.systems.base import CROP, Deployed, System, Turn  # noqa: E402
from facerelief.types import Estimate, Place  # noqa: E402

IDENTITIES, RELIEF = 3, 32  # coefficients, and texels a side
FOCAL, AWAY = 1500.0, 1500.0  # pixels, mm: one mm is one pixel at the head's origin
CAMERA = Perspective(FOCAL, (128.0, 110.0))


class Toy(System):
    """Nothing is learnt: coefficients follow from the picture's mean colour."""

    presets: ClassVar[dict] = {"tiny": {}}

    def __init__(self, weights: dict | None = None) -> None:
        super().__init__()
        self.mix = torch.nn.Linear(3, IDENTITIES)
        self.yaw = torch.nn.Parameter(torch.tensor(0.3))

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        mean = image.mean((2, 3))
        angles = torch.stack([self.yaw + 0 * mean[:, 0], 0 * mean[:, 0]], 1)
        relief = torch.nn.functional.adaptive_avg_pool2d(image.mean(1), RELIEF)
        return self.mix(mean), mean[:, :1].sigmoid(), angles, relief

    def turns(self, sample: object) -> Iterator[Turn]:
        raise NotImplementedError

    def metrics(self, sample: object, prediction: object) -> dict:
        raise NotImplementedError

    def sheet(self, sample: object) -> list:
        raise NotImplementedError

    def deployed(self, size: int = CROP) -> Deployed:
        return DeployedToy(self, size)


class DeployedToy(Deployed):
    kind = "coefficients"
    outputs = ("identity", "jaw", "angles", "relief")

    def forward(self, crops: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return self.system(self.pictures(crops))


def decode(arrays: Arrays) -> Estimate:
    """The head that the coefficients make, displaced along its normals, as the camera sees it."""
    return ShapeEstimate(
        [shape(*of_one) for of_one in zip(*(arrays[n] for n in DeployedToy.outputs), strict=True)]
    )


def shape(
    identity: np.ndarray, jaw: np.ndarray, angles: np.ndarray, relief: np.ndarray
) -> SkinShape:
    model, mesh = builtin_head(1), skin_mesh()
    expression = model.expression_weights(jawOpen=float(jaw[0]))
    vertices = model.vertices(identity, expression)
    height = map_coordinates(relief, (mesh.uv * (1, -1) + (0, 1)).T[::-1] * RELIEF - 0.5, order=1)
    normals = vertex_normals(vertices, model.triangles)[mesh.source]
    head = vertices[mesh.source] + height[:, None] * normals
    cos, sin = np.cos(angles[0]), np.sin(angles[0])
    turn = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
    points = CAMERA.project(head @ turn.T - (0, 0, AWAY))
    points[:, 2] = (points[:, 2] + AWAY) * FOCAL / AWAY
    told = {"identity": identity, "expression": expression, "relief": relief}
    skin = Skin(points.astype(np.float32), CROP)
    return SkinShape(skin, Place.of_crop(), head=head, coefficients=told)


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toy:
    """The system, exported, known by its decoder and in the catalogue."""
    torch.manual_seed(0)
    system = Toy.from_preset("tiny").eval()
    told = Provenance("toy", "tiny", "open", "nothing", "0.0")
    entry = {
        "system": "toy", "preset": "tiny", "kind": "coefficients", "file": "toy.onnx",
        "sha256": export(system, tmp_path / "toy.onnx", told), "tier": "open",
        "training_data": ["nothing"], "licence": "any use",
    }  # fmt: skip
    known = {"default": "toy", "systems": {"toy": entry}}
    (tmp_path / "catalogue.json").write_text(json.dumps(known))
    monkeypatch.setattr(catalogue, "FOLDER", tmp_path)
    rest = {"identity": (IDENTITIES,), "jaw": (1,), "angles": (2,), "relief": (RELIEF, RELIEF)}
    monkeypatch.setitem(DECODERS, "coefficients", Decoder(decode, rest, makes_shapes=True))
    return system


def test_from_class_to_glb(toy: Toy, astronaut: Path, tmp_path: Path) -> None:
    estimator = fr.load("toy", threads=1)
    assert estimator.makes_shapes and estimator.entry.kind == "coefficients"
    assert fr.load(tmp_path / "toy.onnx").entry.kind == "coefficients"  # the file says so itself
    (face,) = estimator(astronaut)

    picture = torch.from_numpy(face.crop.extract(fr.load_photo(astronaut)))[None]
    with torch.no_grad():
        identity, jaw, _, relief = toy.deployed()(picture)
    assert np.allclose(face.coefficients["identity"], identity[0], atol=1e-4)
    assert np.allclose(face.coefficients["relief"], relief[0], atol=1e-4)

    # The mesh is the model's, displaced; it lies in the photo as the camera saw it in the crop.
    own = builtin_head(1).vertices(
        identity[0].numpy(), builtin_head(1).expression_weights(jawOpen=float(jaw[0, 0]))
    )
    mesh = skin_mesh().face_mesh
    apart = np.linalg.norm(face.mesh.vertices - own[mesh.source], axis=1)
    assert 0.05 < apart.mean() < 1 and apart.max() < 1.1  # mm, the relief
    assert face.angles[0] == pytest.approx(np.degrees(0.3), abs=3)
    seen = face.mesh.vertices @ face.pose[:, :3].T + face.pose[:, 3]
    marks = seen[mesh.landmarks, :2] * (1, -1)
    assert np.abs(marks - face.landmarks[:, :2]).max() < 0.05 * face.crop.side
    inside = face.crop.to_crop(face.landmarks[:, :2])
    assert ((inside > 0) & (inside < 256)).all()
    assert face.normals[face.mask][:, 2].mean() > 0.5 and face.warnings == ()
    assert len(fr.landmarks(face, "facemesh478")[0]) == 478

    # And everything that is made of faces can be made of this one.
    photo = Photo(fr.load_photo(astronaut), "toy", "toy.jpg")
    product = mesh_app.produce(photo, estimator, mesh_app.Options(texture=256))
    (made,) = trimesh.load(io.BytesIO(product.files["toy.glb"]), file_type="glb").geometry.values()
    assert np.allclose(made.vertices * 1000, face.mesh.vertices, atol=1e-2)
    assert made.visual.material.baseColorTexture.size == (256, 256)
    assert estimator.estimate_crops(np.zeros((0, 256, 256, 3), np.uint8)).shapes == []
