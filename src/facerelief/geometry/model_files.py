"""Readers of morphable models that users own, all giving the same `MorphableModel`, in mm.

==================  =============================================  ==========================
model               file                                           needs
==================  =============================================  ==========================
Basel 2009          ``01_MorphableModel.mat``                      h5py if saved as v7.3
Basel 2017, 2019    ``model2017-1_face12_nomouth.h5`` and others   h5py
FLAME               ``generic_model.pkl``, ``flame2023.pkl``, npz
ICT-FaceKit         the folder ``FaceXModel``
GNM Head            ``gnm_head.npz``
==================  =============================================  ==========================

Formats are told by content, never by name. None is run: pickles are read by a reader that knows
arrays alone. Identity and statistical expression components are scaled to one standard deviation;
named expressions are at weight 1.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat

from facerelief.geometry.model_files_common import ModelFileError, checked_model, numbered
from facerelief.geometry.model_files_flame import flame_model, read_pickle
from facerelief.geometry.model_files_ict import NEUTRAL, read_ict_folder
from facerelief.geometry.morphable import MorphableModel

_HDF5 = b"\x89HDF\r\n\x1a\n"
_BASEL_LICENCE = "Basel Face Model licence; not ours to give"
_EXPECTED = (
    "expected a Basel Face Model (.mat or .h5), FLAME (.pkl or .npz), GNM (.npz) "
    f"or ICT-FaceKit's folder with {NEUTRAL}"
)


def read_model(path: str | Path) -> MorphableModel:
    """The morphable model of a file or folder, whose format is found out.

    Raises:
        FileNotFoundError: there is nothing at `path`.
        ModelFileError: it is none of the formats, or a damaged one; one line says what is wrong.
        ImportError: it needs h5py, which is not installed.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no model file at {path}")
    try:
        return _read(path)
    except ModelFileError as error:
        raise ModelFileError(f"{path.name}: {error}") from None


def _read(path: Path) -> MorphableModel:
    if path.is_dir():
        if not (path / NEUTRAL).is_file():
            raise ModelFileError(_EXPECTED)
        return read_ict_folder(path)
    with path.open("rb") as file:
        head = file.read(1024)
    if head.startswith(_HDF5) or head[512:].startswith(_HDF5):  # MATLAB's v7.3 has its own header
        return _basel_hdf5(path)
    if head.startswith(b"MATLAB 5.0 MAT-file"):
        return basel_2009_model(_matlab(path))
    if head.startswith(b"PK\x03\x04"):
        return _npz(path)
    if head[:1] == b"\x80" or path.suffix in (".pkl", ".pickle"):
        return flame_model(read_pickle(path.read_bytes()))
    raise ModelFileError(_EXPECTED)


