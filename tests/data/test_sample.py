"""Samples are moved about whole, whatever kinds of truth they hold."""

from dataclasses import dataclass, fields, replace

import pytest

torch = pytest.importorskip("torch")

from facerelief.data.sample import Sample, Shapes, concatenate, mapped  # noqa: E402


@dataclass(frozen=True)
class Coefficients:
    """A kind of truth that is yet to come, with a group within."""

    identity: torch.Tensor
    light: Shapes | None = None


@dataclass(frozen=True)
class Richer(Sample):
    """What a sample becomes with it: one line."""

    coefficients: Coefficients | None = None


def shapes(count: int) -> Shapes:
    g = torch.Generator().manual_seed(count)
    sizes = {"position": (3, 4, 4), "known": (), "points": (5, 3), "points_known": (5, 2)}
    return Shapes(**{name: torch.rand(count, *size, generator=g) for name, size in sizes.items()})


def rich(count: int, start: float = 0.0) -> Richer:
    maps = torch.arange(count).float().view(-1, 1, 1, 1).expand(-1, 1, 2, 2) + start
    flags = torch.arange(count) % 2 == 0
    identity = torch.arange(count).float()[:, None] + start
    return Richer(
        maps.expand(-1, 3, -1, -1), maps.expand(-1, 3, -1, -1), maps, maps, maps,
        flags, ~flags, flags, shapes(count), coefficients=Coefficients(identity, shapes(count)),
    )  # fmt: skip


def test_groups_within_groups_go_along() -> None:
    one, two = rich(3), rich(2, start=10)
    both = concatenate([one, two])
    assert isinstance(both, Richer) and len(both) == 5
    assert both.coefficients.identity[:, 0].tolist() == [0, 1, 2, 10, 11]
    assert torch.equal(both.coefficients.light.points[3:], two.coefficients.light.points)
    some = both.chosen(torch.tensor([False, True, False, False, True]))
    assert some.coefficients.identity[:, 0].tolist() == [1, 11] and len(some.shapes.known) == 2
    assert both.first(2).coefficients.light.position.shape == (2, 3, 4, 4)
    moved = both.to("meta")
    assert moved.image.is_meta and moved.coefficients.light.points_known.is_meta
    for name in ("image", "weak"):
        assert getattr(moved, name).dtype == getattr(both, name).dtype


def test_what_is_not_there_stays_away() -> None:
    plain = replace(rich(2), shapes=None, coefficients=None)
    both = concatenate([plain, plain])
    assert both.shapes is None and both.coefficients is None and len(both) == 4
    inner = replace(rich(2), coefficients=Coefficients(torch.zeros(2, 1)))
    with pytest.raises(ValueError, match="give light and others"):
        concatenate([rich(2), inner])
    with pytest.raises(ValueError, match="give coefficients and others"):
        concatenate([plain, replace(rich(2), shapes=None)])


def test_every_tensor_is_mapped_once() -> None:
    seen: list[int] = []
    mapped((rich(2), None, (torch.zeros(1),)), lambda tensor: seen.append(id(tensor)) or tensor)
    tensors = len(fields(Sample)) - 3 + 2 * len(fields(Shapes)) + 1 + 1
    assert len(seen) == tensors
