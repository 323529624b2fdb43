"""Pictures of scenes: `scene` describes one, a renderer gives its `facerelief.samples.rendering`.

There are two renderers of one description, and what they share:

| | Draws by | When |
| --- | --- | --- |
| `renderer` | z-buffer: `surface`, `light`, `shadows`, `layers` ... | data: under a second |
| `mitsuba` | path tracing: `fine_mesh`, `tracing` | small good sets, a check: a minute |
| both | `illumination`, `film`, `finish`, `position_map` | |

There are two z-buffer rasterisers with the same rules, equal to the pixel by test:

* `facerelief.geometry.raster`, NumPy: one mesh, without torch, wherever photos are read.
* `raster`, torch: batched, differentiable, on GPUs. `shading` and `vectors` are the torch twins of
  `facerelief.geometry.light`, `mesh` and `normals` in the same way, and `drawing` that of
  `facerelief.geometry.drawing`: faces that are fitted to photos, with gradients.

`kernels` is no third one: each file there holds compiled loops for the file of the same name here,
which calls them where it may (`compiled` says where: one CPU, no gradients) and else uses torch.
"""
