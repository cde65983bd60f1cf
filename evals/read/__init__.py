"""The only door to the rows of evals; frozen dataclasses out."""
