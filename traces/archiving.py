"""Reading an archive's traces, signals and prices into a project."""

from __future__ import annotations

from traces.write.archive import NUMBERED, PLAIN, make_days, note_first, read_in
from traces.write.archive_rules import Columns, Door, Passed, numbers_of

__all__ = ["NUMBERED", "PLAIN", "Columns", "Door", "Passed", "make_days", "note_first", "numbers_of", "read_in"]
