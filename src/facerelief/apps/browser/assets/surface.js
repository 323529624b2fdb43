// A face's numbers as the textures that its light is changed by.

const SIDE = 256, COARSE = 64, LEVELS = 5, ERROR_SCALE = 40; // degrees, as the error pictures of the command line
const DARKEST = 0.22, BRIGHTEST = 2; // of a photo's own shading over its average
const CLEAR = 1 / 64, FULL = (1 - 1 / 1.2) / 2; // of a crop's side: where its alpha is nothing, and full
const RIDGE = 1e-3, ITERATIONS = 4, CAUCHY = 2.385, SAMPLES = 700;

const LINEAR = Float32Array.from({ length: 256 }, (_, value) => {
  const share = value / 255;
  return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
});
const CONSTANTS = [1 / 4, 3 / 4, 3 / 4, 3 / 4, 15 / 4, 15 / 4, 5 / 16, 15 / 4, 15 / 16].map((v) => Math.sqrt(v / Math.PI));
const LOBE = [1, 2 / 3, 2 / 3, 2 / 3, 1 / 4, 1 / 4, 1 / 4, 1 / 4, 1 / 4];

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

function rise(at) {
  const share = clamp((Math.min(at, 1 - at) - CLEAR) / (FULL - CLEAR), 0, 1);
  return share * share * (3 - 2 * share);
}
const RISES = Float32Array.from({ length: SIDE }, (_, at) => rise((at + 0.5) / SIDE));

/**
 * Two RGBA pictures of 256 x 256. `surface`: the normal as (n + 1) / 2, spread beyond the face, and how
 * far new light reaches. `maps`: alpha of the face, expected error over 40 degrees, the photo's own
 * shading over 2.
 */
export function texturesOf({ normals, mask, error, picture }) {
  const around = spreadOf(normals, mask), light = lightOf(picture, normals, mask);
  const surface = new Uint8Array(4 * SIDE * SIDE), maps = new Uint8Array(4 * SIDE * SIDE), beside = new Float32Array(4);
  for (let at = 0, to = 0; at < mask.length; at++, to += 4) {
    const soft = RISES[at % SIDE] * RISES[at >> 8];
    let x = normals[3 * at], y = normals[3 * at + 1], z = normals[3 * at + 2], near = 1;
    if (!mask[at]) {
      between(around, COARSE, ((at % SIDE) + 0.5) / 4 - 0.5, ((at >> 8) + 0.5) / 4 - 0.5, beside);
      const length = Math.sqrt(beside[0] ** 2 + beside[1] ** 2 + (beside[2] + 1e-3) ** 2);
      [x, y, z] = [beside[0] / length, beside[1] / length, (beside[2] + 1e-3) / length];
      near = Math.min(2.5 * beside[3], 1);
    }
    surface[to] = 127.5 * x + 128;
    surface[to + 1] = 127.5 * y + 128;
    surface[to + 2] = 127.5 * z + 128;
    surface[to + 3] = 255 * soft * near;
    maps[to] = 255 * mask[at] * soft;
    maps[to + 1] = error ? 255 * Math.min(error[at] / ERROR_SCALE, 1) : 0;
    maps[to + 2] = 127.5 * clamp(shade(light, x, y, z), DARKEST, BRIGHTEST);
    maps[to + 3] = 255;
  }
  return { surface, maps };
}

/**
 * Normals of the face spread beside it, and how much face is near: x, y, z, share of COARSE x COARSE
 * pixels. What a pixel lacks of the face, the next coarser pixels fill in (a pull-push pyramid).
 */
function spreadOf(normals, mask) {
  const finest = new Float32Array(4 * COARSE * COARSE), step = SIDE / COARSE;
  for (let at = 0; at < mask.length; at++) {
    if (!mask[at]) continue;
    const to = 4 * (Math.floor((at >> 8) / step) * COARSE + Math.floor((at % SIDE) / step));
    for (let axis = 0; axis < 3; axis++) finest[to + axis] += normals[3 * at + axis] / (step * step);
    finest[to + 3] += 1 / (step * step);
  }
  const pyramid = [finest];
  for (let level = 0, side = COARSE; level < LEVELS; level++, side /= 2) {
    const from = pyramid.at(-1), half = side / 2, to = new Float32Array(4 * half * half);
    for (let at = 0; at < from.length; at++) {
      const pixel = at >> 2, x = (pixel % side) >> 1, y = Math.floor(pixel / side) >> 1;
      to[4 * (y * half + x) + (at & 3)] += from[at] / 4;
    }
    pyramid.push(to);
  }
  const near = upsampled(upsampled(pyramid[2], COARSE / 4), COARSE / 2); // within some 16 pixels of the crop
  let coarse = pyramid.pop();
  for (let side = COARSE / 2 ** LEVELS; pyramid.length; side *= 2) {
    const fine = pyramid.pop(), below = upsampled(coarse, side);
    for (let at = 0; at < fine.length; at += 4) {
      const rest = 1 - fine[at + 3];
      for (let axis = 0; axis < 4; axis++) fine[at + axis] += rest * below[at + axis];
    }
    coarse = fine;
  }
  for (let at = 3; at < coarse.length; at += 4) coarse[at] = near[at];
  return coarse;
}

