"""What a picture is taken of and how: expression, pose, camera, light, background."""
