"""Readers of morphable models: each format written small, read back, damaged and abused."""

import io
import json
import os
import pickle
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from facerelief.geometry import model_files_ict as ict
from facerelief.geometry.mesh import vertex_normals
from facerelief.geometry.model_files import read_model
from facerelief.geometry.model_files_common import ModelFileError, outwards
from facerelief.geometry.model_files_flame import VERTICES, read_pickle
from facerelief.geometry.morphable import MorphableModel
from spheres import icosphere

MEAN, TRIANGLES = icosphere(2, 90.0)
COUNT = len(MEAN)
G = np.random.default_rng(0)
IDENTITY = G.normal(size=(4, COUNT, 3))
EXPRESSION = G.normal(size=(3, COUNT, 3))
WEIGHTS = G.normal(size=4)


def columns(basis: np.ndarray) -> np.ndarray:
    """(K, V, 3) as the (3V, K) of unit columns that files hold, and their lengths."""
    return basis.reshape(len(basis), -1).T


def basel_2009(inwards: bool = False) -> dict[str, np.ndarray]:
    lengths = np.linalg.norm(columns(IDENTITY), axis=0)
    faces = TRIANGLES[:, ::-1] if inwards else TRIANGLES
    return {
        "shapeMU": 1000 * MEAN.reshape(-1, 1),
        "shapePC": columns(IDENTITY) / lengths,
        "shapeEV": 1000 * lengths[:, None],
        "tl": faces + 1,
    }


def write_basel_2009(path: Path) -> Path:
    savemat(path / "01_MorphableModel.mat", basel_2009())
    return path / "01_MorphableModel.mat"


def write_basel_2009_v73(path: Path) -> Path:
    h5py = pytest.importorskip("h5py")
    with h5py.File(path / "model.mat", "w", userblock_size=512) as file:
        for name, array in basel_2009(inwards=True).items():
            file[name] = array.T
    with (path / "model.mat").open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(512))
    return path / "model.mat"


def write_basel_2017(path: Path) -> Path:
    h5py = pytest.importorskip("h5py")
    with h5py.File(path / "model2017-1_face12_nomouth.h5", "w") as file:
        for kind, basis in (("shape", IDENTITY), ("expression", EXPRESSION)):
            lengths = np.linalg.norm(columns(basis), axis=0)
            shift = 1.0 if kind == "expression" else -1.0  # a head is the sum of both means
            mean = (MEAN if kind == "shape" else 0 * MEAN) + shift
            file[f"{kind}/model/mean"] = mean.ravel()
            file[f"{kind}/model/pcaBasis"] = columns(basis) / lengths
            file[f"{kind}/model/pcaVariance"] = lengths**2
        file["shape/representer/cells"] = TRIANGLES.T
    return path / "model2017-1_face12_nomouth.h5"


def write_gnm(path: Path, **changes: Any) -> Path:
    names = np.array(["tongue_000", "left_eye_000", "lower_face_000"])
    uvs = np.stack([TRIANGLES, 7 - TRIANGLES % 7], axis=-1) / (COUNT + 8) + [2, 0]
    arrays = {
        "version": np.array("3.0"),
        "template_vertex_positions": MEAN / 1000,
        "vertex_identity_basis": IDENTITY / 1000,
        "expression_basis": EXPRESSION / 1000,
        "expression_names": names,
        "triangles": TRIANGLES,
        "triangle_uvs": uvs,
        "mirror_indices": np.arange(COUNT)[::-1],
        "vertex_groups": np.stack([MEAN[:, 1] > 0, MEAN[:, 1] <= 0]).astype(float),
        "vertex_group_names": np.array(["upper", "lower"]),
    }
    np.savez(path / "gnm_head.npz", **(arrays | changes))
    return path / "gnm_head.npz"


@pytest.mark.parametrize(
    "write", [write_basel_2009, write_basel_2009_v73, write_basel_2017, write_gnm]
)
def test_small_models_come_back_in_mm(write: Callable[[Path], Path], tmp_path: Path) -> None:
    model = read_model(write(tmp_path))
    expected = MEAN + np.tensordot(WEIGHTS, IDENTITY, axes=1)
    assert np.allclose(model.vertices(WEIGHTS), expected, atol=1e-3)
    if len(model.expression):
        weights = model.expression_weights(**{model.expression_names[1]: 0.5})
        assert np.allclose(model.vertices(expression=weights), MEAN + EXPRESSION[1] / 2, atol=1e-3)
    normals = vertex_normals(model.mean, model.triangles)
    assert ((normals * model.mean).sum(axis=1) > 0).all(), "seen from outside"


