// Arrays as packing.py packs them, and what a mesh's triangles say of its vertices.

/** The bytes of base64 text. */
function fromBase64(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

async function inflated(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Rows of unsigned integers, one after the other: columns and byte planes joined, differences summed. */
async function unpacked({ rows, columns, bytes, data }) {
  const planes = await inflated(fromBase64(data));
  const values = new (bytes === 2 ? Uint16Array : Uint32Array)(rows * columns);
  const count = rows * columns;
  for (let column = 0; column < columns; column++) {
    let sum = 0;
    for (let row = 0; row < rows; row++) {
      const index = column * rows + row;
      let step = 0;
      for (let part = bytes - 1; part >= 0; part--) step = step * 256 + planes[part * count + index];
      sum += step;
      values[row * columns + column] = sum; // modulo the array's range, as the differences are
      sum = values[row * columns + column];
    }
  }
  return values;
}

function scaled(values, low, span, columns) {
  return Float32Array.from(values, (value, index) => low[index % columns] + (value / 65535) * span);
}

/** A mesh's arrays as WebGL takes them: Float32Array of position, normal, uv, tint; indices. */
async function readMesh(packed) {
  const vertices = scaled(await unpacked(packed.vertices), packed.low, packed.span, 3);
  const triangles = await unpacked(packed.triangles);
  const uv = packed.uv ? scaled(await unpacked(packed.uv), packed.uvLow, packed.uvSpan, 2) : null;
  const tint = packed.colours ? scaled(await unpacked(packed.colours), [0, 0, 0], 1, 3) : null;
  return { vertices, triangles, uv, tint, normals: vertexNormals(vertices, triangles) };
}

/** Unit normals at the vertices: those of the triangles round each, weighted by their area. */
function vertexNormals(vertices, triangles) {
  const normals = new Float32Array(vertices.length);
  for (let index = 0; index < triangles.length; index += 3) {
    const [a, b, c] = [3 * triangles[index], 3 * triangles[index + 1], 3 * triangles[index + 2]];
    const ux = vertices[b] - vertices[a], uy = vertices[b + 1] - vertices[a + 1];
    const uz = vertices[b + 2] - vertices[a + 2];
    const vx = vertices[c] - vertices[a], vy = vertices[c + 1] - vertices[a + 1];
    const vz = vertices[c + 2] - vertices[a + 2];
    const x = uy * vz - uz * vy, y = uz * vx - ux * vz, z = ux * vy - uy * vx;
    for (const at of [a, b, c]) {
      normals[at] += x;
      normals[at + 1] += y;
      normals[at + 2] += z;
    }
  }
  for (let at = 0; at < normals.length; at += 3) {
    const length = Math.hypot(normals[at], normals[at + 1], normals[at + 2]) || 1;
    for (let axis = 0; axis < 3; axis++) normals[at + axis] /= length;
  }
  return normals;
}

/** Every edge of the triangles once, as pairs of vertices. */
function edgesOf(triangles) {
  const most = 2 ** 26; // above any number of vertices that a page holds
  const keys = new Float64Array(triangles.length);
  for (let index = 0; index < triangles.length; index++) {
    const next = index % 3 === 2 ? index - 2 : index + 1;
    const [a, b] = [triangles[index], triangles[next]];
    keys[index] = Math.min(a, b) * most + Math.max(a, b);
  }
  keys.sort();
  const edges = new Uint32Array(2 * keys.length);
  let count = 0;
  for (let index = 0; index < keys.length; index++) {
    if (index && keys[index] === keys[index - 1]) continue;
    edges[count++] = Math.floor(keys[index] / most);
    edges[count++] = keys[index] % most;
  }
  return edges.slice(0, count);
}
