"""The drift page's values as its template shows them: charts, groups with examples, fields, references. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from alerts.drift.fields import Side
from alerts.drift.grouping import Group, Pair
from alerts.drift.map import Plane
from alerts.drift.report import Report
from alerts.drift.shifts import PSI_LARGE, PSI_SMALL, FieldShift
from alerts.drift.wording import STATE_WORDS, began, describe, grown_groups, named
from alerts.drift.words import change_word, encoder_title
from alerts.read.drift import DayPoint
from alerts.read.drift_references import ReferenceView
from telltale.lib import charts
from telltale.lib import format as fmt
from telltale.lib.chart_shapes import Mark

# The bar is full at this PSI: marks at .10 and .25 stand at a quarter and at five eighths.
PSI_FULL = 0.40
EXAMPLES_SHOWN = 2
TEXT_CHARS = 120
_DIGITS = re.compile(r"\d+")
MAP_SIZE = (545, 300)
DISTANCE = charts.Unit(
    lambda v, step: f"{v:.{max(0, min(6, _digits(step)))}f}", lambda v: "too few" if v is None else f"{v:.4f}"
)


def _digits(step: float) -> int:
    return next((n for n in range(7) if abs(step * 10**n - round(step * 10**n)) < 1e-6), 6)


@dataclass(frozen=True, slots=True)
class Example:
    """One text with its trace; "" where the trace is gone."""

    trace: str
    text: str


@dataclass(frozen=True, slots=True)
class Means:
    """A mean then and now: "4.20 → 3.02", and of how many traces; unknown where none told it."""

    text: str
    of: str


@dataclass(frozen=True, slots=True)
class GroupRow:
    """One group of inputs or outputs."""

    key: str
    topic: int | None
    name: str
    word: str
    is_grown: bool
    reference: str
    current: str
    change: str
    interval: str
    passages: Means
    score: Means
    then: tuple[Example, ...]
    now: tuple[Example, ...]


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One field: what moved most, its PSI beside the test, and its state."""

    title: str
    note: str
    psi: str
    width: str
    by_chance: str
    p: str
    state: str
    word: str
    more: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ReferenceRow:
    """One frozen reference."""

    id: int
    side: str
    window: str
    n: str
    encoder: str
    by: str
    reason: str
    is_approved: bool
    is_in_force: bool
    topics: tuple[tuple[int, str], ...]


def series(
    side: Side,
    encoder: str,
    reference: ReferenceView,
    points: Sequence[DayPoint],
    zone: ZoneInfo,
    events: Sequence[tuple[datetime, str]],
    *,
    has_moved: bool = False,
) -> charts.Figure | None:
    """The distance of each day from the reference with the band of chance; None without a day to draw.

    `has_moved`: the window that the page tells of, all its days together, moved beyond chance.
    """
    if not any(point.mmd2 is not None for point in points):
        return None
    xs = [(point.start_at + (point.end_at - point.start_at) / 2).timestamp() for point in points]
    ys = [None if point.mmd2 is None else max(point.mmd2, 0.0) for point in points]
    limits = [point.chance_99 for point in points]
    start, end = points[0].start_at, points[-1].end_at
    noun = "inputs" if side == "input" else "outputs"
    beyond = [point for point in points if _is_beyond(point)]
    run = began([(point.mmd2, point.chance_99) for point in points])
    told = [point for point in points if point.mmd2 is not None]
    finding = _finding(noun, points, beyond, run, len(told), zone, has_moved=has_moved)
    last = told[-1]
    picture = charts.line_picture(
        [
            charts.Line(xs, limits, "c-limit", low=[None if v is None else 0.0 for v in limits], high=limits,
                        band_css="c-band", end="Chance, 99%"),
            charts.Line(xs, ys, "c-line ink", end=DISTANCE.text(last.mmd2), end_css="t-ink"),
        ],
        _ticks(start, end, zone),
        DISTANCE,
        x_range=(start.timestamp(), end.timestamp()),
        size=charts.HALF,
        right=92.0,
        events=[charts.Event(at.timestamp(), words) for at, words in events],
        marks=[
            Mark(x, y, "c-alert", 4.0)
            for x, y, point in zip(xs, ys, points, strict=True)
            if y is not None and _is_beyond(point)
        ],
    )  # fmt: skip
    word = change_word(encoder).capitalize()
    return charts.Figure(
        finding=finding,
        note=f" {word}: distance (MMD²) of each day’s sample from the reference. Grey: what chance alone gives.",
        sentence=f"{word} of {noun} by day: {len(beyond)} of {len(told)} days beyond what chance gives.",
        picture=picture,
        head=("Day", "Vectors", "MMD²", "Chance, 99%", "p"),
        rows=tuple(
            charts.Row(
                (
                    fmt.day(point.start_at, zone),
                    fmt.count(point.n),
                    DISTANCE.text(point.mmd2),
                    DISTANCE.text(point.chance_99),
                    p_words(point.p),
                )
            )
            for point in reversed(points)
        ),
        is_fit=True,
    )


