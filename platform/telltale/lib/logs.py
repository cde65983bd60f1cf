"""Log lines: one event, one line of JSON, and nothing of what people sent."""

from __future__ import annotations

import json
import logging
import traceback
from datetime import UTC, datetime
from typing import Any

FRAMES_MAX = 12
MESSAGE_MAX = 300
# Their texts quote rows, statements or the input that was wrong. The class and, for PostgreSQL, code and constraint
# tell enough.
_QUOTING_MODULES = ("psycopg", "django.db", "json", "orjson", "google.protobuf")
_QUOTING_TYPES = (ValueError, KeyError, TypeError)


def describe_error(error: BaseException) -> dict[str, Any]:
    """What may be logged of `error`: its class, where it happened, and its text only where that quotes no input."""
    cause = error.__cause__ or error
    found: dict[str, Any] = {"error": f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")}
    if code := getattr(cause, "sqlstate", None):
        found["sqlstate"] = code
    if constraint := getattr(getattr(cause, "diag", None), "constraint_name", None):
        found["constraint"] = constraint
    quotes = isinstance(error, _QUOTING_TYPES) or type(error).__module__.startswith(_QUOTING_MODULES)
    if not quotes:
        found["text"] = str(error)[:MESSAGE_MAX]
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES_MAX:]
    found["frames"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    return found


class LineFormatter(logging.Formatter):
    """JSON with time, level, logger, message, request reference and a described error."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage().split("\n", 1)[0][:MESSAGE_MAX],
        }
        if reference := getattr(record, "reference", None):
            line["reference"] = reference
        if record.exc_info and record.exc_info[1]:
            line.update(describe_error(record.exc_info[1]))
        return json.dumps(line, ensure_ascii=True, default=str)
