"""Who is affected: the responses of an incident compared by everything known of them, and the sentence people write.

The comparison is made by the worker and kept (`alerts.looking`), so that everybody sees the same. Writing the sentence
is a person's act.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode

import numpy as np
from django.http import HttpRequest
from numpy.typing import ArrayLike, NDArray

from alerts.incidents import checks, scoped
from alerts.incidents.types import NOTE_MAX, Step
from alerts.monitors.types import Window
from alerts.moving import finish, holding
from alerts.read.flagged import Flagging, flagging_of
from alerts.read.scope_rows import ScopeRows, scope_rows
from alerts.read.series import behind, metric_for
from alerts.stats.scope import Scope, find_scope
from alerts.stats.slices import NOT_LOOKED, NOT_SET
from alerts.write import incidents as write
from evals.stats.quantiles import wilson_limits
from evals.stats.results import TooLittle
from telltale.accounts.models import User
from telltale.lib.format import iso
from telltale.projects.models import Project
from traces.masks import mask_text

EXAMPLES = 5
# Keys of the address of lists of traces, by attribute. What is not here is shown by examples.
_KEYS: Mapping[str, str] = {
    name: name
    for name in (
        "feature", "service", "environment", "release", "prompt", "prompt_version", "finish_reason", "name", "user",
    )
} | {"provider": "call.provider"}  # fmt: skip


def look(project_id: int, incident_id: int, *, now: datetime | None = None) -> dict[str, Any]:
    """The report of who is affected, as JSON; of a bounded draw, in about 2 s. TooSlow, SeriesFault."""
    began = time.monotonic()
    by = flagging_of(project_id, incident_id, now=now)
    here = scope_rows(by, by.start, by.end)
    keys = [name.removeprefix("meta.") for name in here.attributes if name.startswith("meta.")]
    before = scope_rows(by, by.before_start, by.before_end, meta=keys)
    body: dict[str, Any] = {
        "by": {
            "words": by.words, "monitor_id": by.monitor_id, "monitor": by.monitor_name, "metric": by.metric,
        },
        "is_mix": by.is_whole,
        "now": _stretch(here, by.start, by.end),
        "before": _stretch(before, by.before_start, by.before_end),
        "fields": sorted(here.attributes),
        "not_compared": list(here.left_out),
    }  # fmt: skip
    found = _grown(here, before) if by.is_whole else _worse(here, before)
    if isinstance(found, TooLittle):
        body["too_little"] = {"have": found.have, "need": found.need, "what": found.what}
    else:
        body |= scoped.scope_json(found)
        for one in [*body["slices"], *body["unclear"]]:
            one |= _where(by, here, one["parts"], by.start, by.end)
            if by.is_whole:
                one["share_before"] = _share_in(before, one["parts"])
    body["seconds"] = round(time.monotonic() - began, 3)
    return body


def write_scope(
    project: Project,
    number: int,
    note: str,
    *,
    user: User | None,
    request: HttpRequest | None = None,
    actor: str = "",
    version: int | None = None,
) -> Step:
    """Write the scope in a sentence and finish the step; the step the incident is at now.

    Written again it takes the place of what was there. ItemRefused, NotThere, Outdated, WrongState.
    """
    told = mask_text(project.pk, checks.text("note", note, NOTE_MAX, is_needed=True))
    with holding(project, number, version=version) as incident:
        write.put(incident, scope_note=told)
        return finish(project, incident, Step.SCOPE, {"words": told}, user=user, request=request, actor=actor)


def _worse(here: ScopeRows, before: ScopeRows) -> Scope | TooLittle:
    """Bad against good within the incident's window, and the same contrast in the baseline's."""
    baseline: tuple[dict[str, ArrayLike], ArrayLike, ArrayLike | None] | None = None
    if len(before.traces):
        baseline = (_columns(_like(before, here.attributes, len(before.traces))), before.bad, before.weights)
    return find_scope(_columns(here.attributes), here.bad, weights=here.weights, baseline=baseline)


def _grown(here: ScopeRows, before: ScopeRows) -> Scope | TooLittle:
    """Where no single response is bad: what there is more of now than in the baseline."""
    n, m = len(here.traces), len(before.traces)
    if not m:
        return TooLittle(0, 1, "responses in the baseline")
    then = _like(before, here.attributes, m)
    both = {name: [*values, *then[name]] for name, values in here.attributes.items()}
    is_now = np.arange(n + m) < n
    return find_scope(_columns(both), is_now, weights=np.concatenate([here.weights, before.weights]))


def _columns(attributes: Mapping[str, Sequence[str | None]]) -> dict[str, ArrayLike]:
    return {name: np.array(values, dtype=object) for name, values in attributes.items()}


def _like(rows: ScopeRows, attributes: Mapping[str, Sequence[str | None]], n: int) -> dict[str, Sequence[str | None]]:
    """The same attributes of other rows; one that those do not have was not looked at, or never set."""
    sampled = {"language", "topic"}
    return {
        name: rows.attributes.get(name) or [_only(rows, name) if name not in sampled else NOT_LOOKED] * n
        for name in attributes
    }


def _only(rows: ScopeRows, name: str) -> str | None:
    """The one value of an attribute that divides nothing there."""
    return rows.constants.get(name)


def _stretch(rows: ScopeRows, start: datetime, end: datetime) -> dict[str, Any]:
    share = rows.n_bad / rows.n if rows.n else None
    drawn = float(np.average(rows.bad, weights=rows.weights)) if len(rows.traces) else None
    w = rows.weights
    n_eff = float(w.sum() ** 2 / (w * w).sum()) if w.size else 0.0
    low, high = wilson_limits(drawn, n_eff) if drawn is not None else (None, None)
    return {
        "start": iso(start), "end": iso(end), "n": rows.n, "bad": rows.n_bad, "share_raw": share, "share": drawn,
        "low": low, "high": high, "compared": len(rows.traces),
    }  # fmt: skip


def _where(
    by: Flagging, rows: ScopeRows, parts: Sequence[Sequence[str]], start: datetime, end: datetime
) -> dict[str, Any]:
    """The list of traces of a slice as a query string ("" where a list cannot narrow to it), and some of its bad."""
    mask = _mask(rows, parts) & rows.bad
    examples = [rows.traces[at].hex for at in np.flatnonzero(mask)[:EXAMPLES].tolist()]
    terms = [_term(name, value) for name, value in parts]
    if any(term is None for term in terms):
        return {"traces": "", "examples": examples}
    known = [term for term in terms if term is not None]
    metric = metric_for(by.project_id, by.definition) if by.definition is not None else None
    base: list[tuple[str, str]] = []
    if metric is not None and by.definition is not None:
        found = behind(metric, by.definition, Window(start, end))
        if found.page == "traces":
            taken = {key for key, _ in known}
            base = [pair for pair in parse_qsl(found.query) if pair[0] not in taken]
    if not base:
        base = [("from", iso(start)), ("to", iso(end))]
    return {"traces": urlencode([*base, *known]), "examples": examples}


def _term(name: str, value: str) -> tuple[str, str] | None:
    key = _KEYS.get(name) or (name if name.startswith("meta.") else None)
    if key is not None:
        return (f"{key}.missing", "yes") if value == NOT_SET else (key, value)
    if name in {"model", "tag"} and value != NOT_SET and " + " not in value:
        return name, value
    return None


def _mask(rows: ScopeRows, parts: Sequence[Sequence[str]]) -> NDArray[np.bool_]:
    mask = np.ones(len(rows.traces), dtype=np.bool_)
    for name, value in parts:
        wanted = None if value == NOT_SET else value
        values = rows.attributes.get(name)
        if values is None:
            only = _only(rows, name)
            mask &= only == wanted
        else:
            mask &= np.fromiter((each == wanted for each in values), np.bool_, len(values))
    return mask


def _share_in(rows: ScopeRows, parts: Sequence[Sequence[str]]) -> float | None:
    if not len(rows.traces):
        return None
    return float(np.average(_mask(rows, parts), weights=rows.weights))
