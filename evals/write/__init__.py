"""The only code that changes the rows of evals."""
