"""Run by Blender: imports a GLB, says what it became, and renders it from the front.

blender --background --factory-startup --python blender_scene.py -- face.glb picture.png
"""

import json
import sys

import bpy
import numpy
from mathutils import Vector

# The importer of Blender 3.4 asks Debian's NumPy for a name that it no longer has.
if not hasattr(numpy, "bool"):
    numpy.bool = bool

source, picture = sys.argv[sys.argv.index("--") + 1 :]
bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.ops.import_scene.gltf(filepath=source)
(face,) = (one for one in bpy.data.objects if one.type == "MESH")
corners = [face.matrix_world @ Vector(corner) for corner in face.bound_box]
low = [min(corner[axis] for corner in corners) for axis in range(3)]
high = [max(corner[axis] for corner in corners) for axis in range(3)]
(material,) = face.data.materials
nodes = {node.type: node for node in material.node_tree.nodes}
images = {
    link.to_socket.name: link.from_node.image.colorspace_settings.name
    for link in material.node_tree.links
    if link.from_node.type == "TEX_IMAGE"
}
# The way the surface looks, area by area: a face looks to where its camera is, -y.
normal = sum((p.normal * p.area for p in face.data.polygons), Vector((0, 0, 0))).normalized()
print(
    "SCENE",
    json.dumps(
        {
            "vertices": len(face.data.vertices),
            "triangles": len(face.data.polygons),
            "size": [b - a for a, b in zip(low, high, strict=True)],
            "uv": len(face.data.uv_layers),
            "images": images,
            "normal_map": nodes["NORMAL_MAP"].space if "NORMAL_MAP" in nodes else None,
            "looks": list(normal),
        }
    ),
)

scene = bpy.context.scene
middle = Vector([(a + b) / 2 for a, b in zip(low, high, strict=True)])
camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
camera.location = middle + Vector((0, -0.55, 0))
camera.rotation_euler = (1.5707963, 0, 0)
lamp = bpy.data.objects.new("lamp", bpy.data.lights.new("lamp", "SUN"))
lamp.data.energy, lamp.data.angle = 3, 0.6  # soft, as of a window
lamp.rotation_euler = (1.1, 0, 0.7)
for one in (camera, lamp):
    scene.collection.objects.link(one)
scene.camera = camera
camera.data.lens = 70
scene.world = bpy.data.worlds.new("world")
scene.world.use_nodes = True
scene.world.node_tree.nodes["Background"].inputs[0].default_value = (0.5, 0.5, 0.5, 1)
scene.view_settings.view_transform = "Standard"
scene.render.engine = "CYCLES"
scene.cycles.samples = 4
scene.cycles.use_denoising = False
scene.render.resolution_x = scene.render.resolution_y = 256
scene.render.film_transparent = True
scene.render.filepath = picture
bpy.ops.render.render(write_still=True)
