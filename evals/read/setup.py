"""What people set up, as frozen values: connections, rubrics, judges, sampling plans, settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Prefetch, Q, QuerySet

from evals.calling.kinds import Endpoint
from evals.models import Connection, Judge, JudgeVersion, Rubric, RubricVersion, SamplingPlan, Settings
from evals.rubrics import Rubric as RubricSpec
from evals.rubrics import parse_rubric
from telltale.lib import vault

# Keys of connections are sealed for this purpose.
KEY_PURPOSE = "evals.connection"


@dataclass(frozen=True, slots=True)
class ConnectionView:
    """A connection; its key is never among it, `key_hint` is the end of it or empty where there is none."""

    id: int
    name: str
    kind: str
    base_url: str
    key_hint: str
    timeout_seconds: float
    calls_a_minute: int | None
    at_a_time: int
    input_pico: int | None
    output_pico: int | None
    is_stand_in: bool
    paused_until: datetime | None
    paused_reason: str
    failures: int
    created_at: datetime
    archived_at: datetime | None

    @property
    def has_price(self) -> bool:
        """Whether the connection itself says what a token costs."""
        return self.input_pico is not None and self.output_pico is not None


@dataclass(frozen=True, slots=True)
class RubricVersionView:
    """One version of a rubric; `rubric` is its spec read."""

    id: int
    rubric_id: int
    slug: str
    name: str
    number: int
    spec: Mapping[str, Any]
    spec_hash: str
    frozen_at: datetime | None
    created_by: str
    created_at: datetime

    @property
    def rubric(self) -> RubricSpec:
        """The criteria and instructions."""
        return parse_rubric(dict(self.spec))

    @property
    def is_draft(self) -> bool:
        """Whether saving changes this version instead of making the next."""
        return self.frozen_at is None


@dataclass(frozen=True, slots=True)
class RubricView:
    """A rubric with its versions, newest first."""

    id: int
    slug: str
    name: str
    created_at: datetime
    archived_at: datetime | None
    versions: tuple[RubricVersionView, ...]

    @property
    def newest(self) -> RubricVersionView:
        """The version that saving changes or follows."""
        return self.versions[0]

    def version(self, number: int) -> RubricVersionView | None:
        """The version of this number."""
        return next((each for each in self.versions if each.number == number), None)


@dataclass(frozen=True, slots=True)
class JudgeVersionView:
    """One version of a judge, with the rubric version and the connection it names."""

    id: int
    judge_id: int
    number: int
    rubric_version: RubricVersionView
    connection_id: int | None
    connection_name: str
    is_stand_in: bool
    model: str
    config: Mapping[str, Any]
    config_hash: str
    frozen_at: datetime | None
    created_by: str
    created_at: datetime

    @property
    def is_draft(self) -> bool:
        """Whether saving changes this version instead of making the next."""
        return self.frozen_at is None


@dataclass(frozen=True, slots=True)
class JudgeView:
    """A judge with its versions, newest first."""

    id: int
    slug: str
    name: str
    kind: str
    live_version_id: int | None
    live_since: datetime | None
    paused_at: datetime | None
    budget_pico_day: int | None
    created_at: datetime
    archived_at: datetime | None
    versions: tuple[JudgeVersionView, ...] = field(repr=False)

    @property
    def newest(self) -> JudgeVersionView:
        """The version that saving changes or follows."""
        return self.versions[0]

    @property
    def live(self) -> JudgeVersionView | None:
        """The version in production."""
        return next((each for each in self.versions if each.id == self.live_version_id), None)

    def version(self, number: int) -> JudgeVersionView | None:
        """The version of this number."""
        return next((each for each in self.versions if each.number == number), None)


@dataclass(frozen=True, slots=True)
class PlanView:
    """One version of a sampling plan; `valid_to` None is the newest one's."""

    id: int
    judge_id: int
    number: int
    spec: Mapping[str, Any]
    valid_from: datetime
    valid_to: datetime | None
    created_by: str
    created_at: datetime

    def holds_at(self, at: datetime) -> bool:
        """Whether the plan is in force at `at`."""
        return self.valid_from <= at and (self.valid_to is None or at < self.valid_to)


