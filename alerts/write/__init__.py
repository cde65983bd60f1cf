"""The only code that changes rows of alerts."""
