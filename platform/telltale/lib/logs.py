"""Log lines: one event, one line of JSON, and nothing of what people sent.

Texts of exceptions are not written: they quote rows, statements, addresses or the input that was wrong. Lines of other
people's code are written by their templates, with the values that are known to be no text of anybody's.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import traceback
from datetime import UTC, datetime
from typing import Any

FRAMES_MAX = 12
MESSAGE_MAX = 300
OWN = ("telltale", "traces", "evals", "alerts")
# Of what Celery tells of a task: not its arguments, its result or its exception's text.
_KEPT_OF_TASKS = frozenset({"name", "id", "description", "hostname", "runtime"})
_LEFT_OUT = "…"
_PREFORMATTED = "Invalid request from ip="  # gunicorn's, with the request line behind the address

logger = logging.getLogger("telltale.lib.logs")


def name_of(kind: type[BaseException]) -> str:
    """An exception's class as logs name it."""
    return f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")


def describe_error(error: BaseException) -> dict[str, Any]:
    """What may be logged of `error`: its class, where it happened, and codes; of the system's errors their words."""
    cause = error.__cause__ or error
    found: dict[str, Any] = {"error": name_of(type(error))}
    if code := getattr(cause, "sqlstate", None):
        found["sqlstate"] = code
    if constraint := getattr(getattr(cause, "diag", None), "constraint_name", None):
        found["constraint"] = constraint
    if isinstance(error, OSError) and error.strerror and error.errno is not None:
        found["text"] = str(error.strerror)[:MESSAGE_MAX]
    elif isinstance(error, ImportError):  # names of modules
        found["text"] = str(error.msg)[:MESSAGE_MAX]
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
            "message": message_of(record).split("\n", 1)[0][:MESSAGE_MAX],
        }
        if reference := getattr(record, "reference", None):
            line["reference"] = reference
        if record.exc_info and record.exc_info[1]:
            line.update(describe_error(record.exc_info[1]))
        return json.dumps(line, ensure_ascii=True, default=str)


def message_of(record: logging.LogRecord) -> str:
    """What a record says, without the text of exceptions; what others' code says of a failure, without its values."""
    if isinstance(record.msg, BaseException):
        return name_of(type(record.msg))
    template, args = str(record.msg), record.args
    if record.name.split(".", 1)[0] in OWN:
        return _filled(template, args, keeps=True)
    if record.name.startswith("django.security"):
        return f"a request was refused: {record.name.rpartition('.')[2]}"
    if record.name == "django.request":
        # The address itself may name a user.
        route = getattr(getattr(getattr(record, "request", None), "resolver_match", None), "route", None)
        status = getattr(record, "status_code", "")
        return f"answered {status}: /{route}" if route is not None else f"answered {status}: an address that is none"
    if template.startswith(_PREFORMATTED):
        return template.partition(": ")[0]
    # gunicorn's other warnings are of processes and signals.
    is_plain = record.levelno < logging.WARNING or record.name.startswith("gunicorn.")
    is_of_request = bool(record.exc_info) or "request" in template
    return _filled(template, args, keeps=is_plain and not is_of_request)


def _filled(template: str, args: Any, *, keeps: bool) -> str:
    if not args:
        return template
    if isinstance(args, dict):
        args = {name: value if name in _KEPT_OF_TASKS else _LEFT_OUT for name, value in args.items()}
    else:
        args = tuple(_value(each, keeps=keeps) for each in args)
    try:
        return str(template % args)
    except (TypeError, ValueError):  # a number was wanted where none is any more
        return template


def _value(value: Any, *, keeps: bool) -> Any:
    if isinstance(value, BaseException):
        return name_of(type(value))
    return value if keeps or isinstance(value, int | float) else _LEFT_OUT


def watch_threads() -> None:
    """Have what breaks a thread, or a finaliser, written as a line of the log: Python prints its text."""
    threading.excepthook = tell_thread
    sys.unraisablehook = _tell_unraisable


def tell_thread(failed: threading.ExceptHookArgs) -> None:
    """A line about a thread that broke."""
    if failed.exc_type is not SystemExit:
        told = (failed.exc_type, failed.exc_value or failed.exc_type(), failed.exc_traceback)
        logger.error("the thread %s broke", failed.thread.name if failed.thread else "?", exc_info=told)


def _tell_unraisable(failed: Any) -> None:
    told = (failed.exc_type, failed.exc_value or failed.exc_type(), failed.exc_traceback)
    logger.error("something broke where nobody waits for it", exc_info=told)
