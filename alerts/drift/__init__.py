"""Drift of inputs and outputs against a frozen reference: what is compared and how it is told. Pure."""
