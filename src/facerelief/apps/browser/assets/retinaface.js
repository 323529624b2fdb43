// The network that finds faces, and what its numbers mean: `retinaface.py`.

const ANCHORS = [[8, [16, 32]], [16, [64, 128]], [32, [256, 512]]]; // strides, sides
const CENTRE_VARIANCE = 0.1, SIZE_VARIANCE = 0.2;
export const MEAN_RGB = [127, 117, 104];

const CANDIDATE = 0.4; // the score from which a box is worth a look
export const OVERLAP = 0.4; // intersection over union from which two boxes are one face
const HINT = 0.01, HINT_SIDE = 16; // an anchor that may be at a small face

export class RetinaFace {
  constructor(ort, session) {
    Object.assign(this, { ort, session });
  }

  /** Of each of `pictures`, which have one size: { faces: [{ box, score, points }], hints: [[x, y]] }. */
  async run(pictures) {
    const [{ width, height }] = pictures, plane = width * height;
    const values = new Float32Array(3 * plane * pictures.length);
    pictures.forEach(({ data }, index) => {
      for (let channel = 0; channel < 3; channel++) {
        const mean = MEAN_RGB[2 - channel], first = (3 * index + channel) * plane;
        for (let pixel = 0; pixel < plane; pixel++) values[first + pixel] = data[3 * pixel + 2 - channel] - mean;
      }
    });
    const input = new this.ort.Tensor("float32", values, [pictures.length, 3, height, width]);
    const { loc, conf, landmarks } = await this.session.run({ input });
    const anchors = anchorsOf(height, width), count = anchors.length;
    return pictures.map((_, index) => {
      const part = (array, columns) => array.subarray(index * count * columns, (index + 1) * count * columns);
      return decode(part(loc.data, 4), part(conf.data, 2), part(landmarks.data, 10), anchors);
    });
  }
}

/** The network's outputs to faces, best first, without those that are no maximum; and the hints. */
export function decode(offsets, scores, points, anchors) {
  const indices = [...anchors.keys()];
  const byScore = (one, other) => scores[2 * other + 1] - scores[2 * one + 1] || one - other;
  const faces = indices.filter((index) => scores[2 * index + 1] >= CANDIDATE).sort(byScore).map((index) => {
    const [x, y, side] = anchors[index], at = 4 * index;
    const u = x + CENTRE_VARIANCE * side * offsets[at], v = y + CENTRE_VARIANCE * side * offsets[at + 1];
    const half = [2, 3].map((axis) => (side * Math.exp(SIZE_VARIANCE * offsets[at + axis])) / 2);
    return {
      box: [u - half[0], v - half[1], u + half[0], v + half[1]],
      score: scores[2 * index + 1],
      points: [0, 1, 2, 3, 4].map((point) => [
        x + CENTRE_VARIANCE * side * points[10 * index + 2 * point],
        y + CENTRE_VARIANCE * side * points[10 * index + 2 * point + 1],
      ]),
    };
  });
  const hints = indices.filter((index) => scores[2 * index + 1] >= HINT && anchors[index][2] <= HINT_SIDE);
  return { faces: maxima(faces), hints: hints.sort(byScore).map((index) => anchors[index].slice(0, 2)) };
}

/** Those of the faces, best first, that overlap no better one. */
export function maxima(faces) {
  const kept = [];
  for (const face of faces) {
    if (!kept.some((better) => overlap(better.box, face.box) > OVERLAP)) kept.push(face);
  }
  return kept;
}

/** Intersection over union of two boxes. */
export function overlap(one, other) {
  const width = Math.min(one[2], other[2]) - Math.max(one[0], other[0]);
  const height = Math.min(one[3], other[3]) - Math.max(one[1], other[1]);
  const shared = Math.max(width, 0) * Math.max(height, 0);
  const area = (box) => (box[2] - box[0]) * (box[3] - box[1]);
  return shared / Math.max(area(one) + area(other) - shared, 1e-9);
}

const known = new Map();

/** Centre and side of every anchor of a picture, [x, y, side], in the network's order. */
export function anchorsOf(height, width) {
  const key = `${height} ${width}`;
  if (!known.has(key)) {
    const anchors = [];
    for (const [stride, sides] of ANCHORS) {
      for (let y = 0; y < Math.ceil(height / stride); y++) {
        for (let x = 0; x < Math.ceil(width / stride); x++) {
          for (const side of sides) anchors.push([(x + 0.5) * stride, (y + 0.5) * stride, side]);
        }
      }
    }
    if (known.size >= 8) known.delete(known.keys().next().value);
    known.set(key, anchors);
  }
  return known.get(key);
}
