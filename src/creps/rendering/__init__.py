"""Seeing: pictures of any size from a generator, tile by tile, and the files they go to."""