def test_gnm_regions_symmetry_and_uv(tmp_path: Path) -> None:
    model = read_model(write_gnm(tmp_path))
    assert model.expression_names == ("tongue_000", "left_eye_000", "lower_face_000")
    assert model.regions["upper"].sum() + model.regions["lower"].sum() == COUNT
    assert model.symmetry is not None and model.symmetry[0] == COUNT - 1
    assert model.uv is not None and model.uv_triangles is not None
    uv = model.uv[model.uv_triangles]
    assert np.allclose(uv[..., 0], model.triangles / (COUNT + 8), atol=1e-6), "tile 2 is moved"


class Ch:
    """As `chumpy.ch.Ch` pickles: its arrays and its bookkeeping in the state."""

    def __init__(self, x: np.ndarray) -> None:
        self.x = x
        self.dirty = {"r"}


def dump_with_chumpy(content: Any, protocol: int) -> bytes:
    """A pickle of `Ch` objects as chumpy's, which need nothing of chumpy afterwards."""
    module = types.ModuleType("chumpy.ch")
    module.Ch = Ch  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ch, "__module__", "chumpy.ch")
        patch.setitem(sys.modules, "chumpy", types.ModuleType("chumpy"))
        patch.setitem(sys.modules, "chumpy.ch", module)
        return pickle.dumps(content, protocol=protocol)


def flame(components: int = 304) -> dict[str, Any]:
    g = np.random.default_rng(1)
    return {
        "v_template": g.normal(size=(VERTICES, 3)) / 10,
        "shapedirs": g.normal(size=(VERTICES, 3, components)).astype(np.float32) / 1000,
        "f": np.stack([np.arange(VERTICES - 2) + i for i in range(3)], axis=1).astype(np.uint32),
    }


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_flame_pickle_with_chumpy_and_scipy(tmp_path: Path, protocol: int) -> None:
    from scipy.sparse import csc_matrix

    content = flame()
    wrapped = {
        **content,
        "shapedirs": Ch(content["shapedirs"]),
        "J_regressor": csc_matrix(np.eye(5)),
        "weights": np.float64(3.0),
        "bs_type": "lrotmin",
    }
    path = tmp_path / "generic_model.pkl"
    path.write_bytes(dump_with_chumpy(wrapped, protocol))
    model = read_model(path)
    assert model.identity.shape == (300, VERTICES, 3) and model.expression.shape[0] == 4
    expected = 1000 * (content["v_template"] + 2 * content["shapedirs"][..., 301])
    weights = model.expression_weights(expression1=2)
    assert np.allclose(model.vertices(expression=weights), expected, atol=1e-3)


def test_flame_npz(tmp_path: Path) -> None:
    content = flame()
    np.savez(tmp_path / "flame.npz", posedirs=np.array([{}]), **content)
    model = read_model(tmp_path / "flame.npz")
    assert np.allclose(model.mean, 1000 * content["v_template"], atol=1e-3)
    assert model.name == "flame"


class Evil:
    """Runs a command where it is unpickled."""

    def __init__(self, call: Callable[..., Any], *arguments: Any) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call, self.arguments


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_pickles_run_nothing(tmp_path: Path, protocol: int) -> None:
    mark = tmp_path / "mark"
    calls = [
        Evil(os.system, f"touch {mark}"),
        Evil(eval, f"__import__('pathlib').Path({str(mark)!r}).touch()"),
        Evil(exec, f"open({str(mark)!r}, 'w')"),
        Evil(getattr, np.ndarray, "tofile"),
        Evil(np.save, str(mark), np.zeros(1)),
        Evil(io.open, str(mark), "w"),
    ]
    for call in calls:
        path = tmp_path / "evil.pkl"
        path.write_bytes(pickle.dumps({**flame(1), "x": call}, protocol=protocol))
        with pytest.raises(ModelFileError, match=r"evil\.pkl: .*asks for"):
            read_model(path)
        assert not list(tmp_path.glob("mark*"))
    # The same pickle does run where pickles are read as usual: the test would notice.
    pickle.loads(pickle.dumps(calls[1], protocol=protocol))
    assert mark.exists()


