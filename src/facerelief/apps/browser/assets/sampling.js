// Pictures looked up between their pixels, number for number as Pillow does it in `sampling.py`.
//
// A picture is { data, width, height }, RGB uint8, rows from the top. Pixel coordinates are x right,
// y down, and the centre of the first pixel is (0.5, 0.5).

const BITS = 22; // of the weights of a resize, as Pillow rounds them
const REDUCING_GAP = 3;

const FILTERS = {
  bilinear: (x) => Math.max(1 - Math.abs(x), 0),
  hamming: (x) => {
    const at = Math.abs(x) * Math.PI;
    if (at === 0) return 1;
    return at >= Math.PI ? 0 : (Math.sin(at) / at) * (0.54 + 0.46 * Math.cos(at));
  },
};

/** Round half to even, as Python and NumPy do. */
export function round(value) {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}

export function emptyPicture(width, height) {
  return { data: new Uint8Array(3 * width * height), width, height };
}

/** RGB of RGBA pixels, such as those of a canvas. */
export function fromRgba({ data, width, height }) {
  const picture = emptyPicture(width, height);
  for (let from = 0, to = 0; from < data.length; from += 4, to += 3) {
    picture.data[to] = data[from];
    picture.data[to + 1] = data[from + 1];
    picture.data[to + 2] = data[from + 2];
  }
  return picture;
}

/** The part of a picture from (x0, y0) to (x1, y1), black past its edge. */
export function cut(picture, x0, y0, x1, y1) {
  const part = emptyPicture(x1 - x0, y1 - y0);
  const left = Math.max(x0, 0), right = Math.min(x1, picture.width);
  for (let y = Math.max(y0, 0); y < Math.min(y1, picture.height) && left < right; y++) {
    const from = 3 * (y * picture.width + left);
    const row = picture.data.subarray(from, from + 3 * (right - left));
    part.data.set(row, 3 * ((y - y0) * part.width + left - x0));
  }
  return part;
}

/** A picture turned clockwise by so many quarters. */
export function turned(picture, quarters) {
  let now = picture;
  for (let turn = ((quarters % 4) + 4) % 4; turn > 0; turn--) {
    const { data, width, height } = now, next = emptyPicture(height, width);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const from = 3 * (y * width + x), to = 3 * (x * height + height - 1 - y);
        for (let c = 0; c < 3; c++) next.data[to + c] = data[from + c];
      }
    }
    now = next;
  }
  return now;
}

/** As `resample` of sampling.py: `matrix` ([a, b, c, d, e, f]) takes output pixels to the picture's. */
export function resample(picture, matrix, width, height) {
  let [a, b, c, d, e, f] = matrix;
  const scale = Math.hypot(a, d), margin = Math.ceil(2 * Math.max(scale, 1));
  const xs = [c, c + a * width, c + b * height, c + a * width + b * height];
  const ys = [f, f + d * width, f + e * height, f + d * width + e * height];
  const x0 = Math.floor(Math.min(...xs)) - margin, y0 = Math.floor(Math.min(...ys)) - margin;
  const x1 = Math.ceil(Math.max(...xs)) + margin, y1 = Math.ceil(Math.max(...ys)) + margin;
  if (x1 <= 0 || y1 <= 0 || x0 >= picture.width || y0 >= picture.height) return emptyPicture(width, height);
  let layer = cut(picture, x0, y0, x1, y1);
  c -= x0;
  f -= y0;
  if (Math.abs(b) + Math.abs(d) <= 1e-9 * scale && a > 0) {
    return resize(layer, width, height, "bilinear", [c, f, c + a * width, f + e * height]);
  }
  if (scale > 1) {
    const size = [Math.ceil(layer.width / scale), Math.ceil(layer.height / scale)];
    const across = size[0] / layer.width, down = size[1] / layer.height;
    layer = resize(layer, ...size, "hamming");
    [a, b, c, d, e, f] = [across * a, across * b, across * c, down * d, down * e, down * f];
  }
  return transform(layer, [a, b, c, d, e, f], width, height);
}

/** A picture's part `box` (x0, y0, x1, y1; all of it without one) at another size, antialiased. */
export function resize(picture, width, height, filter = "bilinear", box = null) {
  let [x0, y0, x1, y1] = box ?? [0, 0, picture.width, picture.height];
  const isWhole = x0 === 0 && y0 === 0 && x1 === picture.width && y1 === picture.height;
  if (isWhole && width === picture.width && height === picture.height) return picture;
  const across = Math.trunc((x1 - x0) / width / REDUCING_GAP) || 1;
  const down = Math.trunc((y1 - y0) / height / REDUCING_GAP) || 1;
  if (across > 1 || down > 1) {
    const roomX = (0.5 * (x1 - x0)) / width, roomY = (0.5 * (y1 - y0)) / height;
    const left = Math.max(0, Math.trunc(x0 - roomX)), top = Math.max(0, Math.trunc(y0 - roomY));
    const right = Math.min(picture.width, Math.ceil(x1 + roomX));
    const bottom = Math.min(picture.height, Math.ceil(y1 + roomY));
    picture = reduce(cut(picture, left, top, right, bottom), across, down);
    [x0, y0, x1, y1] = [(x0 - left) / across, (y0 - top) / down, (x1 - left) / across, (y1 - top) / down];
  }
  const columns = weights(picture.width, x0, x1, width, FILTERS[filter]);
  const rows = weights(picture.height, y0, y1, height, FILTERS[filter]);
  return downwards(sideways(picture, columns, rows), rows, columns.starts.length);
}

