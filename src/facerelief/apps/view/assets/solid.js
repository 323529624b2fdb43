// Meshes: clay, texture, wire; turned, moved near, in the same light as the pictures.

const SOLID_MODES = { mesh: 0, texture: 1, wire: 3 };
const FIELD_OF_VIEW = (24 * Math.PI) / 180;

/** Draws meshes. Each `show` fills the viewport that is set. */
class SolidView {
  constructor(gl, shaders) {
    this.gl = gl;
    this.drawing = makeProgram(gl, shaders["solid.vert"], shaders["solid.frag"]);
  }

  /** The buffers and textures of a solid. */
  async load(solid) {
    const mesh = await readMesh(solid.mesh);
    const pictures = await Promise.all([solid.colours, solid.bumps].map((one) => one && loadImage(one)));
    const [colours, bumps] = pictures.map((image, index) =>
      image && makeTexture(this.gl, image, { colours: index === 0, mips: true }));
    return { ...this.#upload(mesh), colours, bumps, sphere: sphereRound(mesh.vertices) };
  }

  #upload(mesh) {
    const gl = this.gl;
    const vertexArray = gl.createVertexArray();
    gl.bindVertexArray(vertexArray);
    const put = (name, values, size) => {
      const location = gl.getAttribLocation(this.drawing.program, name);
      if (location < 0) return;
      if (!values) {
        gl.disableVertexAttribArray(location);
        return;
      }
      gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
      gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
      gl.enableVertexAttribArray(location);
      gl.vertexAttribPointer(location, size, gl.FLOAT, false, 0, 0);
    };
    put("position", mesh.vertices, 3);
    put("normal", mesh.normals, 3);
    put("uv", mesh.uv, 2);
    put("tint", mesh.tint, 3);
    const indices = Uint32Array.from(mesh.triangles);
    const buffer = gl.createBuffer();
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, buffer);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, indices, gl.STATIC_DRAW);
    gl.bindVertexArray(null);
    return { vertexArray, buffer, indices, count: indices.length, hasTints: Boolean(mesh.tint) };
  }

  /** The lines of a mesh, made when they are first wanted. */
  #wire(mesh) {
    if (!mesh.wire) {
      const gl = this.gl, edges = edgesOf(mesh.indices);
      mesh.wire = gl.createBuffer();
      mesh.wireCount = edges.length;
      gl.bindVertexArray(mesh.vertexArray);
      gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, mesh.wire);
      gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, edges, gl.STATIC_DRAW);
    }
    return mesh.wire;
  }

  show(mesh, state, withDetail, width, height) {
    const gl = this.gl, { program, at } = this.drawing;
    gl.useProgram(program);
    gl.enable(gl.DEPTH_TEST);
    gl.bindVertexArray(mesh.vertexArray);
    bindTexture(gl, at.colours, 0, mesh.colours);
    bindTexture(gl, at.bumps, 1, mesh.bumps);
    const mode = SOLID_MODES[state.layer];
    gl.uniform1i(at.hasColours, mesh.colours ? 1 : 0);
    gl.uniform1i(at.hasTints, mesh.hasTints ? 1 : 0);
    gl.uniform1i(at.hasBumps, mesh.bumps && withDetail ? 1 : 0);
    setLight(gl, at, state.light);
    gl.uniformMatrix4fv(at.model, false, modelMatrix(mesh.sphere, state.view, width / height));
    gl.uniformMatrix4fv(at.projection, false, projectionMatrix(mesh.sphere, state.view, width / height));
    if (state.layer === "wire") {
      // What lies behind the surface is hidden: the surface alone first, in depth, a little further off.
      const wire = this.#wire(mesh);
      gl.colorMask(false, false, false, false);
      gl.enable(gl.POLYGON_OFFSET_FILL);
      gl.polygonOffset(1, 2);
      this.#triangles(mesh);
      gl.disable(gl.POLYGON_OFFSET_FILL);
      gl.colorMask(true, true, true, true);
      gl.uniform1i(at.mode, mode);
      gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, wire);
      gl.drawElements(gl.LINES, mesh.wireCount, gl.UNSIGNED_INT, 0);
      return;
    }
    gl.uniform1i(at.mode, mode);
    this.#triangles(mesh);
  }

  #triangles(mesh) {
    this.gl.bindBuffer(this.gl.ELEMENT_ARRAY_BUFFER, mesh.buffer);
    this.gl.drawElements(this.gl.TRIANGLES, mesh.count, this.gl.UNSIGNED_INT, 0);
  }
}

/** Middle and radius of the box round vertices. */
function sphereRound(vertices) {
  const low = [Infinity, Infinity, Infinity], high = [-Infinity, -Infinity, -Infinity];
  for (let index = 0; index < vertices.length; index++) {
    const axis = index % 3;
    low[axis] = Math.min(low[axis], vertices[index]);
    high[axis] = Math.max(high[axis], vertices[index]);
  }
  const centre = low.map((value, axis) => (value + high[axis]) / 2);
  return { centre, radius: Math.hypot(...low.map((value, axis) => high[axis] - value)) / 2 || 1 };
}

function distanceOf(sphere, { zoom }, aspect) {
  const narrow = Math.min(1, aspect);
  return (0.86 * sphere.radius) / Math.sin(FIELD_OF_VIEW / 2) / narrow / zoom;
}

/** Turned about the middle by yaw and pitch, degrees, and as far off as `view.zoom` says. */
function modelMatrix(sphere, view, aspect) {
  const yaw = (view.yaw * Math.PI) / 180, pitch = (view.pitch * Math.PI) / 180;
  const [cy, sy, cp, sp] = [Math.cos(yaw), Math.sin(yaw), Math.cos(pitch), Math.sin(pitch)];
  const rows = [[cy, 0, sy], [sp * sy, cp, -sp * cy], [-cp * sy, sp, cp * cy]];
  const [x, y, z] = rows.map((row) => -row.reduce((sum, value, axis) => sum + value * sphere.centre[axis], 0));
  const columns = [0, 1, 2].flatMap((axis) => [...rows.map((row) => row[axis]), 0]);
  return new Float32Array([...columns, x, y, z - distanceOf(sphere, view, aspect), 1]);
}

function projectionMatrix(sphere, view, aspect) {
  const distance = distanceOf(sphere, view, aspect);
  const near = Math.max(distance - 1.6 * sphere.radius, 0.02 * sphere.radius);
  const far = distance + 1.6 * sphere.radius;
  const f = 1 / Math.tan(FIELD_OF_VIEW / 2);
  return new Float32Array([
    f / aspect, 0, 0, 0, 0, f, 0, 0,
    0, 0, (far + near) / (near - far), -1, 0, 0, (2 * far * near) / (near - far), 0,
  ]);
}
