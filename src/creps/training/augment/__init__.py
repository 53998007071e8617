"""Augmentation of real and generated pictures alike."""

from __future__ import annotations

from creps.training.augment._augment import adapt_strength, augment, blurred
from creps.training.augment._settings import AugmentSettings

__all__ = ["AugmentSettings", "adapt_strength", "augment", "blurred"]
