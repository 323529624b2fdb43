"""`python -m facerelief` is `facerelief`."""

from facerelief.cli import main

main()
