"""A batched, differentiable z-buffer rasteriser in plain torch, for CPU and GPU.

The twin of `facerelief.geometry.raster`: same input, same rules, same pixels (see there). What is
seen where is decided without gradients; barycentrics, depth and coverage are then computed again
for the winners only, differentiably, all in the points' own precision. Gradients of
`Raster.interpolate` and `depth` hold while the winner stays; those of `Raster.coverage` move the
outline.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from facerelief.render.compiled import array, kernels

#: Pairs of a triangle and a pixel that are tested at a time: bounds the memory, about 400 MB.
PAIRS_AT_ONCE = 1 << 22


@dataclass(frozen=True, eq=False)
class Raster:
    """What is seen at every pixel of every picture."""

    triangle: Tensor  # (B, H, W) int64, index of the nearest triangle, -1 for none
    barycentrics: Tensor  # (B, H, W, 3) on the surface, sum 1; zero where none
    depth: Tensor  # (B, H, W) z of the surface, NaN where none
    points: Tensor  # (B, V, 3) as given
    triangles: Tensor  # (T, 3) as given
    drawn: Tensor  # (B, T) bool, False for the triangles that were left out

    @cached_property
    def mask(self) -> Tensor:
        """(B, H, W) bool, True where there is a surface."""
        return self.triangle >= 0

    def interpolate(self, attributes: Tensor, fill: float = 0.0) -> Tensor:
        """Attributes (B, V, C) of the vertices, or (V, C) of all, at every pixel (B, H, W, C).

        Differentiable in the attributes and in the points. `fill` where nothing is seen.
        """
        batch = len(self.triangle)
        if attributes.ndim == 2:
            attributes = attributes.expand(batch, *attributes.shape)
        item, row, column = self.mask.nonzero(as_tuple=True)
        corners = self.triangles[self.triangle[item, row, column]]
        values = attributes[item[:, None], corners]  # (P, 3, C)
        weights = self.barycentrics[item, row, column].to(values.dtype)
        result = attributes.new_full((*self.triangle.shape, attributes.shape[-1]), fill)
        return result.index_put((item, row, column), (weights[..., None] * values).sum(1))

    def coverage(self) -> Tensor:
        """(B, H, W) in [0, 1]: the share of each pixel that is covered, differentiable in points.

        Where the outline passes between two neighbouring pixel centres, the distance to it along
        the line between them is the coverage of the one that it cuts (Laine et al., "Modular
        primitives for high-performance differentiable rendering", 2020, section 3.6; here the
        farthest of all triangles on that line counts, so that small ones do no harm). Lines along
        x and along y share an oblique outline by the squares of its direction. Exact for outlines
        along an axis; covered areas and their gradients are right along any. A thing that covers
        no pixel centre is not seen.
        """
        height, width = self.mask.shape[1:]
        x, y, z = self.points.double().unbind(-1)
        # The picture turned four times, so that each of its sides is once on the right.
        turned = (
            ((x, y, z), lambda picture: picture, lambda picture: picture),
            ((width - x, y, z), lambda picture: picture.flip(-1), lambda picture: picture.flip(-1)),
            ((y, x, z), lambda picture: picture.mT, lambda picture: picture.mT),
            (
                (height - y, x, z),
                lambda picture: picture.mT.flip(-1),
                lambda picture: picture.flip(-1).mT,
            ),
        )
        total = self.mask.double()
        for coordinates, turn, turn_back in turned:
            points = torch.stack(coordinates, -1)
            change = _coverage_rightwards(points, self.triangles, self.drawn, turn(self.mask))
            total = total + turn_back(change)
        return total.clamp(0, 1).to(self.points.dtype)


def rasterise(
    points: Tensor,
    triangles: Tensor,
    size: tuple[int, int],
    *,
    perspective: bool = False,
    cull_back_faces: bool = False,
) -> Raster:
    """Draw a batch of meshes that share their triangles.

    Args:
        points: (B, V, 3) projected vertices: pixel x, pixel y, z.
        triangles: (T, 3) int64 vertex indices, counter-clockwise seen from the front.
        size: (height, width) of the pictures.
        perspective: points come from a perspective camera (z < 0 in front of it).
        cull_back_faces: leave out triangles that are seen from behind.

    Raises:
        ValueError: shapes that do not fit.
    """
    if points.ndim != 3 or points.shape[-1] != 3:
        raise ValueError(f"points must be (B, V, 3), got {tuple(points.shape)}")
    if triangles.ndim != 2 or triangles.shape[1] != 3:
        raise ValueError(f"triangles must be (T, 3), got {tuple(triangles.shape)}")
    height, width = size
    seen, drawn = _visible(points.detach(), triangles, size, perspective, cull_back_faces)
    if compiled := kernels(points):
        places = compiled.seen_places(array(points), array(triangles), array(seen), perspective)
        shares, depths = map(torch.from_numpy, places)
        return Raster(seen, shares, depths, points, triangles, drawn)

    item, row, column = (seen >= 0).nonzero(as_tuple=True)
    corners = points[item[:, None], triangles[seen[item, row, column]]].permute(2, 1, 0)
    every = torch.arange(len(item), device=points.device)
    edges = _edge_functions(corners, every, column + 0.5, row + 0.5)
    share, depth = _on_surface(corners, every, edges, perspective)
    where = (item, row, column)
    shape = (len(points), height, width)
    return Raster(
        triangle=seen,
        barycentrics=points.new_zeros(*shape, 3).index_put(where, share.T.to(points.dtype)),
        depth=points.new_full(shape, torch.nan).index_put(where, depth.to(points.dtype)),
        points=points,
        triangles=triangles,
        drawn=drawn,
    )


@dataclass(frozen=True, eq=False)
class Fragments:
    """Every place where a triangle covers a pixel's centre, hidden ones too, of one picture."""

    triangle: Tensor  # (F,) int64
    pixel: Tensor  # (F,) int64, row * width + column
    barycentrics: Tensor  # (F, 3) on the surface, sum 1
    depth: Tensor  # (F,) z of the surface

    def chosen(self, which: Tensor) -> "Fragments":
        """Those of a mask (F,)."""
        index = which.nonzero()[:, 0]
        parts = (self.triangle, self.pixel, self.barycentrics, self.depth)
        return Fragments(*(part.index_select(0, index) for part in parts))