def _is_beyond(point: DayPoint) -> bool:
    return point.mmd2 is not None and point.chance_99 is not None and point.mmd2 > point.chance_99


def _finding(
    noun: str, points: Sequence[DayPoint], beyond: Sequence[DayPoint], run: int, told: int, zone: ZoneInfo, *,
    has_moved: bool,
) -> str:  # fmt: skip
    if run >= 2:
        first = [point for point in points if point.mmd2 is not None][-run]
        return f"{noun.capitalize()}: beyond chance since {fmt.day(first.start_at, zone)}, {run} days in a row"
    if run == 1:
        return f"{noun.capitalize()}: the latest day lies beyond chance"
    if beyond:
        days = "day" if told == 1 else "days"
        if has_moved:
            return f"{noun.capitalize()}: {len(beyond)} of {told} {days} beyond chance; the latest day alone is not"
        return f"{noun.capitalize()}: as in the reference now; {len(beyond)} of {told} {days} beyond chance"
    if has_moved:
        return f"{noun.capitalize()}: no day alone lies beyond chance; its days together do"
    return f"{noun.capitalize()}: within what chance gives on all {told} days"


def _ticks(start: datetime, end: datetime, zone: ZoneInfo) -> list[tuple[float, str]]:
    days = max(1, round((end - start) / timedelta(days=1)))
    step = max(1, -(-days // 4))
    return [
        ((start + timedelta(days=at)).timestamp(), f"{(start + timedelta(days=at)).astimezone(zone):%-d %b}")
        for at in range(0, days, step)
    ]


def plane_figure(plane: Plane, report: Report, side: Side) -> charts.Figure:
    """The map of vectors: the reference, the window, and what lies outside of all groups."""
    width, height = MAP_SIZE

    def place(point: tuple[float, float]) -> tuple[float, float]:
        return round(10 + point[0] * (width - 20), 1), round(10 + (1 - point[1]) * (height - 20), 1)

    dots = [charts.Dot(*place(point), "fline", 2.2) for point in plane.reference]
    dots += [charts.Dot(*place(point), "f1", 2.2) for point in plane.current]
    dots += [charts.Dot(*place(point), "f2", 2.6) for point in plane.new]
    noun = "inputs" if side == "input" else "outputs"
    new = [group for group in grown_groups(report) if group.is_new]
    finding = (
        f"{len(new)} new group{'' if len(new) == 1 else 's'} among {noun}; the rest overlap"
        if new
        else f"No new group among {noun}"
    )
    sentence = (
        f"Map of {noun}: {len(plane.reference)} of the reference, {len(plane.current)} now, "
        f"{len(plane.new)} of these unlike any before."
    )
    return charts.Figure(
        finding=finding,
        note=f" Two directions of many: they hold {fmt.share(plane.shown)} of the spread. To look at, no evidence.",
        sentence=sentence,
        picture=charts.Picture(width, height, dots=tuple(dots)),
        head=(),
        rows=(),
        legend=(("line", "reference"), ("s1", "now"), ("s2", "now, outside of every group")),
        is_fit=True,
    )


def group_rows(report: Report, texts: Mapping[str, str]) -> list[GroupRow]:
    """The groups from the most grown to the most shrunk, those with nothing then and now left out."""
    grown = {each.key for each in grown_groups(report)}
    return [_group(each, texts, each.key in grown) for each in report.groups if each.n_reference or each.n_current]


def example_ids(report: Report | None) -> list[str]:
    """The traces whose texts the groups show."""
    if report is None:
        return []
    return [
        trace
        for group in report.groups
        for trace in (*group.reference_traces[:EXAMPLES_READ], *group.current_traces[:EXAMPLES_READ])
    ]


# Some are gone, some say the same.
EXAMPLES_READ = 5


def ids(traces: Sequence[str]) -> list[UUID]:
    """Ids of traces from their hex digits, each once."""
    return [UUID(hex=each) for each in dict.fromkeys(traces)]


def _group(group: Group, texts: Mapping[str, str], is_grown: bool) -> GroupRow:
    change = round(group.change * 100, 1)
    limits = (
        "" if group.low is None or group.high is None else f"{_points(group.low * 100)} to {_points(group.high * 100)}"
    )
    return GroupRow(
        key=group.key,
        topic=int(group.key.partition(":")[2]) if group.key.startswith("topic:") else None,
        name=group.name,
        # What lies outside of every topic is new only where it grew beyond chance, as the sentence above has it.
        word="" if group.key.startswith("topic:") else "new" if group.is_new and is_grown else "outside",
        is_grown=is_grown,
        reference=fmt.share(group.share_reference),
        current=fmt.share(group.share_current),
        change=f"{_points(change)} pts",
        interval=limits,
        passages=_means(group.passages, 1),
        score=_means(group.score, 2),
        then=_examples(group.reference_traces, texts),
        now=_examples(group.current_traces, texts),
    )  # fmt: skip


def _means(pair: Pair, places: int) -> Means:
    if not pair.n_reference and not pair.n_current:
        return Means(fmt.UNKNOWN, "")
    then, now = (fmt.UNKNOWN if v is None else f"{v:.{places}f}" for v in (pair.reference, pair.current))
    return Means(f"{then} → {now}", f"n = {fmt.count(pair.n_reference)}, {fmt.count(pair.n_current)}")


def _points(value: float) -> str:
    rounded = round(value, 1)
    return f"+{rounded:.1f}" if rounded > 0 else f"−{-rounded:.1f}" if rounded < 0 else "0.0"


def _examples(traces: Sequence[str], texts: Mapping[str, str]) -> tuple[Example, ...]:
    """Up to two texts, none twice, but for its numbers; of traces that are gone there is none."""
    found: dict[str, Example] = {}
    for trace in traces[:EXAMPLES_READ]:
        text = " ".join(texts.get(trace, "").split())
        plain = _DIGITS.sub("0", text.casefold())
        if text and plain not in found:
            short = text if len(text) <= TEXT_CHARS else text[: TEXT_CHARS - 1].rstrip() + "…"
            found[plain] = Example(trace, short)
    return tuple(found.values())[:EXAMPLES_SHOWN]


def field_rows(report: Report) -> list[FieldRow]:
    """The fields of a report, the most shifted first."""
    return [_field(each) for each in report.fields]


def _field(shift: FieldShift) -> FieldRow:
    state, word = STATE_WORDS[shift.state]
    note = shift.lacking or describe(shift).partition(": ")[2]
    if shift.new:
        note += f"; new: {', '.join(named(name) for name in shift.new)}"
    return FieldRow(
        title=shift.title,
        note=note,
        psi=_psi(shift.psi),
        width=f"{min(shift.psi or 0.0, PSI_FULL) / PSI_FULL * 100:.1f}",
        by_chance=_psi(shift.psi_by_chance),
        p=p_words(shift.p_adjusted),
        state=state,
        word=word,
        more=_more(shift),
    )


def _psi(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.2f}" if value >= 0.005 else "<0.01"


def p_words(p: float | None) -> str:
    """A p as pages show it."""
    if p is None:
        return "–"
    return "<0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def _more(shift: FieldShift) -> tuple[tuple[str, str], ...]:
    """Everything a field's comparison came to, for who wants it."""
    if shift.lacking:
        return ()
    found = [("n", f"{fmt.count(shift.n_current)} now, {fmt.count(shift.n_reference)} in the reference")]
    found.append((shift.test, f"p {p_words(shift.p)}, within its family {p_words(shift.p_adjusted)}"))
    if shift.kl is not None:
        found.append(("KL, reference to now", f"{shift.kl:.4f} nats"))
    if shift.js is not None:
        found.append(("Jensen–Shannon distance", f"{shift.js:.4f}"))
    if shift.tvd is not None:
        found.append(("Total variation", f"{shift.tvd:.4f}"))
    if shift.ks is not None:
        found.append(("Kolmogorov–Smirnov", f"{shift.ks:.4f}"))
    if shift.wasserstein is not None and shift.wasserstein_sds is not None:
        told = f"{shift.wasserstein:,.1f} {shift.unit}, {shift.wasserstein_sds:.3f} sd"
        found.append(("Wasserstein", told))
    is_number = shift.test == "Kolmogorov-Smirnov"
    for each in shift.moved:
        then, now = (
            (fmt.count(round(each.share_reference)), fmt.count(round(each.share_current)))
            if is_number
            else (fmt.share(each.share_reference), fmt.share(each.share_current))
        )
        found.append((named(each.name), f"{then} → {now}"))
    if shift.gone:
        found.append(("gone", ", ".join(named(name) for name in shift.gone)))
    return tuple(found)


def reference_row(view: ReferenceView, zone: ZoneInfo) -> ReferenceRow:
    """A reference as the page lists it."""
    last = view.end_at - timedelta(seconds=1)
    by = f"approved by {view.approved_by}" if view.approved_by else "approved" if view.approved_at else "not approved"
    return ReferenceRow(
        id=view.id,
        side="Inputs" if view.side == "input" else "Outputs",
        window=f"{fmt.day(view.start_at, zone)} to {fmt.day(last, zone)}",
        n=fmt.count(view.n),
        encoder=encoder_title(view.encoder),
        by=by,
        reason=view.reason,
        is_approved=view.approved_at is not None,
        is_in_force=view.is_in_force,
        topics=tuple(enumerate(view.names)),
    )


__all__ = [
    "PSI_LARGE", "PSI_SMALL", "Example", "FieldRow", "GroupRow", "ReferenceRow", "example_ids", "field_rows",
    "group_rows", "ids", "p_words", "plane_figure", "reference_row", "series",
]  # fmt: skip
