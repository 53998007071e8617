"""Experiments of the any-resolution paper (ECCV 2022) and its appendices."""
