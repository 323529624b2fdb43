"""Numbers stay with faces: through crossings and gaps, and are never given twice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import clips
from facerelief import find, tracking
from facerelief.apps.video.work import pack, unpack
from facerelief.tracking import Tracker, look_of, overlap
from facerelief.types import Crop, Place


def place(x: float, y: float, side: float = 60.0) -> Place:
    box = (x - side / 2, y - side / 2, x + side / 2, y + side / 2)
    points = np.array([[-1, -1], [1, -1], [0, 0], [-1, 1], [1, 1]]) * side / 5 + (x, y)
    return Place(Crop((x, y), side), box, 1.0, points, (240, 640))


def look(seed: int) -> np.ndarray:
    vector = np.random.default_rng(seed).normal(size=768).astype(np.float32)
    return vector / np.linalg.norm(vector)


def who(tracker: Tracker) -> dict[int, tuple[float, float]]:
    return {t.number: t.place.crop.centre for t in tracker._tracks if t.is_seen}


def test_two_that_cross_keep_their_numbers() -> None:
    tracker = Tracker()
    for index in range(40):
        right, left = 100 + 10 * index, 500 - 10 * index
        pair = [(place(right, 100), look(1)), (place(left, 104), look(2))]
        if index % 2:
            pair.reverse()  # a search finds them in any order
        tracker.assign(*map(list, zip(*pair, strict=True)), index / 30)
        assert who(tracker) == {0: (right, 100), 1: (left, 104)}


def test_without_looks_the_motion_tells_them() -> None:
    tracker = Tracker()
    for index in range(40):
        places = [place(100 + 10 * index, 100), place(500 - 10 * index, 130)]
        tracker.assign(places, [look(1), look(1)], index / 30)
    assert who(tracker) == {0: (490, 100), 1: (110, 130)}


def test_one_that_comes_back_soon_is_the_same_and_later_another() -> None:
    tracker = Tracker()
    tracker.assign([place(100, 100)], [look(1)], 0.0)
    tracker.assign([], [], 0.1)
    assert who(tracker) == {}
    tracker.assign([place(130, 100)], [look(1)], 0.8)
    assert set(who(tracker)) == {0}
    tracker.assign([], [], 0.9)
    tracker.assign([place(130, 100)], [look(1)], 0.8 + tracking.LOST + 0.1)
    assert set(who(tracker)) == {1}
    tracker.assign([], [], 4.0)
    tracker.assign([place(130, 100), place(300, 100)], [look(1), look(3)], 9.0)
    assert set(who(tracker)) == {2, 3}


def test_far_away_or_of_another_size_is_somebody_else() -> None:
    for other in (place(400, 100), place(100, 100, side=150)):
        tracker = Tracker()
        tracker.assign([place(100, 100)], [look(1)], 0.0)
        tracker.assign([other], [look(1)], 1 / 30)
        assert set(who(tracker)) == {1}


def test_after_a_cut_only_the_same_face_keeps_its_number() -> None:
    for seen, kept in ((look(1), {0}), (look(2), {1})):
        tracker = Tracker()
        tracker.assign([place(100, 100)], [look(1)], 0.0)
        tracker.assign([place(103, 100)], [seen], 1 / 30, is_cut=True)
        assert set(who(tracker)) == kept


def test_boxes_overlap_by_their_common_part() -> None:
    assert overlap((0, 0, 2, 2), (1, 0, 3, 2)) == pytest.approx(1 / 3)
    assert overlap((0, 0, 2, 2), (2, 0, 3, 2)) == 0
    assert overlap((0, 0, 2, 2), (0, 0, 2, 2)) == 1


def test_a_face_is_followed_and_found_again_when_it_was_covered() -> None:
    frames = list(clips.pictures(24, path=lambda t: (60 * t, 0)))
    for index in range(8, 12):
        frames[index][:] = 90  # nobody is to be seen
    tracker = Tracker(threads=1)
    found = [tracker(frame, index / 30) for index, frame in enumerate(frames)]
    assert all(faces == [] for faces in found[8:12])
    numbers = [number for faces in found for number, _ in faces]
    assert set(numbers) == {0} and len(numbers) >= 24 - 4 - tracking.RETRY
    for index in (0, 5, 20):
        (truth,) = find(frames[index], threads=1)
        ((_, seen),) = found[index]
        off = np.subtract(seen.crop.centre, truth.crop.centre)
        assert np.abs(off).max() < 0.05 * truth.crop.side


def test_a_tracker_goes_on_from_its_state() -> None:
    frames = list(clips.pictures(12, path=lambda t: (80 * t, 0), noise=3))
    whole, first, second = (Tracker(threads=1) for _ in range(3))
    expected = [whole(frame, index / 30) for index, frame in enumerate(frames)]
    for index in range(6):
        first(frames[index], index / 30)
    second.restore(unpack(pack(first.state())))
    for index in range(6, 12):
        ((number, seen),) = second(frames[index], index / 30)
        ((other, truth),) = expected[index]
        assert number == other and seen.crop == truth.crop and seen.box == truth.box


def test_two_tracks_do_not_follow_one_face() -> None:
    (frame,) = clips.pictures(1)
    (face,) = find(frame, threads=1)
    tracker = Tracker(threads=1)
    near = replace(face, crop=replace(face.crop, side=1.1 * face.crop.side))
    tracker.assign([face, near], [look_of(frame, face), look(5)], 0.0)
    assert len(who(tracker)) == 2
    tracker._since = 0
    assert [number for number, _ in tracker(frame, 1 / 30)] == [0]


def test_two_faces_that_pass_before_each_other_keep_their_numbers() -> None:
    """The nearer one hides the farther one for some pictures."""
    (photo,) = clips.pictures(1, (480, 480))
    (face,) = find(photo, threads=1)
    x, y = map(int, face.crop.centre)
    reach = int(0.62 * face.crop.side)
    head = photo[y - reach : y + reach, x - reach : x + reach]
    other = np.clip(head[:, ::-1] * (0.75, 0.9, 1.25), 0, 255).astype(np.uint8)
    found = []
    tracker = Tracker(threads=1)
    for index in range(36):
        frame = np.full((240, 640, 3), 110, np.uint8)
        for picture, left, top in ((other, 490 - 13 * index, 40), (head, 10 + 13 * index, 56)):
            frame[top : top + 2 * reach, left : left + 2 * reach] = picture
        seen = tracker(frame, index / 30)
        found.append({number: place.crop.centre[0] for number, place in seen})
    first, last = found[0], found[-1]
    assert set(first) == set(last) == {0, 1}
    assert set().union(*found) == {0, 1}, "a number that was not needed"
    assert min(map(len, found)) == 1, "nobody was hidden"
    goes_right = min(first, key=lambda number: first[number])
    assert last[goes_right] == max(last.values())
