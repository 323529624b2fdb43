"""Five real scans of faces from Basel: for evaluation only, nothing is ever trained on them.

One file ``scans/basel_*.npz`` a person: ``vertices`` (53490, 3) mm, ``colors`` sRGB bytes of evenly
lit skin, ``faces``. All have the same triangles, so a vertex is the same place on every face. Head
space: x to the subject's left, y up, z out of the face.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

#: The 68 landmarks of the iBUG scheme as vertices, good for crops: the jaw line is that of
#: ICT-FaceKit's mean face after rigid iterative closest points against the mean of the scans, the
#: others are MediaPipe FaceMesh's points on frontal renderings (median of the five scans).
LANDMARKS = (
    23160, 24216, 24882, 25551, 43154, 45957, 46943, 47730, 48186, 48640, 49361, 50405, 53066,
    29421, 30171, 30924, 31804,
    24939, 39413, 39899, 40234, 40511, 41088, 41364, 41636, 42007, 30099,
    8285, 8307, 8317, 8320, 6652, 7171, 8461, 9622, 10263,
    1701, 3500, 4921, 6221, 4804, 3642, 10476, 11629, 12917, 14600, 12930, 11770,
    5782, 6410, 7441, 8473, 9505, 10408, 10941, 9535, 9019, 8374, 7858, 7213,
    6041, 7709, 8482, 9127, 10684, 9127, 8353, 7709,
)  # fmt: skip

NOSE_TIP = LANDMARKS[30]
FACE_RADIUS = 95.0  # mm round the tip of the nose: forehead to chin, without ears and neck


@dataclass(frozen=True, eq=False)
class Scan:
    """One person."""

    name: str
    vertices: np.ndarray  # (V, 3) float64, mm, head space
    triangles: np.ndarray  # (T, 3) int32
    colours: np.ndarray  # (V, 3) uint8 sRGB

    @property
    def landmarks(self) -> np.ndarray:
        """(68, 3) mm."""
        return self.vertices[list(LANDMARKS)]

    @property
    def face(self) -> np.ndarray:
        """(V,) bool: vertices within FACE_RADIUS of the tip of the nose."""
        distance = np.linalg.norm(self.vertices - self.vertices[NOSE_TIP], axis=1)
        return np.asarray(distance < FACE_RADIUS)


def scan_names(root: Path) -> list[str]:
    """Names of the scans under ``root/scans``, in order. Raises FileNotFoundError for none."""
    names = sorted(path.stem for path in (Path(root) / "scans").glob("basel_*.npz"))
    if not names:
        raise FileNotFoundError(f"{root} does not hold the Basel scans (scans/basel_*.npz)")
    return names


def load_scan(root: Path, name: str) -> Scan:
    """One scan by name. Raises FileNotFoundError where there is no such file."""
    with np.load(Path(root) / "scans" / f"{name}.npz") as stored:
        return Scan(name, stored["vertices"].astype(np.float64), stored["faces"], stored["colors"])
