"""Labels of people and scores of judges from elsewhere, many at once; sent again they replace what they had.

Each row is judged alone. A judge that is not known is made, as one whose scores come from elsewhere; a rubric that
nobody names is made of the values that came, and the answer says so. Targets need not be there (any more): an item of
a team's own is found by its own name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from evals.judges.config import EXTERNAL, FlagRule, flags, parse_config
from evals.judges.verdict import CriterionScore
from evals.models import JudgeVersion
from evals.read.labels import judgements_here, reviews_here
from evals.read.setup import RubricVersionView
from evals.reviewing.assigning import reviewers
from evals.reviewing.config import RefusedReview
from evals.reviewing.import_names import By, Imported, Judges, Rubrics
from evals.reviewing.label_rows import Fault, Given, Read, Row
from evals.reviewing.values import Value, read_value
from evals.rubrics import Rubric
from evals.write import labels as write
from evals.write import setup as setup_write
from evals.write.review import NewReviewScore, put_review_scores
from telltale.accounts.models import User
from telltale.audit.log import record_in
from telltale.lib import clock
from telltale.lib.db import raw_cursor
from telltale.lib.sql import load
from telltale.projects.models import Project
from traces import erasure
from traces.wire.ids import find_trace_ids

# A statement takes so many scores at once: 5 MB of JSON.
CHUNK = 5_000
# What the export calls a review or a judgement that was made here.
_OURS = re.compile(r"(review|judgement) ([0-9]{1,19})\Z")


@dataclass(frozen=True, slots=True)
class _Target:
    trace_id: UUID
    started_at: datetime | None
    feature: str = ""
    model: str = ""
    prompt_version: str = ""
    session_id: str = ""


def bring_in(
    project: Project, read: Read, *, by: By, rubric: str | Mapping[str, Any] = "", is_dry: bool = False
) -> Imported:
    """Keep the rows that can be kept. `rubric`: a slug, or a spec to make one of; RefusedReview where it is wrong.

    `is_dry`: everything is tried, and nothing kept.
    """
    found = Imported(total=read.total, faults=list(read.faults))
    with transaction.atomic():
        # Two imports at once would both make the judge or the rubric that neither finds.
        setup_write.lock_project(project.pk)
        _keep(project, read.rows, by, rubric, found)
        if not is_dry and found.accepted:
            told = {
                "reviews": found.reviews_new + found.reviews_replaced,
                "judgements": found.judgements_new + found.judgements_replaced,
                "rejected": found.rejected,
            }
            record_in(project, "labels.import", project.slug, request=by.request, actor=by.words, after=told)
        if is_dry:
            transaction.set_rollback(True)
    found.faults.sort(key=lambda fault: fault.index)
    return found


def _keep(project: Project, rows: Sequence[Row], by: By, rubric: str | Mapping[str, Any], found: Imported) -> None:
    targets = _targets(project.pk, {row.trace_id for row in rows})
    rows = _without_ours(project.pk, rows, targets, found)
    rubrics = Rubrics(project, by, rubric, rows, found)
    judges = Judges(project, by, rubrics, found)
    people = _people(project, {row.reviewer for row in rows if "@" in row.reviewer})
    gone = _erased(project.pk, rows, targets, people)
    labels: list[tuple[Row, RubricVersionView, dict[str, Value], _Target]] = []
    judged: dict[int, list[tuple[Row, Rubric, dict[str, Value], _Target]]] = {}
    for row in rows:
        try:
            target = targets.get(row.trace_id)
            if target is None:
                raise RefusedReview(
                    "trace_id", "can be no trace's id", "hex, a UUID, or your own id", row.trace_id[:60]
                )
            if row.index in gone:
                raise RefusedReview("trace_id", erasure.MESSAGE)
            if row.reviewer:
                version = rubrics.of(row)
                labels.append((row, version, _values(rubrics.read(version), row.scores), target))
            else:
                judge = judges.of(row)
                spec = rubrics.read(judge.rubric_version)
                judged.setdefault(judge.id, []).append((row, spec, _values(spec, row.scores), target))
        except RefusedReview as refused:
            found.faults.append(
                Fault(
                    row.index, refused.field, refused.message, refused.limit, refused.value, row.external_id, row.line
                )
            )
    erasure.count_refused(project.pk, "reviews", len(gone), "its target", by.key_id)
    found.unknown_targets = sum(target.started_at is None for target in targets.values())
    _put_labels(project, labels, people, by, found)
    for version_id, given in judged.items():
        _put_judged(project, version_id, given, found)


def _erased(
    project_id: int, rows: Sequence[Row], targets: Mapping[str, _Target], people: Mapping[str, int]
) -> set[int]:
    """The places of the rows about what was erased, or said by whom; members of the project are nobody's end users."""
    said = {row.index: row.reviewer for row in rows if row.reviewer.casefold() not in people}
    gone = erasure.find_gone(
        project_id,
        traces={target.trace_id for target in targets.values()},
        sessions={target.session_id for target in targets.values()},
        users=set(said.values()),
    )
    return {
        row.index
        for row in rows
        if (target := targets.get(row.trace_id)) is not None
        and gone.why(target.trace_id, target.session_id, said.get(row.index))
    }