def test_attributes_of_modules_are_out_of_reach() -> None:
    """Protocol 4 takes dotted names apart: ``numpy``'s ``ndarray.tofile`` is no known name."""
    for name in ("ndarray.tofile", "core.os.system", "load", "lib.npyio.load"):
        data = b"\x80\x04\x8c\x05numpy\x8c" + bytes([len(name)]) + name.encode() + b"\x93."
        with pytest.raises(ModelFileError, match="asks for"):
            read_pickle(data)


def write_ict(folder: Path) -> dict[str, np.ndarray]:
    """ICT-FaceKit's layout with a made-up surface on its 26,719 vertices."""
    folder.mkdir(exist_ok=True)
    g = np.random.default_rng(2)
    # A strip of quads round a sphere, the last face a triangle.
    index = np.arange(ict.VERTICES)
    turn, rise = index * 0.6, np.linspace(-1, 1, ict.VERTICES)
    mean = 9 * np.stack([np.sqrt(1 - rise**2) * np.sin(turn), rise,
                         np.sqrt(1 - rise**2) * np.cos(turn)], axis=1)  # fmt: skip
    arrays = {"generic_neutral_mesh": mean}
    names = ["identity000", "identity001", "jawOpen", "browInnerUp_L", "browInnerUp_R",
             "eyeBlink_L", "PupilDilate_L", "cheekRaiser_R"]  # fmt: skip
    for name in names:
        arrays[name] = mean + g.normal(size=mean.shape).astype(np.float32)
    faces = "".join(f"f {i}/1 {i + 10}/2 {i + 11}/3 {i + 1}/4\n" for i in range(1, 2000, 2))
    head = "vt 0.1 0.2\nvt 1.5 0.2\nvt 1.5 0.9\nvt 0.2 0.9\nusemtl M_Face\n" + faces
    for name, vertices in arrays.items():
        text = "".join(f"v {x:.6f} {y:.6f} {z:.6f}\n" for x, y, z in vertices)
        (folder / f"{name}.obj").write_text(text + head + "f 1/1 11/2 12/3\n")
    marks = {"idx_to_landmark_verts": list(range(68))}
    (folder / "vertex_indices.json").write_text(json.dumps(marks))
    return arrays


def test_ict_folder(tmp_path: Path) -> None:
    arrays = write_ict(tmp_path)
    model = read_model(tmp_path)
    mean = 10 * arrays["generic_neutral_mesh"]
    assert np.allclose(model.mean, mean, atol=1e-4)
    assert np.allclose(model.mean + model.identity[1], 10 * arrays["identity001"], atol=1e-3)
    expected = ("browInnerUp", "eyeBlinkLeft", "jawOpen", "cheekRaiserRight")
    assert model.expression_names == expected
    halves = 10 * (arrays["browInnerUp_L"] + arrays["browInnerUp_R"]) - 2 * mean
    assert np.allclose(model.expression[0], halves, atol=1e-3)
    assert len(model.triangles) == 2 * 1000 + 1
    assert model.landmarks is not None and model.landmarks.shape == (68,)

    (tmp_path / "identity001.obj").write_text("v 1 2 3\n")
    with pytest.raises(ModelFileError, match=r"identity001.obj: ICT-FaceKit has 26719 vertices"):
        read_model(tmp_path)
    (tmp_path / "identity001.obj").unlink()
    (tmp_path / "jawOpen.obj").rename(tmp_path / "jawOpenWide.obj")
    with pytest.raises(ModelFileError, match="jawOpenWide"):
        read_model(tmp_path)


