"""Build the face model, src/facerelief/weights/face_model.npz, whose coefficients photos tell.

    FACERELIEF_DATA=... python tools/build_face_model.py

The built-in head's identities were drawn from MakeHuman's sliders, and cannot say what scanned
people look like: of ICT-FaceKit's people (MIT) its 80 components leave 2 mm. These are the
principal components of both populations in one, mirrored people with them, and the mean of both
sets of expressions. docs/systems/full_pose.md says what they leave.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
from build_head import quantise
from scipy.sparse.linalg import splu

from facerelief.cache import cache_folder
from facerelief.data.folders import data_root
from facerelief.data.ict import registered_ict
from facerelief.geometry.head import builtin_head
from facerelief.geometry.skin_mesh import SUBDIVISIONS, skin_mesh
from facerelief.geometry.subdivision import catmull_clark

DESTINATION = Path(__file__).parents[1] / "src/facerelief/weights/face_model.npz"

SCANNED = 0.7  # share of people that are as those who were scanned, as in the training's renderings
REST = 0.05  # weight of vertices that are not of the face, beside those that are


def build(components: int) -> dict[str, np.ndarray]:
    """All arrays of the file, and what the components leave, printed."""
    coarse, fine = builtin_head(0), builtin_head(SUBDIVISIONS)
    scanned = registered_ict(data_root(), cache_folder())
    step = catmull_clark(coarse.quads, len(coarse.mean)).matrix
    normal = splu((step.T @ step).tocsc())

    def coarsened(fields: np.ndarray) -> np.ndarray:
        """(..., V, 3) that subdivide to what is nearest to the finer ones."""
        columns = np.moveaxis(fields, -2, 0).reshape(fields.shape[-2], -1).astype(float)
        made = normal.solve(step.T @ columns)
        return np.moveaxis(made.reshape(-1, *fields.shape[:-2], 3), 0, -2)

    def subdivided(fields: np.ndarray) -> np.ndarray:
        columns = np.moveaxis(fields, -2, 0).reshape(fields.shape[-2], -1)
        return np.moveaxis((step @ columns).reshape(-1, *fields.shape[:-2], 3), 0, -2)

    means = [coarsened(head.mean) for head in (fine, scanned)]
    identities = [coarsened(head.identity) for head in (fine, scanned)]
    expressions = [coarsened(head.expression) for head in (fine, scanned)]
    shares = (1 - SCANNED, SCANNED)
    mean = sum(share * one for share, one in zip(shares, means, strict=True))
    mean = (mean + mirrored(mean, coarse.symmetry)) / 2
    # What a mixture of two normal distributions varies by: within each, and from one to the other.
    factors = [np.sqrt(share) * one for share, one in zip(shares, identities, strict=True)]
    factors.append(np.sqrt(shares[0] * shares[1]) * (means[0] - means[1])[None])
    rows = np.concatenate(factors)
    rows = np.concatenate([rows, mirrored(rows, coarse.symmetry)]) / np.sqrt(2)
    mesh = skin_mesh()
    weight = np.full(len(fine.mean), REST)
    weight[mesh.source[mesh.outer]] = 1
    seen = (subdivided(rows) * np.sqrt(weight)[:, None]).reshape(len(rows), -1)
    strength, directions = np.linalg.eigh(seen @ seen.T)
    largest = directions[:, np.argsort(-strength)[:components]]
    identity = np.einsum("rk,rvc->kvc", largest, rows)
    expression = sum(
        share * one[: len(coarse.expression_names)]
        for share, one in zip(shares, expressions, strict=True)
    )
    report(subdivided(identity), subdivided(mean), fine, scanned)
    identity_steps, identity_scale = quantise(identity)
    expression_steps, expression_scale = quantise(expression)
    return {
        "mean": mean.astype(np.float32),
        "identity": identity_steps,
        "identity_scale": identity_scale,
        "expression": expression_steps,
        "expression_scale": expression_scale,
        "expression_names": np.array(coarse.expression_names),
    }


def mirrored(fields: np.ndarray, symmetry: np.ndarray) -> np.ndarray:
    """(..., V, 3) of people as a mirror shows them."""
    return fields[..., symmetry, :] * (-1, 1, 1)


def report(identity: np.ndarray, mean: np.ndarray, *populations: object) -> None:
    """Print what is left of the faces of random people of either population."""
    mesh = skin_mesh()
    face = np.unique(mesh.source[mesh.outer])
    basis = identity[:, face].reshape(len(identity), -1)
    for head in populations:
        people = head.vertices(np.random.default_rng(0).normal(size=(200, len(head.identity))))
        off = (people - mean)[:, face].reshape(200, -1)
        for count in (40, 60, 80, 100, 120):
            part = basis[:count]
            told = np.linalg.lstsq(part @ part.T, part @ off.T, rcond=None)[0].T
            left = np.linalg.norm((off - told @ part).reshape(200, -1, 3), axis=-1)
            print(f"{head.name}: {min(count, len(basis))} components leave {left.mean():.2f} mm,"
                  f" coefficients vary by {told.std():.2f}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=DESTINATION)
    parser.add_argument("--components", type=int, default=80)
    args = parser.parse_args()
    np.savez_compressed(args.output, **build(args.components))
    content = args.output.read_bytes()
    sums = args.output.with_name("sums.json")
    known = json.loads(sums.read_text("utf-8"))
    known[args.output.name] = hashlib.sha256(content).hexdigest()
    sums.write_text(json.dumps(known, indent=2) + "\n")
    print(f"{args.output}: {len(content) / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
