"""Families whose pixels depend on their neighbours: the baselines and the any-resolution GAN."""
