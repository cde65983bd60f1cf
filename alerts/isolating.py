"""Which change it began with: the change point against the log, versions at the same time, texts side by side.

The report is made by the worker and kept (`alerts.looking`). It ranks; a person marks the cause.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from django.http import HttpRequest
from numpy.typing import NDArray

from alerts.incidents import checks, isolated, scopes
from alerts.incidents.scoped import proposed
from alerts.incidents.types import NOTE_MAX, NotThere, Step
from alerts.models import Incident
from alerts.moving import finish, holding, noted
from alerts.read.flagged import Flagging, flagging_of
from alerts.read.monitors import get_monitor
from alerts.read.onset import Began, began
from alerts.read.prompts import prompt_text
from alerts.read.scope_rows import ScopeRows, scope_rows
from alerts.series.asked import SeriesFault
from alerts.stats.changepoint import change_in_share
from alerts.stats.isolate import Contrast, Logged, contrast_of, rank_changes
from alerts.stats.slices import NOT_LOOKED
from alerts.write import incidents as write
from evals.stats.results import TooLittle
from telltale.accounts.models import User
from telltale.lib.faults import Fault, ItemRefused
from telltale.lib.format import iso
from telltale.projects.models import Project
from traces.changing.kinds import Kind
from traces.compare.words import Effort
from traces.masks import mask_text
from traces.read.asking import TooSlow
from traces.read.changelog import Change, changes_between, get_change

LOOKED_BACK = timedelta(days=14)
CHANGES_MOST, SHOWN_MOST = 200, 40
# Versions are compared over the incident's stretch and as long before it began, at most.
BESIDE = timedelta(days=2)
# Responses of a part whose own series is worth a look.
PART_LEAST = 50
DIFFERENCES_MOST = 3
# The attribute of responses that a change's version is a value of.
_ATTRIBUTES: Mapping[Kind, str] = {
    Kind.PROMPT: "prompt_version", Kind.DEPLOY: "release", Kind.MODEL: "model", Kind.PROVIDER: "provider",
}  # fmt: skip
_VERSIONED = ("prompt_version", "release", "model", "provider")
# Dimensions of scopes as attributes of responses call them.
_AS_DIMENSION = {"prompt": "prompt_name"}


def look(project: Project, incident: Incident, scope_body: Mapping[str, Any] | None, now: datetime) -> dict[str, Any]:
    """The report of which change fits, as JSON. `scope_body`: what scope found of the same round, where it did."""
    started = time.monotonic()
    by = flagging_of(project.pk, incident.pk, now=now)
    found = _began(project, by, incident, now)
    at = found.at or incident.began_at
    changes = changes_between(project.pk, at - LOOKED_BACK, max(by.end, at), limit=CHANGES_MOST)
    rows = _rows(by, at)
    buckets = _buckets(rows) if rows is not None else None
    if found.at is None and rows is not None and rows.bad.any():
        found = _of_part(rows, scope_body, incident.pk) or found
    scope = affected(incident, scope_body)
    regression = _regression(scope_body)
    contrasts = {change.id: _contrast(change, rows, buckets, at) for change in changes}
    ranking = rank_changes(
        found.onset, [_logged(change, contrasts[change.id]) for change in changes], scope, regression
    )
    by_id = {change.id: change for change in changes}
    shown = ranking.fits[:SHOWN_MOST]
    titles = {change.id: change.title for change in changes}
    body = {
        "onset": _onset_json(found),
        "monitor_id": by.monitor_id,
        "monitor": by.monitor_name,
        "metric": by.metric,
        "scope": {name: list(values) for name, values in scope.items()},
        "changes": [_change_json(by_id[fit.id], contrasts[fit.id]) | isolated.fit_json(fit) for fit in shown],
        "more_changes": len(ranking.fits) - len(shown),
        "inside": list(ranking.inside),
        "together": list(ranking.together),
        "apart": isolated.told_apart(ranking, titles),
        "versions": _versions(rows, buckets),
        "regression": regression or None,
        "differences": _differences(project.pk, [by_id[fit.id] for fit in shown if fit.match in {"strong", "possible"}],
                                    changes, at, by.end),
    }  # fmt: skip
    body["seconds"] = round(time.monotonic() - started, 3)
    return body


def mark_cause(
    project: Project,
    number: int,
    change_id: int | None,
    note: str = "",
    *,
    user: User | None,
    request: HttpRequest | None = None,
    actor: str = "",
    version: int | None = None,
) -> Step:
    """Say which change it began with, or in words what else (`change_id` None, a note), and finish the step.

    Said again it takes the place of what was there. ItemRefused, NotThere, Outdated, WrongState.
    """
    told = mask_text(project.pk, checks.text("note", note, NOTE_MAX, is_needed=change_id is None))
    change = None
    if change_id is not None:
        change = get_change(project.pk, change_id) if 0 < change_id < 2**63 else None
        if change is None:
            raise ItemRefused(Fault("change", "is not in the log of this project", "the id of a change", change_id))
    words = f"{change.title}. {told}".removesuffix(". ") if change is not None else told
    with holding(project, number, version=version) as incident:
        before = {"change": incident.cause_change, "note": incident.cause_note}
        write.put(incident, cause_change=change_id, cause_note=told)
        noted(
            project, incident, "cause", user=user, actor=actor, request=request, facts={"words": words},
            before=before, after={"change": change_id, "note": told},
        )  # fmt: skip
        outcome = {"words": words, "change": change_id}
        return finish(project, incident, Step.ISOLATE, outcome, user=user, request=request, actor=actor)


def clear_cause(
    project: Project, number: int, *, user: User | None, request: HttpRequest | None = None, actor: str = ""
) -> bool:
    """Take back what it began with; the step's outcome stays until it is finished again. False without a cause."""
    with holding(project, number) as incident:
        if incident.cause_change is None and not incident.cause_note:
            return False
        before = {"change": incident.cause_change, "note": incident.cause_note}
        write.put(incident, cause_change=None, cause_note="")
        noted(project, incident, "cause_cleared", user=user, actor=actor, request=request, before=before)
    return True


