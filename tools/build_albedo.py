"""Make the colours of the built-in head's skin: src/facerelief/weights/albedo.npz.

    FACERELIEF_DATA=... python tools/build_albedo.py [--report benchmarks/results/albedo.json]

Principal components of MakeHuman's skins (CC0) and of those lifted from the Face Research Lab
London Set (CC BY 4.0), each as it is and with other amounts of melanin and blood, and mirrored.
With --report, people are left out in turn, and their skins projected onto what the others give.
"""

from __future__ import annotations

import argparse
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from facerelief.cache import cache_folder, cached, digest
from facerelief.data import pseudo_normals
from facerelief.data.folders import data_root
from facerelief.geometry.head import builtin_head
from facerelief.geometry.light import linear_to_srgb, srgb_to_linear
from facerelief.geometry.skin_mesh import SUBDIVISIONS
from facerelief.geometry.uv import UVLayout, skin_layout
from facerelief.images import load_photo
from facerelief.synth.skin import lifted
from facerelief.synth.skin.colour import Palette
from facerelief.synth.skin.map import SkinMap
from facerelief.synth.skin.regions import Regions
from facerelief.synth.skin.textures import (
    load_textures,
    makehuman_textures,
    photographed_textures,
)

DESTINATION = Path(__file__).parents[1] / "src/facerelief/weights/albedo.npz"
SIZE = 128  # texels along a side
COMPONENTS = 80
TONES = 4  # of each skin, besides its own
REST = 0.1  # weight of scalp, ears and neck beside the face
FOLDS = 5
COUNTS = (0, 5, 10, 20, 40, 80)  # of components, in the report
ROUNDS = 4  # of light and colours in turn

EYE_WHITE, IRIS, PUPIL = (0.80, 0.77, 0.75), (0.29, 0.18, 0.12), (0.03, 0.03, 0.03)
TEETH, TONGUE = (0.83, 0.78, 0.68), (0.62, 0.30, 0.29)
IRIS_DEGREES, PUPIL_DEGREES = 24.5, 9.0  # from the axis, as `synth.features.eyes` has them


@dataclass(frozen=True, eq=False)
class Skins:
    """What there is to learn from."""

    own: np.ndarray  # (N, S, S, 3) sRGB in [0, 1]
    pigments: np.ndarray  # (N, 3, S, S) tone, flush and shade about the typical
    typical: np.ndarray  # (N, 2) tone and flush

    def __getitem__(self, chosen: np.ndarray) -> Skins:
        return Skins(*(values[chosen] for values in vars(self).values()))


def lifted_paths(root: Path, cache: Path, skins: np.ndarray) -> list[str]:
    """The photos that the skins of `lifted_skins` are of. They are lifted again for that, once."""
    photos = lifted.open_portraits(root)

    def find() -> dict[str, np.ndarray]:
        lifter = lifted.Lifter(pseudo_normals.head_fitter(root, cache), lifted.SIZE)
        with threadpool_limits(1, "blas"):
            kept = [
                path
                for path, face in photos.items()
                if lifter.lift(load_photo(root / "photos" / path), face) is not None
            ]
        return {"paths": np.array(kept)}

    key = digest("paths of lifted skins", np.asarray(skins[:, ::16, ::16]))
    paths = cached(cache / "lifted", f"paths_{key}", find)["paths"].tolist()
    if len(paths) != len(skins):
        raise RuntimeError(f"{len(skins)} skins were lifted from {len(paths)} photos")
    return paths


def person(path: str) -> str:
    """Who a portrait shows, by its name: 012_03 and 012_08 are one, and so may 012f be."""
    number = re.match(r"\d{3}", Path(path).name)
    return number[0] if number else "others"


def load(photographs: np.ndarray, files: list[Path], cache: Path) -> Skins:
    """Painted skins first, then those of photographs."""
    head = builtin_head(SUBDIVISIONS)
    skin = SkinMap(head, lifted.SIZE)
    regions = Regions.build(skin)
    layout = head.uv_makehuman[head.uv_makehuman_triangles]
    painted = [skin.from_uv(layout, load_photo(file)) for file in files]
    own = [smaller(image) / 255 for image in (*painted, *photographs)]
    parts = [
        *load_textures(skin, regions, files, cache / "skins"),
        *photographed_textures(list(photographs), skin, regions, cache / "skins"),
    ]
    pigments = [np.moveaxis(smaller(np.moveaxis(one.unpacked(1.0), 0, -1)), -1, 0) for one in parts]
    return Skins(
        np.stack(own).clip(0, 1).astype(np.float32),
        np.stack(pigments),
        np.array([one.typical for one in parts]),
    )


def owners(files: list[Path], paths: list[str]) -> np.ndarray:
    """(N,) who each skin is of; MakeHuman's of one age, sex and tone are one person's."""
    return np.array(
        [re.sub(r"_diffuse\d*", "", file.stem) for file in files] + [person(path) for path in paths]
    )


