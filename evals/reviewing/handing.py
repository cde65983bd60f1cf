"""Handing items out: one tab holds one item, and one item is on one screen.

A hold lasts `HOLD_SECONDS` and is renewed while its page is open. It is a column of the item's row, taken by UPDATE
over rows that nobody else is taking at that moment, so two people, browsers or threads never get the same item.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from django.db import transaction

from evals.models import ReviewItem
from evals.read import review as read
from evals.read.review import ItemView, QueueView
from evals.reviewing.agreeing import DISPUTED, DROPPED, OPEN
from evals.reviewing.assigning import able_reviewers
from evals.reviewing.config import Enough, Held
from evals.reviewing.people import Reviewer
from evals.write import review as write
from telltale.lib import clock

# Long enough to read an answer and its documents without the page's script; with it the hold is renewed.
HOLD_SECONDS = 600
# Traces that are gone are dropped while looking for the next item; so many at once.
GONE_MAX = 50
# How a tab looks at its item: the judge's scores hidden or shown. A hold that showed them never becomes a blind one.
BLIND, SHOWN = "b", "s"


def new_tab() -> str:
    """A name for a browser tab."""
    return secrets.token_hex(8)


def lease_key(tab: str, browser: str, *, is_blind: bool) -> str:
    """The key of what a tab of a browser holds: another browser with the same address holds something else."""
    digest = hashlib.sha256(f"{browser}\0{tab}".encode()).hexdigest()[:32]
    return (BLIND if is_blind else SHOWN) + digest


def keys_of(tab: str, browser: str) -> tuple[str, str]:
    """Both keys that a tab may hold something by: blind, and with the judge's scores shown."""
    return lease_key(tab, browser, is_blind=True), lease_key(tab, browser, is_blind=False)


def both_keys(key: str) -> tuple[str, str]:
    """A tab's key with the other of its two."""
    return BLIND + key[1:], SHOWN + key[1:]


def held_by_tab(queue: QueueView, reviewer: Reviewer, keys: tuple[str, ...]) -> ItemView | None:
    """What the tab holds in the queue."""
    if reviewer.user_id is None:
        return None
    return read.held_item(queue.project_id, queue.id, reviewer.user_id, keys)


def hold_next(queue: QueueView, reviewer: Reviewer, key: str) -> ItemView | None:
    """Hold the next item for a tab, which lets go of what it held; None where nothing is left for this person."""
    if not queue.is_open:
        return None
    able = able_reviewers(queue.project_id)
    for _ in range(GONE_MAX):
        with transaction.atomic():
            write.lock_tab(key)
            write.let_go(reviewer.user_id, both_keys(key))
            now = clock.now()
            states = (OPEN, DISPUTED) if reviewer.may_settle else (OPEN,)
            until = now + timedelta(seconds=HOLD_SECONDS)
            item_id = write.take_item(queue.id, states, reviewer.user_id, reviewer.name, key, able, now, until)
        if item_id is None:
            return None
        item = read.get_item(queue.project_id, item_id)
        if item is not None and read.previews(queue.project_id, [item.trace_id]):
            return item
        # Its trace is gone, by retention or erasure: nobody can review it.
        drop_item(item_id)
    return None


def hold_item(queue: QueueView, reviewer: Reviewer, key: str, item_id: int) -> ItemView:
    """Hold one item for a tab. Held where somebody else has it, Enough where it needs no review of this person."""
    with transaction.atomic():
        # Two requests of one tab would otherwise each wait for the item that the other lets go.
        write.lock_tab(key)
        write.let_go(reviewer.user_id, both_keys(key), but=item_id)
        row = write.lock_item(queue.project_id, item_id)
        if row is None or row.queue_id != queue.id:
            raise Enough
        check_free(queue, row, reviewer, (key,))
        now = clock.now()
        # A tab that has seen the judge's scores of this item has seen them.
        was_shown = row.leased_by_id == reviewer.user_id and row.lease_key == SHOWN + key[1:] and bool(row.lease_key)
        kept = SHOWN + key[1:] if was_shown else key
        values = {
            "leased_by_id": reviewer.user_id,
            "lease_key": kept,
            "leased_until": now + timedelta(seconds=HOLD_SECONDS),
        }
        write.change_item(item_id, values)
    found = read.get_item(queue.project_id, item_id)
    if found is None:
        raise Enough
    return found


def check_free(queue: QueueView, row: ReviewItem, reviewer: Reviewer, keys: tuple[str, ...]) -> None:
    """Held or Enough where this person cannot review the locked item now."""
    if not queue.is_open or row.state not in (OPEN, DISPUTED):
        raise Enough
    said = read.reviews_of(queue.project_id, [row.pk])
    if any(is_by(each, reviewer) and not each.is_skip for each in said):
        raise Enough
    is_anothers = row.assigned_to_id not in (None, reviewer.user_id)
    if is_anothers and row.assigned_to_id in able_reviewers(queue.project_id):
        raise Held(read.person_words(row.assigned_to))
    ours = row.leased_by_id == reviewer.user_id and row.lease_key[1:] in {key[1:] for key in keys}
    if row.leased_until is not None and row.leased_until > clock.now() and not ours:
        raise Held(read.person_words(row.leased_by) or "A script")


def is_by(said: read.ReviewView, reviewer: Reviewer) -> bool:
    """Whether a review is this person's."""
    if reviewer.user_id is not None and said.reviewer_id is not None:
        return said.reviewer_id == reviewer.user_id
    # A member keeps their name when they leave: whoever reviews by that name said theirs.
    return said.reviewer.casefold() == reviewer.name.casefold()


def renew(queue: QueueView, reviewer: Reviewer, keys: tuple[str, ...], item_id: int) -> bool:
    """Hold on to an item; False where the hold is lost."""
    now = clock.now()
    until = now + timedelta(seconds=HOLD_SECONDS)
    return any(write.hold_longer(item_id, reviewer.user_id, key, now, until) for key in keys)


def let_go(reviewer: Reviewer, keys: tuple[str, ...]) -> int:
    """Have a tab hold nothing."""
    return write.let_go(reviewer.user_id, keys)


def drop_item(item_id: int) -> None:
    """Take an item out of the queue; reviews of it stay."""
    write.change_item(
        item_id,
        {"state": DROPPED, "done_at": clock.now(), "leased_by_id": None, "lease_key": "", "leased_until": None},
    )
