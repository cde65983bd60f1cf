"""Scores from people's own programs."""

from __future__ import annotations
