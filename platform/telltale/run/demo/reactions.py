"""What the shop's people do about the answers they got: few vote, and those who got what they came for far more often.

Of a hundred sessions about three have a vote, and nine of ten votes are up; those who leave after the first answer,
two of five, hardly ever vote. That is what the page about user signals has to find out.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

from telltale.run.demo.values import DemoSignal, DemoTrace

# How a visit ends -> (chance of a vote, chance that it is up).
VOTES = {
    "goal": (0.09, 0.985),
    "thanks": (0.065, 0.98),
    "carried on": (0.012, 0.92),
    "again": (0.008, 0.3),
    "person": (0.02, 0.1),
    "left": (0.002, 0.5),
}
OBJECTED = (0.02, 0.12)
# Of those who object, and of those who carry on.
OBJECTED_SHARE, CORRECTED_SHARE = 0.75, 0.06
TOGGLED_SHARE = 0.14
EARLY_SHARE = 0.1
ORPHAN_SHARE = 0.002
BUYING = frozenset({"product-search", "sizing-advice", "checkout-help"})
COMPLAINTS = {
    "en": ("The page says something else.", "not what I asked", "wrong"),
    "de": ("Auf der Seite steht etwas anderes.", "stimmt nicht"),
    "fr": ("Ce n’est pas ce que dit la page.",),
    "es": ("La página dice otra cosa.",),
    "zh": ("和网页上写的不一样。",),
    "ar": ("هذا غير ما هو مكتوب في الصفحة.",),
    "ja": ("サイトの説明と違います。",),
}


@dataclass(frozen=True, slots=True)
class Visit:
    """A visit that is over: its answers, how it ended, and which answer its user objected to, if any."""

    traces: list[DemoTrace]
    ending: str
    objected_to: DemoTrace | None
    language: str
    channel: str
    price: float


def react(visit: Visit, rng: Random) -> None:
    """Attach to the visit's traces what its user did about them."""
    last, first = visit.traces[-1], visit.traces[0]
    ended = datetime.fromtimestamp(last.ended_ns / 1e9, UTC)
    chance, up = OBJECTED if visit.objected_to is not None else VOTES[visit.ending]
    if rng.random() < chance:
        voted = visit.objected_to or last
        told = _vote(visit, voted, rng.random() < up, rng)
        # Signals and spans go their own ways: some are there before the answer they are about.
        (first if rng.random() < EARLY_SHARE else voted).signals += told
    wrong, share = (visit.objected_to, OBJECTED_SHARE) if visit.objected_to is not None else (first, CORRECTED_SHARE)
    if (visit.objected_to is not None or visit.ending == "carried on") and rng.random() < share:
        said = rng.choice(COMPLAINTS[visit.language])
        at = datetime.fromtimestamp(wrong.ended_ns / 1e9, UTC) + timedelta(seconds=rng.uniform(4, 9))
        wrong.signals.append(_about(wrong, "correction", said, at))
    if visit.ending == "goal":
        first.signals.append(_goal(visit, last, ended, rng))
        if rng.random() < 0.2:
            last.signals.append(_about(last, "copied", True, ended + timedelta(seconds=6)))
    elif visit.ending == "person" and rng.random() < 0.7:
        at = ended + timedelta(minutes=rng.uniform(1, 6))
        first.signals.append(DemoSignal("escalated", True, at, _id(last, "desk"), "session", from_shop=True))
        if rng.random() < 0.02:
            rating = DemoSignal("rating", rng.choice((1, 1, 2, 3)), at, _id(last, "rating"), "session")
            first.signals.append(rating)
    elif visit.ending == "thanks" and rng.random() < 0.02:
        at = ended + timedelta(seconds=rng.uniform(5, 30))
        first.signals.append(DemoSignal("rating", rng.choice((4, 5, 5)), at, _id(last, "rating"), "session"))
    if rng.random() < ORPHAN_SHARE:
        # Of an older app, whose traces never came.
        lost = hashlib.blake2b(last.trace_id, digest_size=16, person=b"lost").hexdigest()
        first.signals.append(DemoSignal("thumbs_up", True, ended, _id(last, "lost"), "trace", lost))


def _vote(visit: Visit, trace: DemoTrace, is_up: bool, rng: Random) -> list[DemoSignal]:
    """A vote as the shop's three front ends tell it; one in seven is changed at once, which stays one signal."""
    at = datetime.fromtimestamp(trace.ended_ns / 1e9, UTC) + timedelta(seconds=rng.uniform(4, 40))
    comment = rng.choice(COMPLAINTS[visit.language]) if not is_up and rng.random() < 0.5 else None
    is_toggled = rng.random() < TOGGLED_SHARE
    client_id = _id(trace, "thumb")
    values: tuple[bool | int, bool | int]
    request = _request_of(trace)
    if visit.channel == "app":
        names, values, about, target = ("thumb", "thumb"), (False, True), "session", ""
    elif visit.channel == "web" and request:
        names, values, about, target = ("user-feedback", "user-feedback"), (0, 1), "request", request
    else:
        names, values, about, target = ("thumbs_down", "thumbs_up"), (True, True), "trace", trace.trace_id.hex()
    told = []
    for choice, seconds in ((not is_up, 0), (is_up, 4)) if is_toggled else ((is_up, 0),):
        said = comment if choice == is_up else None
        moment = at + timedelta(seconds=seconds)
        told.append(DemoSignal(names[choice], values[choice], moment, client_id, about, target, said))
    return told


def _goal(visit: Visit, last: DemoTrace, ended: datetime, rng: Random) -> DemoSignal:
    """What the shop's own systems know: that it was bought, for how much, or that the matter is settled."""
    if last.feature in BUYING:
        value = round(visit.price * rng.choice((1, 1, 1, 2)) + rng.choice((0, 0, 4.9)), 2)
        at = ended + timedelta(minutes=rng.uniform(1.5, 22))
        return DemoSignal("conversion", value, at, _id(last, "order"), "session", from_shop=True)
    at = ended + timedelta(seconds=rng.uniform(10, 300))
    return DemoSignal("task_completed", True, at, _id(last, "done"), "session")


def _about(trace: DemoTrace, name: str, value: bool | str, at: datetime) -> DemoSignal:
    return DemoSignal(name, value, at, _id(trace, name), "trace", trace.trace_id.hex())


def _request_of(trace: DemoTrace) -> str:
    """The provider's id of the response that was shown, which is how the web shop knows an answer."""
    calls = [span.call for span in trace.spans if span.name == "answer.generate" and span.call is not None]
    return next((call.response_id for call in reversed(calls) if call.response_id), "")


def _id(trace: DemoTrace, word: str) -> str:
    """The caller's id of a signal: said again it is the same one."""
    return f"demo/{word}/{trace.trace_id.hex()}"
