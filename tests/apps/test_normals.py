"""What `normals` makes: what is asked for, at its own cost alone."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facerelief import load, pictures
from facerelief.apps import normals, photos
from facerelief.apps.normals import OUTPUTS, Options, produce
from facerelief.apps.products import Photo
from facerelief.images import load_photo
from facerelief.types import Crop

# The work behind each output, by where `produce` finds it.
WORK = {
    "normal": {"encode_png"},
    "npy": {"_npy"},
    "shading": {"shading_row", "to_png"},
    "error": {"error_picture", "to_png"},
    "overlay": {"overlay_image", "to_jpeg"},
    "json": {"to_json"},
}
HOMES = {"shading_row": pictures, "error_picture": pictures, "overlay_image": pictures}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each kind of work was done."""
    counted: Counter[str] = Counter()

    def counting(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            counted[name] += 1
            return work(*arguments, **named)

        return call

    for name in sorted(set().union(*WORK.values())):
        home = photos if name == "to_json" else HOMES.get(name, normals)
        monkeypatch.setattr(home, name, counting(name, getattr(home, name)))
    for name in ("paste", "rotate_normals_to_photo"):
        monkeypatch.setattr(Crop, name, counting(name, getattr(Crop, name)))
    return counted


@pytest.mark.parametrize("only", OUTPUTS)
def test_only_what_is_asked_for_is_made(
    only: str, calls: Counter[str], tiny_folder: Path, astronaut: Path
) -> None:
    photo = Photo(load_photo(astronaut), "a", "a.jpg")
    made = produce(photo, load(tiny_folder / "tiny.onnx"), Options((only,)))
    assert list(made.files) == [f"a{OUTPUTS[only][0]}"] and len(made.sidecars) == 1
    assert calls == dict.fromkeys(WORK[only], 1)


def test_each_is_made_once(calls: Counter[str], tiny_folder: Path, astronaut: Path) -> None:
    photo = Photo(load_photo(astronaut), "a", "a.jpg")
    produce(photo, load(tiny_folder / "tiny.onnx"))
    assert calls == Counter(name for work in WORK.values() for name in work)


def test_the_array_is_as_numpy_writes_it(
    tiny_folder: Path, astronaut: Path, tmp_path: Path
) -> None:
    estimator = load(tiny_folder / "tiny.onnx")
    (face,) = estimator(astronaut)
    made = produce(Photo(load_photo(astronaut), "a", "a.jpg"), estimator, Options(("npy",)))
    np.save(tmp_path / "a.npy", np.where(face.mask[..., None], face.normals, np.float32(0)))
    assert made.files["a_normal.npy"] == (tmp_path / "a.npy").read_bytes()
