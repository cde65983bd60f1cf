"""The overview put together for its page and for REST."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from evals.read.estimates import Estimates
from telltale.accounts.models import User
from telltale.lib import format as fmt
from telltale.projects.access import may
from telltale.projects.models import Project
from telltale.web.front import words
from telltale.web.front.answers import Sight, suspect
from telltale.web.front.budgets import Budgets, read_budgets
from telltale.web.front.cards import Card, cards, headline
from telltale.web.front.engine import Engine, read_engine
from telltale.web.front.features import Table, table
from telltale.web.front.reading import read_front
from telltale.web.front.strip import Health, strip
from telltale.web.front.values import Front
from telltale.web.inbox.gather import gather
from telltale.web.inbox.items import Item, Kind, ordered
from traces.behaviour.rates import Rates, rates_of
from traces.read.behaviour import cells, definition_of
from traces.read.changelog import Change

PEOPLE_MOST, CHANGES_SHOWN, FLAGGED_SHOWN = 5, 6, 50


@dataclass(frozen=True, slots=True)
class Marked:
    """A change of the log; `is_hot`: it came shortly before an alarm that is open."""

    change: Change
    is_hot: bool


@dataclass(frozen=True, slots=True)
class Overview:
    """All that the page shows and REST answers."""

    front: Front
    headline: str
    as_of: str
    cards: tuple[Card, ...]
    people: tuple[Item, ...]
    waiting: int
    is_more: bool
    changes: tuple[Marked, ...] | None
    table: Table | None
    budgets: Budgets | None
    strip: tuple[Health, ...]
    engine: Engine
    first: Item | None
    lacking: tuple[str, ...]


def overview(project: Project, person: User | None, start: datetime, end: datetime, now: datetime) -> Overview:
    """The overview of a project for a person: charts over [start, end), all else as of now."""
    base = f"/p/{project.slug}/"
    front = read_front(project, start, end, now)
    engine = read_engine(now)
    sight = Sight(front.zone, now, front.changes or (), engine.stands_since if _is_watched(front) else None)
    made = tuple(cards(front, sight, base, may_measure=may(project, "measure")))
    watching = front.watching
    found = gather(
        project,
        now,
        monitors=watching.live if watching else (),
        incidents=front.incidents,
        alarms=(watching.opened, watching.incident_of) if watching else None,
        flagged_most=FLAGGED_SHOWN,
    )
    items = ordered([item for item in found.items if not item.is_dismissed], person.pk if person else None)
    people, first = (
        _people(items, is_capped=found.is_capped),
        next((item for item in items if item.kind is Kind.INCIDENT), None),
    )
    budgets = read_budgets(project, now)
    lacking = [
        name
        for name, part in (
            ("the monitors", front.watching), ("the traffic", front.traffic), ("the scores", front.judged),
            ("the account of ingest", front.account), ("the change log", front.changes),
            ("the cost budgets", budgets),
        )
        if part is None
    ]  # fmt: skip
    return Overview(
        front=front,
        headline=headline(made, front.incidents, front, sight),
        as_of=_as_of(front),
        cards=made,
        people=tuple(people),
        waiting=len(items),
        is_more=found.is_capped,
        changes=_changes(front, made),
        table=table(front, _behaviour(project, front), base),
        budgets=budgets,
        strip=tuple(strip(front, engine.words if sight.stands_since else "", base)),
        engine=engine,
        first=first,
        lacking=(*lacking, *found.lacking),
    )


def _is_watched(front: Front) -> bool:
    return front.watching is not None and bool(front.watching.live)


def _people(items: Sequence[Item], *, is_capped: bool) -> list[Item]:
    """What waits, in few lines: flagged answers are one of them."""
    flagged = [item for item in items if item.kind is Kind.FLAGGED]
    lines = [item for item in items if item.kind is not Kind.FLAGGED]
    if flagged:
        n = len(flagged)
        lines.append(
            Item(
                kind=Kind.FLAGGED,
                ref="",
                title=f"{'More than ' if is_capped else ''}{words.plural(n, 'flagged answer')} nobody has judged",
                detail="Of the last 7 days, newest first.",
                path="inbox/?kind=flagged",
                action="Go through",
                at=flagged[0].at,
            )
        )
    return lines[:PEOPLE_MOST]


def _changes(front: Front, made: Sequence[Card]) -> tuple[Marked, ...] | None:
    """The newest changes up to now, those that came shortly before an open alarm among them."""
    if front.changes is None:
        return None
    hot = {
        change.id
        for card in made
        if card.is_bad and card.asked is not None and card.asked.lead is not None
        for change in [suspect(card.asked.lead, front.changes)]
        if change is not None
    }
    shown = [each for each in front.changes if each.at >= front.start or each.id in hot]
    newest = sorted(shown, key=lambda each: (each.at, each.id), reverse=True)
    kept = newest[:CHANGES_SHOWN]
    kept += [each for each in newest[CHANGES_SHOWN:] if each.id in hot][:2]
    return tuple(Marked(each, each.id in hot) for each in kept)


def _behaviour(project: Project, front: Front) -> dict[str, Rates]:
    """What users did in the last 24 hours, by feature ("" where none was told). Two queries."""
    if front.traffic is None:
        return {}
    found = cells(project.pk, front.now - timedelta(hours=24), front.now, by="feature")
    version, definition = definition_of(project.pk)
    features = dict.fromkeys(cell.feature for cell in found)
    return {name: rates_of([cell for cell in found if cell.feature == name], definition, version) for name in features}


def _as_of(front: Front) -> str:
    """ "101,300 requests in the last 24 h; 5,064 judged (5.0%). Bands are limits from each monitor's baseline."."""
    parts = []
    if front.traffic is not None:
        n = front.traffic.total.sums.n
        parts.append(f"{words.plural(n, 'request')} in the last 24 h" if n else "Nothing came in the last 24 h")
        if front.judged is not None and n:
            parts.append(_judged(front.judged))
    text = "; ".join(part for part in parts if part)
    return f"{text}. Bands are the limits of each monitor's baseline." if text else ""


def _judged(judged: Estimates) -> str:
    """ "645 drawn for “Answer quality” (12%)": of the live model judge that saw most, else of any."""
    live = [each for each in judged.judges if each.is_live and each.id in judged.coverage]
    chosen = [each for each in live if each.kind != "rule"] or live
    if not chosen:
        return "none judged"
    judge = max(chosen, key=lambda each: judged.coverage[each.id].covered)
    found = judged.coverage[judge.id]
    if found.share is None:
        return "none judged"
    return f"{fmt.count(found.taken)} drawn for “{fmt.visible(judge.name)}” ({fmt.share(found.share)})"
