"""Labels of people and scores of judges from elsewhere, many at once; sent again they replace what they had.

Each row is judged alone. A judge that is not known is made, as one whose scores come from elsewhere; a rubric that
nobody names is made of the values that came, and the answer says so. Targets need not be there (any more): an item of
a team's own is found by its own name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.http import HttpRequest

from evals.judges.config import EXTERNAL, FlagRule, flags, parse_config
from evals.judges.verdict import CriterionScore
from evals.models import Judge, JudgeVersion
from evals.read import setup as setup_read
from evals.read.setup import JudgeVersionView, RubricVersionView
from evals.reviewing.assigning import reviewers
from evals.reviewing.config import RefusedReview
from evals.reviewing.label_rows import Fault, Given, Read, Row
from evals.reviewing.values import Value, read_value
from evals.rubrics import Rubric, to_json
from evals.setup.judges import JUDGES_MAX
from evals.setup.refusals import SetupRefused
from evals.setup.rubrics import hash_of, save_rubric
from evals.write import labels as write
from evals.write import setup as setup_write
from evals.write.review import NewReviewScore, put_review_scores
from telltale.accounts.models import User
from telltale.audit.log import record_in
from telltale.lib import clock
from telltale.lib.db import raw_cursor
from telltale.lib.sql import load
from telltale.projects.models import Project
from traces.wire.ids import find_trace_ids

IMPORTED = "imported"
DEFINITION = "Brought in with labels; nobody wrote down what it means."
# A statement takes so many scores at once: 5 MB of JSON.
CHUNK = 5_000
LABELS_MAX = 20


@dataclass(frozen=True, slots=True)
class By:
    """Who brings labels: a person, or a key by its words."""

    user_id: int | None = None
    key_id: int | None = None
    words: str = ""
    request: HttpRequest | None = None


@dataclass(slots=True)
class Imported:
    """What became of the rows: taken ones by kind, and what is wrong with each of the others."""

    total: int = 0
    reviews_new: int = 0
    reviews_replaced: int = 0
    judgements_new: int = 0
    judgements_replaced: int = 0
    faults: list[Fault] = field(default_factory=list)
    rubrics: dict[str, tuple[int, bool]] = field(default_factory=dict)  # slug -> (version, made now)
    judges: dict[tuple[str, int], bool] = field(default_factory=dict)  # (slug, version) -> made now
    unknown_targets: int = 0

    @property
    def rejected(self) -> int:
        return len(self.faults)

    @property
    def accepted(self) -> int:
        return self.total - self.rejected


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
    rubrics = _Rubrics(project, by, rubric, rows, found)
    judges = _Judges(project, by, rubrics, found)
    targets = _targets(project.pk, {row.trace_id for row in rows})
    people = _people(project, {row.reviewer for row in rows if "@" in row.reviewer})
    labels: list[tuple[Row, RubricVersionView, dict[str, Value], _Target]] = []
    judged: dict[int, list[tuple[Row, Rubric, dict[str, Value], _Target]]] = {}
    for row in rows:
        try:
            target = targets.get(row.trace_id)
            if target is None:
                raise RefusedReview(
                    "trace_id", "can be no trace's id", "hex, a UUID, or your own id", row.trace_id[:60]
                )
            if row.reviewer:
                version = rubrics.of(row)
                labels.append((row, version, _values(rubrics.read(version), row.scores), target))
            else:
                judge = judges.of(row)
                spec = rubrics.read(judge.rubric_version)
                judged.setdefault(judge.id, []).append((row, spec, _values(spec, row.scores), target))
        except RefusedReview as refused:
            found.faults.append(
                Fault(row.index, refused.field, refused.message, refused.limit, refused.value, row.external_id)
            )
    found.unknown_targets = sum(target.started_at is None for target in targets.values())
    _put_labels(project, labels, people, by, found)
    for version_id, given in judged.items():
        _put_judged(project, version_id, given, found)


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


class _Rubrics:
    """The rubric that each row is read by: its own, the request's, the judge's, else one made of the values."""

    def __init__(
        self, project: Project, by: By, wanted: str | Mapping[str, Any], rows: Sequence[Row], found: Imported
    ) -> None:
        self.project, self.by, self.rows, self.found = project, by, rows, found
        self._by_slug: dict[str, RubricVersionView] = {}
        self._read: dict[int, Rubric] = {}
        self._default: RubricVersionView | None = None
        if isinstance(wanted, Mapping):
            self._default = self._made(dict(wanted))
        elif wanted:
            self._default = self._named(wanted, "rubric")

    def of(self, row: Row) -> RubricVersionView:
        """The rubric version of a row."""
        return self._named(row.rubric, "rubric") if row.rubric else self.default()

    def default(self) -> RubricVersionView:
        """What rows are read by that name none."""
        if self._default is None:
            self._default = self._judges_own() or self._inferred()
        return self._default

    def read(self, version: RubricVersionView) -> Rubric:
        """The criteria of a version."""
        if version.id not in self._read:
            self._read[version.id] = version.rubric
            self.found.rubrics.setdefault(version.slug, (version.number, False))
        return self._read[version.id]

    def _named(self, slug: str, where: str) -> RubricVersionView:
        if slug not in self._by_slug:
            rubric = setup_read.get_rubric(self.project.pk, slug)
            if rubric is None or not rubric.versions:
                raise RefusedReview(where, "is not there", "the name of a rubric in addresses", slug[:60])
            self._by_slug[slug] = rubric.newest
        return self._by_slug[slug]

    def _judges_own(self) -> RubricVersionView | None:
        for slug, number in sorted({(row.judge, row.judge_version) for row in self.rows if row.judge}):
            judge = setup_read.get_judge(self.project.pk, slug)
            version = judge.version(number) if judge is not None else None
            if version is not None:
                return version.rubric_version
        return None

    def _inferred(self) -> RubricVersionView:
        """The rubric "imported" with a criterion for each name that came; those it has stay as they are."""
        held = setup_read.get_rubric(self.project.pk, IMPORTED)
        spec: dict[str, Any] = to_json(held.newest.rubric) if held is not None and held.versions else {"criteria": []}
        names = {each["key"] for each in spec["criteria"]}
        values: dict[str, list[object]] = {}
        for row in self.rows:
            if not row.rubric:
                for name, given in row.scores.items():
                    if name not in names and given.value not in (None, ""):
                        values.setdefault(name, []).append(given.value)
        if held is not None and held.versions and not values:
            return held.newest
        spec["criteria"] += [
            {"key": name, "definition": DEFINITION, "scale": scale_of(name, seen)} for name, seen in values.items()
        ]
        if not spec["criteria"]:
            raise RefusedReview("rubric", "is missing", "the name of a rubric: no score came that tells a scale")
        return self._made(spec, slug=IMPORTED)

    def _made(self, spec: dict[str, Any], slug: str = "") -> RubricVersionView:
        name = str(spec.pop("name", "") or "Imported")[:100]
        slug = slug or str(spec.pop("slug", "") or "")[:60]
        before = setup_read.get_rubric(self.project.pk, slug) if slug else None
        try:
            made = save_rubric(
                self.project, spec, slug=slug, name=name if before is None else "", by_id=self.by.user_id,
                request=self.by.request,
            )  # fmt: skip
        except SetupRefused as refused:
            raise RefusedReview(f"rubric.{refused.field}", refused.message, refused.limit, refused.value) from None
        is_new = before is None or before.newest.id != made.id
        self.found.rubrics[made.slug] = (made.number, is_new)
        return made


def scale_of(name: str, seen: Sequence[object]) -> dict[str, Any]:
    """The scale that values lie on, as a rubric has it: yes or no, points, else labels without an order."""
    words = {str(value).strip().casefold() for value in seen}
    if words <= {"true", "false", "yes", "no"}:
        return {"kind": "boolean"}
    numbers = [number for value in seen if (number := _whole(value)) is not None]
    if len(numbers) == len(seen):
        low, high = min(numbers), max(numbers)
        if low >= 1 and high <= 5:
            return {"kind": "points", "low": 1, "high": 5}
        for top in (1, 5, 10, 100):
            if low >= 0 and high <= top:
                is_from_one = low >= 1 and top == 10
                return {"kind": "points", "low": 1 if is_from_one else 0, "high": top}
        raise RefusedReview(f"scores.{name}", "lies on no scale that can be told", "name a rubric", f"{low} to {high}")
    labels = sorted({str(value).strip() for value in seen}, key=str.casefold)
    unique = {label.casefold(): label for label in labels}
    if not 2 <= len(unique) <= LABELS_MAX or any(len(label) > 60 or not label for label in unique.values()):
        raise RefusedReview(
            f"scores.{name}",
            "lies on no scale that can be told",
            "name a rubric; whole numbers, yes or no, or 2 to 20 labels",
        )
    return {"kind": "labels", "labels": list(unique.values()), "ordered": False}


def _whole(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    try:
        number = float(value) if isinstance(value, int | float | str) else None
    except (ValueError, OverflowError):
        return None
    return int(number) if number is not None and abs(number) < 1e6 and number == int(number) else None


class _Judges:
    """The version of the judge that each row is of; one that is not there is made."""

    def __init__(self, project: Project, by: By, rubrics: _Rubrics, found: Imported) -> None:
        self.project, self.by, self.rubrics, self.found = project, by, rubrics, found
        self._held: dict[tuple[str, int], JudgeVersionView | RefusedReview] = {}

    def of(self, row: Row) -> JudgeVersionView:
        """The judge's version; RefusedReview where its scores cannot come from elsewhere."""
        key = (row.judge, row.judge_version)
        if key not in self._held:
            try:
                self._held[key] = self._find(row)
            except RefusedReview as refused:
                self._held[key] = refused
        held = self._held[key]
        if isinstance(held, RefusedReview):
            raise held
        return held

    def _find(self, row: Row) -> JudgeVersionView:
        judge = setup_read.get_judge(self.project.pk, row.judge)
        if judge is not None and judge.kind != EXTERNAL:
            raise RefusedReview("judge", "judges here itself: its scores do not come from elsewhere", value=row.judge)
        version = judge.version(row.judge_version) if judge is not None else None
        if version is not None:
            if row.rubric and row.rubric != version.rubric_version.slug:
                raise RefusedReview(
                    "rubric", "is another than the judge's version has; send another judge_version",
                    version.rubric_version.slug, row.rubric,
                )  # fmt: skip
            self.found.judges.setdefault((row.judge, row.judge_version), False)
            return version
        return self._make(row, None if judge is None else judge.id)

    def _make(self, row: Row, judge_id: int | None) -> JudgeVersionView:
        rubric_version_id = self.rubrics.of(row).id
        if judge_id is None:
            if Judge.objects.filter(project=self.project, archived_at=None).count() >= JUDGES_MAX:
                raise RefusedReview("judge", "is one too many", f"{JUDGES_MAX} judges in a project", row.judge)
            judge_id = setup_write.add_judge(
                self.project.pk,
                {"slug": row.judge, "name": row.judge, "kind": EXTERNAL, "created_by_id": self.by.user_id},
            )
        said = {"kind": EXTERNAL, "rubric": rubric_version_id, "model": row.model, "number": row.judge_version}
        version_id = write.add_version(
            judge_id, row.judge_version, rubric_version_id, row.model, hash_of(said), self.by.user_id
        )
        # Scores are made with it from now on.
        setup_write.freeze(version_id)
        record_in(
            self.project, "judge.save", f"{row.judge} v{row.judge_version}", request=self.by.request,
            actor=self.by.words, after={"kind": EXTERNAL, "model": row.model, "rubric_version": rubric_version_id},
        )  # fmt: skip
        self.found.judges[row.judge, row.judge_version] = True
        made = setup_read.get_judge_version(self.project.pk, version_id)
        if made is None:
            raise RefusedReview("judge", "is not there (any more)", value=row.judge)
        return made
