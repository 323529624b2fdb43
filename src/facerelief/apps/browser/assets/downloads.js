// What can be taken along: a face's normal map as PNG, what is known of it as JSON, the picture shown.

const FRAME = "opengl";

/** The PNG that `facerelief normals` writes: (n + 1) / 2 * 255, alpha is the mask, its text says the frame. */
export async function normalPng({ normals, mask }, side, version) {
  const rows = new Uint8Array(side * (4 * side + 1));
  for (let y = 0, to = 0; y < side; y++) {
    rows[to++] = 0; // no filter
    for (let x = 0; x < side; x++) {
      const at = y * side + x;
      for (let axis = 0; axis < 3; axis++) {
        const value = mask[at] ? normals[3 * at + axis] : axis === 2 ? 1 : 0;
        rows[to++] = evenRound(127.5 * Math.min(Math.max(value, -1), 1) + 127.5);
      }
      rows[to++] = mask[at] ? 255 : 0;
    }
  }
  const header = new Uint8Array(13), view = new DataView(header.buffer);
  view.setUint32(0, side);
  view.setUint32(4, side);
  header.set([8, 6], 8); // bits; red, green, blue, alpha
  const text = (key, value) => new TextEncoder().encode(`${key}\0${value}`);
  const stream = new Blob([rows]).stream().pipeThrough(new CompressionStream("deflate"));
  const parts = [
    new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk("IHDR", header),
    chunk("tEXt", text("Normal frame", FRAME)),
    chunk("tEXt", text("Software", `facerelief ${version}`)),
    chunk("IDAT", new Uint8Array(await new Response(stream).arrayBuffer())),
    chunk("IEND", new Uint8Array(0)),
  ];
  return new Blob(parts, { type: "image/png" });
}

function evenRound(value) {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}

const TABLE = Uint32Array.from({ length: 256 }, (_, value) => {
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

function chunk(kind, content) {
  const bytes = new Uint8Array(12 + content.length), view = new DataView(bytes.buffer);
  view.setUint32(0, content.length);
  bytes.set(new TextEncoder().encode(kind), 4);
  bytes.set(content, 8);
  let sum = 0xffffffff;
  for (const byte of bytes.subarray(4, 8 + content.length)) sum = TABLE[(sum ^ byte) & 255] ^ (sum >>> 8);
  view.setUint32(8 + content.length, ~sum >>> 0);
  return bytes;
}

/** What the JSON beside a normal map says, in the words of `facerelief normals`. */
export function describe({ place, mask, error, warnings }, photo, model, version) {
  const three = (values) => values.map((value) => (Array.isArray(value) ? three(value) : Number(value.toFixed(3))));
  const { crop, box, score, points } = place, [a, b, c, d, e, f] = crop.matrix.map((value) => Number(value.toFixed(6)));
  let count = 0, sum = 0;
  mask.forEach((inside, at) => {
    count += inside;
    if (inside && error) sum += error[at];
  });
  return {
    photo: { path: photo.name, width: photo.width, height: photo.height },
    box: three(box),
    score: Number(score.toFixed(4)),
    points: three(points),
    crop: {
      centre: three(crop.centre), side: Number(crop.side.toFixed(3)), angle: Number(crop.angle.toFixed(3)),
      size: crop.size, crop_to_photo: [[a, b, c], [d, e, f]],
    },
    frame: {
      name: FRAME,
      axes: "x right, y up, z towards the viewer, in the crop",
      encoding: "round((n + 1) / 2 * 255)",
    },
    mask_fraction: Number((count / mask.length).toFixed(4)),
    mean_expected_error: error && count ? Number((sum / count).toFixed(2)) : null,
    warnings,
    model: model.described,
    facerelief: version,
  };
}

/** Gives the browser a file to keep. */
export function save(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
