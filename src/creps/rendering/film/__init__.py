"""Films: what each frame shows, and files of frames."""
