// Squares cut out of photos: similarities between their pixels and the photo's, as in `crops.py`.

import { resample } from "./sampling.js";

/** Cosine and sine of degrees, exact for quarter turns. */
export function cosSin(angle) {
  const quarter = Math.floor(angle / 90), rest = ((angle - 90 * quarter) * Math.PI) / 180;
  const c = Math.cos(rest), s = Math.sin(rest);
  return [[c, s], [-s, c], [-c, -s], [s, -c]][((quarter % 4) + 4) % 4];
}

export class Crop {
  /** Centre and side are in photo pixels, the angle in degrees counter-clockwise, the size in pixels. */
  constructor(centre, side, angle = 0, size = 256) {
    Object.assign(this, { centre, side, angle, size });
  }

  /** Photo pixels per crop pixel. */
  get scale() {
    return this.side / this.size;
  }

  /** [a, b, c, d, e, f]: x' = a x + b y + c, y' = d x + e y + f, crop pixels to photo pixels. */
  get matrix() {
    const [c, s] = cosSin(this.angle), k = this.scale, half = this.size / 2;
    const [a, b, d, e] = [k * c, k * s, -k * s, k * c];
    return [a, b, this.centre[0] - (a + b) * half, d, e, this.centre[1] - (d + e) * half];
  }

  toPhoto([x, y]) {
    const [a, b, c, d, e, f] = this.matrix;
    return [a * x + b * y + c, d * x + e * y + f];
  }

  toCrop([x, y]) {
    const [c, s] = cosSin(this.angle), u = x - this.centre[0], v = y - this.centre[1];
    return [(c * u - s * v) / this.scale + this.size / 2, (s * u + c * v) / this.scale + this.size / 2];
  }

  /** The crop's picture of a photo, black outside it, antialiased. */
  extract(photo) {
    return resample(photo, this.matrix, this.size, this.size);
  }

  /** Takes from `mask` (size * size) the pixels whose centres lie outside a photo. */
  keepInside(mask, width, height) {
    const [a, b, c, d, e, f] = this.matrix;
    for (let y = 0, at = 0; y < this.size; y++) {
      for (let x = 0; x < this.size; x++, at++) {
        const u = a * (x + 0.5) + b * (y + 0.5) + c, v = d * (x + 0.5) + e * (y + 0.5) + f;
        if (u < 0 || v < 0 || u > width || v > height) mask[at] = 0;
      }
    }
    return mask;
  }
}
