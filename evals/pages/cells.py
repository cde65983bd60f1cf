"""Values of JSON as the cells of a file."""

from __future__ import annotations

from typing import Any

import orjson


def flat(value: Any) -> Any:
    """A value as a cell holds it: text as it is, JSON as its text; nothing for nothing at all."""
    return value if value is None or isinstance(value, str) else orjson.dumps(value).decode()
