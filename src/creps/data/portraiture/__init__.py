"""The parts that portraits are drawn from, in several styles."""
