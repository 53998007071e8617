"""Foveated pictures: many pixels where the eye looks, few elsewhere, the rest filled in (CIPS, 4.7)."""
