"""The change log: what people, programs and traces say was changed in what a project runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import DateTimeField, Exists, F, OuterRef, Q, QuerySet
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast

from traces.changing.kinds import KIND_WORDS, Kind, Source
from traces.models import Change as Row
from traces.read.asking import asking
from traces.read.listing import EXPORT_TIMEOUT_MS

# Marks on one chart: beyond this many nobody tells one from another, and the page says how many there are.
MARKS_MAX = 200
LABEL_MAX = 28
# What traces show is not said again where somebody told it: a pipeline tells of a deploy before its first request, or
# at its end.
TOLD_BEFORE = timedelta(days=7)
TOLD_AFTER = timedelta(days=1)
PAGE_MAX = 500
COUNT_MAX = 10_000
CHUNK = 500


@dataclass(frozen=True, slots=True)
class Change:
    """One change. Empty `service`, `feature` and `environment`: it touches all of them. `ended_at`: a change that took
    time, such as a roll-out or an outage."""

    id: int
    kind: Kind
    at: datetime
    ended_at: datetime | None
    name: str
    version: str
    previous: str
    service: str
    feature: str
    environment: str
    author: str
    note: str
    url: str
    source: Source
    client_id: str
    created_at: datetime
    updated_at: datetime
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What changed, in a line: "Prompt support-answer: 13 → 14"."""
        what = " ".join(part for part in (KIND_WORDS[self.kind], self.name) if part)
        now = f"{self.previous} → {self.version}" if self.previous and self.version else self.version
        if not now:
            return what if self.name else f"{what}: {first_line(self.note)}" if self.note else what
        if self.is_derived and self.kind in (Kind.MODEL, Kind.PROVIDER) and not self.previous:
            now += " added"
        return f"{what}: {now}" if self.name else f"{what} {now}"

    @property
    def label(self) -> str:
        """The same for a mark on a chart: "support-answer 14"."""
        said = " ".join(part for part in (self.name, self.version) if part) or first_line(self.note)
        said = said or KIND_WORDS[self.kind]
        return said if len(said) <= LABEL_MAX else said[: LABEL_MAX - 1] + "…"

    @property
    def is_derived(self) -> bool:
        """Whether nobody told it: it was seen in traces."""
        return self.source == Source.DERIVED


@dataclass(frozen=True, slots=True)
class ChangeFilter:
    """What a list of changes is asked for. Of a dimension with values: changes of one of them, and of all of them."""

    start: datetime | None = None
    end: datetime | None = None
    kinds: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    text: str = ""


def changes_between(
    project_id: int,
    start: datetime,
    end: datetime,
    *,
    services: Sequence[str | None] = (),
    features: Sequence[str | None] = (),
    environments: Sequence[str | None] = (),
    kinds: Sequence[str] = (),
    limit: int = MARKS_MAX,
) -> list[Change]:
    """The changes that touch [start, end) and the scope, oldest first; the latest `limit` of them. One query.

    A change that names no service, feature or environment touches every one; a dimension without values asks for all.
    One that took time touches the window where any part of it does. TooSlow where it takes longer than a page may.
    """
    wanted = ChangeFilter(
        start,
        end,
        kinds=tuple(kinds),
        services=_known(services),
        features=_known(features),
        environments=_known(environments),
    )
    with asking():
        return [_of(row) for row in _rows(project_id, wanted).order_by("-at", "-id")[:limit]][::-1]


def get_change(project_id: int, change_id: int) -> Change | None:
    """One change; None where there is none, or somebody removed it."""
    row = Row.objects.filter(project_id=project_id, pk=change_id, hidden_at=None).first()
    return None if row is None else _of(row)


def _known(values: Sequence[str | None]) -> tuple[str, ...]:
    return tuple(value for value in values if value)


@dataclass(frozen=True, slots=True)
class ChangePage:
    """One page of the list, newest first. `has_newer` and `has_older`: whether the list goes on at either end."""

    rows: tuple[Change, ...]
    has_newer: bool
    has_older: bool


# Where a page begins: the time and the id of the row beside it.
Spot = tuple[datetime, int]


def list_changes(
    project_id: int, wanted: ChangeFilter, limit: int = 50, *, before: Spot | None = None, after: Spot | None = None
) -> ChangePage:
    """One page of the changes that match, older than `before`, or newer than `after`. TooSlow."""
    limit = min(max(limit, 1), PAGE_MAX)
    with asking():
        rows = _page(project_id, wanted, limit + 1, before, after)
    has_more = len(rows) > limit
    rows = rows[:limit]
    if after is not None:
        return ChangePage(tuple(rows[::-1]), has_more, True)
    return ChangePage(tuple(rows), before is not None, has_more)


