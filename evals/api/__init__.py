"""REST of evals."""
