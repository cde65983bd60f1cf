"""Behaviour of sessions: folded from changed traces and signals, and made anew when a definition changes."""
