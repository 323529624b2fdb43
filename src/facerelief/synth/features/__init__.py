"""The face's own features that are no skin: eyes and teeth."""
