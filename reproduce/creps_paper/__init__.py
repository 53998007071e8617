"""Experiments of the CREPS paper (CVPR 2023) and its supplement."""
