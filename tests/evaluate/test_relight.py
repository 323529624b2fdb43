"""Relighting scored on photographs whose answer is known: a ball's."""

from pathlib import Path

import numpy as np
import pytest

from facerelief.evaluate import predictions, relight
from facerelief.evaluate.picture_metrics import aligned, psnr, ssim
from facerelief.evaluate.yaleb import Subject, yaleb
from facerelief.geometry.light import direction


@pytest.fixture(scope="module")
def ball() -> Subject:
    """A matt person under some lights, their normals known."""
    azimuth = np.array([0.0, 20, -35, 50, -60, 35, 10, -70, 70, -20])
    elevation = np.array([0.0, 10, 20, 0, 20, -20, 35, 0, 15, 40])
    y, x = np.indices((200, 200)) / 100 - 0.995
    z = np.sqrt(np.clip(0.85**2 - x**2 - y**2, 0, None))
    normals = np.dstack([x, -y, z]) / 0.85 * (z > 0)[..., None]
    shading = np.maximum(normals @ direction(azimuth, elevation).T, 0)
    images = np.rint(np.moveaxis(shading, -1, 0) * 200).astype(np.uint8)[:, 4:-4, 16:-16]
    person = yaleb.Person("ball", images, azimuth, elevation)
    inside = z[4:-4, 16:-16] > 0.15
    truth = yaleb.GroundTruth(
        normals[4:-4, 16:-16].astype(np.float32), np.ones_like(z[4:-4, 16:-16]), inside
    )
    return Subject(person, *yaleb.crop_truth(truth))


def scored(ball: Subject, folder: Path, label: str) -> list[dict]:
    protocol = relight.Relight()
    answers = protocol.floors().get(label, protocol.floors()[relight.MEASURED])
    names, _ = protocol.pictures(ball)
    for name, answer in zip(names, answers(ball), strict=True):
        predictions.write(folder / label, name, answer)
    return protocol.score(folder / label, ball)


def test_true_normals_predict_and_copies_do_not(ball: Subject, tmp_path: Path, monkeypatch) -> None:
    ahead = np.zeros((256, 256, 3), np.float32) + np.float32([0, 0, 1])
    monkeypatch.setattr(relight.predictors, "yale_mean", lambda: ahead)
    protocol = relight.Relight()
    found = {
        label: protocol.tabulate(scored(ball, tmp_path, label))
        for label in (relight.COPY, relight.MEASURED)
    }
    far = {label: one["far"] for label, one in found.items()}
    assert far[relight.COPY]["pairs"] == far[relight.MEASURED]["pairs"] > 5
    assert far[relight.MEASURED]["psnr"] > far[relight.COPY]["psnr"] + 8
    assert far[relight.MEASURED]["ssim"] > 0.8 > far[relight.COPY]["ssim"]
    assert sum(band["pairs"] for band in found[relight.COPY]["angles"].values()) == 2 * 9
    rows = scored(ball, tmp_path, relight.MEASURED)
    results = {**protocol.facts(rows), "systems": {**found, relight.RATIO: found[relight.COPY]}}
    text = protocol.table(results)
    assert "| measured-normals |" in text and "+0.00" in text and "18 photographs" in text


def test_the_region_has_no_holes_and_filled_normals_are_unit(ball: Subject) -> None:
    mask = ball.mask.copy()
    mask[100:120, 100:120] = False
    region = relight.face_region(mask)
    assert region[80:94, 80:94].all() and not region[2, 2]
    normals = relight.filled(ball.normals * mask[..., None], mask)
    assert np.allclose(np.linalg.norm(normals, axis=-1), 1, atol=1e-3)
    assert normals[110, 110, 2] > 0.9


def test_metrics_ignore_exposure_and_what_lies_outside() -> None:
    rng = np.random.default_rng(0)
    truth, mask = rng.random((60, 60)), np.zeros((60, 60), bool)
    mask[10:50, 10:50] = True
    other = np.where(mask, 0.3 * truth, rng.random((60, 60)))
    found = aligned(other, truth, mask)
    assert psnr(found, truth, mask) > 100 and ssim(found, truth, mask) == pytest.approx(1)
    peak = np.percentile(truth[mask], 99)
    assert psnr(truth + 0.1 * peak, truth, mask) == pytest.approx(20)
    assert ssim(1 - truth, truth, mask) < 0
    assert aligned(np.ones((2, 2)), np.full((2, 2), 3.0), np.ones((2, 2), bool)).max() == 1
