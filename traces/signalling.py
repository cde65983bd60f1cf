"""Signals of end users: taken in, bound to what they are about, read."""
