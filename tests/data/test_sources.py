"""Mixtures of sources: determined by the seed and the batch's number alone."""

import itertools

import pytest

torch = pytest.importorskip("torch")

from torch.utils.data import DataLoader  # noqa: E402

from facerelief.data.folders import data_root  # noqa: E402
from facerelief.data.sample import Sample  # noqa: E402
from facerelief.data.sources import Mixture, build_source, build_validation  # noqa: E402


class Noise:
    """A source whose samples carry a mark."""

    def __init__(self, mark: float) -> None:
        self.mark = mark

    def batch(self, count: int, size: int, g: torch.Generator) -> Sample:
        ones = torch.ones(count, 1, size, size)
        image = torch.rand(count, 3, size, size, generator=g)
        no = torch.zeros(count, dtype=torch.bool)
        normals = ones.expand(-1, 3, -1, -1) * self.mark
        return Sample(image, normals, ones, ones, ones, no, ~no, no)


def mixture(start: int = 0, seed: int = 4, alternate: bool = False) -> Mixture:
    sources = [(Noise(1.0), 0.75), (Noise(2.0), 0.25)]
    return Mixture(sources, 8, 8, seed, start, alternate)


def images(loader, count: int) -> list[torch.Tensor]:
    return [sample.image for sample in itertools.islice(loader, count)]


def test_shares_are_kept() -> None:
    marks = mixture().batch(0).normals[:, 0, 0, 0].tolist()
    assert sorted(marks) == [1.0] * 6 + [2.0] * 2


def test_batches_of_one_kind_come_as_often_as_their_shares_say() -> None:
    alternating = mixture(alternate=True)
    marks = [alternating.batch(i).normals[:, 0, 0, 0].unique().tolist() for i in range(400)]
    assert all(len(mark) == 1 for mark in marks)
    assert 0.68 < sum(mark == [1.0] for mark in marks) / 400 < 0.82
    later = next(iter(mixture(start=7, alternate=True)))
    assert torch.equal(later.image, alternating.batch(7).image)


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_do_not_change_the_batches(workers: int) -> None:
    loader = DataLoader(mixture(), batch_size=None, num_workers=workers)
    alone, together = images(mixture(), 7), images(loader, 7)
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))


def test_a_later_start_goes_on_where_the_earlier_one_stopped() -> None:
    first, second = images(mixture(), 5), images(mixture(start=3), 2)
    assert torch.equal(first[3], second[0]) and torch.equal(first[4], second[1])


def test_few_batches_may_come_again_and_again() -> None:
    few = mixture()
    few.repeat = 3
    seen, endless = images(DataLoader(few, batch_size=None, num_workers=2), 7), images(mixture(), 3)
    assert all(torch.equal(one, endless[i % 3]) for i, one in enumerate(seen))


def test_seeds_and_batches_differ() -> None:
    a, b = images(mixture(), 2)
    assert not torch.equal(a, b)
    assert not torch.equal(a, images(mixture(seed=5), 1)[0])


def test_unknown_names_list_the_valid_ones() -> None:
    with pytest.raises(ValueError, match="additive_light, laid_photos, laid_renderings, photos"):
        build_source("photographs", {})
    with pytest.raises(ValueError, match="yaleb"):
        build_validation("photoface", 128, 8, {})


@pytest.mark.parametrize("value", [None, "/nowhere/at/all"])
def test_data_that_is_not_there(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if value is None:
        monkeypatch.delenv("FACERELIEF_DATA", raising=False)
    else:
        monkeypatch.setenv("FACERELIEF_DATA", value)
    with pytest.raises(FileNotFoundError, match="FACERELIEF_DATA"):
        data_root()
