"""Whom a project tells, as people set it up: channels, routes, silences, settings. Every act is audited."""

from __future__ import annotations


class NotThere(Exception):
    """The project has no such channel, route or silence."""
