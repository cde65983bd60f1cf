"""The outbox: what happened is written in the transaction that made it happen, once; deliveries and their attempts.

A delivery is held by a lease while it is sent, outside of any transaction, and settled where its attempt is still the
last one: who comes back late changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Count, F, Q, QuerySet
from django.db.models.functions import Coalesce, Now

from alerts.models import Attempt, Channel, Delivery, Transition
from alerts.notices.answers import OF_CONTENT, Outcome
from alerts.notices.transitions import GROUPED, Kind, make_id
from telltale.jobs.kept import keep
from telltale.lib.sql import load

ERROR_MAX, REF_MAX = 300, 200
DROP_MOST = 500
KEPT_ATTEMPTS = "attempts."  # what telltale.jobs.kept calls those that were swept
UNKNOWN_END = "The process ended before the answer came; it was tried again with the same id."


@dataclass(frozen=True, slots=True)
class Target:
    """Where a delivery goes: a channel, or a person's mail; neither: nowhere."""

    channel_id: int | None = None
    user_id: int | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """Why a delivery is not sent now: state "silenced" or "muted", until when it is looked at again."""

    state: str
    until: datetime


def put_transition(
    project_id: int,
    kind: Kind,
    key: str,
    *,
    at: datetime,
    due_at: datetime,
    incident_id: int | None = None,
    severity: int | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Transition:
    """The row of what happened: a new one, or the one that is there under this key."""
    row = Transition(
        id=make_id(project_id, key), project_id=project_id, key=key, kind=kind, incident_id=incident_id,
        severity=severity, at=at, due_at=due_at, facts=dict(facts or {}),
    )  # fmt: skip
    Transition.objects.bulk_create([row], ignore_conflicts=True)
    return Transition.objects.get(project_id=project_id, key=key)


def lock_untold(incident_id: int) -> Transition | None:
    """The message that an incident has begun, held, while nobody was sent it; None where it went out."""
    rows = Transition.objects.select_for_update(no_key=True)
    return rows.filter(incident_id=incident_id, kind__in=GROUPED, routed_at=None).order_by("-at").first()


def hurry_untold(incident_id: int, due_at: datetime) -> None:
    """Let the message that an incident has begun, if it waits still, be due no later than that."""
    waiting = Transition.objects.filter(incident_id=incident_id, kind__in=GROUPED, routed_at=None, due_at__gt=due_at)
    waiting.update(due_at=due_at)


def fold(row: Transition, severity: int, facts: Mapping[str, Any]) -> None:
    """Let a message that nobody was sent yet say what came to it meanwhile."""
    row.severity = severity if row.severity is None else min(row.severity, severity)
    row.facts = {**row.facts, **facts}
    row.save(update_fields=["severity", "facts"])


def take_due(now: datetime) -> Transition | None:
    """The next transition whose deliveries are to be made, held; None where there is none. In a transaction."""
    rows = Transition.objects.select_for_update(no_key=True, skip_locked=True, of=("self",))
    return rows.filter(routed_at=None, due_at__lte=now).order_by("due_at", "id").first()


def put_off(transition_id: UUID, due_at: datetime) -> None:
    """Let a transition whose deliveries could not be made be due later."""
    Transition.objects.filter(pk=transition_id, routed_at=None).update(due_at=due_at)


def put_deliveries(
    row: Transition, targets: Iterable[tuple[Target, Held | None]], now: datetime, nobody: str = ""
) -> int:
    """Make the deliveries of a held transition, once; how many. Without targets the log says why (`nobody`)."""
    made = [
        Delivery(
            project_id=row.project_id, transition=row, channel_id=target.channel_id, user_id=target.user_id,
            state=held.state if held else "waiting", next_at=held.until if held else now, created_at=now,
        )
        for target, held in targets
    ]  # fmt: skip
    if not made:
        made = [
            Delivery(
                project_id=row.project_id, transition=row, state="dropped", error=nobody[:ERROR_MAX], next_at=now,
                created_at=now, ended_at=now,
            )
        ]  # fmt: skip
    Delivery.objects.bulk_create(made, ignore_conflicts=True)
    row.routed_at = now
    row.save(update_fields=["routed_at"])
    return len(made)


def due_targets(now: datetime) -> list[Target]:
    """Where something is to be sent now and nobody is sending; the longest waiting first."""
    with connection.cursor() as cursor:
        cursor.execute(load("alerts", "notices_targets"), {"now": now})
        return [Target(channel_id, user_id) for channel_id, user_id, _ in cursor.fetchall()]


def claim(target: Target, now: datetime, seconds: float) -> Delivery | None:
    """The next delivery to a target, held for `seconds`, its attempt written down; None where there is none."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(
                load("alerts", "notices_claim"),
                {
                    "channel_id": target.channel_id, "user_id": target.user_id, "now": now,
                    "refused": sorted(OF_CONTENT),
                },
            )  # fmt: skip
            found = cursor.fetchone()
        if found is None:
            return None
        return _begin(Delivery.objects.select_related("transition", "channel", "user").get(pk=found[0]), now, seconds)


def make_claimed(row: Transition, target: Target, now: datetime, seconds: float) -> Delivery:
    """A delivery of a routed transition that its maker sends himself at once. In a transaction."""
    made = Delivery.objects.create(
        project_id=row.project_id, transition=row, channel_id=target.channel_id, user_id=target.user_id, next_at=now,
        created_at=now,
    )  # fmt: skip
    return _begin(made, now, seconds)


def _begin(row: Delivery, now: datetime, seconds: float) -> Delivery:
    row.attempts += 1
    Delivery.objects.filter(pk=row.pk).update(
        attempts=row.attempts, leased_until=Now() + timedelta(seconds=seconds)
    )  # fmt: skip
    Attempt.objects.update_or_create(
        delivery=row, number=row.attempts, defaults={"at": now, "seconds": 0.0, "error": UNKNOWN_END}
    )
    return row


def freeze(row: Delivery, message: Mapping[str, Any]) -> None:
    """Keep what the message says: every attempt says the same."""
    row.message = dict(message)
    Delivery.objects.filter(pk=row.pk).update(message=row.message)


def settle(
    row: Delivery, outcome: Outcome, *, state: str, now: datetime, seconds: float, next_at: datetime | None = None
) -> bool:
    """Write down what an attempt came to; False where another attempt has begun meanwhile, or somebody ended it."""
    error = "" if outcome.is_delivered else outcome.words[:ERROR_MAX]
    ends = state != "waiting"
    with transaction.atomic():
        moved = Delivery.objects.filter(pk=row.pk, attempts=row.attempts, state="waiting").update(
            state=state,
            status=outcome.status,
            error=error,
            ref=outcome.ref[:REF_MAX],
            leased_until=None,
            next_at=next_at or now,
            ended_at=now if ends else None,
        )
        Attempt.objects.filter(delivery=row, number=row.attempts).update(
            seconds=seconds, status=outcome.status, error=error
        )
        return moved == 1


def mark_channel(channel_id: int, outcome: Outcome, now: datetime, pause_until: datetime | None) -> None:
    """Let a channel show what its last attempt came to; until `pause_until` nothing goes there."""
    rows = Channel.objects.filter(pk=channel_id, archived_at=None)
    if outcome.is_delivered:
        rows.update(delivered_at=now, failing_since=None, error="", paused_until=None)
        return
    rows.update(failing_since=Coalesce(F("failing_since"), now), error=outcome.words[:ERROR_MAX])
    if pause_until is not None:
        rows.update(paused_until=pause_until)


def hurry(channel_id: int, now: datetime) -> int:
    """Let what waits for a channel be tried at once; how many."""
    Channel.objects.filter(pk=channel_id).update(paused_until=None)
    waiting = Delivery.objects.filter(channel_id=channel_id, state="waiting")
    return waiting.filter(Q(leased_until=None) | Q(leased_until__lt=Now())).update(next_at=now)


def drop_waiting(channel_id: int, words: str, now: datetime) -> int:
    """End what waits for a channel that takes nothing more; how many."""
    held = Delivery.objects.filter(channel_id=channel_id, ended_at=None)
    return held.update(state="dropped", error=words[:ERROR_MAX], ended_at=now, leased_until=None)


def drop_shut(now: datetime) -> int:
    """End what waits for a channel that was switched off, or put away, while its delivery was made; how many."""
    waiting = Delivery.objects.filter(state="waiting", ended_at=None).filter(
        Q(leased_until=None) | Q(leased_until__lt=Now())
    )
    done = 0
    for shut, words in (
        (Q(channel__archived_at__isnull=False), "The channel was put away."),
        (Q(channel__is_on=False, channel__archived_at=None), "The channel was switched off."),
    ):
        ids = list(waiting.filter(shut).values_list("pk", flat=True)[:DROP_MOST])
        if ids:
            done += waiting.filter(pk__in=ids).update(
                state="dropped", error=words, ended_at=now, leased_until=None
            )  # fmt: skip
    return done


def revive(delivery_id: int, project_id: int, now: datetime) -> Delivery | None:
    """Let one delivery that waits or failed be tried at once; None where it is neither, or nothing goes there now."""
    rows = Delivery.objects.select_for_update(no_key=True, of=("self",)).select_related("channel")
    row = rows.filter(pk=delivery_id, project_id=project_id).first()
    if row is None or row.state not in {"waiting", "failed"} or (row.channel_id is None and row.user_id is None):
        return None
    if row.channel is not None and (not row.channel.is_on or row.channel.archived_at is not None):
        return None
    Delivery.objects.filter(pk=row.pk).update(state="waiting", next_at=now, ended_at=None)
    if row.channel_id is not None:
        Channel.objects.filter(pk=row.channel_id).update(paused_until=None)
    return row


def attempts_by_result(deliveries: QuerySet[Delivery] | None = None) -> dict[str, int]:
    """Attempts (of these deliveries) that were answered or refused, by result: delivered, failed."""
    rows = Attempt.objects.unscoped("how telling goes here, or of these deliveries").exclude(error=UNKNOWN_END)
    if deliveries is not None:
        rows = rows.filter(delivery__in=deliveries)
    counts = rows.aggregate(delivered=Count("pk", filter=Q(error="")), failed=Count("pk", filter=~Q(error="")))
    return {result: n for result, n in counts.items() if n}


def sweep(before: datetime) -> int:
    """Remove deliveries that ended before then, with their attempts, whose counts are kept; how many."""
    with transaction.atomic():
        ended = Delivery.objects.select_for_update().filter(ended_at__lt=before).values_list("pk", flat=True)
        old = Delivery.objects.filter(pk__in=list(ended))
        for result, n in attempts_by_result(old).items():
            keep(KEPT_ATTEMPTS + result, n)
        return old.delete()[0]