/** A picture of four channels, twice as large, with values between its pixels. */
function upsampled(from, side) {
  const to = new Float32Array(16 * side * side), value = new Float32Array(4);
  for (let y = 0, at = 0; y < 2 * side; y++) {
    for (let x = 0; x < 2 * side; x++, at += 4) {
      between(from, side, (x - 0.5) / 2, (y - 0.5) / 2, value);
      to.set(value, at);
    }
  }
  return to;
}

/** The four channels of a picture at a place between its pixels, into `value`. */
function between(from, side, u, v, value) {
  u = clamp(u, 0, side - 1);
  v = clamp(v, 0, side - 1);
  const left = Math.floor(u), top = Math.floor(v), fx = u - left, fy = v - top;
  const right = Math.min(left + 1, side - 1), bottom = Math.min(top + 1, side - 1);
  for (let axis = 0; axis < 4; axis++) {
    const upper = from[4 * (top * side + left) + axis] * (1 - fx) + from[4 * (top * side + right) + axis] * fx;
    const lower = from[4 * (bottom * side + left) + axis] * (1 - fx) + from[4 * (bottom * side + right) + axis] * fx;
    value[axis] = upper * (1 - fy) + lower * fy;
  }
}

const basis = (x, y, z) =>
  [1, y, z, x, x * y, y * z, 3 * z * z - 1, x * z, x * x - y * y].map((value, index) => value * CONSTANTS[index] * LOBE[index]);

function shade(light, x, y, z) {
  return light[0] + light[1] * y + light[2] * z + light[3] * x + light[4] * x * y + light[5] * y * z +
    light[6] * (3 * z * z - 1) + light[7] * x * z + light[8] * (x * x - y * y);
}

/** The light on a face, nine harmonics whose constants are multiplied in, 1 on the face's average. */
function lightOf({ data }, normals, mask) {
  const inside = [];
  for (let at = 0; at < mask.length; at++) if (mask[at]) inside.push(at);
  const even = [1, 0, 0, 0, 0, 0, 0, 0, 0];
  if (inside.length < 500) return even;
  const step = Math.ceil(inside.length / SAMPLES), chosen = inside.filter((_, index) => index % step === 0);
  const rows = chosen.map((at) => basis(normals[3 * at], normals[3 * at + 1], normals[3 * at + 2]));
  const values = chosen.map((at) =>
    0.2126 * LINEAR[data[3 * at]] + 0.7152 * LINEAR[data[3 * at + 1]] + 0.0722 * LINEAR[data[3 * at + 2]]);
  let weights = rows.map(() => 1), light = null;
  for (let turn = 0; turn < ITERATIONS; turn++) {
    light = leastSquares(rows, values, weights);
    const off = rows.map((row, index) => Math.abs(values[index] - row.reduce((sum, v, k) => sum + v * light[k], 0)));
    const scale = Math.max(1.4826 * [...off].sort((a, b) => a - b)[off.length >> 1], 1e-6);
    weights = off.map((value) => 1 / (1 + (value / (CAUCHY * scale)) ** 2));
  }
  const factors = light.map((value, index) => value * CONSTANTS[index] * LOBE[index]);
  const shades = chosen.map((at) => shade(factors, normals[3 * at], normals[3 * at + 1], normals[3 * at + 2]));
  const mean = shades.reduce((sum, value) => sum + value, 0) / shades.length;
  return mean > 1e-3 ? factors.map((value) => value / mean) : even;
}

/** (A' W A + ridge) x = A' W b, by elimination: the matrix is positive. */
function leastSquares(rows, values, weights) {
  const count = 9, system = Array.from({ length: count }, () => new Float64Array(count + 1));
  rows.forEach((row, index) => {
    for (let i = 0; i < count; i++) {
      const weighted = row[i] * weights[index];
      for (let j = 0; j < count; j++) system[i][j] += weighted * row[j];
      system[i][count] += weighted * values[index];
    }
  });
  for (let i = 0; i < count; i++) system[i][i] += RIDGE * rows.length;
  for (let i = 0; i < count; i++) {
    for (let row = i + 1; row < count; row++) {
      const factor = system[row][i] / system[i][i];
      for (let j = i; j <= count; j++) system[row][j] -= factor * system[i][j];
    }
  }
  const solution = new Array(count).fill(0);
  for (let i = count - 1; i >= 0; i--) {
    let rest = system[i][count];
    for (let j = i + 1; j < count; j++) rest -= system[i][j] * solution[j];
    solution[i] = rest / system[i][i];
  }
  return solution;
}
