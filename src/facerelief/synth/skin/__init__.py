"""Skin of faces: `look` draws how it looks, `skins` makes it.

`map` says where on the face each texel is, `noise` and `regions` what varies over it; `colour`
knows what colours skin has; `details` and `wrinkles` are its relief, `paint` is what lies on it;
`textures` and `lifted` take the structure of real skin from pictures.
"""