def basel_2009_model(content: Mapping[str, NDArray[Any]]) -> MorphableModel:
    """The Basel Face Model of 2009 (Paysan et al., AVSS 2009).

    Arguments:
        content: ``shapeMU`` (3V, 1) and ``shapePC`` (3V, K) in micrometres, ``shapeEV`` (K, 1)
            standard deviations, ``tl`` (T, 3) from 1.

    Raises:
        ModelFileError: arrays that are missing or do not fit.
    """
    missing = sorted({"shapeMU", "shapePC", "shapeEV", "tl"} - content.keys())
    if missing:
        raise ModelFileError(f"Basel Face Model 2009: no {', '.join(missing)} in it")
    mean, basis, deviations = (np.asarray(content[k]) for k in ("shapeMU", "shapePC", "shapeEV"))
    shape = _scaled_basis("Basel Face Model 2009", mean, basis, deviations)
    return checked_model(
        name="bfm2009",
        licence=_BASEL_LICENCE,
        mean=_points(mean) / 1000,
        triangles=np.asarray(content["tl"]).astype(np.int64) - 1,
        identity=shape / 1000,
        expression=np.zeros((0, mean.size // 3, 3)),
        expression_names=(),
    )


def _basel_hdf5(path: Path) -> MorphableModel:
    try:
        import h5py  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ImportError:
        raise ImportError("HDF5 models need h5py: pip install 'facerelief[models]'") from None
    try:
        with h5py.File(path, "r") as file:
            if "shape/model/mean" in file:
                return _basel_2017_model({name: _dataset(file, name) for name in _BASEL_2017})
            if "shapeMU" in file:  # v7.3 stores MATLAB's column-major arrays transposed
                names = ("shapeMU", "shapePC", "shapeEV", "tl")
                return basel_2009_model({k: np.asarray(file[k]).T for k in names if k in file})
    except (OSError, KeyError, TypeError, AttributeError) as error:
        raise ModelFileError(f"not a whole HDF5 model: {error}") from None
    raise ModelFileError("HDF5, but without /shape/model/mean (Basel 2017) or shapeMU (2009)")


_BASEL_2017 = tuple(
    [f"{kind}/model/{part}" for kind in ("shape", "expression") for part in
     ("mean", "pcaBasis", "pcaVariance")] + ["shape/representer/cells"]
)  # fmt: skip


def _dataset(file: Any, name: str) -> NDArray[Any]:
    if name not in file:
        raise ModelFileError(f"Basel Face Model 2017: no /{name} in it")
    return np.asarray(file[name])


def _basel_2017_model(content: Mapping[str, NDArray[Any]]) -> MorphableModel:
    """The Basel Face Models of 2017 and 2019 (Gerig et al., FG 2018), in mm.

    Heads are the mean shape plus the mean expression; components have unit length and a variance.
    """
    name = "Basel Face Model 2017"
    bases = {}
    for kind in ("shape", "expression"):
        mean, basis, variance = (
            content[f"{kind}/model/{part}"] for part in ("mean", "pcaBasis", "pcaVariance")
        )
        bases[kind] = _scaled_basis(name, mean, basis, np.sqrt(np.maximum(variance, 0)))
    means = [content[f"{kind}/model/mean"] for kind in ("shape", "expression")]
    if means[0].size != means[1].size:
        raise ModelFileError(f"{name}: shape and expression have different numbers of vertices")
    cells = content["shape/representer/cells"]
    return checked_model(
        name="bfm2017",
        licence=_BASEL_LICENCE,
        mean=_points(means[0]) + _points(means[1]),
        triangles=(cells.T if cells.shape[0] == 3 else cells).astype(np.int64),
        identity=bases["shape"],
        expression=bases["expression"],
        expression_names=numbered("expression", len(bases["expression"])),
    )


def _points(values: NDArray[Any]) -> NDArray[np.float32]:
    return values.astype(np.float32).reshape(-1, 3)


def _scaled_basis(
    name: str, mean: NDArray[Any], basis: NDArray[Any], deviations: NDArray[Any]
) -> NDArray[np.float32]:
    """(K, V, 3) of columns (3V, K) times standard deviations."""
    count = deviations.size
    if mean.size % 3 or basis.shape != (mean.size, count):
        expected = f"({mean.size}, {count})"
        raise ModelFileError(f"{name}: the basis should be {expected}, it is {basis.shape}")
    scaled = basis.astype(np.float32) * deviations.astype(np.float32).ravel()
    return np.ascontiguousarray(scaled.T).reshape(count, -1, 3)


def _matlab(path: Path) -> Mapping[str, NDArray[Any]]:
    try:
        with path.open("rb") as file:
            content: Mapping[str, NDArray[Any]] = loadmat(file)
    # SciPy raises many kinds of errors on damaged files (zlib's, struct's, its own, ValueError...).
    except Exception as error:
        raise ModelFileError(f"not a whole MATLAB file: {error}") from None
    return content


def _npz(path: Path) -> MorphableModel:
    try:
        # Opened here, since NumPy leaves a broken file open.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            if "template_vertex_positions" in file.files:
                return gnm_model({k: file[k] for k in file.files if k in _GNM_USED})
            if "v_template" in file.files:
                names = ("v_template", "shapedirs", "f")
                return flame_model({k: file[k] for k in names if k in file.files})
    except ModelFileError:
        raise
    except (ValueError, OSError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ModelFileError(f"not a whole npz of arrays: {error}") from None
    raise ModelFileError("npz, but without v_template (FLAME) or template_vertex_positions (GNM)")


_GNM_NEEDED = (
    "template_vertex_positions", "vertex_identity_basis", "expression_basis", "expression_names",
    "triangles",
)  # fmt: skip
_GNM_USED = (
    *_GNM_NEEDED, "triangle_uvs", "mirror_indices", "vertex_groups", "vertex_group_names",
)  # fmt: skip


def gnm_model(content: Mapping[str, NDArray[Any]]) -> MorphableModel:
    """Google's GNM Head (Apache-2.0), without its joints.

    Arguments:
        content: ``template_vertex_positions`` (V, 3), ``vertex_identity_basis`` (I, V, 3) and
            ``expression_basis`` (E, V, 3) in metres, ``expression_names`` (E,), ``triangles``
            (T, 3); and where they are ``triangle_uvs`` (T, 3, 2), ``mirror_indices`` (V,),
            ``vertex_groups`` (G, V) weights and ``vertex_group_names`` (G,).

    Regions are the groups, where their weight is above a half. Parts lie in UV tiles beside each
    other, which are moved onto the first.

    Raises:
        ModelFileError: arrays that are missing or do not fit.
    """
    missing = sorted(set(_GNM_NEEDED) - content.keys())
    if missing:
        raise ModelFileError(f"GNM: no {', '.join(missing)} in it")
    mean = 1000 * content["template_vertex_positions"].astype(np.float32)
    expressions = 1000 * content["expression_basis"].astype(np.float32)
    names = tuple(str(name) for name in content["expression_names"])
    if len(names) != len(expressions):
        raise ModelFileError(f"GNM: {len(names)} names for {len(expressions)} expressions")
    triangles = content["triangles"].astype(np.int64)
    parts: dict[str, Any] = {}
    if "triangle_uvs" in content:
        corners = content["triangle_uvs"].astype(np.float32)
        if corners.shape != (*triangles.shape, 2):
            raise ModelFileError(f"GNM: triangle_uvs of {corners.shape} for {len(triangles)}")
        tile = np.floor(corners.mean(axis=1, keepdims=True))
        uv, index = np.unique((corners - tile).reshape(-1, 2), axis=0, return_inverse=True)
        parts |= {"uv": uv, "uv_triangles": index.reshape(-1, 3).astype(np.int32)}
    if "mirror_indices" in content and content["mirror_indices"].shape == mean.shape[:1]:
        parts["symmetry"] = content["mirror_indices"].astype(np.int32)
    if "vertex_groups" in content and "vertex_group_names" in content:
        weights = content["vertex_groups"]
        if weights.shape[1:] != mean.shape[:1]:
            raise ModelFileError(f"GNM: vertex_groups of {weights.shape} for {len(mean)} vertices")
        labels = [str(name) for name in content["vertex_group_names"]]
        parts["regions"] = {k: w > 0.5 for k, w in zip(labels, weights, strict=True)}
    return checked_model(
        name="gnm-head",
        licence="Apache-2.0",
        mean=mean,
        triangles=triangles,
        identity=1000 * content["vertex_identity_basis"].astype(np.float32),
        expression=expressions,
        expression_names=names,
        **parts,
    )