@dataclass(frozen=True, slots=True)
class SettingsView:
    """What holds for all judging of a project. None is no limit."""

    budget_pico_day: int | None
    budget_calls_day: int | None
    settle_seconds: int
    gate: Mapping[str, Any]


def settings_for(project_id: int) -> SettingsView:
    """The settings of judging of a project; the defaults where nobody changed any."""
    row = Settings.objects.filter(project_id=project_id).first() or Settings(project_id=project_id)
    return SettingsView(row.budget_pico_day, row.budget_calls_day, row.settle_seconds, row.gate)


def list_connections(project_id: int, *, with_archived: bool = False) -> list[ConnectionView]:
    """The connections of a project by name."""
    rows = Connection.objects.filter(project_id=project_id).order_by("name")
    return [_connection(row) for row in (rows if with_archived else rows.filter(archived_at=None))]


def get_connection(project_id: int, connection_id: int) -> ConnectionView | None:
    """One connection of the project, archived or not; None where it has none of this id."""
    row = Connection.objects.filter(project_id=project_id, pk=connection_id).first()
    return None if row is None else _connection(row)


def endpoint_of(connection_id: int, model: str) -> Endpoint | None:
    """Where and how calls of `model` go, with the opened key; None where there is no such connection.

    vault.Sealed where the key was sealed under another secret key of the installation.
    """
    row = Connection.objects.filter(pk=connection_id).first()
    if row is None:
        return None
    key = vault.unseal(KEY_PURPOSE, row.sealed_key) if row.sealed_key else ""
    return Endpoint(
        kind=row.kind,
        base_url=row.base_url,
        key=key,
        model=model,
        timeout_seconds=row.timeout_seconds,
        input_pico=row.input_pico,
        output_pico=row.output_pico,
    )


def list_rubrics(project_id: int, *, with_archived: bool = False) -> list[RubricView]:
    """The rubrics of a project by name, with their versions."""
    rows = _rubrics(project_id).order_by("name")
    return [_rubric(row) for row in (rows if with_archived else rows.filter(archived_at=None))]


def get_rubric(project_id: int, slug: str) -> RubricView | None:
    """One rubric of the project; None where it has none of this name."""
    row = None if "\x00" in slug else _rubrics(project_id).filter(slug=slug).first()
    return None if row is None else _rubric(row)


def get_rubric_version(project_id: int, version_id: int) -> RubricVersionView | None:
    """One version of a rubric of the project."""
    rows = RubricVersion.objects.select_related("rubric", "created_by")
    row = rows.filter(rubric__project_id=project_id, pk=version_id).first()
    return None if row is None else _rubric_version(row)


def list_judges(project_id: int, *, with_archived: bool = False) -> list[JudgeView]:
    """The judges of a project by name, with their versions."""
    rows = _judges(project_id).order_by("name")
    return [_judge(row) for row in (rows if with_archived else rows.filter(archived_at=None))]


def get_judge(project_id: int, slug: str) -> JudgeView | None:
    """One judge of the project; None where it has none of this name."""
    row = None if "\x00" in slug else _judges(project_id).filter(slug=slug).first()
    return None if row is None else _judge(row)


def get_judge_by_id(project_id: int, judge_id: int) -> JudgeView | None:
    """One judge of the project by its id."""
    row = _judges(project_id).filter(pk=judge_id).first()
    return None if row is None else _judge(row)


def get_judge_version(project_id: int, version_id: int) -> JudgeVersionView | None:
    """One version of a judge of the project."""
    row = _versions().filter(judge__project_id=project_id, pk=version_id).first()
    return None if row is None else _judge_version(row)


def list_plans(project_id: int, judge_id: int) -> list[PlanView]:
    """The plans of a judge, newest first."""
    rows = SamplingPlan.objects.filter(project_id=project_id, judge_id=judge_id).select_related("created_by")
    return [_plan(row) for row in rows.order_by("-number")]