def smaller(image: np.ndarray) -> np.ndarray:
    """(S', S', C) to (SIZE, SIZE, C) by means."""
    step = len(image) // SIZE
    values = np.asarray(image, np.float32).reshape(SIZE, step, SIZE, step, -1)
    return values.mean(axis=(1, 3))


def recoloured(skins: Skins, seed: int) -> np.ndarray:
    """(N TONES, S, S, 3): every skin with other amounts of melanin and blood."""
    g = np.random.default_rng(seed)
    palette = Palette.build()
    made = []
    for pigments, typical in zip(skins.pigments, skins.typical, strict=True):
        for _ in range(TONES):
            tone, flush = g.uniform(0.02, 0.95), float(np.clip(g.normal(0.41, 0.065), 0.26, 0.62))
            # What was seen on dark skin is too much for fair skin, and the other way about.
            own = pigments * np.float32(g.uniform(0.7, 1.2) * (1 - 0.5 * abs(tone - typical[0])))
            colours = palette(
                (own[0] + np.float32(tone)).ravel(), (own[1] + np.float32(flush)).ravel()
            )
            colours *= np.exp(own[2] / 2.3).ravel()  # on encoded values
            made.append(colours.T.reshape(SIZE, SIZE, 3))
    return np.stack(made).clip(0, 1)


@dataclass(frozen=True, eq=False)
class Basis:
    mean: np.ndarray  # (n, 3) at the texels of the skin
    components: np.ndarray  # (K, n, 3) per standard deviation


def learn(skins: Skins, texels: np.ndarray, weights: np.ndarray, seed: int = 1) -> Basis:
    """Principal components at `texels` (S, S), which count by `weights` (n,)."""
    every = np.concatenate([skins.own, recoloured(skins, seed)])
    every = np.concatenate([every, every[:, :, ::-1]])[:, texels]
    mean = every.mean(axis=0)
    root = np.sqrt(weights).astype(np.float32)[:, None]
    flat = ((every - mean) * root).reshape(len(every), -1)
    values, vectors = np.linalg.eigh((flat @ flat.T).astype(np.float64))
    order = np.argsort(values)[::-1][:COMPONENTS]
    # One standard deviation each: X^T u / sqrt(N) has the length of the singular value over it.
    components = (vectors[:, order].T.astype(np.float32) @ flat) / np.sqrt(len(every))
    return Basis(mean, components.reshape(len(order), -1, 3) / root)


def quantised(basis: Basis) -> tuple[np.ndarray, np.ndarray]:
    """Components as (K, n, 3) int8, and what a step is worth (K,)."""
    scale = np.abs(basis.components).max(axis=(1, 2)) / 127
    return np.rint(basis.components / scale[:, None, None]).astype(np.int8), scale.astype(
        np.float32
    )


class Projector:
    """The nearest colours that components can make of a skin, at some of its texels.

    Args:
        basis: where it was learned.
        chosen: (n,) bool, the texels that count, by `weights` (n,).
    """

    def __init__(self, basis: Basis, chosen: np.ndarray, weights: np.ndarray) -> None:
        self.mean, self.components = basis.mean[chosen], basis.components[:, chosen]
        self.weights = weights[chosen]
        self._axes = (self.components * self.weights[:, None]).reshape(len(self.components), -1)
        flat = self.components.reshape(len(self.components), -1)
        self._products = (self._axes @ flat.T).astype(np.float64)

    def onto(self, skin: np.ndarray, count: int) -> np.ndarray:
        """Colours (m, 3) nearest to `skin` (m, 3), of the first `count` components."""
        known = self._axes[:count] @ (skin - self.mean).ravel()
        found = np.linalg.solve(self._products[:count, :count], known).astype(np.float32)
        moved = found @ self.components[:count].reshape(count, self.mean.size)
        return np.clip(self.mean + moved.reshape(self.mean.shape), 0, 1)

    def lit_alike(self, skin: np.ndarray, count: int, channels: int) -> np.ndarray:
        """As `onto`, under the best strength of light (one) or colour of it (three channels)."""
        gain = np.ones(channels, np.float32)
        linear = srgb_to_linear(skin)
        for _ in range(ROUNDS):
            wanted = linear_to_srgb((linear / gain).clip(0, 1)).astype(np.float32)
            made = srgb_to_linear(self.onto(wanted, count))
            pairs = (made * linear, made * made)
            up, down = (np.einsum("n,nc->c", self.weights, pair) for pair in pairs)
            gain = up / down if channels == 3 else np.full(1, up.sum() / down.sum())
        return linear_to_srgb((made * gain).clip(0, 1))


def levels(made: np.ndarray, skin: np.ndarray, weights: np.ndarray) -> float:
    """Root mean square over the texels, in sRGB levels of 255."""
    return float(255 * np.sqrt(np.average(((made - skin) ** 2).mean(-1), weights=weights)))


