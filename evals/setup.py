"""Connections, rubrics, judges, plans and settings as people set them up."""

from __future__ import annotations
