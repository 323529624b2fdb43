"""Relief that a network reads from a photo laid out over a coarse face: RI2ITN's answers.

`train.systems.ri2itn` trains such networks, `facerelief export` writes them, and
`geometry.laid_out` makes what they read of any face with a shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from facerelief import catalogue, foreign
from facerelief.arrays import BoolArray
from facerelief.catalogue import Entry, WeightsError, reason_of
from facerelief.geometry.laid_out import SIZE, LaidOut, lay_out
from facerelief.giving_up import next_step
from facerelief.images import Source, open_photo
from facerelief.sessions import open_session, session_of
from facerelief.types import Face

#: Of such networks, in their metadata and in the catalogue.
KIND = "relief"

_EDGE = 3.0  # texels over which relief ends where the photo shows nothing


@dataclass(frozen=True, eq=False)
class LearnedRelief:
    """Maps (256, 256) in the layout of the built-in head, row 0 at v = 1."""

    displacement: NDArray[np.float32]  # mm of the mean head, along the coarse normals
    seen: NDArray[np.float32]  # in [0, 1]: how well the photo shows what stands there
    invented: BoolArray  # the mirror image of the nearer side, which the photo does not show
    laid: LaidOut  # what it was read from


class ReliefNetwork:
    """A network of the kind ``relief``. Thread-safe.

    Args:
        network: an ONNX file that `facerelief export` wrote, or that of an entry of the catalogue.
        threads: of an inference.

    Raises:
        WeightsError: a file that is missing, altered, or no such network.
    """

    def __init__(self, network: Path | Entry, threads: int | None = None) -> None:
        if isinstance(network, Entry):
            path = network.path
            self._session = session_of(network, threads)
        else:
            path, content = network, catalogue.read_weights(network)
            foreign.check(path, content)
            self._session = open_session(path, content, threads, None)
        names = [value.name for value in self._session.get_inputs()]
        kind = self._session.get_modelmeta().custom_metadata_map.get("kind")
        if kind != KIND or names != ["maps"]:
            raise WeightsError(f"{path}: not a network that reads relief (its kind is {kind!r})")
        self.path = path

    def __call__(self, face: Face, photo: Source) -> LearnedRelief:
        """The relief of a face that was found in `photo`.

        Of a face that is turned away the farther half is the mirrored nearer one, by what the photo
        shows of each.

        Raises:
            ValueError: the face has no shape. NoLightError: no light can be fitted to it.
            WeightsError: the network fails.
        """
        shape = face.need_shape("detail")
        picture = face.crop.extract(open_photo(photo)) / np.float32(255)
        laid = lay_out(picture, shape.skin)
        maps, seen = laid.maps, laid.visible
        invented = np.zeros(seen.shape, np.bool_)
        if laid.turned:
            whole = laid.mirrored()
            maps, seen = whole.texels, whole.visible
            invented = whole.invented & (seen > 0)
        displacement = self._run(maps)
        soft = np.minimum(seen, gaussian_filter((seen > 0.5).astype(np.float32), _EDGE))
        return LearnedRelief(displacement * soft, seen.astype(np.float32), invented, laid)

    def _run(self, maps: NDArray[np.float32]) -> NDArray[np.float32]:
        next_step()
        try:
            (found,) = self._session.run(["displacement"], {"maps": maps[None]})
        except Exception as error:  # ONNX Runtime's own, of no common class
            raise WeightsError(f"{self.path}: the network failed: {reason_of(error)}") from error
        if found.shape != (1, SIZE, SIZE) or not np.isfinite(found).all():
            raise WeightsError(f"{self.path}: its displacement is no map of finite numbers")
        result: NDArray[np.float32] = found[0]
        return result
