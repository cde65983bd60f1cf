"""What judging cost, by day of the project's zone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.db.models import Sum

from evals.models import Judge, SpendDay
from evals.write.spend import WHOLE


def day_of(at: datetime, zone: ZoneInfo) -> date:
    """The day `at` lies in, in the project's zone."""
    return at.astimezone(zone).date()


def ends_at(at: datetime, zone: ZoneInfo) -> datetime:
    """When the day of `at` ends in the project's zone: when its budget does."""
    return datetime.combine(day_of(at, zone) + timedelta(days=1), time.min, zone)


@dataclass(frozen=True, slots=True)
class Used:
    """What of a day's budget is spoken for: spent, set aside, and at most paid for calls without an answer."""

    whole_pico: int = 0
    whole_calls: int = 0
    by_judge: Mapping[int, int] = field(default_factory=dict)

    def pico(self, judge_id: int) -> int:
        return self.by_judge.get(judge_id, 0)


def used_on(project_id: int, day: date) -> Used:
    """What of a day's budget is spoken for."""
    rows = {row.judge_id: row for row in SpendDay.objects.filter(project_id=project_id, day=day)}
    whole = rows.get(WHOLE)
    by_judge = {key: row.spent_pico + row.lost_pico + row.reserved_pico for key, row in rows.items() if key != WHOLE}
    if whole is None:
        return Used(by_judge=by_judge)
    pico = whole.spent_pico + whole.lost_pico + whole.reserved_pico
    return Used(pico, whole.calls + whole.lost_calls + whole.reserved_calls, by_judge)


@dataclass(frozen=True, slots=True)
class Spend:
    """A day of judging. `spent_pico` is known of `calls - unpriced_calls`; `lost_calls` had no answer (a time-out, a
    killed worker) and cost at most `lost_pico`; `reserved_*` are on their way."""

    day: date
    judge_id: int
    spent_pico: int
    calls: int
    unpriced_calls: int
    lost_calls: int
    lost_pico: int
    reserved_pico: int
    reserved_calls: int


def spend_by_day(project_id: int, first: date, last: date, judge_id: int = WHOLE) -> list[Spend]:
    """What judging cost from `first` to `last`, both included, oldest first; of one judge, else of all. Quiet days
    are left out."""
    rows = SpendDay.objects.filter(project_id=project_id, judge_id=judge_id, day__gte=first, day__lte=last)
    return [
        Spend(
            row.day, row.judge_id, row.spent_pico, row.calls, row.unpriced_calls, row.lost_calls, row.lost_pico,
            row.reserved_pico, row.reserved_calls,
        )
        for row in rows.order_by("day")
    ]  # fmt: skip


def spend_of_judges(project_id: int, slugs: Sequence[str], first: date, last: date) -> dict[str, int]:
    """Pico-dollars that judges cost from `first` to `last`, both included, by slug; known costs alone. Two queries."""
    named = dict(Judge.objects.filter(project_id=project_id, slug__in=slugs).values_list("pk", "slug"))
    rows = SpendDay.objects.filter(project_id=project_id, judge_id__in=named, day__gte=first, day__lte=last)
    return {named[row["judge_id"]]: row["pico"] for row in rows.values("judge_id").annotate(pico=Sum("spent_pico"))}