def affected(incident: Incident, scope_body: Mapping[str, Any] | None) -> dict[str, tuple[str, ...]]:
    """What the incident is about: its scope, and the values that scope proposed; {}: everything, or not known."""
    found = {
        name: tuple(value for value in values if value is not None)
        for name, values in scopes.read(incident.scope).items()
        if name != "filter"
    }
    named: dict[str, list[str]] = {}
    for one in (scope_body or {}).get("slices", []):
        if one["is_proposed"] and not (scope_body or {}).get("too_little"):
            for name, value in one["parts"]:
                named.setdefault(_AS_DIMENSION.get(name, name), []).append(value)
    for name, values in named.items():
        # The scope of a monitor is wider than what was found within it.
        if name not in found or set(values) & set(found[name]):
            found[name] = tuple(dict.fromkeys(values))
    return {name: values for name, values in found.items() if values}


def _began(project: Project, by: Flagging, incident: Incident, now: datetime) -> Began:
    monitor = get_monitor(project.pk, by.monitor_id) if by.monitor_id is not None else None
    if monitor is None:
        words = "no monitor's series belongs to it, so there is no start to estimate"
        return Began(None, None, None, timedelta(hours=1), None, None, None, 0, False, "", words, ())
    return began(project, monitor, incident.began_at, min(by.end, now))


def _rows(by: Flagging, at: datetime) -> ScopeRows | None:
    """Responses around the start with their versions; None where they cannot be read, or none is flagged by itself."""
    if by.is_whole:
        return None
    start = max(at - BESIDE, at - max(by.end - at, timedelta(hours=6)))
    try:
        return scope_rows(by, start, by.end, meta=())
    except (TooSlow, SeriesFault):
        return None


