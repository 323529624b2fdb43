"""Where a head's skin lies in its texture: positions, normals and anatomy of every texel.

Everything is placed in millimetres on the mean head from its 68 landmarks, mirrored by taking
|x|, and then looked up per texel: the UV layout needs to be known to nobody, and a wavelength on
the face is that wavelength.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw
from scipy import ndimage
from scipy.interpolate import CubicSpline
from scipy.spatial import cKDTree

from facerelief.arrays import FloatArray
from facerelief.geometry.mesh import vertex_normals
from facerelief.geometry.morphable import MorphableModel
from facerelief.geometry.raster import rasterise

Map = NDArray[np.float32]  # (S, S)


@dataclass(frozen=True, eq=False)
class Strip:
    """The texels beside a curve on the skin, on both sides of the face."""

    index: NDArray[np.int32]  # (n,) into the flat texture
    along: NDArray[np.float32]  # (n,) 0 at the curve's start to 1 at its end
    beside: NDArray[np.float32]  # (n,) mm from the curve, positive to its left as it runs
    beyond: NDArray[np.float32]  # (n,) mm past either end, 0 beside the curve
    length: float  # mm
    right: NDArray[np.bool_]  # (n,) on the subject's right side


class SkinMap:
    """The mean head in its own texture of `size` x `size` texels.

    Args:
        head: needs `uv`, `uv_triangles` and `landmarks`.
        size: texels along a side.

    Raises:
        ValueError: the head has no UV layout or no landmarks.
    """

    def __init__(self, head: MorphableModel, size: int) -> None:
        if head.uv is None or head.uv_triangles is None or head.landmarks is None:
            raise ValueError(f"{head.name} has no UV layout or no landmarks to place skin by")
        self.head, self.uv, self.size = head, head.uv, size
        triangles = _skin_triangles(head)
        corners = head.triangles[triangles].reshape(-1)
        uv = head.uv[head.uv_triangles[triangles].reshape(-1)]
        points = np.column_stack([uv[:, 0] * size, (1 - uv[:, 1]) * size, np.zeros(len(uv))])
        raster = rasterise(points, np.arange(len(uv)).reshape(-1, 3), (size, size))
        self.mask = raster.mask  # (S, S) texels that lie on the skin
        # Texels outside take the nearest inside, so that filtering across a border sees skin.
        near = ndimage.distance_transform_edt(
            ~self.mask, return_distances=False, return_indices=True
        )
        normals = vertex_normals(head.mean, head.triangles)
        self._nearest = (near[0], near[1])
        self._raster, self._corners = raster, corners
        self.position = self.from_vertices(head.mean)  # (S, S, 3) mm
        normal = self.from_vertices(normals)
        self.normal = normal / np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-6)
        self.landmarks = _symmetric(head.mean[head.landmarks])  # (68, 3) mm
        #: How large this face is beside the one that all lengths here were set for.
        self.scale = float(np.linalg.norm(self.landmarks[45] - self.landmarks[36]) / 89.0)
        self.texel, self.coarse = self._texel_sizes()
        self._tree: cKDTree | None = None
        self._front = self._depth_map()

    def from_vertices(self, values: ArrayLike) -> NDArray[np.float32]:
        """Values of the head's vertices (V, ...) in the texture (S, S, ...), borders filled."""
        image = self._raster.interpolate(np.asarray(values, np.float32)[self._corners])
        return image[self._nearest].astype(np.float32)

    def from_uv(self, uv: ArrayLike, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Another layout's texture (H, W, 3) in this one: `uv` (T, 3, 2) of all its triangles."""
        corners = np.asarray(uv, np.float32)[_skin_triangles(self.head)].reshape(-1, 2)
        place = self._raster.interpolate(corners)[self._nearest]
        # Where a texel here covers several there, those are averaged first.
        step = np.linalg.norm(np.diff(place, axis=1), axis=-1) * len(picture)
        step = step[self.mask[:, 1:] & self.mask[:, :-1]]
        image = Image.fromarray(picture).reduce(max(int(np.median(step)), 1))
        source = np.asarray(image, np.float32)
        height, width = source.shape[:2]
        where = [(1 - place[..., 1]) * height - 0.5, place[..., 0] * width - 0.5]
        planes = [
            ndimage.map_coordinates(source[..., c], where, order=1, mode="nearest")
            for c in range(3)
        ]
        return np.stack(planes, axis=-1)

    def _texel_sizes(self) -> tuple[Map, Map]:
        """(S, S) mm between neighbouring texels: mean of rows and columns, and the larger."""
        steps = []
        for axis in (0, 1):
            step = np.linalg.norm(np.diff(self.position, axis=axis), axis=-1)
            step = np.pad(step, [(0, int(axis == 0)), (0, int(axis == 1))], mode="edge")
            steps.append(np.clip(ndimage.median_filter(step, 5), 0.05, 10).astype(np.float32))
        return np.sqrt(steps[0] * steps[1]), np.maximum(*steps)

    def _depth_map(self) -> tuple[FloatArray, FloatArray]:
        """The face seen from the front, a millimetre a pixel: origin (x, y) and z."""
        low = self.head.mean[:, :2].min(axis=0) - 5
        extent = self.head.mean[:, :2].max(axis=0) + 5 - low
        points = np.column_stack([(self.head.mean[:, :2] - low), self.head.mean[:, 2]])
        triangles = self.head.triangles[_skin_triangles(self.head)]
        depth = rasterise(points, triangles, (int(extent[1]) + 1, int(extent[0]) + 1)).depth
        missing = np.isnan(depth)
        near = ndimage.distance_transform_edt(missing, return_distances=False, return_indices=True)
        return low, ndimage.gaussian_filter(depth[near[0], near[1]], 0.7)

    def lift(self, xy: ArrayLike) -> FloatArray:
        """Points (n, 2) of the front view put onto the face (n, 3), mm."""
        points = np.asarray(xy, float)
        low, depth = self._front
        x, y = (points - low).T - 0.5
        z = ndimage.map_coordinates(depth, [y, x], order=1, mode="nearest")
        return np.column_stack([points, z])

    def curve(self, points: ArrayLike, step: float = 0.5) -> FloatArray:
        """A smooth curve through points (n, 2 or 3) of the subject's left, on the skin (m, 3)."""
        nodes = np.asarray(points, float)
        knots = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(nodes, axis=0), axis=1))])
        line = CubicSpline(knots, nodes, bc_type="natural")(
            np.linspace(0, knots[-1], max(int(knots[-1] / step), 4))
        )
        return line if line.shape[1] == 3 else self.lift(line)

    def strip(self, points: ArrayLike, reach: float) -> Strip:
        """Texels within `reach` mm of the curve through `points`, mirrored to both sides.

        A curve that starts on the middle line (x = 0) is continued on the other side as it is.
        """
        line = self.curve(points)
        tangent = np.gradient(line, axis=0)
        tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
        length = float(np.linalg.norm(np.diff(line, axis=0), axis=1).sum())
        position = self.position.reshape(-1, 3)
        folded = np.abs(position[:, 0])
        low, high = line.min(axis=0) - reach, line.max(axis=0) + reach
        box = (position[:, 1] > low[1]) & (position[:, 1] < high[1]) & (folded > low[0])
        box &= (folded < high[0]) & (position[:, 2] > low[2]) & (position[:, 2] < high[2])
        index = np.flatnonzero(box)
        place = np.column_stack([folded[index], position[index, 1:]])
        distance, nearest = cKDTree(line).query(place, distance_upper_bound=reach)
        near = np.isfinite(distance)
        index, place, nearest, distance = (a[near] for a in (index, place, nearest, distance))
        normal = self.normal.reshape(-1, 3)[index]
        right = position[index, 0] < 0
        normal = np.where(right[:, None], normal * [-1, 1, 1], normal)
        offset = place - line[nearest]
        ahead = (offset * tangent[nearest]).sum(axis=1)
        end = ((nearest == 0) & (ahead < 0)) | ((nearest == len(line) - 1) & (ahead > 0))
        side = (np.cross(normal, tangent[nearest]) * offset).sum(axis=1)
        beyond = np.where(end & (line[nearest, 0] > 1), np.abs(ahead), 0)
        # Skin that faces away from the curve's own, such as behind a lip, is not beside it.
        facing = self._normal_at(line)[nearest]
        keep = (normal * facing).sum(axis=1) > 0.1
        return Strip(
            index[keep].astype(np.int32),
            (nearest[keep] / (len(line) - 1)).astype(np.float32),
            (np.sign(side) * distance)[keep].astype(np.float32),
            beyond[keep].astype(np.float32),
            length,
            right[keep],
        )

    def _normal_at(self, points: FloatArray) -> FloatArray:
        """Normals (n, 3) of the texels nearest to points (n, 3)."""
        outside = self.mask & (self.normal[..., 2] > 0)  # not the backs of lids and lips
        if self._tree is None:
            self._tree = cKDTree(self.position[outside])
        normal: FloatArray = self.normal[outside][self._tree.query(points)[1]]
        return normal

    def blob(self, centre: ArrayLike, radius: ArrayLike) -> Map:
        """(S, S) in [0, 1]: a Gaussian about a point (3,) of the subject's left and its mirror.

        `radius` (3,) mm is its standard deviation along x, y and z.
        """
        place = self.position.copy()
        place[..., 0] = np.abs(place[..., 0])
        offset = (place - np.asarray(centre, np.float32)) / np.asarray(radius, np.float32)
        return np.exp(-0.5 * (offset**2).sum(axis=-1)).astype(np.float32)

    def around(self, points: ArrayLike) -> FloatArray:
        """Points (..., 3) unrolled about the head's vertical axis: (..., 2) mm, always x >= 0.

        The first number is an angle times 85 mm, 0 at the front, the second is y.
        """
        p = np.asarray(points, float)
        axis = self.landmarks[16, 2] - 22 * self.scale
        angle = np.arctan2(np.abs(p[..., 0]), p[..., 2] - axis)
        return np.stack([angle * 85 * self.scale, p[..., 1]], axis=-1)

    def region(self, outline: ArrayLike, softness: float) -> Map:
        """(S, S) in [0, 1]: inside a polygon (n, 2) of `around`, with edges that soft, mm."""
        return self._filled(np.asarray(outline, float), self.around(self.position), softness)

    def front(self, outline: ArrayLike, softness: float) -> Map:
        """(S, S) in [0, 1]: inside a polygon (n, 2) of the front view, x >= 0, on the face only."""
        nodes = np.asarray(outline, float)
        place = self.position[..., :2].astype(float)
        place[..., 0] = np.abs(place[..., 0])
        seen = np.clip(self.normal[..., 2] * 4 + 1.5, 0, 1)
        # What lies deeper than the outline's own surface is behind it, in the mouth or the neck.
        depth = self.position[..., 2] - self.lift(nodes)[:, 2].min() + 7 * self.scale
        return self._filled(nodes, place, softness) * seen * np.clip(depth / 3, 0, 1)

    def _filled(self, nodes: FloatArray, place: FloatArray, softness: float) -> Map:
        fine = 4  # pixels a millimetre
        low = np.array([-30.0, nodes[:, 1].min() - 30])
        shape = np.ceil((nodes.max(axis=0) + 30 - low) * fine).astype(int)
        # The polygon is drawn with its mirror image, so that nothing fades at the middle line.
        inside = Image.new("L", (int(shape[0]), int(shape[1])))
        for side in ([1, 1], [-1, 1]):
            corners = [(float(x), float(y)) for x, y in (nodes * side - low) * fine]
            ImageDraw.Draw(inside).polygon(corners, fill=255)
        soft = ndimage.gaussian_filter(np.asarray(inside, np.float32) / 255, softness * fine)
        where = np.moveaxis((place - low) * fine - 0.5, -1, 0)[::-1]
        result: Map = ndimage.map_coordinates(soft, where, order=1, mode="nearest")
        return result.astype(np.float32)


def _skin_triangles(head: MorphableModel) -> NDArray[np.intp]:
    """Triangles of the region "skin", or all where the head does not tell."""
    skin = head.regions.get("skin")
    if skin is None:
        return np.arange(len(head.triangles))
    return np.flatnonzero(skin[head.triangles].all(axis=1))


#: The mirror of each of the 68 landmarks.
MIRRORED = (
    *range(16, -1, -1),
    *range(26, 16, -1),
    *range(27, 31),
    *range(35, 30, -1),
    *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),
    *(54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65),
)


def _symmetric(landmarks: FloatArray) -> FloatArray:
    """Landmarks (68, 3) averaged with their mirror images."""
    return (landmarks + landmarks[list(MIRRORED)] * [-1, 1, 1]) / 2
