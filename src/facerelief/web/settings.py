"""What one server offers, and how much of it a visitor may take."""

from __future__ import annotations

from dataclasses import dataclass, fields

from facerelief import catalogue

MEGABYTE = 10**6


@dataclass(frozen=True)
class Settings:
    """Raises ValueError for limits that allow nothing, UnknownSystemError for unknown systems."""

    systems: tuple[str, ...] = ()  # names in the catalogue; none: all of it
    workers: int = 1  # photos that are worked on at a time
    threads: int | None = None  # of one inference; None: ONNX Runtime's choice
    waiting: int = 16  # photos that wait besides; who comes then is sent away
    uploads: int = 64  # bodies that are received at a time
    per_client: int | None = None  # photos of one address that wait or are worked on at a time
    max_megabytes: float = 20.0  # of a request
    max_megapixels: float = 40.0  # of a photo
    max_faces: int = 5  # of a photo, the largest ones
    max_seconds: float = 60.0  # from the whole photo to its answer, waiting included
    upload_seconds: float = 30.0  # for the request to come
    max_kept_megabytes: float = 500.0  # of the page's files together
    keep_minutes: float = 10.0  # that the page's files stay, unless the visitor leaves before

    def __post_init__(self) -> None:
        for name in (field.name for field in fields(self)):
            value = getattr(self, name)
            if name in ("systems", "threads") or value is None:
                continue
            if name == "waiting" and value >= 0:
                continue
            if not 0 < value < float("inf"):
                raise ValueError(f"{name.replace('_', ' ')} is more than 0, not {value}")
        for system in self.systems:
            catalogue.find(system)

    @property
    def max_bytes(self) -> int:
        return int(self.max_megabytes * MEGABYTE)

    @property
    def max_pixels(self) -> int:
        return int(self.max_megapixels * 10**6)

    @property
    def names(self) -> list[str]:
        """The systems that are offered, the default one first if it is among them."""
        known = catalogue.systems()
        chosen = {catalogue.find(name).name for name in self.systems} or set(known)
        return sorted(chosen, key=lambda name: (name != catalogue.default(), name))
