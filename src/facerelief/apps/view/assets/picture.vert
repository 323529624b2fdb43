#version 300 es
// One triangle over the whole pane; `place` is (0, 0) at the picture's top left corner.
uniform vec2 size;  // of the picture, as shares of the pane
out vec2 place;

void main() {
  vec2 corner = vec2(gl_VertexID == 1 ? 3.0 : -1.0, gl_VertexID == 2 ? 3.0 : -1.0);
  place = vec2(0.5 + 0.5 * corner.x / size.x, 0.5 - 0.5 * corner.y / size.y);
  gl_Position = vec4(corner, 0.0, 1.0);
}
