"""The table by light of Extended Yale B."""

from pathlib import Path

import numpy as np
import pytest

from facerelief.evaluate import predictions, yaleb
from facerelief.evaluate.scores import ImageScore
from facerelief.evaluate.yaleb import PhotographScore, by_light


def photograph(azimuth: float, elevation: float, *errors: float) -> PhotographScore:
    score = ImageScore(3, np.array(errors, np.float32), None)
    return PhotographScore("x", "y", 1, azimuth, elevation, score)


def test_bins_hold_the_means_of_their_photographs() -> None:
    scores = [
        photograph(0, 0, 4, 6),
        photograph(10, -10, 7),
        photograph(0, 45, 20),
        photograph(-70, 0, 9),
        photograph(0, 0),  # no answer at all
    ]
    table = by_light(scores)
    assert sum(cell["images"] for cell in table) == 4
    filled = [cell for cell in table if cell["images"]]
    assert [cell["mean"] for cell in filled] == [20, 9, 6]
    assert [cell["std"] for cell in filled] == [0, 0, 1]
    for cell, (azimuth, elevation) in zip(filled, [(0, 45), (-70, 0), (0, 0)], strict=True):
        assert cell["azimuth"][0] <= azimuth < cell["azimuth"][1]
        assert cell["elevation"][0] <= elevation < cell["elevation"][1]
    assert all(cell["mean"] is None for cell in table if not cell["images"])


def test_the_mean_over_lights_of_a_person_is_scored_too(tmp_path: Path) -> None:
    """Estimates that sway to either side of the truth are off, and their mean is not."""
    azimuth = np.array([0.0, 5, -5, 10, 100, -100])  # the last two are S5
    count, ahead = len(azimuth), np.zeros((256, 256, 3), np.float32) + np.float32([0, 0, 1])
    person = yaleb.yaleb.Person("y", np.zeros((count, 192, 168), np.uint8), azimuth, 0 * azimuth)
    subject = yaleb.Subject(person, ahead, np.ones((256, 256), bool))
    for index, name in enumerate(subject.photographs):
        side = np.float32([(-1) ** index * np.sin(0.1), 0, 0])
        turned = ahead * np.float32(np.cos(0.1)) + side if index < 4 else -ahead
        predictions.write(tmp_path, name, {"normals": turned})
    protocol = yaleb.Yaleb()
    scores = protocol.score(tmp_path, subject)
    found = protocol.tabulate(scores)
    assert found["pooled"]["mean"] == pytest.approx(np.degrees(0.1), abs=0.02)
    assert found["averaged"]["pooled"]["mean"] == pytest.approx(0, abs=0.05)
    assert list(found["averaged"]["people"]) == ["y"] and "S0" not in found["subsets"]
    assert found["bands"]["low"] == pytest.approx(np.degrees(0.1), abs=0.02)
    assert found["bands"]["high"] < 0.05
    assert [protocol.row(one) is None for one in scores] == [False] * count + [True]
    facts = protocol.facts(scores)
    assert facts["photographs"] == count and facts["people"] == ["y"]
    text = protocol.table({**facts, "systems": {"mean-map": found, "mine": found}})
    assert "Where the error lies (S1 to S4)" in text and "mean of a person's estimates" in text


def test_every_light_of_the_pooled_subsets_has_its_bin(data_root) -> None:
    person = yaleb.yaleb.load_person(data_root, "yaleB11")
    used = person.subsets <= 4
    lights = zip(person.azimuth[used], person.elevation[used], strict=True)
    table = by_light([photograph(azimuth, elevation, 1) for azimuth, elevation in lights])
    assert sum(cell["images"] for cell in table) == used.sum() == pytest.approx(45, abs=2)
    # Left and right are alike: the lights hang symmetrically.
    for row in range(0, len(table), 5):
        counts = [cell["images"] for cell in table[row : row + 5]]
        assert counts == counts[::-1]
