"""From changed traces to decisions: which plan covers a trace, and whether it is drawn."""

from __future__ import annotations
