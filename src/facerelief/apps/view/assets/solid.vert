#version 300 es
in vec3 position;
in vec3 normal;
in vec2 uv;
in vec3 tint;
uniform mat4 model, projection;
out vec3 where;
out vec3 across;
out vec2 texel;
out vec3 painted;

void main() {
  vec4 seen = model * vec4(position, 1.0);
  where = seen.xyz;
  across = mat3(model) * normal;
  texel = vec2(uv.x, 1.0 - uv.y);
  painted = tint;
  gl_Position = projection * seen;
}
