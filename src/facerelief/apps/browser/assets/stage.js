// Draws a photo or a camera's picture, and over it what the network says of its faces.

import { cosSin } from "./crops.js";
import { bindTexture, makeProgram, setLight } from "./gl.js";
import { texturesOf } from "./surface.js";

const LAYERS = { relit: 0, normals: 1, shading: 2, error: 3 };

export class Stage {
  constructor(canvas, shaders, colours) {
    const gl = canvas.getContext("webgl2", { antialias: false, preserveDrawingBuffer: true });
    if (!gl) throw new Error("this browser draws no WebGL 2");
    Object.assign(this, { gl, canvas, photo: null, faces: [] });
    this.drawing = makeProgram(gl, shaders["stage.vert"], shaders["stage.frag"]);
    this.colours = new Float32Array(colours);
    this.empty = gl.createVertexArray();
  }

  /** Shows a picture: an ImageBitmap, a canvas or a video; and its faces, as the worker gives them. */
  set(source, width, height, faces) {
    const gl = this.gl;
    this.canvas.width = width;
    this.canvas.height = height;
    this.photo ??= this.#texture();
    gl.bindTexture(gl.TEXTURE_2D, this.photo);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, gl.RGBA, gl.UNSIGNED_BYTE, source);
    while (this.faces.length > faces.length) {
      const { surface, maps } = this.faces.pop();
      gl.deleteTexture(surface);
      gl.deleteTexture(maps);
    }
    faces.forEach((face, index) => {
      this.faces[index] ??= { surface: this.#texture(), maps: this.#texture() };
      this.faces[index].place = face.place;
      for (const [name, pixels] of Object.entries(texturesOf(face))) {
        gl.bindTexture(gl.TEXTURE_2D, this.faces[index][name]);
        gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, 256, 256, 0, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
      }
    });
  }

  #texture() {
    const gl = this.gl, texture = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, false);
    for (const [name, value] of [["WRAP_S", "CLAMP_TO_EDGE"], ["WRAP_T", "CLAMP_TO_EDGE"], ["MIN_FILTER", "LINEAR"], ["MAG_FILTER", "LINEAR"]]) {
      gl.texParameteri(gl.TEXTURE_2D, gl[`TEXTURE_${name}`], gl[value]);
    }
    return texture;
  }

  /** Draws with `state`: layer ("photo" or one of LAYERS), light { azimuth, elevation, key, fill, shine }. */
  draw({ layer, light }) {
    if (!this.photo) return;
    const gl = this.gl, { width, height } = this.canvas, { program, at } = this.drawing;
    gl.viewport(0, 0, width, height);
    gl.useProgram(program);
    gl.bindVertexArray(this.empty);
    gl.enable(gl.BLEND);
    gl.blendFuncSeparate(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA, gl.ONE, gl.ONE);
    gl.uniform3fv(at.scale, this.colours);
    // A photo as it is: all of its own light, and none besides.
    setLight(gl, at, layer === "photo" ? { ...light, key: 0, fill: 1 } : light);
    gl.uniform1i(at.layer, LAYERS[layer] ?? 0);
    bindTexture(gl, at.photo, 0, this.photo);
    this.#square({ isFace: false, axisX: [1, 0], axisY: [0, 1], origin: [0, 0], turn: [1, 0] });
    if (layer === "photo") return;
    // Larger faces lie on top, as in the files of the command line.
    for (const { surface, maps, place: { crop } } of [...this.faces].reverse()) {
      const [c, s] = cosSin(crop.angle), half = crop.side / 2, [x, y] = crop.centre;
      bindTexture(gl, at.surface, 1, surface);
      bindTexture(gl, at.maps, 2, maps);
      this.#square({
        isFace: true,
        axisX: [(crop.side * c) / width, (-crop.side * s) / height],
        axisY: [(crop.side * s) / width, (crop.side * c) / height],
        origin: [(x - half * (c + s)) / width, (y - half * (c - s)) / height],
        turn: [c, s],
      });
    }
  }

  #square({ isFace, axisX, axisY, origin, turn }) {
    const gl = this.gl, { at } = this.drawing;
    gl.uniform1i(at.isFace, isFace ? 1 : 0);
    gl.uniform2f(at.axisX, ...axisX);
    gl.uniform2f(at.axisY, ...axisY);
    gl.uniform2f(at.origin, ...origin);
    gl.uniform2f(at.turn, ...turn);
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
  }
}
