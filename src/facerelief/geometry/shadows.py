"""Cast shadows on meshes: which vertices a far light reaches.

A shadow map (Williams, "Casting curved shadows on curved surfaces", SIGGRAPH 1978): the mesh is
rasterised as the light sees it, and a vertex is lit where nothing is nearer to the light. Vertices
are lifted along their normals first, so that the map's pixels throw no shadow on their own surface.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facerelief.arrays import FloatArray
from facerelief.geometry.camera import WeakPerspective
from facerelief.geometry.mesh import vertex_normals
from facerelief.geometry.normals import normalise
from facerelief.geometry.raster import rasterise

# Places round a vertex that are looked up, pixels of the map: their mean softens the edge.
_TAPS = np.array([(x, y) for x in (-0.75, 0, 0.75) for y in (-0.75, 0, 0.75)])


def light_reaching(
    vertices: ArrayLike,
    triangles: ArrayLike,
    directions: ArrayLike,
    *,
    pixel: float = 1.0,
    lift: float = 2.0,
) -> NDArray[np.float32]:
    """How much of each far light reaches each vertex, whichever way its surface faces.

    Args:
        vertices: (V, 3), in any unit of length.
        triangles: (T, 3); both of their sides throw shadows.
        directions: (K, 3) unit, towards the lights.
        pixel: side of a pixel of the shadow map, in the vertices' unit.
        lift: how far vertices are moved along their normals before they are looked up: twice the
            pixel hides the map's resolution and lets shadows begin that far from a contact.

    Returns:
        (K, V), 0 in shadow to 1 in full light. Multiply it by the cosine of normal and light.
    """
    points, faces = np.asarray(vertices, np.float64), np.asarray(triangles)
    lifted = points + lift * vertex_normals(points, faces)
    result = np.empty((len(np.atleast_2d(directions)), len(points)), np.float32)
    for index, direction in enumerate(np.atleast_2d(np.asarray(directions, np.float64))):
        frame = _frame(direction)
        seen = points @ frame.T
        low, high = seen.min(axis=0)[:2] - 2 * pixel, seen.max(axis=0)[:2] + 2 * pixel
        width, height = np.ceil((high - low) / pixel).astype(int) + 1
        camera = WeakPerspective.fit(low, high, (height, width))
        depth = rasterise(camera.project(seen), faces, (height, width)).depth
        x, y, z = np.moveaxis(camera.project(lifted @ frame.T), -1, 0)
        lit = np.zeros(len(points))
        for dx, dy in _TAPS:
            column = np.clip(x + dx, 0, width - 1).astype(int)
            row = np.clip(y + dy, 0, height - 1).astype(int)
            lit += ~(depth[row, column] > z)  # NaN, nothing there, is no shadow either
        result[index] = lit / len(_TAPS)
    return result


def _frame(direction: FloatArray) -> FloatArray:
    """(3, 3) rotation whose third row is `direction`."""
    aside = np.eye(3)[np.argmin(np.abs(direction))]
    right = normalise(np.cross(aside, direction))
    return np.stack([right, np.cross(direction, right), direction])
