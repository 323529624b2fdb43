#version 300 es
// A mesh in clay, in its texture, in the colours of its normals, or a wire of it.
precision highp float;

const int CLAY = 0, TEXTURE = 1, NORMALS = 2, WIRE = 3;

uniform sampler2D colours;  // sRGB, read as linear light
uniform sampler2D bumps;    // tangent space, green up
uniform bool hasColours, hasTints, hasBumps;
uniform int mode;
uniform vec3 light;
uniform vec3 halfway;
uniform float key, fill, glare;

in vec3 where;
in vec3 across;
in vec2 texel;
in vec3 painted;
out vec4 colour;

// The frame of the texture on the surface, from how both change from pixel to pixel (Mikkelsen 2010).
vec3 bumped(vec3 n) {
  vec3 dx = dFdx(where), dy = dFdy(where);
  vec2 tx = dFdx(texel), ty = dFdy(texel);
  vec3 a = cross(dy, n), b = cross(n, dx);
  vec3 right = a * tx.x + b * ty.x;
  vec3 up = -(a * tx.y + b * ty.y);
  float longest = max(dot(right, right), dot(up, up));
  if (longest <= 0.0) return n;
  vec3 local = texture(bumps, texel).rgb * 2.0 - 1.0;
  return normalize((right * local.x + up * local.y) * inversesqrt(longest) + n * local.z);
}

vec3 toScreen(vec3 linear) {
  vec3 low = 12.92 * linear, high = 1.055 * pow(max(linear, 0.0), vec3(1.0 / 2.4)) - 0.055;
  return mix(high, low, lessThan(linear, vec3(0.0031308)));
}

void main() {
  vec3 n = normalize(across);
  if (!gl_FrontFacing) n = -n;
  if (hasBumps) n = bumped(n);
  if (mode == NORMALS) {
    colour = vec4(0.5 * n + 0.5, 1.0);
    return;
  }
  if (mode == WIRE) {
    float facing = clamp(n.z, 0.0, 1.0);
    colour = vec4(mix(vec3(0.30, 0.36, 0.42), vec3(0.65, 0.85, 1.0), facing), 1.0);
    return;
  }
  vec3 skin = vec3(0.52, 0.49, 0.46);
  if (mode == TEXTURE && hasColours) skin = texture(colours, texel).rgb;
  if (mode == TEXTURE && !hasColours && hasTints) skin = pow(painted, vec3(2.2));
  float facing = max(dot(n, light), 0.0);
  float glint = pow(max(dot(n, halfway), 1e-4), 24.0) * min(5.0 * facing, 1.0);
  float sky = 0.85 + 0.15 * n.y;
  vec3 shown = skin * (fill * sky + key * facing) + glare * glint;
  colour = vec4(toScreen(min(shown, 1.0)), 1.0);
}
