#version 300 es
// A photo in new light, or what systems say of its pixels.
//
// The photo's own shading is divided out and that of the new light put in: photo * new / old in linear
// light. New is a share of old and one far light. As sRGB is nearly the 2.2nd root of linear light,
// sRGB values are multiplied by that root of new / old; nothing is decoded, which would take a
// processor that draws without a graphics card longer than all else here.
precision highp float;

const int RELIT = 0, NORMALS = 1, SHADING = 2, ERROR = 3;

uniform sampler2D photo;    // sRGB
uniform sampler2D surface;  // x and y of the normal as (n + 1) / 2, old over 2; its z is not below 0
uniform sampler2D maps;     // alpha of the face, expected error over the scale's end
uniform bool hasPhoto;
uniform int layer;
uniform float split;        // left of this share of the picture it is the photo
uniform vec3 backdrop;
{{LIGHT}}

in vec2 place;
out vec4 colour;

void main() {
  if (place.x < 0.0 || place.y < 0.0 || place.x > 1.0 || place.y > 1.0) {
    colour = vec4(backdrop, 1.0);
    return;
  }
  vec3 before = hasPhoto ? texture(photo, place).rgb : vec3(0.46);
  if (place.x < split) {
    colour = vec4(before, 1.0);
    return;
  }
  vec3 read = texture(surface, place).rgb;
  vec2 map = texture(maps, place).rg;
  vec2 slope = read.xy * 2.0 - 1.0;
  vec3 n = vec3(slope, sqrt(max(1.0 - dot(slope, slope), 0.0)));
  if (layer == RELIT) {
    colour = vec4(relit(before, n, map.r, 2.0 * read.b), 1.0);
    return;
  }
  vec3 shown = vec3(0.0);
  if (layer == NORMALS) shown = 0.5 * n + 0.5;
  if (layer == SHADING) shown = bent(vec3(pow(0.8 * (fill + key * max(dot(n, light), 0.0)), ROOT)));
  if (layer == ERROR) shown = errorColour(map.g);
  float grey = dot(before, vec3(0.2126, 0.7152, 0.0722));
  colour = vec4(mix(vec3(0.5 * grey), shown, map.r), 1.0);
}
