"""Surface normals of faces, measured, from one photo.

    import facerelief as fr
    faces = fr.load("default")(photo)

Names are imported when first used (PEP 562), so `import facerelief` itself costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from facerelief.catalogue import UnknownSystemError as UnknownSystemError
    from facerelief.catalogue import WeightsError as WeightsError
    from facerelief.catalogue import systems as systems
    from facerelief.correspondence import Correspondence as Correspondence
    from facerelief.correspondence import correspond as correspond
    from facerelief.correspondence import landmarks as landmarks
    from facerelief.finding import find as find
    from facerelief.fine import at_size as at_size
    from facerelief.geometry.lights import Lights as Lights
    from facerelief.images import load_photo as load_photo
    from facerelief.inputs import PhotoError as PhotoError
    from facerelief.photo_frame import normals_in_photo as normals_in_photo
    from facerelief.relighting import Relighting as Relighting
    from facerelief.relighting import relight as relight
    from facerelief.runtime import Estimator as Estimator
    from facerelief.runtime import load as load
    from facerelief.types import Crop as Crop
    from facerelief.types import Estimate as Estimate
    from facerelief.types import Face as Face
    from facerelief.types import Light as Light
    from facerelief.types import Mesh as Mesh
    from facerelief.types import Place as Place

__version__ = "0.1.0"

_HOMES = {
    "load": "runtime",
    "Estimator": "runtime",
    "systems": "catalogue",
    "UnknownSystemError": "catalogue",
    "WeightsError": "catalogue",
    "find": "finding",
    "at_size": "fine",
    "correspond": "correspondence",
    "Correspondence": "correspondence",
    "landmarks": "correspondence",
    "load_photo": "images",
    "normals_in_photo": "photo_frame",
    "PhotoError": "inputs",
    "relight": "relighting",
    "Relighting": "relighting",
    "Crop": "crops",
    "Estimate": "types",
    "Face": "types",
    "Light": "types",
    "Lights": "geometry.lights",
    "Mesh": "types",
    "Place": "types",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
