// From a network's face probability to a mask of few parts, without pinholes: `geometry/matte.py`.

// Of the largest part: smaller ones are no face, and holes no larger than these are no occluders.
const LEAST_PART = 0.03, LARGEST_HOLE = 0.004;

/** Uint8Array (side * side), 1 where a face is. */
export function solid(probability, side) {
  const inside = Uint8Array.from(probability, (value) => (value > 0.5 ? 1 : 0));
  const parts = partsOf(inside, side, 1);
  if (!parts.length) return inside;
  const largest = Math.max(...parts.map((part) => part.pixels.length));
  for (const { pixels } of parts) {
    if (pixels.length < LEAST_PART * largest) for (const at of pixels) inside[at] = 0;
  }
  for (const { pixels, touchesEdge } of partsOf(inside, side, 0)) {
    if (!touchesEdge && pixels.length <= LARGEST_HOLE * largest) for (const at of pixels) inside[at] = 1;
  }
  return inside;
}

/** The connected parts (4-neighbours) of the pixels that have a value. */
function partsOf(mask, side, value) {
  const seen = new Uint8Array(mask.length), parts = [];
  for (let start = 0; start < mask.length; start++) {
    if (seen[start] || mask[start] !== value) continue;
    const pixels = [start];
    let touchesEdge = false;
    seen[start] = 1;
    for (let index = 0; index < pixels.length; index++) {
      const at = pixels[index], x = at % side, y = (at - x) / side;
      touchesEdge ||= x === 0 || y === 0 || x === side - 1 || y === side - 1;
      for (const [next, isThere] of [[at - 1, x > 0], [at + 1, x < side - 1], [at - side, y > 0], [at + side, y < side - 1]]) {
        if (isThere && !seen[next] && mask[next] === value) {
          seen[next] = 1;
          pixels.push(next);
        }
      }
    }
    parts.push({ pixels, touchesEdge });
  }
  return parts;
}
