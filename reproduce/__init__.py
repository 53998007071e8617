"""The papers' tables and figures as commands: `python -m reproduce`."""
