"""The room's work outside of requests. Each task is safe to run twice, and at once."""

from __future__ import annotations
