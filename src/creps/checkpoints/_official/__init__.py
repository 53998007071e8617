"""Official networks as ours: one module a family, which knows its names, shapes and settings."""
