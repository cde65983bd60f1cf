"""SQL kept in files: `<room>/sql/name.sql`, read once."""

from __future__ import annotations

from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent.parent


@cache
def load(room: str, name: str) -> str:
    """The text of `<room>/sql/<name>.sql`; FileNotFoundError where there is none."""
    return (ROOT / room / "sql" / f"{name}.sql").read_text()
