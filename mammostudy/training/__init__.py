"""Training: losses, steps, the loop and its checkpoints."""
