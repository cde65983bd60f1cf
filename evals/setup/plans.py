"""Sampling plans: each saving is a new version; the salt outlives them, so that a raised share keeps what it had."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.http import HttpRequest

from evals.read import setup as read
from evals.read.setup import PlanView
from evals.sampling import PlanRefused, parse_plan, plan_json
from evals.setup.judges import find_judge
from evals.setup.refusals import NotThere, SetupRefused, storable
from evals.write import setup as write
from telltale.audit.log import record_in
from telltale.lib import clock
from telltale.projects.models import Project

PLANS_MAX = 1000
AHEAD_MAX = timedelta(days=90)


def checked_plan(spec: Any) -> dict[str, Any]:
    """A plan's JSON as it is kept; SetupRefused."""
    try:
        clean = plan_json(parse_plan(spec))
    except PlanRefused as error:
        raise SetupRefused(error.field, error.message, error.limit) from None
    return storable("plan", clean)


def set_plan(
    project: Project,
    slug: str,
    spec: Any,
    *,
    valid_from: datetime | None = None,
    by_id: int | None = None,
    request: HttpRequest | None = None,
) -> PlanView:
    """The plan of a judge that now says `spec` (JSON as evals.sampling.parse_plan reads it), from `valid_from` on.

    The plan in force where it says the same already. SetupRefused, NotThere.
    """
    clean = checked_plan(spec)
    now = clock.now()
    start = now if valid_from is None else valid_from
    if start > now + AHEAD_MAX:
        raise SetupRefused("valid_from", "is too far ahead", f"{AHEAD_MAX.days} days", start.isoformat())
    if start < now - timedelta(minutes=5):
        raise SetupRefused("valid_from", "has passed: what was drawn stays drawn", "now or later", start.isoformat())
    start = max(start, now)
    with transaction.atomic():
        judge = find_judge(project, slug)
        if write.lock_judge(project.pk, judge.id) is None:
            raise NotThere
        plans = read.list_plans(project.pk, judge.id)
        newest = plans[0] if plans else None
        if newest is not None and newest.valid_to is None and dict(newest.spec) == clean and newest.valid_from <= start:
            return newest
        if len(plans) >= PLANS_MAX:
            raise SetupRefused("plan", "is one version too many", f"{PLANS_MAX} versions")
        write.add_plan(project.pk, judge.id, clean, secrets.token_hex(16), start, by_id)
        made = read.list_plans(project.pk, judge.id)[0]
        record_in(
            project, "plan.save", f"{slug} plan {made.number}", request=request,
            before=dict(newest.spec) if newest and newest.valid_to is None else None,
            after=clean | {"valid_from": start.isoformat()},
        )  # fmt: skip
    return made


def end_plan(project: Project, slug: str, *, request: HttpRequest | None = None) -> bool:
    """Have nothing more drawn for a judge; False where no plan held. NotThere."""
    with transaction.atomic():
        judge = find_judge(project, slug)
        if write.lock_judge(project.pk, judge.id) is None:
            raise NotThere
        is_ended = write.end_plan(project.pk, judge.id, clock.now())
        if is_ended:
            record_in(project, "plan.end", slug, request=request)
    return is_ended
