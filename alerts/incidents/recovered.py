"""What is said of a recovery: one series, all of them, in words a message can carry. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from alerts.stats.recovery import Recovery
from telltale.lib import format as fmt

Json = dict[str, Any]

KINDS = ("rollback", "hotfix", "config", "provider", "other", "none")
KIND_WORDS: Mapping[str, str] = {
    "rollback": "Rollback",
    "hotfix": "Hotfix",
    "config": "Configuration",
    "provider": "Provider",
    "other": "Something else",
    "none": "Nothing was done",
}


def recovery_json(found: Recovery) -> Json:
    """Where one series stands, as JSON."""
    return {
        "state": found.state,
        "is_back": found.is_back,
        "windows": found.windows,
        "hours": round(found.hours, 3),
        "hours_needed": found.hours_needed,
        "out_since": found.out_since,
        "size": found.size,
        "left": found.left,
        "left_low": found.left_low,
        "left_high": found.left_high,
        "level": found.level,
    }


def series_words(one: Mapping[str, Any]) -> str:
    """Where one series stands, in a sentence without its name."""
    hours = f"{one['hours']:g} of {one['hours_needed']:g} h"
    windows = f"{one['windows']} window{'' if one['windows'] == 1 else 's'}"
    match one["state"]:
        case "back":
            return f"back within limits for {one['hours']:g} h ({windows}); {_left(one)}"
        case "no_size":
            return f"back within limits for {one['hours']:g} h ({windows}); by how much it had moved is not known"
        case "out":
            return f"still out of limits; {one['out_since']} windows since the response were"
        case "waiting":
            return "no window has been decided since the response"
    if one["hours"] < one["hours_needed"]:
        return f"not yet: within limits for {hours} ({windows}){'; ' + _left(one) if one['left'] is not None else ''}"
    return f"not yet: within limits for {one['hours']:g} h ({windows}), but {_left(one)}, so half of it may be left"


def _left(one: Mapping[str, Any]) -> str:
    if one["left"] is None:
        return "what is left of the shift is not known"
    return (
        f"{_percent(one['left'])} of the shift is left "
        f"({_percent(one['left_low'])} to {_percent(one['left_high'])}, 95 %, at every look)"
    )


def _percent(part: float) -> str:
    return f"{part * 100:.0f} %".replace("-", fmt.MINUS)


def state_of(series: Sequence[Mapping[str, Any]], was_back: bool) -> str:
    """Where an incident stands by its series that may page (all, where none may).

    back, not_yet, waiting, relapsed (out again after it was back), or nothing (no series to watch).
    """
    counted = [one for one in series if one["is_page"]] or list(series)
    if not counted:
        return "nothing"
    if all(one["is_back"] for one in counted):
        return "back"
    if was_back and any(one["state"] == "out" for one in counted):
        return "relapsed"
    if was_back:
        return "back"
    return "waiting" if all(one["state"] == "waiting" for one in counted) else "not_yet"


def words(body: Mapping[str, Any]) -> str:
    """The state of the whole in one or two sentences."""
    series = body.get("series", [])
    counted = [one for one in series if one["is_page"]] or series
    match body["state"]:
        case "nothing":
            return "No monitor's series belongs to this incident: say yourself when it is over."
        case "waiting":
            return "No window has been decided since the response."
        case "back":
            since = body.get("recovered_at")
            told = f"Back within limits since {_clock(since)}" if since else "Back within limits"
            return f"{told}. {_each(counted)}"
        case "relapsed":
            return f"Out of limits again after it was back. {_each(counted)}"
    return f"Not back yet. {_each(counted)}"


def _each(series: Sequence[Mapping[str, Any]]) -> str:
    told = [f"{one['name']}: {one['words']}." for one in series[:3]]
    more = f" And {len(series) - 3} more series." if len(series) > 3 else ""
    return " ".join(told) + more


def _clock(at: str) -> str:
    moment = datetime.fromisoformat(at)
    return f"{moment:%Y-%m-%d %H:%M} UTC"
