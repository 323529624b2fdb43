"""Training: one YAML an experiment, one loop for every system (`phases.run`)."""
