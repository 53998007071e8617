"""Watching runs: the log, previews, alarms, and what they say in words."""
