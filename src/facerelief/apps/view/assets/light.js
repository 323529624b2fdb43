// The light of a page: where a pointer puts it, and what shaders are told of it.

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const LIMITS = { azimuth: [-90, 90], elevation: [-80, 80], zoom: [0.5, 8], pitch: [-85, 85] };

/** Azimuth and elevation of a light that is at (x, y) of the half sphere over a pane, -1 to 1, y up. */
function lightAt(x, y) {
  const length = Math.hypot(x, y), share = length > 0.98 ? 0.98 / length : 1;
  const [u, v] = [x * share, y * share];
  const z = Math.sqrt(1 - u * u - v * v);
  const degrees = 180 / Math.PI;
  return {
    azimuth: clamp(Math.atan2(-u, z) * degrees, ...LIMITS.azimuth),
    elevation: clamp(Math.asin(v) * degrees, ...LIMITS.elevation),
  };
}

/** The unit vector towards a light: azimuth lights the picture's left, elevation comes from above. */
function lightDirection({ azimuth, elevation }) {
  const a = (azimuth * Math.PI) / 180, e = (elevation * Math.PI) / 180;
  return [-Math.sin(a) * Math.cos(e), Math.sin(e), Math.cos(a) * Math.cos(e)];
}

/** The uniforms of a light, for shaders of pictures and meshes. Skin mirrors more where light grazes it. */
function setLight(gl, at, values) {
  const [x, y, z] = lightDirection(values);
  const length = Math.hypot(x, y, z + 1);
  const halfway = [x / length, y / length, (z + 1) / length];
  gl.uniform3f(at.light, x, y, z);
  gl.uniform3f(at.halfway, ...halfway);
  gl.uniform1f(at.key, values.key);
  gl.uniform1f(at.fill, values.fill);
  gl.uniform1f(at.glare, values.shine * values.key * (0.35 + 0.65 * (1 - halfway[2]) ** 3));
}