/** Means of blocks of `across` x `down` pixels; those at the edge may be smaller. */
function reduce({ data, width, height }, across, down) {
  const result = emptyPicture(Math.ceil(width / across), Math.ceil(height / down));
  for (let y = 0, to = 0; y < height; y += down) {
    const bottom = Math.min(y + down, height);
    for (let x = 0; x < width; x += across, to += 3) {
      const right = Math.min(x + across, width), area = (bottom - y) * (right - x);
      for (let channel = 0; channel < 3; channel++) {
        let sum = area >> 1;
        for (let row = y; row < bottom; row++) {
          const end = 3 * (row * width + right);
          for (let at = 3 * (row * width + x) + channel; at < end; at += 3) sum += data[at];
        }
        result.data[to + channel] = sum / area;
      }
    }
  }
  return result;
}

/** Of each output pixel: the first input pixel that it reads, and its weights in 2^-BITS. */
function weights(length, low, high, count, filter) {
  [low, high] = [Math.fround(low), Math.fround(high)]; // Pillow keeps boxes so
  const scale = Math.fround(high - low) / count, reach = Math.max(scale, 1);
  const starts = new Int32Array(count), taps = [];
  for (let index = 0; index < count; index++) {
    const centre = low + (index + 0.5) * scale;
    const first = Math.max(Math.trunc(centre - reach + 0.5), 0);
    const last = Math.min(Math.trunc(centre + reach + 0.5), length);
    const values = [];
    let sum = 0;
    for (let at = first; at < last; at++) {
      values.push(filter((at - centre + 0.5) / reach));
      sum += values.at(-1);
    }
    starts[index] = first;
    taps.push(Int32Array.from(values, (value) => Math.floor((sum ? value / sum : value) * 2 ** BITS + 0.5)));
  }
  return { starts, taps };
}

function sideways({ data, width }, columns, rows) {
  const count = columns.starts.length;
  const first = rows.starts[0], last = rows.starts.at(-1) + rows.taps.at(-1).length;
  const result = { data: new Uint8Array(3 * count * (last - first)), first };
  for (let y = first, to = 0; y < last; y++) {
    for (let x = 0; x < count; x++, to += 3) {
      const taps = columns.taps[x];
      let at = 3 * (y * width + columns.starts[x]);
      let red = 1 << (BITS - 1), green = red, blue = red;
      for (let tap = 0; tap < taps.length; tap++, at += 3) {
        red += data[at] * taps[tap];
        green += data[at + 1] * taps[tap];
        blue += data[at + 2] * taps[tap];
      }
      result.data[to] = red >> BITS;
      result.data[to + 1] = green >> BITS;
      result.data[to + 2] = blue >> BITS;
    }
  }
  return result;
}

function downwards({ data, first }, rows, width) {
  const picture = emptyPicture(width, rows.starts.length), stride = 3 * width;
  for (let y = 0, to = 0; y < picture.height; y++) {
    const taps = rows.taps[y], start = (rows.starts[y] - first) * stride;
    for (let x = 0; x < stride; x++, to++) {
      let sum = 1 << (BITS - 1);
      for (let tap = 0, at = start + x; tap < taps.length; tap++, at += stride) sum += data[at] * taps[tap];
      picture.data[to] = sum >> BITS;
    }
  }
  return picture;
}

/** Pillow's affine transform: single pixels and those beside them, black past the edge. */
function transform({ data, width, height }, [a, b, c, d, e, f], across, down) {
  const picture = emptyPicture(across, down);
  for (let y = 0, to = 0; y < down; y++) {
    for (let x = 0; x < across; x++, to += 3) {
      const u = a * (x + 0.5) + b * (y + 0.5) + c, v = d * (x + 0.5) + e * (y + 0.5) + f;
      if (u < 0 || v < 0 || u >= width || v >= height) continue;
      const left = Math.floor(u - 0.5), top = Math.floor(v - 0.5);
      const fx = u - 0.5 - left, fy = v - 0.5 - top;
      const x0 = Math.max(left, 0), x1 = Math.min(left + 1, width - 1);
      const upper = width * Math.max(top, 0), lower = width * Math.min(top + 1, height - 1);
      for (let channel = 0; channel < 3; channel++) {
        const p = data[3 * (upper + x0) + channel], q = data[3 * (upper + x1) + channel];
        const r = data[3 * (lower + x0) + channel], s = data[3 * (lower + x1) + channel];
        const one = p + fx * (q - p), other = r + fx * (s - r);
        picture.data[to + channel] = one + fy * (other - one);
      }
    }
  }
  return picture;
}
