"""The world: where the floor is, when feet are on it, how the root travels, and what the camera did meanwhile."""
