"""What imported labels are read by: rubrics named or made of the values, judges named or made. In one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest

from evals.judges.config import EXTERNAL
from evals.models import Judge
from evals.read import setup as setup_read
from evals.read.setup import JudgeVersionView, RubricVersionView, RubricView
from evals.reviewing.config import RefusedReview
from evals.reviewing.label_rows import Fault, Row
from evals.rubrics import Rubric, to_json
from evals.setup.judges import JUDGES_MAX
from evals.setup.refusals import SetupRefused
from evals.setup.rubrics import hash_of, save_rubric
from evals.write import labels as write
from evals.write import setup as setup_write
from telltale.audit.log import record_in
from telltale.projects.models import Project

IMPORTED = "imported"
DEFINITION = "Brought in with labels; nobody wrote down what it means."
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
    reviews_unchanged: int = 0  # they were given here
    judgements_new: int = 0
    judgements_replaced: int = 0
    judgements_unchanged: int = 0
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


class Rubrics:
    """The rubric that each row is read by: its own, the request's, the judge's, else one made of the values."""

    def __init__(
        self, project: Project, by: By, wanted: str | Mapping[str, Any], rows: Sequence[Row], found: Imported
    ) -> None:
        self.project, self.by, self.rows, self.found = project, by, rows, found
        self._by_slug: dict[str, RubricView] = {}
        self._read: dict[int, Rubric] = {}
        self._default: RubricVersionView | None = None
        if isinstance(wanted, Mapping):
            self._default = self._made(dict(wanted))
        elif wanted:
            self._default = self._named(wanted, "rubric")

    def of(self, row: Row) -> RubricVersionView:
        """The rubric version of a row."""
        return self._named(row.rubric, "rubric", row.rubric_version) if row.rubric else self.default()

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

    def _named(self, slug: str, where: str, number: int | None = None) -> RubricVersionView:
        if slug not in self._by_slug:
            rubric = setup_read.get_rubric(self.project.pk, slug)
            if rubric is None or not rubric.versions:
                raise RefusedReview(where, "is not there", "the name of a rubric in addresses", slug[:60])
            self._by_slug[slug] = rubric
        rubric = self._by_slug[slug]
        version = rubric.newest if number is None else rubric.version(number)
        if version is None:
            known = ", ".join(str(each.number) for each in rubric.versions[:20])
            raise RefusedReview("rubric_version", "is none of it; left out, it is the newest", known, str(number))
        return version

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
    """The scale that values lie on, as a rubric has it: yes or no, points, else labels without an order.

    One value in a hundred may lie off it: a slip of somebody's makes no scale, its row is refused.
    """
    slips = len(seen) // 100
    words = [str(value).strip().casefold() for value in seen]
    if sum(word not in ("true", "false", "yes", "no") for word in words) <= slips:
        return {"kind": "boolean"}
    numbers = [number for value in seen if (number := _whole(value)) is not None]
    if len(seen) - len(numbers) <= slips:
        for low, high in ((1, 5), (0, 1), (0, 5), (1, 10), (0, 10), (0, 100)):
            if len(seen) - sum(low <= number <= high for number in numbers) <= slips:
                return {"kind": "points", "low": low, "high": high}
        told = f"{min(numbers)} to {max(numbers)}"
        raise RefusedReview(f"scores.{name}", "lies on no scale that can be told", "name a rubric", told)
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


class Judges:
    """The version of the judge that each row is of; one that is not there is made."""

    def __init__(self, project: Project, by: By, rubrics: Rubrics, found: Imported) -> None:
        self.project, self.by, self.rubrics, self.found = project, by, rubrics, found
        self._held: dict[tuple[object, ...], JudgeVersionView | RefusedReview] = {}

    def of(self, row: Row) -> JudgeVersionView:
        """The judge's version; RefusedReview where its scores cannot come from elsewhere."""
        key = (row.judge, row.judge_version, row.rubric, row.rubric_version)
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
            is_other = bool(row.rubric) and row.rubric != version.rubric_version.slug
            if is_other or row.rubric_version not in (None, version.rubric_version.number):
                raise RefusedReview(
                    "rubric", "is another than the judge's version has; send another judge_version",
                    f"{version.rubric_version.slug} v{version.rubric_version.number}",
                    f"{row.rubric} v{row.rubric_version or 'newest'}",
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
