"""How long relighting takes, and the documentation's pictures of it.

    python benchmarks/relighting.py

The face of examples/astronaut.jpg, enlarged so that it fills 1024 x 1024 pixels: then every one of
them is relit. Seconds of a core, the least of some runs: what else the machine does counts less.
Draws docs/pictures/relit.jpg.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from measured_tables import relighting_markdown
from measuring import machine, processor_seconds
from numpy.typing import NDArray
from PIL import Image
from tables import write

from facerelief import Face, Light, Relighting, at_size, load, load_photo
from facerelief.relighting import AROUND

ROOT = Path(__file__).parents[1]
SIDE, RUNS = 1024, 5
#: What the documentation shows, by azimuth and elevation.
SHOWN = ((65, 15), (-50, 10), (0, 60), (20, -55))


def faces(photo: NDArray[np.uint8]) -> tuple[Face, Face]:
    """The largest face, and the same in a larger crop."""
    estimator = load("default", threads=1)
    (face,) = estimator(photo, max_faces=1)
    return face, estimator.estimate(photo, [face.place.enlarged(AROUND)])[0]


def sunset() -> NDArray[np.float32]:
    """(64, 128, 3) an environment: a low sun at the camera's right, behind it, under a blue sky."""
    rows = (np.arange(64) + 0.5) / 64
    columns = (np.arange(128) + 0.5) / 128
    sky = np.clip(1 - 2 * rows, 0, 1)[:, None, None] * (0.25, 0.45, 0.9)
    ground = np.clip(2 * rows - 1, 0, 1)[:, None, None] * (0.12, 0.1, 0.08)
    away = np.hypot((columns[None] - 0.88) * 2, rows[:, None] - 0.42)
    sun = np.exp(-((away / 0.06) ** 2))[..., None] * (60, 28, 9)
    return (sky + ground + sun).astype(np.float32)


def least(run: Callable[[], Any]) -> float:
    """Seconds of a core: the least of `RUNS`."""
    return min(processor_seconds(run) for _ in range(RUNS))


def measured(photo: NDArray[np.uint8]) -> dict[str, Any]:
    """Of a photo that a face fills."""
    face, around = faces(photo)
    ready = Relighting.of(photo, face, around)
    lights = ready.lights_of(sunset())
    normals = least(lambda: [at_size(face, photo), at_size(around, photo, detail=False)])
    prepared = least(lambda: Relighting.of(photo, face, around))
    lamp = least(lambda: ready.under(Light.from_angles(60, 20)))
    return {
        "machine": machine(),
        "window": list(ready.pixels.shape[:2]),
        "normals": round(normals, 4),
        "first": round(prepared - normals + lamp, 4),
        "lamp": round(lamp, 4),
        "environment": round(least(lambda: ready.under(lights)), 4),
    }


def drawn(photo: NDArray[np.uint8]) -> Image.Image:
    """The photo, its albedo and normals, and lights that fall on it."""
    face, around = faces(photo)
    ready = Relighting.of(photo, face, around)
    parts = ready.parts
    albedo = np.clip(parts.albedo * parts.exposure, 0, 1) ** (1 / 2.2)
    normals = (parts.surface.normals + 1) / 2 * (ready.alpha > 0)[..., None]
    tiles = [
        ready.pixels,
        *(np.rint(255 * layer).astype(np.uint8) for layer in (albedo, normals)),
        *(ready.under(Light.from_angles(*angles)) for angles in SHOWN),
        ready.under(sunset()),
    ]
    half = len(tiles) // 2
    picture = np.vstack([np.hstack(tiles[:half]), np.hstack(tiles[half:])])
    image = Image.fromarray(picture)
    return image.resize((1400, round(1400 / image.width * image.height)), Image.Resampling.LANCZOS)


def main() -> None:
    photo = load_photo(ROOT / "examples" / "astronaut.jpg")
    drawn(photo).save(ROOT / "docs" / "pictures" / "relit.jpg", quality=90)
    (_, around) = faces(photo)
    filled = Image.fromarray(photo[around.crop.window(photo.shape[:2])]).resize((SIDE, SIDE))
    result = measured(np.asarray(filled))
    write("relighting", result)
    print(relighting_markdown(result))


if __name__ == "__main__":
    main()