def _of_part(rows: ScopeRows, scope_body: Mapping[str, Any] | None, seed: int) -> Began | None:
    """Where the share of bad of the part that scope proposed began to differ; None where that is not clear either.

    A part moves more than the whole that holds it. It was named for a shift against the baseline beyond chance, so that
    looking at it is no search for a change.
    """
    for one in proposed(scope_body or {})[:2]:
        if any(name not in rows.attributes for name, _ in one["parts"]):
            continue
        mask = np.logical_and.reduce(
            [np.array(rows.attributes[name], dtype=object) == value for name, value in one["parts"]]
        )
        times = _seconds(rows)[mask]
        if times.size < PART_LEAST:
            continue
        size = 900.0 if float(np.ptp(times)) <= 24 * 3600 else 3600.0
        first = np.floor_divide(times.min(), size)
        place = (np.floor_divide(times, size) - first).astype(np.intp)
        n = np.bincount(place)
        k = np.bincount(place[rows.bad[mask]], minlength=n.size)
        change = change_in_share(k, n, seed=seed)
        if not isinstance(change, TooLittle) and change.clear:
            starts = [datetime.fromtimestamp((first + step) * size, UTC) for step in range(n.size)]
            at, low, high = (starts[min(step, n.size - 1)] for step in (change.split, change.low, change.high))
            series = tuple(
                (start, (int(bad) / int(all_) if all_ else None), int(all_))
                for start, bad, all_ in zip(starts, k, n, strict=True)
            )
            return Began(
                at, low, high, timedelta(seconds=size), change.p, change.before, change.after, n.size, True,
                change.method, f"of {one['name']} alone", series,
            )  # fmt: skip
    return None


def _seconds(rows: ScopeRows) -> NDArray[np.float64]:
    return np.fromiter((each.timestamp() for each in rows.started_at), np.float64, len(rows.started_at))


def _buckets(rows: ScopeRows) -> NDArray[np.int64]:
    """The window of each response: quarters of an hour in a short stretch, else hours."""
    times = _seconds(rows)
    is_short = times.size > 0 and float(np.ptp(times)) <= 12 * 3600
    return np.floor_divide(times, 900 if is_short else 3600).astype(np.int64)


def _contrast(
    change: Change, rows: ScopeRows | None, buckets: NDArray[np.int64] | None, at: datetime
) -> tuple[str, str, Contrast] | None:
    """Old version, new version, and their contrast where both served at the same time."""
    name = _ATTRIBUTES.get(change.kind)
    new = change.version or (change.name if change.kind in {Kind.MODEL, Kind.PROVIDER} else "")
    if rows is None or buckets is None or name is None or not new or name not in rows.attributes:
        return None
    values = np.array(rows.attributes[name], dtype=object)
    among = np.ones(values.size, dtype=np.bool_)
    for key, told in (("feature", change.feature), ("service", change.service), ("prompt", _prompt(change))):
        if told and key in rows.attributes:
            among &= np.array(rows.attributes[key], dtype=object) == told
    old = change.previous
    if not old:
        others = Counter(v for v in values[among].tolist() if v not in {None, NOT_LOOKED, new})
        old = others.most_common(1)[0][0] if others else ""
    found = _between(rows, buckets, values, new, old, among) if old else None
    return (old, new, found) if found is not None else None


def _prompt(change: Change) -> str:
    return change.name if change.kind is Kind.PROMPT else ""


