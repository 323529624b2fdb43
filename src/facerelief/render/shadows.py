"""Cast shadows and ambient occlusion: how much of each far light reaches each point.

One depth map a light, made by splatting points of the surfaces (vertices and centres of triangles)
into a square grid that faces the light, and read with percentage-closer filtering. A splat costs a
scatter, so that the many directions that stand for a sky cost no more than one rasterised map.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d, normalize


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
        extent = receivers[:: max(len(receivers) // 2000, 1)] @ self.axes.mT
        low, high = extent.amin(1, keepdim=True), extent.amax(1, keepdim=True)  # (D, 1, 3)
        self.middle = (low + high) / 2
        #: (D, 1) mm along the side of a cell.
        self.cell = (high - low)[..., :2].amax(-1) / (cells - 4)
        at, height = self._project(casters)
        inside = ((at >= 0) & (at < cells)).all(-1)
        column, row = at.to(torch.int32).unbind(-1)
        index = row * cells + column
        lights = torch.arange(len(directions), device=casters.device)[:, None]
        index = torch.where(inside, index + lights * cells**2, len(directions) * cells**2)
        maps = casters.new_full((len(directions) * cells**2 + 1,), -torch.inf)
        maps.scatter_reduce_(0, index.flatten().long(), height.flatten(), "amax")
        maps = maps[:-1].view(len(directions), 1, cells, cells)
        # A cell that no point fell into, among cells that have one, is a gap in the splatting.
        closed = -max_pool2d(-max_pool2d(maps, 3, 1, 1), 3, 1, 1)
        self.maps = torch.where(maps.isinf(), closed, maps)[:, 0]

    def visibility(
        self, points: Tensor, normals: Tensor, spread: Tensor | float = 1.0, taps: int = 2
    ) -> Tensor:
        """(D, N) share of each light that reaches `points` (N, 3) with unit `normals` (N, 3).

        Args:
            spread: cells between the taps of the filter, one number or one a light (D,): how soft
                the border of a shadow is.
            taps: along each axis.
        """
        spread = torch.as_tensor(spread, dtype=points.dtype, device=points.device)
        spread = spread.reshape(-1, 1)
        at, height = self._project(points)
        # A map cannot tell the surface from itself within the filter's reach: start above it.
        lift = (1 + spread * (taps - 1) / 2) * self.cell
        turned = normals @ self.axes.mT  # (D, N, 3)
        at = at + turned[..., :2] * (lift / self.cell)[..., None]
        height = height + turned[..., 2] * lift + 0.3 * self.cell
        lights = torch.arange(len(self.maps), device=points.device)[:, None] * self.cells**2
        flat, total = self.maps.flatten(), points.new_zeros(height.shape)
        offsets = (torch.arange(taps, device=points.device) - (taps - 1) / 2) * spread
        columns, rows = (
            (at[..., axis] + offsets.T[:, :, None].expand(-1, len(self.maps), 1))
            .to(torch.int64)
            .clamp(0, self.cells - 1)
            for axis in range(2)
        )
        for row in rows:
            for column in columns:
                total += flat[lights + row * self.cells + column] <= height
        return total / taps**2

    def _project(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Cells (D, N, 2), column and row, and mm above the middle (D, N), for each light."""
        turned = points @ self.axes.mT - self.middle
        return turned[..., :2] / self.cell[..., None] + self.cells / 2, turned[..., 2]


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
