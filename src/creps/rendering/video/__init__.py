"""What each frame shows, and films as files."""
