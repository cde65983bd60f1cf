"""Reading an archive's traces, signals and prices into a project."""

from __future__ import annotations

from traces.write.archive import NUMBERED, PLAIN, make_days, note_first, read_in

__all__ = ["NUMBERED", "PLAIN", "make_days", "note_first", "read_in"]
