"""The gate of models and prompts: a version is promoted when an experiment on a dataset proves no regression.

What is let through is a statement with its evidence, made by a person or a key and kept for good: which experiment,
over which items, against what, and what each measure said. It changes nothing of what an application runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from evals.keeping import By
from evals.models import Promotion
from evals.read import promotions as read
from evals.read.comparison import PAIRS_MIN, TOO_LITTLE, Comparison, Line, NotComparable, compare
from evals.read.experiments import ExperimentRow, get_experiment
from evals.read.promotions import PromotionRow
from telltale.audit.log import record_in
from telltale.projects.models import Project
from traces.canonical.text import clean_text
from traces.masks import mask_text

KINDS = ("model", "prompt")
SUBJECT_MAX, VERSION_MAX, NOTE_MAX = 200, 300, 500
# Where a sender's own description of an experiment says what was run.
_SAYS = {"model": ("model",), "prompt": ("prompt_version", "prompt")}


class PromotionRefused(Exception):
    """What cannot be promoted: which field, what is wrong, what is accepted, what came."""

    def __init__(self, field: str, message: str, limit: str = "", value: str = "") -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message
        self.limit = limit
        self.value = value


class NotThrough(Exception):
    """The gate is not passed; `reasons` say why, each a sentence."""

    def __init__(self, *reasons: str) -> None:
        super().__init__(" ".join(reasons))
        self.reasons = reasons


class Gone(Exception):
    """There is no such promotion, or it has ended."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be promoted, by which experiment, compared with which older one (None: with the one that stands)."""

    kind: str
    subject: str
    version: str
    experiment_id: int
    against_id: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Passed:
    """What the gate saw. `is_first`: nothing stood before, so nothing was compared. `says`: whether the experiment
    itself says that it ran this version, or the person does."""

    experiment: ExperimentRow
    against: ExperimentRow | None
    evidence: Mapping[str, Any]


def promote(project: Project, wanted: Wanted, by: By, author: str) -> PromotionRow:
    """Promote a version in the place of the one that stands, recorded in the audit log.

    PromotionRefused for what is none, NotThrough where the gate is not passed. The same again makes no second one.
    """
    wanted = cleaned(wanted)
    with transaction.atomic():
        # One at a time: what stands now is what this one is held against.
        Project.objects.select_for_update(no_key=True).only("pk").get(pk=project.pk)
        standing = read.find_standing(project.pk, wanted.kind, wanted.subject)
        same = (wanted.version, wanted.experiment_id)
        if standing is not None and (standing.version, standing.experiment_id) == same:
            return standing
        passed = check(project.pk, wanted)
        if standing is not None:
            _end(standing.id, "replaced", author)
        made = Promotion.objects.create(
            project=project,
            kind=wanted.kind,
            subject=wanted.subject,
            version=wanted.version,
            experiment_id=passed.experiment.id,
            against_id=passed.against.id if passed.against else None,
            evidence=dict(passed.evidence),
            note=mask_text(project.pk, wanted.note)[:NOTE_MAX],
            made_by_id=by.id,
            author=author[:SUBJECT_MAX],
        )
        record_in(
            project, f"{wanted.kind}.promote", words_of(wanted), request=by.request, actor=by.words,
            before={"version": standing.version} if standing else None,
            after={"version": wanted.version, "experiment": passed.experiment.id,
                   "against": passed.against.id if passed.against else None},
        )  # fmt: skip
    found = read.get_promotion(project.pk, made.pk)
    assert found is not None  # noqa: S101 - made a line above
    return found


def withdraw(project: Project, promotion_id: int, by: By, author: str) -> None:
    """Withdraw a promotion that stands: nothing is promoted for its subject then. Gone where it does not stand."""
    with transaction.atomic():
        row = read.get_promotion(project.pk, promotion_id)
        if row is None or not _end(promotion_id, "withdrawn", author):
            raise Gone
        record_in(
            project, f"{row.kind}.withdraw", row.words, request=by.request, actor=by.words,
            before={"version": row.version}, after=None,
        )  # fmt: skip


