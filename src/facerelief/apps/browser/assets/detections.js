// What a detector says of a face, and how its landmark crop follows from that: `detections.py`.

import { cosSin, Crop } from "./crops.js";

/** Degrees of roll up to which a crop stays upright. */
export const TILT = 20;

// A frontal face's five points, eye distance 1.
const FRONTAL = [[-0.5, -0.518], [0.5, -0.518], [0, 0.051], [-0.432, 0.492], [0.432, 0.492]];
// How the landmark crop follows from a detection: weights of `cropFeatures`.
const CROP_X = [-0.08, -0.036], CROP_Y = [0.097, 0.156, 0.386], CROP_SIDE = [0.962, 0.123, 0.355];

const middle = (p, q) => [(p[0] + q[0]) / 2, (p[1] + q[1]) / 2];
const product = (row, values) => row.reduce((sum, weight, index) => sum + weight * values[index], 0);

/** A face: box (x0, y0, x1, y1), score, five points, and where it was found turned, angle and size. */
export class Detection {
  constructor(box, score, points, angle = 0, size = null) {
    Object.assign(this, { box, score, points, angle, size });
  }

  get centre() {
    const [x0, y0, x1, y1] = this.box;
    return [(x0 + x1) / 2, (y0 + y1) / 2];
  }

  /** Width and height along the face's own axes, photo pixels. */
  get extent() {
    const [x0, y0, x1, y1] = this.box;
    return this.size ?? [x1 - x0, y1 - y0];
  }

  get area() {
    return this.extent[0] * this.extent[1];
  }

  with(values) {
    const all = { ...this, ...values };
    return new Detection(all.box, all.score, all.points, all.angle, all.size);
  }

  /** It in a picture `factor` times larger, its own one's first corner at (x, y). */
  enlarged(factor, [x, y]) {
    const moved = (values) => values.map((value, index) => factor * value + [x, y][index % 2]);
    return this.with({
      box: moved(this.box),
      points: this.points.map(moved),
      size: this.size && this.size.map((length) => factor * length),
    });
  }
}

/** The landmark crop that the box and points foretell. */
export function cropFromDetection(face) {
  const [x, y, side] = cropFeatures(face).map((row, index) => product(row, [CROP_X, CROP_Y, CROP_SIDE][index]));
  const frame = new Crop(face.centre, 1, face.angle, 1);
  return new Crop(frame.toPhoto([x + 0.5, y + 0.5]), side, face.angle);
}

function cropFeatures(face) {
  const [width, height] = face.extent, frame = new Crop(face.centre, 1, face.angle, 1);
  const points = face.points.map((point) => frame.toCrop(point).map((value) => value - 0.5));
  const eyes = middle(points[0], points[1]), mouth = middle(points[3], points[4]);
  const between = middle(eyes, mouth), nose = points[2];
  return [
    [nose[0], between[0]],
    [Math.max(width, height), nose[1], between[1]],
    [width, height, Math.hypot(mouth[0] - eyes[0], mouth[1] - eyes[1])],
  ];
}

/** Degrees by which a face's points are turned counter-clockwise. */
export function roll(points) {
  const [one, other, , left, right] = points;
  const across = [other[0] - one[0], other[1] - one[1]];
  const down = [0, 1].map((axis) => (left[axis] + right[axis] - one[axis] - other[axis]) / 2);
  return (Math.atan2(down[0] - across[1], across[0] + down[1]) * 180) / Math.PI;
}

/** A face seen in `crop`, in the photo. Its box there bounds the turned ellipse in it. */
export function fromCrop(crop, { box, score, points }) {
  const centre = crop.toPhoto([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]);
  const size = [crop.scale * (box[2] - box[0]), crop.scale * (box[3] - box[1])];
  const [c, s] = cosSin(crop.angle);
  const half = [Math.hypot(c * size[0], s * size[1]) / 2, Math.hypot(s * size[0], c * size[1]) / 2];
  const corners = [centre[0] - half[0], centre[1] - half[1], centre[0] + half[0], centre[1] + half[1]];
  return new Detection(corners, score, points.map((point) => crop.toPhoto(point)), crop.angle, size);
}

/** Relative residual of the five points after the similarity that fits a frontal face best. */
export function misfit(points) {
  const centred = (list) => {
    const mean = [0, 1].map((axis) => list.reduce((sum, point) => sum + point[axis], 0) / list.length);
    return list.map((point) => [point[0] - mean[0], point[1] - mean[1]]);
  };
  const measured = centred(points), expected = centred(FRONTAL);
  let real = 0, imaginary = 0, norm = 0, size = 0;
  measured.forEach(([x, y], index) => {
    const [u, v] = expected[index];
    real += u * x + v * y;
    imaginary += u * y - v * x;
    norm += u * u + v * v;
    size += x * x + y * y;
  });
  [real, imaginary] = [real / norm, imaginary / norm];
  const rest = measured.reduce((sum, [x, y], index) => {
    const [u, v] = expected[index];
    return sum + (x - real * u + imaginary * v) ** 2 + (y - imaginary * u - real * v) ** 2;
  }, 0);
  return Math.sqrt(rest) / Math.max(Math.sqrt(size), 1e-9);
}
