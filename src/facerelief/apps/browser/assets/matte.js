// From a network's face probability to a mask of few parts, without pinholes: `geometry/matte.py`.

// Of the largest part: smaller ones are no face, and holes no larger than these are no occluders.
const LEAST_PART = 0.03, LARGEST_HOLE = 0.004;

/** Uint8Array (side * side), 1 where a face is. */
export function solid(probability, side) {
  const inside = new Uint8Array(probability.length); // loops: callbacks take ten times as long
  for (let at = 0; at < inside.length; at++) inside[at] = probability[at] > 0.5 ? 1 : 0;
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
  const seen = new Uint8Array(mask.length), reached = new Int32Array(mask.length), parts = [];
  for (let start = 0, end = 0; start < mask.length; start++) {
    if (seen[start] || mask[start] !== value) continue;
    const begin = end;
    let touchesEdge = false;
    const reach = (next) => {
      if (seen[next] || mask[next] !== value) return;
      seen[next] = 1;
      reached[end++] = next;
    };
    reach(start);
    for (let index = begin; index < end; index++) {
      const at = reached[index], x = at % side;
      if (x > 0) reach(at - 1);
      if (x < side - 1) reach(at + 1);
      if (at >= side) reach(at - side);
      if (at < mask.length - side) reach(at + side);
      touchesEdge ||= x === 0 || x === side - 1 || at < side || at >= mask.length - side;
    }
    parts.push({ pixels: reached.subarray(begin, end), touchesEdge });
  }
  return parts;
}
