"""Embedding what was sampled: claimed with a lease, encoded without a transaction, written while it is still ours.

A killed worker's traces are somebody else's when its lease ends; a call made twice is paid twice and written once.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import numpy as np
from django.conf import settings
from django.db import transaction
from numpy.typing import NDArray

from alerts.drift.fields import SIDE_NO, Side
from alerts.drift.packing import pack, unit
from alerts.drifting.facts import Looked, look_at
from alerts.drifting.sampling import WRONG
from alerts.encoders import ENDPOINT, SENDER, Encoded, EncoderMissing, encode_here, key_of, sent_vectors
from alerts.encoders.kinds import DIMS_MAX
from alerts.models import DriftSettings
from alerts.read.drift import DriftView, settings_of
from alerts.write import drift as write
from alerts.write.drift import NewVector
from evals.embedding import EmbeddingEnded, Limits, NotNow, NotSo, embed_texts
from telltale.jobs import leases
from telltale.lib import clock
from telltale.lib.db import raw_cursor
from traces.read.asking import TooSlow
from traces.read.contents import read_told

log = logging.getLogger(__name__)
Floats = NDArray[np.float64]

RUN_SECONDS = 20.0
# Two sides each: one call of 64 texts.
AT_A_TIME = 32
# The longest an endpoint may take is 300 s.
LEASE_SECONDS = 420.0
TRIES_MAX = 3
# What waited so long is no part of "now" any more.
AGE_MAX = timedelta(days=3)
TROUBLE_PAUSE = timedelta(minutes=5)
GONE, NO_TEXT, NO_VECTOR, TOO_LATE, REFUSED = "gone", "no text", "no vector sent", "waited too long", "refused"


@dataclass
class Outcome:
    """What became of some traces: vectors by trace, or why there are none."""

    vectors: list[NewVector] = field(default_factory=list)
    left_out: dict[str, list[Looked]] = field(default_factory=dict)
    put_off: list[tuple[Looked, datetime, str, bool]] = field(default_factory=list)  # until, reason, was it a try
    trouble: str = ""

    def leave_out(self, reason: str, looked: Looked) -> None:
        """Count a trace as having no vector."""
        self.left_out.setdefault(reason, []).append(looked)


def embed_due(seconds: float = RUN_SECONDS, is_stopping: Callable[[], bool] = lambda: False) -> int:
    """Embed what is due in all projects, until nothing is left or `seconds` are over; how many traces ended."""
    ends, ended = time.monotonic() + seconds, 0
    holder = f"{leases.holder_name()[:60]}:{secrets.token_hex(4)}"
    with raw_cursor() as cursor:
        projects = write.due_projects(cursor, clock.now())
    for project_id in projects:
        try:
            while time.monotonic() < ends and not is_stopping():
                claimed, done = embed_some(project_id, holder)
                ended += done
                if not claimed:
                    break
        except WRONG as error:
            # Others do not wait for it; its traces are tried again when the lease ends.
            log.exception("samples of project %s cannot be embedded now", project_id, exc_info=error)
    return ended


def embed_some(project_id: int, holder: str, limit: int = AT_A_TIME) -> tuple[int, int]:
    """Embed up to `limit` traces of a project; (claimed, ended)."""
    wanted, now = settings_of(project_id), clock.now()
    with transaction.atomic(), raw_cursor() as cursor:
        claimed = write.claim(cursor, project_id, now, limit, holder, LEASE_SECONDS)
    if not claimed:
        return 0, 0
    trace_ids = [due.trace_id for due in claimed]
    if not wanted.is_on:
        return len(claimed), _forget(project_id, trace_ids, holder)
    try:
        told = read_told(project_id, trace_ids, with_embeddings=wanted.encoder == SENDER)
    except TooSlow:
        with transaction.atomic(), raw_cursor() as cursor:
            until = now + TROUBLE_PAUSE
            write.put_off(cursor, project_id, trace_ids, holder, until, "reading took too long", counts=True)
        return len(claimed), 0
    looked = []
    for due in claimed:
        if due.trace_id in told:
            try:
                looked.append(look_at(project_id, due, told[due.trace_id], wanted.fields, now))
            except (ArithmeticError, LookupError, TypeError, ValueError) as error:
                # One trace that nobody thought of must not keep the others waiting for ever.
                log.exception("trace %s cannot be sampled", due.trace_id, exc_info=error)
    outcome = encode(project_id, wanted, looked, now)
    return len(claimed), _settle(project_id, holder, trace_ids, looked, outcome)


def encode(project_id: int, wanted: DriftView, looked: Sequence[Looked], now: datetime) -> Outcome:
    """Vectors of traces by the project's encoder, and what has none."""
    outcome = Outcome()
    able: list[Looked] = []
    for each in looked:
        if now - each.due.since > AGE_MAX:
            outcome.leave_out(TOO_LATE, each)
        elif not each.texts and wanted.encoder != SENDER:
            outcome.leave_out(NO_TEXT, each)
        else:
            able.append(each)
    if wanted.encoder == SENDER:
        for each in able:
            found = sent_vectors(each.spans, {side: each.texts.get(side, "") for side in SIDE_NO})
            _keep(outcome, each, [(side, encoded.key, encoded.vectors[0]) for side, encoded in found.items()])
    elif wanted.encoder == ENDPOINT:
        _by_endpoint(project_id, wanted, able, outcome, now)
    elif able:
        asked = [(each, side, text) for each in able for side, text in each.texts.items()]
        try:
            encoded = encode_here(wanted.encoder, [text for _, _, text in asked], settings.TELLTALE_MINILM_DIR)
        except EncoderMissing as missing:
            outcome.trouble = str(missing)
            outcome.put_off += [(each, now + TROUBLE_PAUSE, str(missing), False) for each in able]
            return outcome
        _keep_all(outcome, asked, encoded)
    return outcome


