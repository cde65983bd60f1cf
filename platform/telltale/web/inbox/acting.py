"""What people do with items of the inbox, many at once: each goes to the room it belongs to, and each is told of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.http import HttpRequest

from alerts import alarming, moving
from alerts.incidents.types import NotThere, Outdated, WrongState
from evals.keeping.changes import By
from evals.probing import alarms as probe_alarms
from evals.probing.starting import Conflict
from evals.read.review import QueueView, get_queue
from evals.reviewing.config import Enough, RefusedReview
from evals.reviewing.filling import add_by_hand
from evals.setup.refusals import NotThere as ProbeNotThere
from telltale.accounts.models import User
from telltale.lib.faults import Fault, ItemRefused
from telltale.projects.models import Project
from telltale.web.inbox import marks
from telltale.web.inbox.gather import gather
from telltale.web.inbox.items import ACKNOWLEDGE, ACTS, ASSIGN, DISMISS, KIND_WORDS, QUEUE, UNDO, Item, Kind

ACT_WORDS = {
    ASSIGN: "assigned to you", ACKNOWLEDGE: "acknowledged", QUEUE: "put into the queue", DISMISS: "put aside",
    UNDO: "taken back",
}  # fmt: skip
KEYS_MOST = 200


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: a person, or a key by its words."""

    user: User | None
    actor: str = ""
    request: HttpRequest | None = None

    @property
    def words(self) -> str:
        return self.actor or (self.user.name or self.user.email if self.user is not None else "")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the items: `done` changed, `same` were so before, `refused` with the reason of each."""

    act: str
    done: tuple[str, ...]
    same: tuple[str, ...]
    refused: tuple[tuple[str, str], ...] = field(default=())


def act(project: Project, act: str, keys: Sequence[str], *, queue: str = "", by: Actor, now: datetime) -> Outcome:
    """Do `act` with the items named by `keys`; what cannot be done with one of them is told and spoils no other.

    ItemRefused for an act that is none, no keys or too many of them, a queue that is not there or closed, and for what
    only a person can do.
    """
    wanted = list(dict.fromkeys(keys))
    chosen = _checked(project, act, wanted, queue, by)
    held = {item.key: item for item in gather(project, now).items}
    done: list[str] = []
    same: list[str] = []
    refused: list[tuple[str, str]] = []
    marking: list[Item] = []
    for key in wanted:
        item = held.get(key)
        if item is None:
            refused.append((key[:120], "is not in the inbox any more"))
        elif act == UNDO or act in ACTS[item.kind]:
            if act in {DISMISS, UNDO} or (act == ASSIGN and item.kind is not Kind.INCIDENT):
                marking.append(item)
                continue
            try:
                (done if _DO[act, item.kind](project, item, chosen, by) else same).append(key)
            except _Cannot as why:
                refused.append((key, str(why)))
        else:
            refused.append((key, _why_not(act, item.kind)))
    changed = _mark(project, act, marking, by, now)
    done += [item.key for item in changed]
    same += [item.key for item in marking if item not in changed]
    return Outcome(act, tuple(done), tuple(same), tuple(refused))


def _checked(project: Project, act: str, keys: Sequence[str], queue: str, by: Actor) -> QueueView | None:
    if act not in ACT_WORDS:
        raise ItemRefused(Fault("act", "is none", f"one of {', '.join(ACT_WORDS)}", act[:60]))
    if not keys:
        raise ItemRefused(Fault("keys", "names nothing", f"1 to {KEYS_MOST} items of the inbox"))
    if len(keys) > KEYS_MOST:
        raise ItemRefused(Fault("keys", "names too many", f"1 to {KEYS_MOST} items of the inbox", str(len(keys))))
    if act == ASSIGN and by.user is None:
        words = "gives items to the person who asks, and a key is none"
        raise ItemRefused(Fault("act", words, "one of acknowledge, queue, dismiss, undo", act))
    if act != QUEUE:
        return None
    found = get_queue(project.pk, queue) if queue and "\x00" not in queue else None
    if found is None or not found.is_open:
        raise ItemRefused(Fault("queue", "is no open review queue", "the slug of one", queue[:60]))
    return found


class _Cannot(Exception):
    """Why an act could not be done with one item."""


def _why_not(act: str, kind: Kind) -> str:
    if act == DISMISS:
        return f"{KIND_WORDS[kind].lower()}s end with a verdict on their own page"
    if act == ACKNOWLEDGE:
        return "there is nothing to acknowledge"
    return "it holds no answer to review" if act == QUEUE else "it is nobody's to take"


def _mark(project: Project, act: str, items: Sequence[Item], by: Actor, now: datetime) -> list[Item]:
    """What of `items` is changed by a mark, each told in the audit log."""
    if act == ASSIGN and by.user is not None:
        return marks.assign(project, items, by.user, now, by.request)
    if act == DISMISS:
        return marks.dismiss(project, items, by.user, now, by.request, by.actor)
    return marks.undo(project, items, by.request, by.actor) if act == UNDO else []


def _incident(project: Project, item: Item, by: Actor, what: str) -> bool:
    number = item.number or 0
    try:
        if what == ASSIGN and by.user is not None:
            return moving.assign(project, number, by.user.pk, user=by.user, request=by.request, actor=by.actor)
        return moving.acknowledge(project, number, user=by.user, request=by.request, actor=by.actor)
    except (NotThere, Outdated):
        raise _Cannot("somebody changed it meanwhile") from None
    except WrongState as wrong:
        raise _Cannot(wrong.words) from None
    except ItemRefused as refused:
        raise _Cannot("; ".join(fault.message for fault in refused.faults)) from None


def _alarm(project: Project, item: Item, by: Actor) -> bool:
    try:
        return alarming.acknowledge(project, item.number or 0, by.user, request=by.request, actor=by.actor)
    except alarming.NoAlarm:
        raise _Cannot("it is gone") from None


def _probe(project: Project, item: Item, by: Actor) -> bool:
    if item.is_seen:
        return False
    try:
        teller = By(by.user.pk if by.user else None, by.actor, by.request)
        probe_alarms.acknowledge(project, item.number or 0, by=teller)
    except (ProbeNotThere, Conflict):
        raise _Cannot("it is closed") from None
    return True


def _queue(project: Project, item: Item, queue: QueueView | None, by: Actor) -> bool:
    if queue is None or item.trace_id is None:
        raise _Cannot("no answer is in it")
    try:
        return add_by_hand(project, queue, item.trace_id, item.span_id, by.words)
    except Enough:
        raise _Cannot("the queue is closed") from None
    except RefusedReview as refused:
        raise _Cannot(refused.message) from None


_DO: dict[tuple[str, Kind], Callable[[Project, Item, QueueView | None, Actor], bool]] = {
    (ASSIGN, Kind.INCIDENT): lambda project, item, queue, by: _incident(project, item, by, ASSIGN),
    (ACKNOWLEDGE, Kind.INCIDENT): lambda project, item, queue, by: _incident(project, item, by, ACKNOWLEDGE),
    (ACKNOWLEDGE, Kind.ALARM): lambda project, item, queue, by: _alarm(project, item, by),
    (ACKNOWLEDGE, Kind.PROBE): lambda project, item, queue, by: _probe(project, item, by),
    (QUEUE, Kind.FLAGGED): _queue,
}
