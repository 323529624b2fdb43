// What all pages' shaders of photos share: new light on a pixel, and colours of expected error.
const float ROOT = 1.0 / 2.2;

uniform vec3 light;         // unit, towards the light
uniform vec3 halfway;       // unit, between light and viewer
uniform float key, fill;
uniform float glare;        // of a mirror towards this light, sRGB
uniform vec3 scale[10];     // colours of expected error

// Bright colours keep their hue: the largest channel bends towards 1, the others follow.
vec3 bent(vec3 value) {
  float most = max(max(value.r, value.g), value.b);
  float over = most - 0.85;
  return over < 0.0 ? value : value * ((0.85 + 0.15 * over / (over + 0.15)) / most);
}

vec3 relit(vec3 before, vec3 n, float alpha, float old) {
  float facing = max(dot(n, light), 0.0);
  float glint = max(dot(n, halfway), 0.0);
  glint *= glint;  // to the 16th, which in sRGB is as narrow as the 35th in linear light
  glint *= glint;
  glint *= glint;
  glint *= glint;
  float gain = pow(fill + key * facing / old, ROOT);
  return bent(before * gain + glare * alpha * glint * min(5.0 * facing, 1.0));
}

vec3 errorColour(float share) {
  float at = clamp(share, 0.0, 1.0) * 9.0;
  int low = min(int(at), 8);
  return mix(scale[low], scale[low + 1], at - float(low));
}