def _without_ours(project_id: int, rows: Sequence[Row], targets: Mapping[str, _Target], found: Imported) -> list[Row]:
    """The rows but those that an export of this project made of what was said or judged here: that stays as it is."""
    asked: dict[str, set[int]] = {"review": set(), "judgement": set()}
    named = {row.index: match for row in rows if (match := _OURS.match(row.external_id))}
    for match in named.values():
        asked[match[1]].add(min(int(match[2]), 2**63 - 1))
    here = reviews_here(project_id, asked["review"]) | judgements_here(project_id, asked["judgement"])
    kept = []
    for row in rows:
        match, target = named.get(row.index), targets.get(row.trace_id)
        who = row.reviewer or f"{row.judge} {row.judge_version}"
        is_ours = (
            match is not None
            and target is not None
            and (match[1] == "review") == bool(row.reviewer)
            and here.get(match[0]) == (target.trace_id, row.span_id, who)
        )
        if not is_ours:
            kept.append(row)
        elif row.reviewer:
            found.reviews_unchanged += 1
        else:
            found.judgements_unchanged += 1
    return kept


def _values(rubric: Rubric, scores: Mapping[str, Given]) -> dict[str, Value]:
    found = {}
    for key, given in scores.items():
        criterion = rubric.criterion(key)
        if criterion is None:
            keys = ", ".join(each.key for each in rubric.criteria)
            raise RefusedReview(f"scores.{key}", "is no criterion of the rubric", keys)
        if given.value is None or given.value == "":
            continue
        found[key] = read_value(criterion, given.value, f"scores.{key}")
    return found


def _put_labels(
    project: Project,
    labels: Sequence[tuple[Row, RubricVersionView, dict[str, Value], _Target]],
    people: Mapping[str, int],
    by: By,
    found: Imported,
) -> None:
    if not labels:
        return
    now = clock.now()
    kept = write.put_labels(
        project.pk,
        [
            write.NewLabel(
                external_id=row.key, rubric_version_id=version.id, trace_id=target.trace_id, span_id=row.span_id,
                reviewer_id=people.get(row.reviewer.casefold()), reviewer=row.reviewer, verdict=row.verdict,
                category=row.category, note=row.note, is_adjudication=row.is_adjudication, was_blind=row.was_blind,
                pi_judge=row.pi_judge, pi_review=row.pi_review, at=row.at or now,
            )
            for row, version, _, target in labels
        ],
    )  # fmt: skip
    scores: list[NewReviewScore] = []
    for (row, version, values, target), (review_id, _) in zip(labels, kept, strict=True):
        both = None if row.pi_review is None else row.pi_review * (row.pi_judge if row.pi_judge is not None else 1.0)
        scores += [
            NewReviewScore(
                review_id=review_id, trace_id=target.trace_id, span_id=row.span_id,
                session_id=target.session_id or None, started_at=target.started_at or row.at or now, name=name,
                data_type=value.data_type, number=value.number, label=value.label,
                comment=row.scores[name].reason or row.note or None, author=row.reviewer,
                author_id=people.get(row.reviewer.casefold()), key_id=by.key_id, rubric_version_id=version.id, pi=both,
                made_at=row.at or now,
            )
            for name, value in values.items()
        ]  # fmt: skip
    replaced = [
        review_id
        for (row, _, _, _), (review_id, is_new) in zip(labels, kept, strict=True)
        if not is_new and not row.is_part
    ]
    if replaced:
        ids = set(replaced)
        put_review_scores(project.pk, [each for each in scores if each.review_id in ids], replaced=replaced)
        scores = [each for each in scores if each.review_id not in ids]
    for at in range(0, len(scores), CHUNK):
        put_review_scores(project.pk, scores[at : at + CHUNK])
    for version_id in {version.id for _, version, _, _ in labels}:
        setup_write.freeze_rubric(version_id)
    new = sum(is_new for _, is_new in kept)
    found.reviews_new += new
    found.reviews_replaced += len(kept) - new


