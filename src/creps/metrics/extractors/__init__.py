"""Networks that turn pictures into features."""
