"""Probes as values: what is asked, what an answer must hold to, how far answers are apart, when a suite runs."""