@torch.no_grad()
def fragments(
    points: Tensor,
    triangles: Tensor,
    size: tuple[int, int],
    *,
    perspective: bool = False,
    behind: Tensor | None = None,
) -> Fragments:
    """All layers of one mesh, both sides of its triangles, in no order.

    What a translucent surface is composed of.

    Args:
        points: (V, 3) of one mesh. The other arguments are those of `rasterise`.
        behind: (H * W,) depth of what is opaque; all of the mesh that is not nearer is left out.
    """
    height, width = size
    if behind is None:
        behind = points.new_full((height * width,), -torch.inf)
    if compiled := kernels(points):
        given = array(points), array(triangles), height, width, perspective, array(behind)
        made = compiled.fragments(*given)
        return Fragments(*map(torch.from_numpy, made))
    planes = _planes(points[None], triangles)
    pieces = []
    usable = _usable(planes, perspective, cull_back_faces=False)
    for index, column, row in _pairs(planes, usable, height, width):
        edges = _edge_functions(planes, index, column + 0.5, row + 0.5)
        inside = _inside(edges)
        index, pixel = index[inside], (row * width + column)[inside]
        share, depth = _on_surface(planes, index, edges[:, inside], perspective)
        near = (depth > behind[pixel]).nonzero()[:, 0]
        pieces.append((index[near], pixel[near], share.T[near], depth[near]))
    if not pieces:
        empty = torch.zeros(0, dtype=torch.int64, device=points.device)
        return Fragments(empty, empty, points.new_zeros(0, 3), points.new_zeros(0))
    triangle, pixel, share, depth = (torch.cat(values) for values in zip(*pieces, strict=True))
    return Fragments(triangle, pixel, share.to(points.dtype), depth.to(points.dtype))


