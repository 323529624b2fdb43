#version 300 es
// Two triangles over the photo, or over a face's crop in it; (0, 0) is the photo's top left corner.
uniform vec2 axisX, axisY, origin;  // of the square that is drawn, in shares of the photo
out vec2 inPhoto, inCrop;

void main() {
  inCrop = vec2(gl_VertexID & 1, gl_VertexID >> 1);
  inPhoto = origin + axisX * inCrop.x + axisY * inCrop.y;
  gl_Position = vec4(2.0 * inPhoto.x - 1.0, 1.0 - 2.0 * inPhoto.y, 0.0, 1.0);
}
