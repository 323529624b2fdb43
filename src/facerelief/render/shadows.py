"""Cast shadows and ambient occlusion: how much of each far light reaches each point.

One depth map a light, made by splatting points of the surfaces (vertices and centres of triangles)
into a square grid that faces the light, and read with percentage-closer filtering. A splat costs a
scatter, so that the many directions that stand for a sky cost no more than one rasterised map.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d, normalize

from facerelief.render.compiled import array, kernels


class DepthMaps:
    """Depth maps of the same casters from D far lights.

    Args:
        casters: (P, 3) points of everything that casts shadows, camera space, mm.
        receivers: (N, 3) points that will be asked for; each map covers their extent alone.
        directions: (D, 3) unit, towards the lights.
        cells: cells along each side of a map.
    """

    def __init__(self, casters: Tensor, receivers: Tensor, directions: Tensor, cells: int) -> None:
        self.cells = cells
        self.axes = _frames(directions)  # (D, 3, 3)
        extent = self._turned(receivers[:: max(len(receivers) // 2000, 1)])  # (D, 3, N)
        low, high = extent.amin(2, keepdim=True), extent.amax(2, keepdim=True)
        self.middle = (low + high) / 2  # (D, 3, 1)
        #: (D, 1) mm along the side of a cell; two cells at each border are for what lies outside.
        self.cell = (high - low)[:, :2].amax(1) / (cells - 4)
        if compiled := kernels(casters):
            self.maps = torch.from_numpy(compiled.depth_maps(array(casters.T), *self._frame()))
            return
        columns, rows, height = self._project(casters)
        index = self._index(columns, rows)
        maps = casters.new_full((len(directions), cells**2), -torch.inf)
        maps = maps.scatter_reduce_(1, index, height, "amax").view(-1, 1, cells, cells)
        # A cell that no point fell into, among cells that have one, is a gap in the splatting.
        closed = -max_pool2d(-max_pool2d(maps, 3, 1, 1), 3, 1, 1)
        self.maps = torch.where(maps.isinf(), closed, maps).flatten(1)

    def visibility(
        self, points: Tensor, normals: Tensor, spread: Tensor | float = 1.0, taps: int = 2
    ) -> Tensor:
        """(D, N) share of each light that reaches `points` (N, 3) with unit `normals` (N, 3).

        Args:
            spread: cells between the taps of the filter, one number or one a light (D,): how soft
                the border of a shadow is.
            taps: along each axis.
        """
        spread = torch.as_tensor(spread, dtype=points.dtype, device=points.device).reshape(-1, 1)
        if compiled := kernels(points, normals):
            places = array(self.maps), array(points.T), array(normals.T)
            each = spread[:, 0].expand(len(self.axes))
            return torch.from_numpy(compiled.visibility(*places, *self._frame(), array(each), taps))
        columns, rows, height = self._project(points)
        # A map cannot tell the surface from itself within the filter's reach: start above it.
        lift = 1 + spread * (taps - 1) / 2  # cells
        x, y, z = self._turned(normals).unbind(1)
        columns, rows = columns + x * lift, rows + y * lift
        height = height + (z * lift + 0.3) * self.cell
        total = torch.zeros_like(height)
        for i in range(taps):
            for j in range(taps):
                dx, dy = (i - (taps - 1) / 2) * spread, (j - (taps - 1) / 2) * spread
                total += self.maps.gather(1, self._index(columns + dx, rows + dy)) <= height
        return total / taps**2

    def _frame(self) -> tuple[Any, ...]:
        """Where the maps are, for kernels."""
        return array(self.axes), array(self.middle[..., 0]), array(self.cell[:, 0]), self.cells

    def _turned(self, vectors: Tensor) -> Tensor:
        """(D, 3, N) of `vectors` (N, 3) in the frame of each light."""
        return (self.axes.flatten(0, 1) @ vectors.T).unflatten(0, (-1, 3))

    def _project(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Column and row in cells, and height above the middle in mm, each (D, N)."""
        x, y, z = (self._turned(points) - self.middle).unbind(1)
        return x / self.cell + self.cells / 2, y / self.cell + self.cells / 2, z

    def _index(self, columns: Tensor, rows: Tensor) -> Tensor:
        """Cells (D, N) in a flat map; what is outside is put into the border."""
        last = self.cells - 1
        return rows.long().clamp_(0, last) * self.cells + columns.long().clamp_(0, last)


def fibonacci_sphere(count: int) -> Tensor:
    """(count, 3) unit directions that cover the sphere evenly."""
    index = torch.arange(count, dtype=torch.float64) + 0.5
    z, turn = 1 - 2 * index / count, index * torch.pi * (1 + 5**0.5)
    ring = (1 - z * z).sqrt()
    return torch.stack([ring * turn.cos(), ring * turn.sin(), z], -1).float()


def _frames(directions: Tensor) -> Tensor:
    """(D, 3, 3) orthonormal rows; the last is the direction."""
    helper = torch.eye(3, device=directions.device)[directions.abs().argmin(1)]
    x = normalize(torch.linalg.cross(helper, directions), dim=1)
    return torch.stack([x, torch.linalg.cross(directions, x), directions], 1)