def count_changes(project_id: int, wanted: ChangeFilter) -> int:
    """How many match, counted up to `COUNT_MAX` + 1. TooSlow."""
    with asking():
        return _rows(project_id, wanted)[: COUNT_MAX + 1].count()


def each_change(project_id: int, wanted: ChangeFilter) -> Iterator[Change]:
    """All changes that match, newest first, read in pieces so that memory stays constant. TooSlow."""
    before: Spot | None = None
    while True:
        with asking(EXPORT_TIMEOUT_MS):
            rows = _page(project_id, wanted, CHUNK, before, None)
        yield from rows
        if len(rows) < CHUNK:
            return
        before = (rows[-1].at, rows[-1].id)


def scope_values(project_id: int) -> dict[str, list[str]]:
    """The services, features and environments that changes name, for pickers: at most 200 of each."""
    found = {}
    with asking():
        for name in ("service", "feature", "environment"):
            rows = Row.objects.filter(project_id=project_id, hidden_at=None).exclude(**{name: ""})
            found[name] = list(rows.order_by(name).values_list(name, flat=True).distinct()[:200])
    return found


def _page(
    project_id: int, wanted: ChangeFilter, limit: int, before: Spot | None, after: Spot | None
) -> list[Change]:  # fmt: skip
    rows = _rows(project_id, wanted)
    if after is not None:
        rows = rows.filter(Q(at__gt=after[0]) | Q(at=after[0], id__gt=after[1])).order_by("at", "id")
    else:
        if before is not None:
            rows = rows.filter(Q(at__lt=before[0]) | Q(at=before[0], id__lt=before[1]))
        rows = rows.order_by("-at", "-id")
    return [_of(row) for row in rows[:limit]]


def _rows(project_id: int, wanted: ChangeFilter) -> QuerySet[Row]:
    rows = Row.objects.filter(project_id=project_id, hidden_at=None)
    rows = rows.filter(Q(origin="") | ~Exists(_told_of(project_id)))
    if wanted.start is not None:
        rows = rows.filter(Q(at__gte=wanted.start) | Q(ended_at__gt=wanted.start))
    if wanted.end is not None:
        rows = rows.filter(at__lt=wanted.end)
    for name, values in (("kind", wanted.kinds), ("source", wanted.sources)):
        if values:
            rows = rows.filter(**{f"{name}__in": values})
    for name, values in (
        ("service", wanted.services), ("feature", wanted.features), ("environment", wanted.environments),
    ):  # fmt: skip
        if values:
            rows = rows.filter(**{f"{name}__in": [*values, ""]})
    if wanted.text:
        some = Q()
        for name in ("name", "version", "previous", "author", "note", "url", "client_id"):
            some |= Q(**{f"{name}__icontains": wanted.text})
        rows = rows.filter(some)
    return rows


def _told_of(project_id: int) -> QuerySet[Row]:
    """What somebody told of the same as a derived change: its kind and version, about its time, in its scope."""
    rows = Row.objects.filter(
        project_id=project_id,
        origin="",
        kind=OuterRef("kind"),
        version=OuterRef("version"),
        at__gte=OuterRef("at") - TOLD_BEFORE,
        at__lte=OuterRef("at") + TOLD_AFTER,
    )
    for name in ("service", "feature", "environment"):
        rows = rows.filter(Q(**{name: ""}) | Q(**{name: OuterRef(name)}))
    # Of a way back nobody told before what it leads back from had come.
    came = Cast(KeyTextTransform("back_since", OuterRef("details")), DateTimeField())
    rows = rows.annotate(came=came).filter(Q(came=None) | Q(at__gte=F("came")))
    # A prompt is known by its name too; a deploy or a model may be called anything.
    return rows.exclude(~Q(name=""), ~Q(name=OuterRef("name")), kind=Kind.PROMPT)


def first_line(text: str) -> str:
    """The first line of a text."""
    return text.strip().split("\n", 1)[0].strip()


def _of(row: Row) -> Change:
    return Change(
        id=row.pk,
        kind=Kind(row.kind),
        at=row.at,
        ended_at=row.ended_at,
        name=row.name,
        version=row.version,
        previous=row.previous,
        service=row.service,
        feature=row.feature,
        environment=row.environment,
        author=row.author,
        note=row.note,
        url=row.url,
        source=Source(row.source),
        client_id=row.client_id,
        created_at=row.created_at,
        updated_at=row.updated_at,
        details=row.details,
    )
