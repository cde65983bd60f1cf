"""Outcomes: defined by people, kept by the fold of behaviour."""
