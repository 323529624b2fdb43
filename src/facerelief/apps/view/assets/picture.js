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
