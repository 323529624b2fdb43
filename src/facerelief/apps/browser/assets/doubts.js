// What of a face is not to be relied on: `doubts.py`, and `calibration.py` of expected errors.

const SMALL = 48, BLURRED = 0.75, EMPTY = 0.05, WHITE = 0.8, OFF = 16, CLIPPED = 250;
const FINE = 4, COARSE = 16; // sides of blocks, crop pixels
const KNEE = 0.6, FEW = 500;

/** Expected errors, degrees: scale * own ** power * exp(soft * s + white * w), at most 90. */
export function calibrated(own, picture, mask, { scale, power, soft, white }) {
  let count = 0;
  for (const inside of mask) count += inside;
  const face = count >= FEW ? mask : new Uint8Array(mask.length).fill(1);
  const raised = Math.log(Math.max(scale, 1e-6)) +
    soft * Math.max(softness(picture, face) - KNEE, 0) + white * whiteness(picture, face);
  const gain = Math.exp(raised);
  const errors = new Float32Array(own.length);
  for (let at = 0; at < own.length; at++) errors[at] = Math.min(Math.max(own[at], 1e-3) ** power * gain, 90);
  return errors;
}

/** Lines for people, of a crop's picture, its side in photo pixels, and what the network says. */
export function warningsOf(picture, side, mask, expected) {
  const lines = [];
  let count = 0, sum = 0;
  for (let at = 0; at < mask.length; at++) {
    count += mask[at];
    if (mask[at] && expected) sum += expected[at];
  }
  if (side < SMALL) lines.push(`the face is small, ${side.toFixed(0)} pixels: its shape is coarse`);
  else if (softness(picture, mask) > BLURRED) lines.push("the face is blurred: its shape is coarse");
  const white = whiteness(picture, mask);
  if (white > WHITE) lines.push(`${(100 * white).toFixed(0)} % of the face is overexposed: its shape is a guess`);
  if (count < EMPTY * mask.length) {
    lines.push(`hardly any face is seen, on ${((100 * count) / mask.length).toFixed(1)} % of the crop`);
  }
  if (count && sum / count > OFF) lines.push(`the normals are expected to be off by ${(sum / count).toFixed(0)} degrees`);
  return lines;
}

/** How little of a picture's face is finer than 16 pixels: at most 1, which is nothing. */
export function softness({ data, width }, mask) {
  const grey = new Float32Array(mask.length);
  for (let at = 0; at < grey.length; at++) {
    grey[at] = 0.299 * data[3 * at] + 0.587 * data[3 * at + 1] + 0.114 * data[3 * at + 2];
  }
  const colours = blockMeans(grey, width, FINE), inside = blockMeans(mask, width, FINE);
  const fine = contrast(colours, inside), wider = COARSE / FINE;
  const coarse = contrast(...[colours, inside].map((means) => blockMeans(means, width / FINE, wider)));
  return fine > 0 ? Math.log(Math.max(coarse / fine, 1e-3)) / Math.log(COARSE / FINE) : 1;
}

/** Share of the face's pixels that are white in all three colours. */
export function whiteness({ data }, mask) {
  let white = 0, count = 0;
  const all = !mask.includes(1);
  for (let at = 0; at < mask.length; at++) {
    if (!all && !mask[at]) continue;
    count++;
    if (Math.min(data[3 * at], data[3 * at + 1], data[3 * at + 2]) >= CLIPPED) white++;
  }
  return white / count;
}

/** Root mean square of the differences between neighbouring blocks that lie on the face. */
function contrast(blocks, inside) {
  const count = Math.sqrt(blocks.length);
  let total = 0, pairs = 0;
  for (let at = 0; at < blocks.length; at++) {
    if (inside[at] <= 0.5) continue;
    if (at % count < count - 1 && inside[at + 1] > 0.5) {
      total += (blocks[at + 1] - blocks[at]) ** 2;
      pairs++;
    }
    if (at + count < blocks.length && inside[at + count] > 0.5) {
      total += (blocks[at + count] - blocks[at]) ** 2;
      pairs++;
    }
  }
  return Math.sqrt(total / Math.max(pairs, 1));
}

/** Means of a square's blocks of side x side values. */
function blockMeans(values, width, side) {
  const count = width / side, means = new Float64Array(count * count), share = 1 / (side * side);
  for (let y = 0, at = 0; y < width; y++) {
    for (let block = Math.floor(y / side) * count, end = block + count; block < end; block++) {
      let sum = 0;
      for (const last = at + side; at < last; at++) sum += values[at];
      means[block] += sum * share;
    }
  }
  return means;
}
