"""The published systems, one file a paper, behind one interface (`base`)."""

import sys
from types import ModuleType

from facerelief.systems.base import System, build, find, names

__all__ = ["System", "build", "find", "names"]


class _Systems(ModuleType):
    """Importing this package puts it in the place of the public function ``facerelief.systems``.

    Called, it still is that function.
    """

    def __call__(self) -> list[str]:
        from facerelief.catalogue import systems

        return systems()


sys.modules[__name__].__class__ = _Systems
