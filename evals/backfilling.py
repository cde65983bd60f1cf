"""Judging past traces: estimate, start, pause, resume, cancel."""

from __future__ import annotations
