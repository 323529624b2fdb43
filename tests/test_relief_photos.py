"""Relief on photographs: what is counted of a face, and what the tables say."""

import importlib
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import laid_heads
import posed_heads
from facerelief.detail import Detail
from facerelief.detailed import DetailedFace
from facerelief.evaluate.rerendering import Rerendering
from facerelief.types import Crop

CROP = Crop((128.0, 128.0), 256.0)


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    return importlib.import_module("relief_photos")


def test_faults_of_a_face_are_counted_and_its_loss_falls(benchmark: ModuleType) -> None:
    waves = np.kron(laid_heads.bumps(1.0), np.ones((2, 2), np.float32))
    face = posed_heads.face(posed_heads.uv_map(), CROP, (256, 256))
    photo = np.rint(255 * laid_heads.picture(relief=laid_heads.bumps(1.0))).astype(np.uint8)
    seen = Rerendering.of(face, photo)
    right = Detail(waves, np.ones_like(waves), waves > 99)
    makers = {"right": lambda *_: right, "none": lambda *_: Detail.none(512)}
    estimator = lambda photo, max_faces: [face]  # noqa: E731
    one = benchmark.row(photo, estimator, makers, held=True)
    kinds = one["kinds"]
    assert kinds["coarse"]["holes"] == [0, 0] and kinds["coarse"]["flipped"] == 0
    assert kinds["right"]["made"] and not kinds["none"]["made"]
    assert kinds["none"] == kinds["coarse"]
    assert kinds["right"]["loss"] < 0.8 * kinds["coarse"]["loss"]
    assert benchmark.row(photo, lambda *_, **__: [], makers, held=False) == {"faces": 0}
    dark = benchmark.row(np.zeros_like(photo), estimator, makers, held=True)
    assert "too dark" in dark["kinds"]["coarse"]["no_light"]

    bad = DetailedFace(face, replace(right, displacement=np.full_like(waves, np.nan)))
    assert not benchmark.measured(bad, seen)["finite"]

    facts = {"system": "toy", "sha256": "0"}
    rows = [{**facts, **made} for made in (one, dark, {"faces": 0}, {"faces": 1, "problem": "x"})]
    told = benchmark.summary(rows)
    toy = told["systems"]["toy"]
    assert (toy["photos"], toy["without_face"], toy["no_shape"]) == (4, 1, 1)
    assert toy["kinds"]["right"]["loss_fell"] == 1 == toy["kinds"]["right"]["loss"]["count"]
    text = importlib.import_module("shape_tables").relief_photos_markdown(told)
    assert "| toy, right | 2 | 2 | 0 |" in text and "1 of 1" in text

    # Losses that an earlier run of the same weights measured on more photographs stay.
    more = benchmark.summary([rows[0]] * 3)
    few = benchmark.with_losses(benchmark.summary([{**facts, **one, "held": False}]), None)
    assert few["systems"]["toy"]["kinds"]["right"]["loss"]["count"] == 1
    kept = benchmark.with_losses(few, more)["systems"]["toy"]
    assert kept["photos"] == 1 and kept["kinds"]["right"]["loss"]["count"] == 3
    other = {"systems": {"toy": {**more["systems"]["toy"], "sha256": "1"}}}
    few = benchmark.with_losses(benchmark.summary([rows[0]]), other)
    assert few["systems"]["toy"]["kinds"]["right"]["loss"]["count"] == 1
