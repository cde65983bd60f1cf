"""Removing what the room keeps about some traces or users, and all that it keeps of a project."""

from __future__ import annotations

from alerts.write.erasing import remove_traces, remove_users, thin_points, thin_references

__all__ = ["remove_traces", "remove_users", "thin_points", "thin_references"]