def test_quads_are_cut_along_the_shorter_diagonal_on_both_sides() -> None:
    corners = np.array([[0.0, 0, 0], [2, 0, 0], [3, 2, 0], [0, 1, 0]])
    vertices = np.concatenate([corners, corners * [-1, 1, 1]])
    quads = np.array([[0, 1, 2, 3], [7, 6, 5, 4], [0, 1, 3, -1]])
    triangles, other = ict.split_quads(vertices, quads, quads + 10)
    edges = [{tuple(sorted(t[[i, i - 1]] % 4)) for i in range(3)} for t in triangles[:4]]
    assert all((1, 3) in edge and (0, 2) not in edge for edge in edges)
    assert np.array_equal(other, triangles + 10)
    assert triangles[4].tolist() == [0, 1, 3]


WRONG: dict[str, Callable[[Path], Path]] = {}


def wrong(write: Callable[[Path], bytes]) -> None:
    def make(folder: Path) -> Path:
        path = folder / "model.bin"
        path.write_bytes(write(folder))
        return path

    WRONG[write.__name__] = make


@wrong
def empty(folder: Path) -> bytes:
    return b""


@wrong
def text(folder: Path) -> bytes:
    return b"ply\nformat ascii 1.0\n"


@wrong
def half_a_mat(folder: Path) -> bytes:
    return write_basel_2009(folder).read_bytes()[:20000]


@wrong
def half_a_v73_mat(folder: Path) -> bytes:
    return write_basel_2009_v73(folder).read_bytes()[:3000]


@wrong
def half_an_hdf5(folder: Path) -> bytes:
    return write_basel_2017(folder).read_bytes()[:3000]


@wrong
def half_an_npz(folder: Path) -> bytes:
    return write_gnm(folder).read_bytes()[:5000]


@wrong
def half_a_pickle(folder: Path) -> bytes:
    return pickle.dumps(flame(1))[:5000]


@wrong
def pickled_list(folder: Path) -> bytes:
    return pickle.dumps([1, 2])


@wrong
def pickled_body(folder: Path) -> bytes:
    content = flame(1)
    return pickle.dumps({**content, "v_template": np.zeros((6890, 3))})


@wrong
def pickled_objects(folder: Path) -> bytes:
    return pickle.dumps({**flame(1), "v_template": np.array([{}] * 3)})


@wrong
def mat_of_something_else(folder: Path) -> bytes:
    savemat(folder / "other.mat", {"shapeMU": MEAN})
    return (folder / "other.mat").read_bytes()


@wrong
def mat_that_does_not_fit(folder: Path) -> bytes:
    savemat(folder / "other.mat", basel_2009() | {"shapePC": columns(IDENTITY)[:-3]})
    return (folder / "other.mat").read_bytes()


@wrong
def triangles_of_nothing(folder: Path) -> bytes:
    return write_gnm(folder, triangles=TRIANGLES + 1).read_bytes()


@wrong
def names_too_few(folder: Path) -> bytes:
    return write_gnm(folder, expression_names=np.array(["one"])).read_bytes()


@wrong
def not_finite(folder: Path) -> bytes:
    return write_gnm(folder, template_vertex_positions=MEAN * np.nan).read_bytes()


@wrong
def npz_of_something_else(folder: Path) -> bytes:
    np.savez(folder / "other.npz", a=np.zeros(3))
    return (folder / "other.npz").read_bytes()


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_files_end_in_one_clear_line(kind: str, tmp_path: Path) -> None:
    path = WRONG[kind](tmp_path)
    with pytest.raises(ModelFileError) as caught:
        read_model(path)
    message = str(caught.value)
    assert message.startswith("model.bin: ") and "\n" not in message and len(message) < 250


def test_no_file_and_wrong_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no model file at"):
        read_model(tmp_path / "none.mat")
    with pytest.raises(ModelFileError, match="expected a Basel Face Model"):
        read_model(tmp_path)


def test_outwards_holds_for_masks() -> None:
    """The front third of a sphere, which is no closed surface, turned either way."""
    front = TRIANGLES[(MEAN[TRIANGLES][..., 2] > 30).all(axis=1)]
    for given in (front, front[:, ::-1]):
        assert np.array_equal(outwards(MEAN, given), front)


def test_model_is_the_same_kind_for_all(tmp_path: Path) -> None:
    model = read_model(write_basel_2009(tmp_path))
    assert isinstance(model, MorphableModel)
    assert model.mean.dtype == model.identity.dtype == np.float32
    assert model.triangles.dtype == np.int32
    assert model.expression.shape == (0, COUNT, 3) and model.expression_names == ()
