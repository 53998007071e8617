"""Pictures to files: small at once, large in chunks, resumable."""
