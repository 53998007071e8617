"""The portraits data set: drawn heads with a truth at every size."""
