"""One object of a request as a change, or what is wrong with it: each field, what is accepted, what came."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import orjson

from telltale.lib.faults import Fault, ItemRefused
from traces.canonical.text import clean_text, clean_value, cut_text
from traces.changing.kinds import KIND_WORDS, Kind, Source

NAME_CHARS_MAX = 200
NOTE_CHARS_MAX = 4000
URL_CHARS_MAX = 2048
DETAILS_BYTES_MAX = 16_384
# As spans keep them: what is longer is cut there, and must be cut alike here to meet them.
INDEXED_BYTES = 1024
# Clocks of build machines are off; what is planned for later has not happened.
AHEAD = timedelta(days=1)
YEAR_MIN, YEAR_MAX = 1970, 2200
MOMENT = f"ISO 8601, years {YEAR_MIN} to {YEAR_MAX}, such as 2026-11-19T10:41:07Z"
# What a sender may say it is: a page and what traces show say so themselves.
TELLERS = (Source.API, Source.CLI, Source.CI)
_LINES = ("name", "version", "previous", "author", "client_id")
_SCOPE = ("service", "feature", "environment")
FIELDS = (
    "kind", "at", "ended_at", "name", "version", "release", "previous", *_SCOPE, "author", "note", "url", "details",
    "source", "client_id",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class NewChange:
    """A change as it was told. Empty texts were not told; `is_dated`: whether it was said when it happened."""

    kind: Kind
    at: datetime
    ended_at: datetime | None = None
    name: str = ""
    version: str = ""
    previous: str = ""
    service: str = ""
    feature: str = ""
    environment: str = ""
    author: str = ""
    note: str = ""
    url: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    source: Source = Source.API
    client_id: str = ""
    is_dated: bool = True


def read_change(item: Any, now: datetime, source: Source = Source.API) -> NewChange:
    """One object of a request; ItemRefused naming every field that is wrong. `source`: where it names none itself."""
    if not isinstance(item, dict):
        raise ItemRefused(Fault("item", "is no object", "an object with kind and name, version or note"))
    accepted = f"one of {', '.join(FIELDS)}"
    faults = [
        Fault(clean_text(str(key))[:80] or '""', "unknown field", accepted)
        for key in [key for key in item if key not in FIELDS][:10]
    ]

    def read(reader: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return reader(*arguments)
        except ItemRefused as refused:
            faults.extend(refused.faults)
            return None

    get = item.get
    kind = read(_kind, get("kind"))
    lines = {name: read(_line, name, get(name)) or "" for name in _LINES}
    release = read(_line, "release", get("release")) or ""
    if release and lines["version"] and release != lines["version"]:
        faults.append(Fault("release", "says something else than version", "one of the two", release))
    scope = {name: read(_scope, name, get(name)) or "" for name in _SCOPE}
    note = read(_text, "note", get("note"), NOTE_CHARS_MAX) or ""
    url = read(_url, get("url")) or ""
    said_at = read(_moment, "at", get("at"), now)
    ended_at = read(_moment, "ended_at", get("ended_at"), now)
    at = said_at or min(now, ended_at or now)
    details = read(_details, get("details")) or {}
    teller = source if get("source") is None else read(_source, get("source"))
    version = lines["version"] or release
    if ended_at is not None and ended_at < at:
        faults.append(Fault("ended_at", "lies before `at`", f"{at.isoformat()} or later", str(get("ended_at"))))
    if not (faults or lines["name"] or version or note):
        faults.append(Fault("name", "or version or note is required", "what changed"))
    if faults:
        raise ItemRefused(*faults)
    return NewChange(
        kind, at, ended_at, lines["name"], version, lines["previous"], **scope, author=lines["author"], note=note,
        url=url, details=details, source=teller, client_id=lines["client_id"],
        is_dated=said_at is not None,
    )  # fmt: skip


def shown(value: Any) -> Any:
    """A value as far as an error may repeat it."""
    return value if isinstance(value, str | bool | int | float) else None


def _kind(raw: Any) -> Kind:
    limit = f"one of {', '.join(KIND_WORDS)}"
    if raw is None:
        raise ItemRefused(Fault("kind", "is required", limit))
    if not isinstance(raw, str) or raw not in KIND_WORDS:
        raise ItemRefused(Fault("kind", "is not accepted", limit, shown(raw)))
    return Kind(raw)


def _source(raw: Any) -> Source:
    if not isinstance(raw, str) or raw not in TELLERS:
        raise ItemRefused(Fault("source", "is not accepted", f"one of {', '.join(TELLERS)}", shown(raw)))
    return Source(raw)


def _text(name: str, raw: Any, most: int) -> str:
    if raw is None:
        return ""
    if not isinstance(raw, str):
        raise ItemRefused(Fault(name, "is no text", "a string", shown(raw)))
    text = clean_text(raw).replace("\r\n", "\n").strip()
    if len(text) > most:
        raise ItemRefused(Fault(name, "is too long", f"{most} characters", f"{len(text)} characters"))
    return text


def _line(name: str, raw: Any) -> str:
    text = _text(name, raw, NAME_CHARS_MAX)
    # U+0000 is looked for as it came: cleaned, it would be drawn as a character nobody typed.
    if "\x00" in (raw or "") or any(c != " " and (c.isspace() or ord(c) < 32 or 127 <= ord(c) < 160) for c in text):
        raise ItemRefused(Fault(name, "is more than a line", "one line of text", text))
    return text


def _scope(name: str, raw: Any) -> str:
    return cut_text(_text(name, raw, INDEXED_BYTES), INDEXED_BYTES)


def _url(raw: Any) -> str:
    url = _text("url", raw, URL_CHARS_MAX)
    if not url:
        return ""
    limit = "an address that begins with https:// or http://"
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        is_good = False
    if not is_good or not url.isprintable() or " " in url:
        raise ItemRefused(Fault("url", "is no web address", limit, url))
    return url


def _moment(name: str, raw: Any, now: datetime) -> datetime | None:
    if raw is None or raw == "":
        return None
    try:
        at = datetime.fromisoformat(raw)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        if not YEAR_MIN <= at.year <= YEAR_MAX:
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise ItemRefused(Fault(name, "is no time", MOMENT, shown(raw))) from None
    if at > now + AHEAD:
        latest = f"at most {(now + AHEAD).isoformat(timespec='seconds')}"
        raise ItemRefused(Fault(name, "lies in the future", latest, shown(raw)))
    return at


def _details(raw: Any) -> dict[str, Any]:
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        raise ItemRefused(Fault("details", "is no object", "an object", shown(raw)))
    cleaned: dict[str, Any] = clean_value(raw)
    size = len(orjson.dumps(cleaned))
    if size > DETAILS_BYTES_MAX:
        raise ItemRefused(Fault("details", "is too large", f"{DETAILS_BYTES_MAX} bytes", f"{size} bytes"))
    return cleaned
