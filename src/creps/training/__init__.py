"""Learning: from real pictures to a generator; runs that resume bit for bit."""
