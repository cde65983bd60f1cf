"""Reading an archive's scores, judges, datasets and reviews into a project."""

from __future__ import annotations

from evals.write.archive import COLUMNS, NUMBERED, PLAIN, read_in

__all__ = ["COLUMNS", "NUMBERED", "PLAIN", "read_in"]
