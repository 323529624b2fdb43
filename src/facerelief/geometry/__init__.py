"""Pure, batched geometry in NumPy: nothing here imports torch or anything above it."""