def _put_judged(
    project: Project, version_id: int, given: Sequence[tuple[Row, Rubric, dict[str, Value], _Target]], found: Imported
) -> None:
    now = clock.now()
    version = JudgeVersion.objects.get(pk=version_id)
    flag = parse_config(EXTERNAL, version.config).flag
    judged = [
        write.NewJudged(
            trace_id=target.trace_id, span_id=row.span_id, session_id=target.session_id,
            started_at=target.started_at or row.at or now, feature=target.feature, model=target.model,
            prompt_version=target.prompt_version, pi=row.pi_judge, is_flagged=_is_flagged(row, rubric, flag, values),
            at=row.at or now, is_part=row.is_part,
            scores=tuple(
                write.NewJudgeScore(
                    name, value.data_type, value.number, value.label, row.scores[name].reason or None,
                    row.scores[name].evidence,
                )
                for name, value in values.items()
            ),
        )
        for row, rubric, values, target in given
    ]  # fmt: skip
    for at in range(0, len(judged), CHUNK):
        new, replaced = write.put_judged(project.pk, version, judged[at : at + CHUNK])
        found.judgements_new += new
        found.judgements_replaced += replaced
    setup_write.freeze(version_id)


def _is_flagged(row: Row, rubric: Rubric, flag: FlagRule, values: Mapping[str, Value]) -> bool:
    if row.is_flagged is not None:
        return row.is_flagged
    scores = (CriterionScore(name, value.data_type, value.number, value.label) for name, value in values.items())
    return flags(rubric, flag, scores)


def _people(project: Project, emails: set[str]) -> dict[str, int]:
    """The members among these e-mails, in small letters."""
    if not emails:
        return {}
    members = [user_id for user_id, _ in reviewers(project)]
    rows = User.objects.filter(pk__in=members).values_list("email", "pk")
    return {email.casefold(): user_id for email, user_id in rows if email.casefold() in {e.casefold() for e in emails}}


def _targets(project_id: int, names: Iterable[str]) -> dict[str, _Target]:
    """What each name is: the trace that it names, or where none is there the place that one would have."""
    candidates = {name: ids for name in names if (ids := find_trace_ids(name))}
    known: dict[UUID, tuple[Any, ...]] = {}
    wanted = list({trace_id for ids in candidates.values() for trace_id in ids})
    for at in range(0, len(wanted), 10_000):
        with raw_cursor() as cursor:
            asked = {"project_id": project_id, "trace_ids": wanted[at : at + 10_000]}
            cursor.execute(load("evals", "read_review_traces"), asked)
            known |= {row[0]: row for row in cursor.fetchall()}
    found = {}
    for name, ids in candidates.items():
        there = next((known[trace_id] for trace_id in ids if trace_id in known), None)
        found[name] = _Target(*there) if there is not None else _Target(ids[0], None)
    return found