def _between(
    rows: ScopeRows,
    buckets: NDArray[np.int64],
    values: NDArray[np.object_],
    new: str,
    old: str,
    among: NDArray[np.bool_],
) -> Contrast | None:
    """New against old by window, on effective counts; None where they hardly served together."""
    is_new, is_old = among & (values == new), among & (values == old)
    _, place = np.unique(buckets, return_inverse=True)
    size = int(place.max()) + 1 if place.size else 0
    w = rows.weights

    def counted(mask: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        held = np.bincount(place[mask], weights=w[mask], minlength=size)
        bad = np.bincount(place[mask & rows.bad], weights=w[mask & rows.bad], minlength=size)
        whole = float(w[mask].sum())
        scale = whole / float((w[mask] ** 2).sum()) if whole > 0 else 1.0
        return np.asarray(np.minimum(bad, held) * scale), np.asarray(held * scale)

    (a, n1), (b, n0) = counted(is_new), counted(is_old)
    found = contrast_of(a, n1, b, n0) if size else None
    return found if isinstance(found, Contrast) else None


def _versions(rows: ScopeRows | None, buckets: NDArray[np.int64] | None) -> list[dict[str, Any]]:
    """Of each kind of version the two that served most, side by side in the same windows: the strongest evidence."""
    if rows is None or buckets is None:
        return []
    told = []
    for name in _VERSIONED:
        if name not in rows.attributes:
            continue
        values = np.array(rows.attributes[name], dtype=object)
        most = [v for v, _ in Counter(v for v in values.tolist() if v not in {None, NOT_LOOKED}).most_common(2)]
        if len(most) < 2:
            continue
        times = [min(at for at, v in zip(rows.started_at, values, strict=True) if v == one) for one in most]
        old, new = (most[0], most[1]) if times[0] <= times[1] else (most[1], most[0])
        found = _between(rows, buckets, values, new, old, np.ones(values.size, dtype=np.bool_))
        if found is not None:
            told.append({"attribute": name, "new": new, "old": old, **isolated.contrast_json(found)})
    return told


def _logged(change: Change, contrast: tuple[str, str, Contrast] | None) -> Logged:
    touches = {"feature": change.feature, "service": change.service, "environment": change.environment}
    name = _ATTRIBUTES.get(change.kind)
    version = change.version or (change.name if change.kind in {Kind.MODEL, Kind.PROVIDER} else "")
    if name is not None and version:
        touches[name] = version
    if change.kind is Kind.PROMPT and change.name:
        touches["prompt_name"] = change.name
    return Logged(
        id=change.id,
        at=change.at.timestamp(),
        ended_at=change.ended_at.timestamp() if change.ended_at is not None else None,
        touches={key: value for key, value in touches.items() if value},
        is_note=change.kind is Kind.NOTE,
        contrast=contrast[2] if contrast is not None else None,
    )


def _regression(scope_body: Mapping[str, Any] | None) -> float:
    """By how much the rate of bad rose; 0 where that is not known, so that no contrast refutes anything."""
    now, before = ((scope_body or {}).get(key, {}).get("share") for key in ("now", "before"))
    return max(0.0, now - before) if now is not None and before is not None else 0.0


def _onset_json(found: Began) -> dict[str, Any]:
    return {
        "at": iso(found.at) if found.at else None,
        "low": iso(found.low) if found.low else None,
        "high": iso(found.high) if found.high else None,
        "window_seconds": found.size.total_seconds(),
        "p": found.p,
        "before": found.before,
        "after": found.after,
        "windows": found.windows,
        "is_fine": found.is_fine,
        "method": found.method,
        "words": found.words,
        "series": [[iso(at), value, n] for at, value, n in found.series],
    }


def _change_json(change: Change, contrast: tuple[str, str, Contrast] | None) -> dict[str, Any]:
    return {
        "title": change.title,
        "label": change.label,
        "kind": str(change.kind),
        "at": iso(change.at),
        "ended_at": iso(change.ended_at) if change.ended_at else None,
        "author": change.author,
        "note": change.note[:300],
        "url": change.url,
        "feature": change.feature,
        "service": change.service,
        "environment": change.environment,
        "is_derived": change.is_derived,
        "contrast": None
        if contrast is None
        else {"old": contrast[0], "new": contrast[1], **isolated.contrast_json(contrast[2])},
    }


def _differences(
    project_id: int, likely: Sequence[Change], log: Sequence[Change], at: datetime, end: datetime
) -> list[dict[str, Any]]:
    """What the likely changes changed, where that is known: texts of prompts, details of the log."""
    effort, told = Effort(), []
    for change in likely[:DIFFERENCES_MOST]:
        one: dict[str, Any] = {"change": change.id, "title": change.title, "text": None, "settings": []}
        if change.kind is Kind.PROMPT and change.version and change.previous:
            now = prompt_text(project_id, change.name, change.version, end)
            before = prompt_text(project_id, change.name, change.previous, end)
            if now is not None and before is not None:
                one["text"] = isolated.difference(before.text, now.text, effort)
                one["settings"] += isolated.settings_difference(before.parameters, now.parameters)
                one["traces"] = [before.trace_id.hex, now.trace_id.hex]
        earlier = [
            each for each in log
            if each.kind is change.kind and each.name == change.name and each.at < change.at and each.details
        ]  # fmt: skip
        if change.details:
            one["settings"] += isolated.settings_difference(earlier[-1].details if earlier else {}, change.details)
        if one["text"] is not None or one["settings"]:
            told.append(one)
    return told


def find_incident(project_id: int, number: int) -> Incident:
    """The row of an incident. NotThere."""
    found = Incident.objects.filter(project_id=project_id, number=number).first() if 0 < number < 2**31 else None
    if found is None:
        raise NotThere
    return found
