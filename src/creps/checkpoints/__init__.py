"""Models on disk: our own format, the official pickles read without running them, and the Hub."""
