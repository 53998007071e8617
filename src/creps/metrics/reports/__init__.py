"""Numbers to pages that people read."""
