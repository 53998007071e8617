"""Many pictures to numbers: what is drawn, kept, and scored, so that it can be repeated."""
