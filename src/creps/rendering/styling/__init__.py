"""Styles in words, mixed, walked through, and blended over a picture."""
