"""What a set of pictures is like, and what to train with it."""
