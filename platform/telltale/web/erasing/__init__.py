"""Erasing a trace, a session, a user or a project: asked for, done by a job, verified, kept as a receipt."""
