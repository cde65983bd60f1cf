"""Series, places and times of the overview in words. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from alerts.monitors.types import Scope
from alerts.pages import units
from alerts.series.catalogue import quantile_of
from telltale.lib import format as fmt
from telltale.lib.charts import Unit
from telltale.web.front.values import Seen

NAMED_MOST = 2
_OF_DIMENSIONS = {
    "service": "service", "release": "release", "prompt_name": "prompt", "prompt_version": "prompt version",
    "provider": "provider", "model": "model",
}  # fmt: skip


def unit_of(seen: Seen) -> Unit:
    """How its values are written."""
    return units.unit_of(seen.metric)


def series(seen: Seen) -> str:
    """What it is a series of, within a sentence: "score for correctness", "duration of requests (p95)"."""
    criterion = fmt.visible(seen.about.criterion.replace("_", " "))
    if seen.metric is None:
        return f"“{fmt.visible(seen.shown.name)}”"
    if seen.metric.key == "score":
        return f"score for {criterion}"
    if seen.metric.key == "low_scores":
        return f"low scores for {criterion}"
    title = seen.metric.title
    said = title if title[1:2].isupper() else title[:1].lower() + title[1:]
    if "quantile" in seen.metric.may and seen.definition is not None:
        said += f" (p{quantile_of(seen.definition) * 100:g})"
    return said


def place(scope: Scope) -> str:
    """What part of the project: " in returns", " in 4 features", " for model gpt-4o"; "" all of it."""
    values = dict(scope.values)
    if "feature" in values:
        return f" in {_named(values['feature'], 'features')}"
    for name, word in _OF_DIMENSIONS.items():
        if name in values:
            return f" for {word} {_named(values[name], f'{word}s')}"
    if scope.filter or scope.view is not None:
        return " in a saved filter"
    return f" in {_named(values['environment'], 'environments')}" if "environment" in values else ""


def subject(scope: Scope) -> str:
    """The same as the first word of a sentence, or of a line's end: "Returns"; "" where nothing narrows it."""
    features = dict(scope.values).get("feature", ())
    if len(features) == 1:
        return fmt.visible(features[0] or "unnamed")
    return f"{len(features)} features" if features else ""


def _named(values: tuple[str | None, ...], many: str) -> str:
    if len(values) > NAMED_MOST:
        return f"{len(values)} {many}"
    return " and ".join(fmt.visible("unknown" if value is None else value) for value in values)


def lag(length: timedelta) -> str:
    """How long after: "50 min", "3 h", "2 days"."""
    minutes = round(length.total_seconds() / 60)
    if minutes < 90:
        return f"{max(minutes, 1)} min"
    hours = round(minutes / 60)
    return f"{hours} h" if hours < 48 else f"{round(hours / 24)} days"


def moment(at: datetime, zone: ZoneInfo, now: datetime) -> str:
    """A time within a sentence: "today 10:00", "19 Nov 10:00"."""
    return fmt.moment(at, zone, now, seconds=False).replace("Today", "today")


def plural(number: int, one: str, many: str = "") -> str:
    """ "1 monitor", "3 monitors"."""
    return f"{fmt.count(number)} {one if number == 1 else many or one + 's'}"


def listed(parts: list[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""