def _by_endpoint(
    project_id: int, wanted: DriftView, able: Sequence[Looked], outcome: Outcome, now: datetime
) -> None:  # fmt: skip
    """By a call for all, or, where one of them was refused before, each alone."""
    if not able:
        return
    alone = any(each.due.attempts > 1 for each in able)
    for some in [[each] for each in able] if alone else [list(able)]:
        asked = [(each, side, text) for each in some for side, text in each.texts.items()]
        try:
            encoded = _call(project_id, wanted, [text for _, _, text in asked])
        except NotNow as later:
            outcome.put_off += [(each, later.until, later.told, False) for each in some]
            outcome.trouble = later.told
        except NotSo as refused:
            if refused.is_settings:
                outcome.put_off += [(each, now + TROUBLE_PAUSE, refused.told, False) for each in some]
                outcome.trouble = refused.told
            elif len(some) == 1 and some[0].due.attempts >= TRIES_MAX:
                outcome.leave_out(REFUSED, some[0])
            else:
                outcome.put_off += [(each, now, refused.told, True) for each in some]
        except EmbeddingEnded as ended:
            outcome.put_off += [(each, now + TROUBLE_PAUSE, str(ended), True) for each in some]
        else:
            _keep_all(outcome, asked, encoded)


def _call(project_id: int, wanted: DriftView, texts: Sequence[str]) -> Encoded:
    if wanted.connection_id is None or not wanted.model:
        raise NotSo("Choose a connection and a model for embeddings.", is_settings=True)
    limits = Limits(wanted.budget_pico_day, wanted.budget_calls_day)
    found = embed_texts(project_id, wanted.connection_id, wanted.model, texts, limits=limits)
    dims = len(found.vectors[0])
    if dims > DIMS_MAX:
        raise NotSo(f"Vectors of {dims:,} numbers are longer than {DIMS_MAX:,}.", is_settings=True)
    rows = [unit(np.array(vector)) for vector in found.vectors]
    return Encoded(key_of(ENDPOINT, found.model or wanted.model, dims), tuple(rows))


def _keep_all(outcome: Outcome, asked: Sequence[tuple[Looked, Side, str]], encoded: Encoded) -> None:
    by_trace: dict[UUID, tuple[Looked, list[tuple[Side, str, Floats | None]]]] = {}
    for (each, side, _), vector in zip(asked, encoded.vectors, strict=True):
        by_trace.setdefault(each.due.trace_id, (each, []))[1].append((side, encoded.key, vector))
    for each, found in by_trace.values():
        _keep(outcome, each, found)


def _keep(
    outcome: Outcome, each: Looked, found: Sequence[tuple[Side, str, Floats | None]]
) -> None:  # fmt: skip
    new = [
        NewVector(
            each.due.trace_id, SIDE_NO[side], key, each.started_at, each.feature, each.due.draw, pack(vector)
        )
        for side, key, vector in found
        if vector is not None
    ]  # fmt: skip
    if new:
        outcome.vectors += new
    else:
        outcome.leave_out(NO_TEXT if each.texts and found else NO_VECTOR, each)


def _settle(
    project_id: int, holder: str, claimed: Sequence[UUID], looked: Sequence[Looked], outcome: Outcome
) -> int:  # fmt: skip
    """Write what became of traces that are still ours; how many ended."""
    waits = {each.due.trace_id for each, _, _, _ in outcome.put_off}
    with transaction.atomic(), raw_cursor() as cursor:
        ours = write.still_ours(cursor, project_id, claimed, holder)
        # What waits is sampled all the same: lengths, languages and the rest need no vector.
        write.add_samples(cursor, [each.row for each in looked if each.due.trace_id in ours])
        write.add_vectors(cursor, project_id, [each for each in outcome.vectors if each.trace_id in ours])
        for reason, some in outcome.left_out.items():
            for each in some:
                if each.due.trace_id in ours:
                    write.count_left_out(cursor, project_id, write.hour_of(each.started_at), reason, 1)
        for until, reason, counts in {(until, reason, counts) for _, until, reason, counts in outcome.put_off}:
            ids = [e.due.trace_id for e, *told in outcome.put_off if tuple(told) == (until, reason, counts)]
            write.put_off(cursor, project_id, ids, holder, until, reason, counts=counts)
        ended = sorted(ours - waits)
        write.end(cursor, project_id, ended)
    _tell_trouble(project_id, outcome.trouble, has_vectors=bool(outcome.vectors))
    return len(ended)


def _tell_trouble(project_id: int, trouble: str, *, has_vectors: bool) -> None:
    rows = DriftSettings.objects.filter(project_id=project_id)
    if trouble:
        rows.exclude(trouble=trouble[:300]).update(trouble=trouble[:300], trouble_at=clock.now())
    elif has_vectors:
        rows.exclude(trouble="").update(trouble="", trouble_at=None)


def _forget(project_id: int, trace_ids: Sequence[UUID], holder: str) -> int:
    with transaction.atomic(), raw_cursor() as cursor:
        ours = write.still_ours(cursor, project_id, trace_ids, holder)
        write.end(cursor, project_id, sorted(ours))
    return len(ours)
