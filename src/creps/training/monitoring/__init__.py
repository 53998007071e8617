"""Logs, previews, rules and reports of a run."""
