// A face in its photo: the photo in new light, and what a system says of its pixels.

const PICTURE_LAYERS = { relit: 0, normals: 1, shading: 2, error: 3 };

/** Draws pictures. Each `show` fills the viewport that is set. */
class PictureView {
  constructor(gl, shaders, scale) {
    this.gl = gl;
    this.scale = new Float32Array(scale.colours);
    this.drawing = makeProgram(gl, shaders["picture.vert"], shaders["picture.frag"]);
    this.empty = gl.createVertexArray();
  }

  /** The textures of one system's layers over a photo, which may be null. */
  async load(layers, photo) {
    const gl = this.gl;
    const [surface, maps] = await Promise.all([loadImage(layers.surface), loadImage(layers.maps)]);
    return {
      photo: photo && makeTexture(gl, photo),
      surface: makeTexture(gl, surface),
      maps: makeTexture(gl, maps),
      aspect: layers.width / layers.height,
    };
  }

  /** The share of a pane, across and down, that a picture takes. */
  static fit(aspect, width, height) {
    const pane = width / height;
    return aspect > pane ? [1, pane / aspect] : [aspect / pane, 1];
  }

  show(loaded, state, width, height, backdrop) {
    const gl = this.gl, { program, at } = this.drawing;
    gl.useProgram(program);
    gl.disable(gl.DEPTH_TEST);
    gl.bindVertexArray(this.empty);
    bindTexture(gl, at.photo, 0, loaded.photo ?? loaded.surface);
    bindTexture(gl, at.surface, 1, loaded.surface);
    bindTexture(gl, at.maps, 2, loaded.maps);
    gl.uniform1i(at.hasPhoto, loaded.photo ? 1 : 0);
    gl.uniform1i(at.layer, PICTURE_LAYERS[state.layer]);
    gl.uniform2f(at.size, ...PictureView.fit(loaded.aspect, width, height));
    gl.uniform1f(at.split, state.split > 0 ? state.split : -1);
    setLight(gl, at, state.light);
    gl.uniform3fv(at.scale, this.scale);
    gl.uniform3f(at.backdrop, ...backdrop);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }
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
