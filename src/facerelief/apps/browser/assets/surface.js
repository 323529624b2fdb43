// A face's numbers as the textures that its light is changed by.

const SIDE = 256, LEVELS = 6, ERROR_SCALE = 40; // degrees, as the error pictures of the command line
const DARKEST = 0.22, BRIGHTEST = 2; // of a photo's own shading over its average
const CLEAR = 1 / 64, FULL = (1 - 1 / 1.2) / 2; // of a crop's side: where its alpha is nothing, and full
const RIDGE = 1e-3, ITERATIONS = 5, CAUCHY = 2.385, SAMPLES = 1500;

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
  const spread = spreadOf(normals, mask), light = lightOf(picture, normals, mask);
  const surface = new Uint8Array(4 * SIDE * SIDE), maps = new Uint8Array(4 * SIDE * SIDE);
  for (let at = 0; at < mask.length; at++) {
    const soft = RISES[at % SIDE] * RISES[Math.floor(at / SIDE)];
    const [x, y, z, near] = spread.subarray(4 * at, 4 * at + 4);
    const shading = clamp(shade(light, x, y, z), DARKEST, BRIGHTEST);
    surface.set([x, y, z].map((value) => 127.5 * (value + 1) + 0.5), 4 * at);
    surface[4 * at + 3] = 255 * soft * Math.min(2.5 * near, 1);
    maps[4 * at] = 255 * mask[at] * soft;
    maps[4 * at + 1] = error ? 255 * Math.min(error[at] / ERROR_SCALE, 1) : 0;
    maps[4 * at + 2] = (255 * shading) / 2;
    maps[4 * at + 3] = 255;
  }
  return { surface, maps };
}

/** Unit normals everywhere (x, y, z, how near the face is): the face's own, and means of them beside it. */
function spreadOf(normals, mask) {
  let side = SIDE, finest = new Float32Array(4 * side * side);
  for (let at = 0; at < mask.length; at++) {
    if (mask[at]) finest.set([normals[3 * at], normals[3 * at + 1], normals[3 * at + 2], 1], 4 * at);
  }
  const pyramid = [finest];
  for (let level = 0; level < LEVELS; level++) {
    const from = pyramid.at(-1), half = side / 2, to = new Float32Array(4 * half * half);
    for (let at = 0; at < from.length; at++) {
      const pixel = at >> 2, x = (pixel % side) >> 1, y = Math.floor(pixel / side) >> 1;
      to[4 * (y * half + x) + (at & 3)] += from[at] / 4;
    }
    pyramid.push(to);
    side = half;
  }
  let coarse = pyramid.pop();
  const near = upsampled(upsampled(pyramid[4], 16), 32); // how much face there is within some 16 pixels
  while (pyramid.length) {
    const fine = pyramid.pop(), below = upsampled(coarse, side);
    side *= 2;
    for (let at = 0; at < fine.length; at += 4) {
      const rest = 1 - fine[at + 3];
      for (let axis = 0; axis < 4; axis++) fine[at + axis] += rest * below[at + axis];
    }
    coarse = fine;
  }
  const wide = upsampled(upsampled(near, 64), 128);
  for (let at = 0; at < coarse.length; at += 4) {
    const share = mask[at >> 2] ? 1 : Math.min(wide[at + 3], 1);
    const z = coarse[at + 2] + 1e-3, length = Math.hypot(coarse[at], coarse[at + 1], z);
    coarse[at] /= length;
    coarse[at + 1] /= length;
    coarse[at + 2] = z / length;
    coarse[at + 3] = share;
  }
  return coarse;
}

/** A picture of four channels, twice as large, with values between its pixels. */
function upsampled(from, side) {
  const double = 2 * side, to = new Float32Array(4 * double * double);
  for (let y = 0, at = 0; y < double; y++) {
    const v = clamp((y - 0.5) / 2, 0, side - 1), top = Math.floor(v), fy = v - top, bottom = Math.min(top + 1, side - 1);
    for (let x = 0; x < double; x++) {
      const u = clamp((x - 0.5) / 2, 0, side - 1), left = Math.floor(u), fx = u - left, right = Math.min(left + 1, side - 1);
      for (let axis = 0; axis < 4; axis++, at++) {
        const upper = from[4 * (top * side + left) + axis] * (1 - fx) + from[4 * (top * side + right) + axis] * fx;
        const lower = from[4 * (bottom * side + left) + axis] * (1 - fx) + from[4 * (bottom * side + right) + axis] * fx;
        to[at] = upper * (1 - fy) + lower * fy;
      }
    }
  }
  return to;
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
  const chosen = inside.filter((_, index) => index % Math.ceil(inside.length / SAMPLES) === 0);
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
