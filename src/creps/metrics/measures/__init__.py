"""One number at a time: distances between sets, and what a picture tells about its model."""