def check(project_id: int, wanted: Wanted) -> Passed:
    """What the gate says of a wanted promotion. PromotionRefused, NotThrough."""
    experiment = _experiment(project_id, "experiment", wanted.experiment_id)
    told = told_version(wanted.kind, experiment)
    if told is not None and told != wanted.version:
        limit = f"{told[:VERSION_MAX]}, as the experiment says"
        raise PromotionRefused("version", "is not what the experiment ran", limit, wanted.version)
    if experiment.state != "done":
        raise NotThrough(f"The experiment “{experiment.name}” is not done: it is {experiment.state}.")
    if experiment.done < PAIRS_MIN:
        raise NotThrough(
            f"{experiment.done} items of “{experiment.name}” have an answer; fewer than {PAIRS_MIN} prove nothing."
        )
    evidence: dict[str, Any] = {
        "experiment": experiment.name,
        "dataset": experiment.dataset_name,
        "dataset_slug": experiment.dataset_slug,
        "dataset_version": experiment.version,
        "items": experiment.expected_items,
        "answered": experiment.done,
        "failed": experiment.failed,
        "is_told": told is not None,
    }
    standing = read.find_standing(project_id, wanted.kind, wanted.subject)
    against_id = wanted.against_id or (standing.experiment_id if standing else None)
    if against_id is None:
        if standing is not None:
            raise PromotionRefused("against", "is required: the experiment of the version that stands is gone")
        return Passed(experiment, None, evidence | {"is_first": True})
    against = _experiment(project_id, "against", against_id)
    if against.state != "done":
        raise NotThrough(f"The experiment “{against.name}” to compare with is not done: it is {against.state}.")
    try:
        found = compare(project_id, experiment, against)
    except NotComparable as error:
        raise PromotionRefused("against", str(error)) from None
    _decide(found)
    return Passed(experiment, against, evidence | {"is_first": False, "against": against.name, **evidence_of(found)})


def _decide(found: Comparison) -> None:
    """NotThrough where a measure is proven worse, or nothing could be proven either way."""
    # That something was answered at all says nothing of how good it is.
    deciding = [line for line in found.family if line.verdict != TOO_LITTLE and line.measure.kind != "own"]
    if found.worse:
        raise NotThrough(*(f"{line.measure.title} is proven worse over {line.n} items." for line in found.worse))
    if not deciding:
        raise NotThrough(
            f"Nothing decides: no criterion of a judge, metric or number of your own has {PAIRS_MIN} items in both."
        )


def evidence_of(found: Comparison) -> dict[str, Any]:
    """What a comparison said, to be kept."""
    return {
        "pairs": found.pairs,
        "edited": found.left_out.edited,
        "level": found.level,
        "unlike": list(found.unlike),
        "lines": [_line(line) for line in found.family],
    }


def told_version(kind: str, experiment: ExperimentRow) -> str | None:
    """The model or prompt version that the experiment itself says it ran; None where it says nothing."""
    for name in _SAYS[kind]:
        value = experiment.config.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool) and str(value):
            return str(value)
    return None


def cleaned(wanted: Wanted) -> Wanted:
    """The same as it is kept; PromotionRefused."""
    if wanted.kind not in KINDS:
        raise PromotionRefused("kind", "is not accepted", f"one of {', '.join(KINDS)}", wanted.kind[:80])
    subject = _line_of("subject", wanted.subject, SUBJECT_MAX)
    if wanted.kind == "prompt" and not subject:
        raise PromotionRefused("subject", "is required: the name of the prompt", f"1 to {SUBJECT_MAX} characters")
    version = _line_of("version", wanted.version, VERSION_MAX)
    if not version:
        raise PromotionRefused("version", "is required", f"1 to {VERSION_MAX} characters")
    note = _line_of("note", wanted.note, NOTE_MAX, is_line=False)
    return Wanted(wanted.kind, subject, version, wanted.experiment_id, wanted.against_id, note)


def words_of(wanted: Wanted) -> str:
    """What is promoted, in a few words."""
    return read.words(wanted.kind, wanted.subject, wanted.version)


def _line(line: Line) -> dict[str, Any]:
    return {
        "measure": line.measure.key,
        "title": line.measure.title,
        "verdict": line.verdict,
        "n": line.n,
        "new": line.new_mean,
        "old": line.old_mean,
        "difference": line.difference,
        "low": line.low,
        "high": line.high,
    }


def _line_of(field: str, raw: str, most: int, *, is_line: bool = True) -> str:
    text = clean_text(raw).strip()
    if len(text) > most:
        raise PromotionRefused(field, "is too long", f"{most} characters", f"{len(text)} characters")
    if is_line and not text.isprintable():
        raise PromotionRefused(field, "is more than a line", "one line of text", text)
    return text


def _experiment(project_id: int, field: str, experiment_id: int) -> ExperimentRow:
    row = get_experiment(project_id, experiment_id)
    if row is None:
        raise PromotionRefused(field, "is no experiment of this project", "the id of one", str(experiment_id))
    return row


def _end(promotion_id: int, how: str, author: str) -> bool:
    rows = Promotion.objects.filter(pk=promotion_id, ended_at=None)
    return bool(rows.update(ended_at=Now(), ended_as=how, ended_by=author[:SUBJECT_MAX]))


__all__ = [
    "KINDS", "Gone", "NotThrough", "Passed", "PromotionRefused", "Wanted", "check", "promote",
    "told_version", "withdraw",
]  # fmt: skip
