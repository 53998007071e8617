"""Judging: features of pictures, distances between sets of them, consistency across scales."""