@torch.no_grad()
def _visible(
    points: Tensor,
    triangles: Tensor,
    size: tuple[int, int],
    perspective: bool,
    cull_back_faces: bool,
) -> tuple[Tensor, Tensor]:
    """The nearest triangle (B, H, W), -1 for none, and which were drawn (B, T)."""
    height, width = size
    if compiled := kernels(points):
        given = array(points), array(triangles), height, width, perspective, cull_back_faces
        seen, drawn = map(torch.from_numpy, compiled.visible(*given))
        return seen, drawn
    batch, count = len(points), len(triangles)
    planes = _planes(points, triangles)
    drawn = _usable(planes, perspective, cull_back_faces)
    nearest = points.new_full((batch * height * width,), -torch.inf)
    seen = torch.full_like(nearest, -1, dtype=torch.int64)
    for index, column, row in _pairs(planes, drawn, height, width):
        edges = _edge_functions(planes, index, column + 0.5, row + 0.5)
        inside = _inside(edges)
        index, row, column = index[inside], row[inside], column[inside]
        pixel = (index // count * height + row) * width + column
        depth = _on_surface(planes, index, edges[:, inside], perspective)[1]

        # The nearest of this round, then the first in the list among equals.
        before = nearest.clone()
        nearest.scatter_reduce_(0, pixel, depth, "amax")
        wins = (depth == nearest[pixel]) & (depth > before[pixel])
        index, pixel = index[wins], pixel[wins]
        first = torch.full_like(seen, batch * count).scatter_reduce_(0, pixel, index, "amin")
        wins = first[pixel] == index
        seen[pixel[wins]] = index[wins] % count
    return seen.view(batch, height, width), drawn.view(batch, count)


def _planes(points: Tensor, triangles: Tensor) -> Tensor:
    """(3 coordinates, 3 corners, B T) of the triangles (T, 3) of points (B, V, 3).

    Corners lie in planes because arithmetic on them is several times faster than on rows of three.
    """
    coordinates = points.movedim(-1, 0)
    corners = [coordinates[:, :, corner].flatten(1) for corner in triangles.unbind(1)]
    return torch.stack(corners, 1)


def _usable(planes: Tensor, perspective: bool, cull_back_faces: bool) -> Tensor:
    """(N,) bool: triangles that can be drawn at all."""
    (ax, bx, cx), (ay, by, cy), (az, bz, cz) = planes
    # Not finite anywhere is not finite in the sum.
    usable = (ax + bx + cx + ay + by + cy + az + bz + cz).isfinite()
    if perspective:
        usable &= (az < 0) & (bz < 0) & (cz < 0)
    if cull_back_faces:
        # y runs down, so a triangle seen from the front has a negative area in pixels.
        usable &= (bx - ax) * (cy - ay) - (by - ay) * (cx - ax) < 0
    return usable


def _pairs(
    planes: Tensor, usable: Tensor, height: int, width: int
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Triangle, column and row of all pixels whose centres are in a triangle's bounding box."""
    index = usable.nonzero()[:, 0]
    columns, rows = (
        _covered(planes[axis].index_select(1, index), size)
        for axis, size in ((0, width), (1, height))
    )
    across, down = columns[1] - columns[0], rows[1] - rows[0]
    count = across * down
    some = count.nonzero()[:, 0]
    index, left, top, across, count = (
        x.index_select(0, some) for x in (index, columns[0], rows[0], across, count)
    )
    # Slices of the list with a bounded number of pairs; one triangle is never split.
    parts = (count.cumsum(0) - count) // PAIRS_AT_ONCE
    lengths = torch.unique_consecutive(parts, return_counts=True)[1].tolist()
    for part in torch.arange(len(index), device=index.device).split(lengths):
        owner, position = _enumerate(part, count[part])
        wide = across.index_select(0, owner)
        row = position // wide
        column = position - row * wide
        yield (
            index.index_select(0, owner),
            left.index_select(0, owner) + column,
            top.index_select(0, owner) + row,
        )


def _covered(corners: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """First pixel (N,) whose centre lies between three coordinates (3, N), and one past the last.

    Within the picture; equal where there is none.
    """
    a, b, c = corners
    low, high = torch.minimum(torch.minimum(a, b), c), torch.maximum(torch.maximum(a, b), c)
    first = (low - 0.5).ceil().clamp(0, size).long()
    return first, torch.maximum((high + 0.5).floor().clamp(0, size).long(), first)


def _enumerate(values: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Each value `counts` times, and its running number 0, 1, ... beside it."""
    start = counts.cumsum(0) - counts
    owner = values.repeat_interleave(counts)
    number = torch.arange(len(owner), device=values.device) - start.repeat_interleave(counts)
    return owner, number


def _inside(edges: Tensor) -> Tensor:
    """(P,) bool: pixels in a triangle that has an area, from its edge functions (3, P)."""
    a, b, c = edges
    front, back = (a >= 0) & (b >= 0) & (c >= 0), (a <= 0) & (b <= 0) & (c <= 0)
    return (front | back) & (a + b + c != 0)


def _edge_functions(corners: Tensor, index: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """(3, P): twice the signed area that the pixel spans with the edge opposite each corner.

    `corners` are planes (3 coordinates, 3 corners, N).
    """
    dx, dy = corners[0].index_select(1, index) - x, corners[1].index_select(1, index) - y
    return torch.stack([dx[i] * dy[j] - dy[i] * dx[j] for i, j in ((1, 2), (2, 0), (0, 1))])


def _on_surface(
    corners: Tensor, index: Tensor, edges: Tensor, perspective: bool
) -> tuple[Tensor, Tensor]:
    """Barycentrics (3, P) and depth (P,) where the rays of the pixels with these `edges` meet."""
    share = edges / (edges[0] + edges[1] + edges[2])
    z = corners[2].index_select(1, index)
    if perspective:
        share = share / z
        depth = 1 / (share[0] + share[1] + share[2])
        return share * depth, depth
    return share, share[0] * z[0] + share[1] * z[1] + share[2] * z[2]


def _coverage_rightwards(points: Tensor, triangles: Tensor, drawn: Tensor, mask: Tensor) -> Tensor:
    """What `coverage` adds to `mask` (B, H, W) where a covered pixel has none on its right."""
    batch, height, width = mask.shape
    count = len(triangles)
    last = torch.zeros_like(mask)
    last[..., :-1] = mask[..., :-1] & ~mask[..., 1:]
    with torch.no_grad():
        corners = points[:, triangles].flatten(0, 1)
        index = drawn.flatten().nonzero()[:, 0]
        y = corners[index, :, 1]
        low = (y.amin(1) - 0.5).ceil().clamp(0, height).long()
        high = (y.amax(1) + 0.5).floor().clamp(0, height).long()
        owner, number = _enumerate(
            torch.arange(len(index), device=index.device), (high - low).clamp_min(0)
        )
        row, index = low[owner] + number, index[owner]
        # The rightmost edge of every triangle on every line of pixel centres through it.
        crossing, _ = _crossings(corners[index], row + 0.5)
        end, edge = crossing.max(0)
        column = (end - 0.5).floor()
        keep = (column >= 0) & (column < width - 1)
        index, row, end, edge = index[keep], row[keep], end[keep], edge[keep]
        column = column[keep].long()
        item = index // count
        keep = last[item, row, column]
        index, row, end, edge, column, item = (
            values[keep] for values in (index, row, end, edge, column, item)
        )
        # The farthest of them past each pixel; of equals, the first.
        pixel = (item * height + row) * width + column
        farthest = points.new_full((batch * height * width,), -torch.inf)
        farthest.scatter_reduce_(0, pixel, end, "amax")
        order = torch.arange(len(pixel), device=pixel.device)
        tied = torch.where(end == farthest[pixel], order, len(pixel))
        first = torch.full_like(farthest, len(pixel), dtype=torch.int64)
        first.scatter_reduce_(0, pixel, tied, "amin")
        chosen = first[first < len(pixel)]
    item, row, column = item[chosen], row[chosen], column[chosen]
    winners = points[item[:, None], triangles[index[chosen] % count]]
    crossing, slope = (
        values.gather(0, edge[chosen][None])[0] for values in _crossings(winners, row + 0.5)
    )
    # How far past the border between the two pixels, from -1/2 to 1/2; the lines along the other
    # axis see to the rest of an oblique edge.
    beyond = (crossing - (column + 1)) / (1 + slope**2)
    change = points.new_zeros(mask.shape)
    change = change.index_put((item, row, column), beyond.clamp_max(0))
    return change.index_put((item, row, column + 1), beyond.clamp_min(0), accumulate=True)


def _crossings(corners: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Where the edges of corners (P, 3, 3) cross the lines y (P,): x (3, P), and their dx / dy.

    x is -inf where an edge does not cross.
    """
    crossings, slopes = [], []
    for i, j in ((0, 1), (1, 2), (2, 0)):
        start, run = corners[:, i, :2], corners[:, j, :2] - corners[:, i, :2]
        crosses = (corners[:, i, 1] <= y) != (corners[:, j, 1] <= y)
        slope = run[:, 0] / torch.where(crosses, run[:, 1], 1)
        x = start[:, 0] + (y - start[:, 1]) * slope
        crossings.append(torch.where(crosses, x, -torch.inf))
        slopes.append(slope)
    return torch.stack(crossings), torch.stack(slopes)