def plans_in_force(project_id: int, at: datetime) -> dict[int, PlanView]:
    """The plan in force of each judge of the project that has one, by the judge's id."""
    rows = SamplingPlan.objects.filter(project_id=project_id, valid_from__lte=at).select_related("created_by")
    return {row.judge_id: _plan(row) for row in rows.filter(Q(valid_to=None) | Q(valid_to__gt=at))}


def _rubrics(project_id: int) -> QuerySet[Rubric]:
    versions = RubricVersion.objects.select_related("rubric", "created_by").order_by("-number")
    return Rubric.objects.filter(project_id=project_id).prefetch_related(Prefetch("versions", versions))


def _versions() -> QuerySet[JudgeVersion]:
    related = ("rubric_version__rubric", "rubric_version__created_by", "connection", "created_by")
    return JudgeVersion.objects.select_related(*related).order_by("-number")


def _judges(project_id: int) -> QuerySet[Judge]:
    return Judge.objects.filter(project_id=project_id).prefetch_related(Prefetch("versions", _versions()))


def person_words(user: Any) -> str:
    return "" if user is None else str(user.name or user.email)


def _connection(row: Connection) -> ConnectionView:
    return ConnectionView(
        id=row.pk,
        name=row.name,
        kind=row.kind,
        base_url=row.base_url,
        key_hint=row.key_hint,
        timeout_seconds=row.timeout_seconds,
        calls_a_minute=row.calls_a_minute,
        at_a_time=row.at_a_time,
        input_pico=row.input_pico,
        output_pico=row.output_pico,
        is_stand_in=row.is_stand_in,
        paused_until=row.paused_until,
        paused_reason=row.paused_reason,
        failures=row.failures,
        created_at=row.created_at,
        archived_at=row.archived_at,
    )


def _rubric(row: Rubric) -> RubricView:
    versions: Iterable[RubricVersion] = row.versions.all()
    shown = tuple(_rubric_version(each) for each in versions)
    return RubricView(row.pk, row.slug, row.name, row.created_at, row.archived_at, shown)


def _rubric_version(row: RubricVersion) -> RubricVersionView:
    return RubricVersionView(
        id=row.pk,
        rubric_id=row.rubric_id,
        slug=row.rubric.slug,
        name=row.rubric.name,
        number=row.number,
        spec=row.spec,
        spec_hash=row.spec_hash,
        frozen_at=row.frozen_at,
        created_by=person_words(row.created_by),
        created_at=row.created_at,
    )


def _judge(row: Judge) -> JudgeView:
    versions: Iterable[JudgeVersion] = row.versions.all()
    return JudgeView(
        id=row.pk,
        slug=row.slug,
        name=row.name,
        kind=row.kind,
        live_version_id=row.live_version_id,
        live_since=row.live_since,
        paused_at=row.paused_at,
        budget_pico_day=row.budget_pico_day,
        created_at=row.created_at,
        archived_at=row.archived_at,
        versions=tuple(_judge_version(each) for each in versions),
    )


def _judge_version(row: JudgeVersion) -> JudgeVersionView:
    return JudgeVersionView(
        id=row.pk,
        judge_id=row.judge_id,
        number=row.number,
        rubric_version=_rubric_version(row.rubric_version),
        connection_id=row.connection_id,
        connection_name=row.connection.name if row.connection else "",
        is_stand_in=bool(row.connection and row.connection.is_stand_in),
        model=row.model,
        config=row.config,
        config_hash=row.config_hash,
        frozen_at=row.frozen_at,
        created_by=person_words(row.created_by),
        created_at=row.created_at,
    )


def _plan(row: SamplingPlan) -> PlanView:
    return PlanView(
        id=row.pk,
        judge_id=row.judge_id,
        number=row.number,
        spec=row.spec,
        valid_from=row.valid_from,
        valid_to=row.valid_to,
        created_by=person_words(row.created_by),
        created_at=row.created_at,
    )
