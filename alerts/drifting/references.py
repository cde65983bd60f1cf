"""Frozen references: the first by itself once there is enough, every later one by somebody's recorded act."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import transaction
from django.http import HttpRequest

from alerts.drift.fields import SIDES, Side
from alerts.drift.naming import names_of
from alerts.drift.reference import VECTORS_MIN, Reference, learn
from alerts.models import DriftReference
from alerts.read.drift import days_seen, features_seen, read_facts, read_vectors
from alerts.read.drift_references import ReferenceView, get_reference
from alerts.read.vectors import encoders_of
from alerts.stats.topics import OUTSIDE
from alerts.write import drift_references as write
from evals.stats.results import TooLittle
from telltale.audit.log import record_in
from telltale.lib import clock
from telltale.projects.models import Project
from traces.masks import mask_text
from traces.read.contents import read_rows

# The first reference covers whole weeks, or a weekend would look like drift.
FIRST_DAYS = 7
WINDOW_DAYS_MOST = 92
FEATURES_MOST = 10
REASON_CHARS_MAX, NAME_CHARS_MAX = 400, 60
TEXT_CHARS_MAX = 400
EVER = clock.EPOCH


class FreezeRefused(Exception):
    """A reference that cannot be: which field, what is wrong, what is accepted."""

    def __init__(self, field: str, message: str, limit: str = "", value: Any = None) -> None:
        super().__init__(f"{field} {message}")
        self.field, self.message, self.limit, self.value = field, message, limit, value


class NoReference(Exception):
    """The project has no reference of this id in force."""


def learn_missing(project_id: int, now: datetime | None = None) -> int:
    """Freeze the first reference of whatever has none and enough vectors; how many were made.

    Of all features together, and of each feature that has enough by itself, for both sides, by the encoder used last:
    whole days from its first vector on, seven at least, as many as 500 vectors take.
    """
    now = now or clock.now()
    seen = encoders_of(project_id)
    if not seen:
        return 0
    encoder, made = seen[0].key, 0
    project = Project.objects.only("time_zone").get(pk=project_id)
    zone = clock.zone_of(project.time_zone)
    held = set(
        DriftReference.objects.filter(project_id=project_id, encoder=encoder).values_list("feature", "side")
    )  # fmt: skip
    for side in SIDES:
        wanted: list[str | None] = [None]
        some = features_seen(project_id, encoder, side, EVER, now)
        wanted += [each.name or "" for each in some if each.n >= VECTORS_MIN][:FEATURES_MOST]
        for feature in wanted:
            if (feature, side) in held:
                continue
            window = first_window(project_id, feature, side, encoder, zone, now)
            if window is not None:
                found = _learn(project_id, feature, side, encoder, *window)
                if not isinstance(found, TooLittle):
                    reason = "The first stretch with enough to compare with."
                    kept = write.add_reference(
                        project_id, feature, side, encoder, *window, found, reason=reason
                    )  # fmt: skip
                    made += kept is not None
    return made


def first_window(
    project_id: int, feature: str | None, side: Side, encoder: str, zone: ZoneInfo, now: datetime
) -> tuple[datetime, datetime] | None:
    """The first whole days with enough vectors; None while there are too few."""
    days = days_seen(project_id, feature, encoder, side, str(zone))
    today = now.astimezone(zone).date()
    if not days:
        return None
    first, n = days[0][0], 0
    for day, count in days:
        if day >= today:
            return None
        n += count
        if n >= VECTORS_MIN and day >= first + timedelta(days=FIRST_DAYS - 1):
            break
    else:
        # Enough, and quiet since: the week is over all the same.
        if n < VECTORS_MIN or today < first + timedelta(days=FIRST_DAYS):
            return None
        day = max(days[-1][0], first + timedelta(days=FIRST_DAYS - 1))
    # Far beyond a month what came first is no part of now: the reference begins later then.
    first = max(first, day - timedelta(days=WINDOW_DAYS_MOST - 1))
    start = datetime.combine(first, time.min, zone)
    return start, datetime.combine(day + timedelta(days=1), time.min, zone)


def freeze(
    project: Project,
    feature: str | None,
    start: datetime,
    end: datetime,
    reason: str,
    *,
    encoder: str = "",
    by_id: int | None = None,
    request: HttpRequest | None = None,
    actor: str = "",
) -> list[ReferenceView]:
    """Put a new reference of [start, end) in force, of both sides that have enough; recorded. FreezeRefused."""
    reason = " ".join(reason.split())
    if not reason:
        raise FreezeRefused(
            "reason", "is missing: say why this stretch is normal", f"1 to {REASON_CHARS_MAX} characters"
        )
    if len(reason) > REASON_CHARS_MAX:
        raise FreezeRefused("reason", "is too long", f"{REASON_CHARS_MAX} characters", f"{len(reason)} characters")
    reason = mask_text(project.pk, reason)[:REASON_CHARS_MAX]
    if start >= end:
        raise FreezeRefused("from", "must be before `to`", end.isoformat(), start.isoformat())
    if end - start > timedelta(days=WINDOW_DAYS_MOST):
        raise FreezeRefused("from", "is too far from `to`", f"{WINDOW_DAYS_MOST} days", start.isoformat())
    known = [seen.key for seen in encoders_of(project.pk)]
    if encoder and encoder not in known:
        raise FreezeRefused("encoder", "has no vectors here", f"one of {', '.join(known)}", encoder)
    if not known:
        raise FreezeRefused("from", "holds no vectors: nothing is embedded yet", f"{VECTORS_MIN} vectors")
    key = encoder or known[0]
    learned: list[tuple[Side, Reference]] = []
    most = 0
    for side in SIDES:
        found = _learn(project.pk, feature, side, key, start, end)
        if isinstance(found, TooLittle):
            most = max(most, found.have)
        else:
            learned.append((side, found))
    if not learned:
        raise FreezeRefused("from", "holds too few vectors", f"{VECTORS_MIN} vectors", f"{most} vectors")
    made: list[int] = []
    with transaction.atomic():
        for side, reference in learned:
            kept = write.add_reference(
                project.pk, feature, side, key, start, end, reference, reason=reason, by_id=by_id, replaces=True
            )  # fmt: skip
            if kept is None:
                raise FreezeRefused("from", "is being frozen by somebody else this moment; look again")
            made.append(kept)
        record_in(
            project, "drift.freeze", _name(feature), request=request, actor=actor,
            after={"from": start.isoformat(), "to": end.isoformat(), "encoder": key, "reason": reason,
                   "sides": [side for side, _ in learned]},
        )  # fmt: skip
    found_views = [get_reference(project.pk, each) for each in made]
    return [view for view in found_views if view is not None]


def approve(
    project: Project,
    reference_id: int,
    *,
    by_id: int | None = None,
    request: HttpRequest | None = None,
    actor: str = "",
) -> ReferenceView:
    """Say that a reference shows what is normal; recorded. NoReference where it is not in force."""
    view = get_reference(project.pk, reference_id)
    if view is None or not view.is_in_force:
        raise NoReference
    with transaction.atomic():
        if write.approve_reference(project.pk, reference_id, by_id):
            told = {"reference": reference_id, "side": view.side, "encoder": view.encoder}
            record_in(project, "drift.approve", _name(view.feature), request=request, actor=actor, after=told)
    return get_reference(project.pk, reference_id) or view


def rename_topic(
    project: Project,
    reference_id: int,
    topic: int,
    name: str,
    *,
    request: HttpRequest | None = None,
    actor: str = "",
) -> ReferenceView:
    """Give a topic of a reference another name; recorded. NoReference, FreezeRefused."""
    clean = " ".join(name.split())
    with transaction.atomic():
        rows = DriftReference.objects.select_for_update().defer("vectors", "traces", "centres")
        row = rows.filter(project_id=project.pk, pk=reference_id, state="in_force").first()
        if row is None:
            raise NoReference
        if not clean or len(clean) > NAME_CHARS_MAX or not clean.isprintable():
            raise FreezeRefused("name", "is no name", f"1 to {NAME_CHARS_MAX} visible characters", name[:80])
        names = list(row.learned["names"])
        if not 0 <= topic < len(names):
            raise FreezeRefused("topic", "is none of this reference", f"0 to {len(names) - 1}", topic)
        others = {each.casefold() for at, each in enumerate(names) if at != topic} | {OUTSIDE}
        if clean.casefold() in others:
            raise FreezeRefused("name", "is another topic’s name already", value=clean)
        before, names[topic] = names[topic], clean
        if before != clean:
            write.save_names(project.pk, reference_id, {**row.learned, "names": names})
            record_in(
                project, "drift.rename", f"topic {topic} of reference {reference_id}", request=request, actor=actor,
                before={"name": before}, after={"name": clean},
            )  # fmt: skip
    view = get_reference(project.pk, reference_id)
    if view is None:
        raise NoReference
    return view


def texts_of(project_id: int, trace_ids: Sequence[str], side: Side) -> dict[str, str]:
    """The first words of a side by trace (hex), of traces that are still there."""
    rows = read_rows(project_id, [UUID(hex=each) for each in dict.fromkeys(trace_ids)]) if trace_ids else {}
    found = {row.hex_id: (row.preview_in if side == "input" else row.preview_out) or "" for row in rows.values()}
    return {key: text[:TEXT_CHARS_MAX] for key, text in found.items() if text}


def _learn(
    project_id: int, feature: str | None, side: Side, encoder: str, start: datetime, end: datetime
) -> Reference | TooLittle:
    rows, traces = read_vectors(project_id, feature, side, encoder, start, end)
    facts, _ = read_facts(project_id, feature, side, start, end)
    found = learn(rows, traces, facts, seed=_seed(project_id, feature, side, encoder, start, end))
    if isinstance(found, TooLittle):
        return found
    central = [[found.traces[at] for at in each] for each in found.topics.central]
    texts = texts_of(project_id, [each for some in central for each in some], side)
    groups = [[texts[each] for each in some if each in texts] for some in central]
    return replace(found, names=tuple(names_of(groups, found.names, taken=[OUTSIDE])))


def _seed(*told: Any) -> int:
    """The same stretch gives the same reference."""
    return int.from_bytes(hashlib.sha256(repr([str(each) for each in told]).encode()).digest()[:6], "big")


def _name(feature: str | None) -> str:
    return "all features" if feature is None else feature or "no feature"
