"""What grows on a head: brows and lashes, beards, hair."""
