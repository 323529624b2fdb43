"""ICT-FaceKit's light model as the data folder holds it: scan-made identities and expressions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from facerelief.geometry.model_files_ict import ict_model
from facerelief.geometry.morphable import MorphableModel


def load_ict(root: Path) -> MorphableModel:
    """The model in its own topology (26,719 vertices, 100 identities, 53 expressions), in mm.

    Arguments:
        root: the data folder; ``ict/ict_facekit.npz`` and ``ict/vertex_indices.json`` are read.

    `geometry.model_files_ict` says how expressions are named and what the regions are.

    Raises:
        FileNotFoundError: the files are not there.
    """
    folder = root / "ict"
    with np.load(folder / "ict_facekit.npz", allow_pickle=False) as arrays:
        names = [str(name) for name in arrays["expression_names"]]
        indices = json.loads((folder / "vertex_indices.json").read_text())
        return ict_model(
            mean=arrays["mean"],
            identity=arrays["identity"],
            expressions=dict(zip(names, arrays["expression"], strict=True)),
            quads=arrays["quads"],
            uv=arrays["uv"],
            quads_uv=arrays["quads_uv"],
            landmarks=np.array(indices["idx_to_landmark_verts"]),
        )