def coverage(
    skins: Skins, people: np.ndarray, texels: np.ndarray, weights: np.ndarray, face: np.ndarray
) -> dict:
    """RMS of skins of people who were left out, by the count of components."""
    g = np.random.default_rng(0)
    names = np.unique(people)
    fold_of = dict(zip(g.permutation(names).tolist(), np.arange(len(names)) % FOLDS, strict=True))
    folds = np.array([fold_of[name] for name in people.tolist()])
    kinds = {"as it is": 0, "but for the light's strength": 1, "but for the light's colour": 3}
    found: dict[str, dict[str, list[float]]] = {kind: {} for kind in kinds}
    for fold in range(FOLDS):
        basis = learn(skins[folds != fold], texels, weights, seed=2 + fold)
        steps, scale = quantised(basis)
        stored = Basis(basis.mean, steps * scale[:, None, None])
        projector = Projector(stored, face, weights)
        for skin in skins.own[folds == fold][:, texels][:, face]:
            for count in COUNTS:
                for kind, channels in kinds.items():
                    if channels:
                        made = projector.lit_alike(skin, count, channels)
                    else:
                        made = projector.onto(skin, count)
                    value = levels(made, skin, projector.weights)
                    found[kind].setdefault(str(count), []).append(value)
        print(f"fold {fold + 1} of {FOLDS} done", flush=True)
    return {
        "people": len(names), "skins": len(people), "folds": FOLDS,
        "rms_srgb_levels": {
            kind: {
                count: {
                    "mean": round(float(np.mean(values)), 2),
                    "worst": round(float(np.max(values)), 2),
                }
                for count, values in of_kind.items()
            }
            for kind, of_kind in found.items()
        },
    }  # fmt: skip


def parts(layout: UVLayout) -> np.ndarray:
    """(S, S, 3) colours of eyes, teeth and tongue; NaN elsewhere. Irises are too small for it."""
    head = builtin_head(SUBDIVISIONS, bases=False)
    colours = np.full((SIZE, SIZE, 3), np.nan, np.float32)
    for names, colour in (
        (("eye_left", "eye_right"), EYE_WHITE),
        (("teeth_upper", "teeth_lower"), TEETH),
        (("tongue",), TONGUE),
    ):
        inside = np.any([head.regions[name] for name in names], axis=0)
        colours[layout.write(inside[:, None].astype(float))[..., 0] > 0.5] = colour
    return colours


def eyes() -> tuple[np.ndarray, np.ndarray]:
    """Vertices (n,) of both eyes after one subdivision, and their colours (n, 3)."""
    head = builtin_head(SUBDIVISIONS, bases=False)
    vertices, colours = [], []
    for name, centre in zip(("eye_left", "eye_right"), head.eye_centres, strict=True):
        own = np.flatnonzero(head.regions[name])
        away = head.mean[own] - centre
        angle = np.degrees(np.arccos(away[:, 2] / np.linalg.norm(away, axis=1)))
        kind = np.digitize(angle, (PUPIL_DEGREES, IRIS_DEGREES))
        vertices.append(own)
        colours.append(np.array([PUPIL, IRIS, EYE_WHITE])[kind])
    return np.concatenate(vertices), np.concatenate(colours)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=DESTINATION)
    parser.add_argument("--report", type=Path, help="where the coverage is written, JSON")
    args = parser.parse_args()
    head = builtin_head(SUBDIVISIONS)
    texels = skin_layout(SUBDIVISIONS, SIZE).mask
    places = SkinMap(head, SIZE)
    inner = np.any([head.regions[n] for n in ("mouth_inside", "nostrils", "eye_sockets")], axis=0)
    face = (places.from_vertices(head.regions["face"] & ~inner) > 0.5)[texels]
    area = np.minimum(places.texel, np.percentile(places.texel[texels], 90))[texels] ** 2
    weights = area * np.where(face, 1, REST) / area.mean()

    root, cache = data_root(), cache_folder()
    photographs = lifted.lifted_skins(root, cache / "lifted", head)
    files = makehuman_textures(root)
    skins = load(photographs, files, cache)
    basis = learn(skins, texels, weights)
    components, scale = quantised(basis)
    layout = UVLayout(head.uv, head.uv_triangles, head.triangles, len(head.mean), SIZE)
    mean = parts(layout)
    mean[texels] = basis.mean
    vertices, colours = eyes()
    np.savez_compressed(
        args.output,
        mean=np.nan_to_num(mean).astype(np.float16),
        components=components,
        scale=scale,
        skin=np.packbits(texels),
        charts=np.packbits(np.isfinite(mean[..., 0])),
        eyes=vertices.astype(np.uint16),
        eye_colours=colours.astype(np.float16),
    )
    print(f"{args.output}: {os.path.getsize(args.output) / 1e6:.2f} MB")
    if args.report:
        people = owners(files, lifted_paths(root, cache, photographs))
        found = coverage(skins, people, texels, weights, face)
        args.report.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
        print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
