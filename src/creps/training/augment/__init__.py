"""Augmentation of real and generated pictures alike."""
