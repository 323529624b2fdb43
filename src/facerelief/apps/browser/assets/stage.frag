#version 300 es
// The photo, or a face of it: in new light, its normals, its expected error. See light.glsl.
precision highp float;

const int RELIT = 0, NORMALS = 1, SHADING = 2, ERROR = 3;

uniform sampler2D photo;    // sRGB
uniform sampler2D surface;  // (n + 1) / 2 in the crop's frame, how far new light reaches
uniform sampler2D maps;     // alpha of the face, expected error over the scale's end, old shading over 2
uniform bool isFace;
uniform int layer;
uniform vec2 turn;          // cosine and sine of the crop's angle
{{LIGHT}}
in vec2 inPhoto, inCrop;
out vec4 colour;

void main() {
  vec3 before = texture(photo, inPhoto).rgb;
  vec3 n = vec3(0.0, 0.0, 1.0), map = vec3(0.0, 0.0, 0.5);
  float reach = 0.0;
  if (isFace) {
    vec4 read = texture(surface, inCrop);
    vec3 own = normalize(2.0 * read.xyz - 1.0);
    n = vec3(turn.x * own.x - turn.y * own.y, turn.y * own.x + turn.x * own.y, own.z);
    map = texture(maps, inCrop).rgb;
    reach = read.a;
  }
  vec3 shown;
  float alpha = isFace ? map.r : 1.0;
  if (layer == RELIT) {
    n = normalize(mix(vec3(0.0, 0.0, 1.0), n, reach));
    shown = relit(before, n, map.r, mix(1.0, 2.0 * map.b, reach));
    alpha = 1.0;
  } else if (!isFace) {
    shown = vec3(0.5 * dot(before, vec3(0.2126, 0.7152, 0.0722)));
  } else if (layer == NORMALS) {
    shown = 0.5 * n + 0.5;
  } else if (layer == SHADING) {
    shown = bent(vec3(pow(0.8 * (fill + key * max(dot(n, light), 0.0)), ROOT)));
  } else {
    shown = errorColour(map.g);
  }
  colour = vec4(shown, alpha);
}
