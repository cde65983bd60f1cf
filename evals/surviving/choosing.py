"""What a project takes for a satisfied session: a judge's criterion from some score on, people alone, or nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.http import HttpRequest

from evals.read.survivorship_kept import (
    JUDGE,
    METHODS,
    REVIEWS,
    TOLERANCE,
    Chosen,
    Judging,
    read_chosen,
    read_judgings,
)
from evals.rubrics.kinds import BOOLEAN
from evals.write import survivorship as write
from telltale.audit.log import record_in
from telltale.projects.models import Project

TOLERANCE_MOST = 0.5
FIELDS = ("method", "judge", "criterion", "at_least", "tolerance")
# What a criterion about the user's satisfaction is called, in the order of how near it comes to that.
NAMES = ("satisf", "helpful", "resol", "correct", "quality", "accura", "useful")


class RefusedAnchor(ValueError):
    """A value that cannot be: which field, what is wrong with it, what is accepted."""

    def __init__(self, field: str, message: str, limit: str, value: object = None) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message
        self.limit = limit
        self.value = value


@dataclass(frozen=True, slots=True)
class Anchoring:
    """What counts as satisfied. `judging` is None where people alone say it, or nothing does.

    `is_default`: nobody chose, so it was found by name. `lost`: what was chosen is there no longer, in words.
    `known`: every criterion that may be chosen.
    """

    method: str
    judging: Judging | None
    at_least: float | None
    tolerance: float
    is_default: bool
    known: tuple[Judging, ...]
    lost: str = ""

    @property
    def is_on(self) -> bool:
        """Whether there can be an anchor."""
        return self.method == REVIEWS or self.judging is not None

    @property
    def words(self) -> str:
        """What counts as satisfied, as the end of a sentence."""
        if self.judging is None:
            return "people say of the answer that it is fine" if self.method == REVIEWS else ""
        criterion = self.judging.criterion
        if criterion.scale.kind == BOOLEAN:
            level = "is yes"
        else:
            level = f"is {self.at_least:g} or more of {criterion.scale.high}"
        return f"{criterion.title} {level}, as {self.judging.judge_name} sees it and people correct it"

    def told(self) -> dict[str, Any]:
        """The settings as REST and the audit log show them."""
        return {
            "method": self.method,
            "judge": self.judging.judge_slug if self.judging else None,
            "criterion": self.judging.criterion.key if self.judging else None,
            "at_least": self.at_least if self.judging else None,
            "tolerance": self.tolerance,
        }


def anchoring_for(project_id: int) -> Anchoring:
    """What holds for the project: what it chose, else what its judges suggest by name, else what people alone say."""
    known = tuple(read_judgings(project_id))
    chosen = read_chosen(project_id)
    if chosen is None:
        judging = suggested(known)
        at_least = judging.suggested if judging else None
        return Anchoring(JUDGE if judging else REVIEWS, judging, at_least, TOLERANCE, True, known)
    if chosen.method != JUDGE:
        return Anchoring(chosen.method, None, None, chosen.tolerance, False, known)
    judging = _find(known, chosen)
    if judging is None:
        lost = f"the criterion {chosen.criterion} of the judge that was chosen is live no longer"
        return Anchoring(JUDGE, None, None, chosen.tolerance, False, known, lost)
    at_least = judging.suggested if chosen.at_least is None else chosen.at_least
    return Anchoring(JUDGE, judging, at_least, chosen.tolerance, False, known)


def _find(known: Sequence[Judging], chosen: Chosen) -> Judging | None:
    same = (each for each in known if each.judge_id == chosen.judge_id and each.criterion.key == chosen.criterion)
    return next(same, None)


def suggested(known: Sequence[Judging]) -> Judging | None:
    """The criterion that is named like satisfaction, else the first that is yes or no."""
    for name in NAMES:
        for each in known:
            if name in each.criterion.key.lower() or name in each.criterion.title.lower():
                return each
    return next((each for each in known if each.criterion.scale.kind == BOOLEAN), None)


def save_anchoring(
    project: Project, told: Mapping[str, Any], *, request: HttpRequest | None = None, actor: str = ""
) -> Anchoring:
    """Set what counts as satisfied; what is left out stays. RefusedAnchor at the first value that cannot be."""
    with transaction.atomic():
        write.lock(project.pk)
        before = anchoring_for(project.pk)
        after = read_anchoring(before, told)
        if before.is_default or after.told() != before.told():
            judge_id = after.judging.judge_id if after.judging else None
            criterion = after.judging.criterion.key if after.judging else ""
            write.save_settings(project.pk, after.method, judge_id, criterion, after.at_least, after.tolerance)
            record_in(
                project, "survivorship.settings", project.slug, request=request, actor=actor,
                before=None if before.is_default else before.told(), after=after.told(),
            )  # fmt: skip
    return after


def read_anchoring(before: Anchoring, told: Mapping[str, Any]) -> Anchoring:
    """The settings with the named fields changed. RefusedAnchor."""
    for name in told:
        if name not in FIELDS:
            raise RefusedAnchor(str(name)[:40], "is not known here", ", ".join(FIELDS))
    method = told.get("method", before.method)
    if method not in METHODS:
        raise RefusedAnchor("method", "is none", f"one of {', '.join(METHODS)}", method)
    tolerance = _number("tolerance", told.get("tolerance", before.tolerance), 0.0, TOLERANCE_MOST)
    if tolerance is None:
        raise RefusedAnchor("tolerance", "is required", f"a number from 0 to {TOLERANCE_MOST:g}")
    if method != JUDGE:
        return Anchoring(method, None, None, tolerance, False, before.known)
    judging = _judging(before, told)
    at_least = _number("at_least", told.get("at_least"), judging.low, judging.high)
    if "at_least" not in told and judging == before.judging:
        at_least = before.at_least
    return Anchoring(
        method, judging, judging.suggested if at_least is None else at_least, tolerance, False, before.known
    )


def _judging(before: Anchoring, told: Mapping[str, Any]) -> Judging:
    now = before.judging
    slug = told.get("judge", now.judge_slug if now else None)
    key = told.get("criterion", now.criterion.key if now else None)
    of_judge = [each for each in before.known if each.judge_slug == slug]
    if not of_judge:
        limit = "one of " + ", ".join(dict.fromkeys(each.judge_slug for each in before.known))
        raise RefusedAnchor("judge", "is no live judge", limit if before.known else "a judge must go live first", slug)
    found = next((each for each in of_judge if each.criterion.key == key), None)
    if found is None:
        limit = "one of " + ", ".join(each.criterion.key for each in of_judge)
        raise RefusedAnchor("criterion", "is none of the judge's with ordered values", limit, key)
    return found


def _number(field: str, raw: object, low: float, high: float) -> float | None:
    limit = f"a number from {low:g} to {high:g}"
    if isinstance(raw, str):
        raw = raw.strip()
    if raw is None or raw == "":
        return None
    if isinstance(raw, bool) or not isinstance(raw, str | int | float):
        raise RefusedAnchor(field, "is no number", limit, raw)
    try:
        value = float(raw)
    except (ValueError, OverflowError):
        raise RefusedAnchor(field, "is no number", limit, raw) from None
    if not math.isfinite(value) or not low <= value <= high:
        raise RefusedAnchor(field, "is out of range", limit, raw)
    return value
