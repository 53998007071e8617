"""The judge of drawn portraits: how it was trained, and whether it orders known damages rightly."""
