"""Reference metrics of outputs against expected answers, from well-kept libraries. Pure."""
