"""What the page of questions shows: each question with its answer now, what monitors earned, proposals. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alerts.pages import words
from alerts.read.questions import QuestionRow
from alerts.read.shown import Shown
from alerts.read.worth import ProposalRow, ReportRow
from telltale.lib import format as fmt
from telltale.lib.chart_shapes import Figure, Limit, Line, Mark, Row
from telltale.lib.charts import SHARE, line_picture

# The worst first: what a question is answered with.
_WORST = ("bad", "watch", "none", "ok")


@dataclass(frozen=True, slots=True)
class Answering:
    """One monitor beside its question."""

    id: int
    name: str
    ribbon: str
    word: str
    says: str


@dataclass(frozen=True, slots=True)
class Card:
    """One question with the monitors that answer it; `ribbon` and `word`: the worst of them."""

    row: QuestionRow
    pillar: str
    ribbon: str
    word: str
    monitors: tuple[Answering, ...]


@dataclass(frozen=True, slots=True)
class Earned:
    """One line of what monitors earned."""

    id: int
    name: str
    pillar: str
    pages: str
    real: str
    found: str
    lead: str
    looked: str
    cost: str
    value: str
    range: str
    ribbon: str
    word: str
    reason: str


def cards(questions: Sequence[QuestionRow], monitors: Mapping[int, Shown]) -> list[Card]:
    """The questions as the page shows them."""
    found = []
    for row in questions:
        answering = tuple(_answering(monitors[key]) for key in row.monitor_ids if key in monitors)
        worst = min(answering, key=lambda each: _WORST.index(each.ribbon), default=None)
        ribbon, word = ("none", "Nothing answers it") if worst is None else (worst.ribbon, worst.word)
        found.append(Card(row, row.pillar.value.capitalize(), ribbon, word, answering))
    return found


def _answering(monitor: Shown) -> Answering:
    ribbon, word = words.STANDINGS[monitor.standing] if monitor.is_on else ("none", "Off")
    return Answering(monitor.id, monitor.name, ribbon, word, monitor.standing_words)


def title(questions: Sequence[QuestionRow], report: ReportRow | None, unasked: int) -> str:
    """The heading: what the set is worth, as far as that is known."""
    written = [each for each in questions if each.id is not None]
    if not written:
        return "No question is written yet"
    many = f"{len(written)} question{'' if len(written) == 1 else 's'}"
    body = report.body if report else {}
    if body.get("incidents"):
        core, every = len(body["core"]), len(body["metrics"])
        return f"{many}; {core} of {every} monitors cover {fmt.share(_covered(body))} of what incidents were worth"
    if unasked:
        return f"{many}; {unasked} monitor{' answers' if unasked == 1 else 's answer'} none of them"
    return f"{many}, and every monitor answers one"


def _covered(body: Mapping[str, Any]) -> float:
    return float(body["cover"][len(body["core"]) - 1]["covered"]) if body["core"] else 0.0


def earned(report: ReportRow | None) -> list[Earned]:
    """The lines of the report, the most valuable first."""
    return [_earned(line) for line in (report.body.get("metrics", []) if report else [])]


_VERDICTS = {
    "keep": ("ok", "Keep"),
    "propose to retire": ("watch", "Proposed"),
    "no evidence": ("none", "No evidence"),
    "too young": ("none", "Too young"),
    "exempt": ("ok", "Safety, kept"),
}


def _earned(line: Mapping[str, Any]) -> Earned:
    real = "no page was judged"
    if line["real_share"] is not None:
        low, high = fmt.share(line["real_low"]), fmt.share(line["real_high"])
        real = f"{line['real']} of {line['real'] + line['false']} real ({low}–{high})"
    judging = "" if line["judging"] is None else f", judging {money(line['judging'])}"
    ribbon, word = _VERDICTS[line["verdict"]]
    return Earned(
        id=line["monitor"],
        name=line["name"],
        pillar=str(line["pillar"]).capitalize() or "Figures",
        pages=f"{line['pages']:,}",
        real=real,
        found=f"{line['found']:,}" + (f", {line['alone']:,} alone" if line["alone"] else ""),
        lead="none" if line["lead_min"] is None else f"{line['lead_min']:,.0f} min",
        looked=f"{line['views']:,}",
        cost=money(line["spent"]) + judging,
        value=money(line["value"]) if line["low"] is not None else "unknown",
        range="" if line["low"] is None else f"{money(line['low'])} to {money(line['high'])}",
        ribbon=ribbon,
        word=word,
        reason=line["reason"],
    )


def money(value: float) -> str:
    """US dollars to the dollar, cents below ten."""
    text = f"{abs(value):,.0f}" if abs(value) >= 10 or value == 0 else f"{abs(value):,.2f}"
    return f"{'−' if value < 0 and float(text.replace(',', '')) else ''}${text}"


def curve(report: ReportRow | None) -> Figure | None:
    """The cumulative value: what the first 1, 2, 3 ... monitors cover of what incidents were worth."""
    cover = report.body.get("cover", []) if report else []
    if not cover or report is None:
        return None
    core = len(report.body["core"])
    xs = list(range(len(cover) + 1))
    ys = [0.0, *(float(step["covered"]) for step in cover)]
    picture = line_picture(
        [Line(xs, ys, has_dot=False)],
        [(x, str(x)) for x in xs if x % max(1, len(xs) // 10) == 0],
        SHARE,
        x_range=(0, max(1, len(cover))),
        limits=[Limit(0.8, "80%")],
        marks=[Mark(x, y, "c-ptf" if x == core else "c-pt", 3.5) for x, y in zip(xs, ys, strict=True) if x],
    )
    rows = tuple(
        Row((f"{at}. {step['title']}", fmt.share(step["covered"]), money(step["adds"])))
        for at, step in enumerate(cover, 1)
    )
    sentence = f"The first {core} of {len(report.body['metrics'])} monitors cover {fmt.share(ys[core])}."
    return Figure(
        f"{core} monitor{'' if core == 1 else 's'} cover {fmt.share(ys[core])}",
        f"Share of what real incidents of {report.body['days']} days were worth to find, by the monitors in the order "
        "of what each adds beyond those before it.",
        sentence, picture, ("Monitor", "Covered so far", "It adds"), rows,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Proposed:
    """One proposal as the page shows it."""

    row: ProposalRow
    act: str
    gain: str
    facts: str


def proposed(rows: Sequence[ProposalRow]) -> list[Proposed]:
    """Proposals with what accepting each would give back."""
    found = []
    for row in rows:
        hours = row.evidence.get("hours_back")
        gain = "It takes no share of the alert budget: retiring it makes the others no quicker."
        if hours is not None:
            gain = f"Its share goes to the others: the one in the middle sees one sd {_hours(hours)} earlier."
        told = row.evidence
        facts = (
            f"{told['pages']} pages in {int(min(told['days'], 90))} days ({told['real']} real, {told['false']} false), "
            f"{told['found']} real incidents found, {told['alone']} alone; looked at {told['views']} times."
        )
        act = f"Merge into {row.into_name}" if row.kind == "merge" and row.into_id else "Retire it"
        found.append(Proposed(row, act, gain, facts))
    return found


def _hours(hours: float) -> str:
    return f"{hours * 60:,.0f} min" if hours < 1 else f"{hours:,.1f} h"
