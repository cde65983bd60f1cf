"""Forms of evals: what people type, and back."""
