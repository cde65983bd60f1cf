"""What was seen in traces, and which of it was a change. Pure.

A sighting is a value on a line: the release of a service, the model of a feature, the version of a prompt, the model
that answers to a name, a provider. The first value of a line is no change. While a line is new, another value is a
change only where it took the place of all before it; a mix of models, or a release that is rolled out, shows itself by
what was there before coming again. On a line that is known each first sight is one. Where a newer release, prompt or
answering model stays away while an older value alone goes on, that is a way back, and a change too. All is made from
the earliest and the latest start of spans, so any order of arrival, any repeat and any late span ends in the same
changes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import IntEnum
from hashlib import blake2b
from typing import Any

from traces.changing.kinds import Kind

# Beyond so many a day of one kind nobody reads them: a release per process, a model per customer. The rest is counted.
A_DAY = 20
# What a change says of itself at most.
TEXT_CHARS_MAX = 200


class What(IntEnum):
    """Which line a value is on, and by what lines of that kind are told apart."""

    RELEASE = 1  # environment, service
    MODEL = 2  # environment, feature: the model asked for, else the one that answered
    PROMPT = 3  # environment, feature, name of the prompt
    ANSWER = 4  # provider, name of the model asked for ("" where none was told): the model that answered, "" likewise
    PROVIDER = 5  # environment
    FINGERPRINT = 6  # provider, name of the model: the fingerprint its provider told


# Fingerprints come and go with a provider's machines: the registry shows them, no chart is marked.
_KINDS = {
    What.RELEASE: Kind.DEPLOY,
    What.MODEL: Kind.MODEL,
    What.PROMPT: Kind.PROMPT,
    What.ANSWER: Kind.MODEL,
    What.PROVIDER: Kind.PROVIDER,
}


# A line is new for so long. Models of a mix may be rare, and a week has its rhythm.
_HOUR = timedelta(hours=1)
NEW_FOR = {
    What.RELEASE: _HOUR,
    What.PROMPT: _HOUR,
    What.ANSWER: _HOUR,
    What.PROVIDER: timedelta(days=1),
    What.MODEL: timedelta(days=7),
}
# What came before may come so much longer where a new value takes its place: processes are replaced one by one.
ROLLING = timedelta(minutes=2)
OVERLAP = {What.RELEASE: ROLLING, What.PROMPT: ROLLING, What.ANSWER: ROLLING}
# A newer value is gone once an older one alone went on for half as long as it had been there, within these limits.
GONE_LEAST, GONE_MOST = timedelta(hours=1), timedelta(days=1)
# One that was there for less was tried, and nobody went back from it.
SERVED_LEAST = timedelta(minutes=10)
# The first requests of a line, such as the router and the model behind it within one trace.
FIRST = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Sighting:
    """A value on a line, and when spans showed it: starts of the first and the last. "" is not told."""

    what: What
    environment: str
    service: str
    feature: str
    provider: str
    name: str
    value: str
    first_at: datetime
    last_at: datetime

    @property
    def line(self) -> tuple[Any, ...]:
        """What it is a value of."""
        return (self.what, self.environment, self.service, self.feature, self.provider, self.name)

    @property
    def id(self) -> int:
        """A stable 63-bit digest of line and value."""
        return int(self.origin[:16], 16) >> 1

    @property
    def origin(self) -> str:
        """The same as text, by which a derived change is known."""
        return _digest(str(int(self.what)), *self.line[1:], self.value)


def _digest(*parts: str) -> str:
    whole = b"".join(len(raw).to_bytes(4, "big") + raw for raw in (part.encode() for part in parts))
    return blake2b(whole, digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Derived:
    """A change that traces show. `more`: how many of its kind on its day are left out, behind the last that is kept.

    `back_since`: of a way back, when what it leads back from came; None of others.
    """

    origin: str
    kind: Kind
    at: datetime
    name: str
    version: str
    previous: str
    service: str
    feature: str
    environment: str
    more: int = 0
    back_since: datetime | None = None


def derive(sightings: Iterable[Sighting]) -> list[Derived]:
    """The changes of all of a project's sightings, by time: those of each kind and day, the first `A_DAY` of them."""
    lines: dict[tuple[Any, ...], list[Sighting]] = defaultdict(list)
    for sighting in sightings:
        # Where nobody told what was asked for, the answer is the model itself: it is on its line already.
        is_repeat = sighting.what is What.ANSWER and not sighting.name
        if sighting.what in _KINDS and sighting.value and not is_repeat:
            lines[sighting.line].append(sighting)
    days: dict[tuple[Kind, Any], list[Derived]] = defaultdict(list)
    for line in lines.values():
        for change in changes_of_line(line):
            days[change.kind, change.at.date()].append(change)
    found = []
    for same in days.values():
        same.sort(key=lambda change: (change.at, change.origin))
        kept = same[:A_DAY]
        if len(same) > A_DAY:
            kept[-1] = replace(kept[-1], more=len(same) - A_DAY)
        found += kept
    return sorted(found, key=lambda change: (change.at, change.origin))


def changes_of_line(line: Sequence[Sighting]) -> list[Derived]:
    """The changes on one line: values that took the place of others, and any that came when it was no longer new."""
    by_time = sorted(line, key=lambda sighting: (sighting.first_at, sighting.value))
    found, back = [], dict[str, Sighting]()
    for at, sighting in enumerate(by_time):
        age = sighting.first_at - by_time[0].first_at
        until = sighting.first_at + OVERLAP.get(sighting.what, timedelta(0))
        takes_over = age >= FIRST and all(before.last_at <= until for before in by_time[:at])
        if not at or not (takes_over or age >= NEW_FOR[sighting.what]):
            continue
        before = by_time[at - 1].value
        if (again := back.get(before)) is not None and again.last_at >= sighting.first_at - ROLLING:
            before = again.value
        # Models are in use beside each other: one that still ran later was not replaced, and of several nobody can tell
        # from here which was.
        is_sure = sighting.what in (What.RELEASE, What.PROMPT, What.ANSWER) or (
            at == 1 and by_time[0].last_at <= sighting.first_at + ROLLING
        )
        found.append(
            Derived(
                sighting.origin,
                _KINDS[sighting.what],
                sighting.first_at,
                name=sighting.name[:TEXT_CHARS_MAX],
                version=sighting.value[:TEXT_CHARS_MAX],
                previous=before[:TEXT_CHARS_MAX] if is_sure else "",
                service=sighting.service,
                feature=sighting.feature,
                environment=sighting.environment,
            )
        )
        older = _went_back_to(sighting, by_time[:at], by_time)
        if older is not None:
            back[sighting.value] = older
            found.append(replace(
                found[-1], origin=_digest(older.origin, "again", sighting.origin), at=sighting.last_at,
                version=older.value[:TEXT_CHARS_MAX], previous=sighting.value[:TEXT_CHARS_MAX],
                back_since=sighting.first_at,
            ))  # fmt: skip
    return found


def _went_back_to(newer: Sighting, older: Sequence[Sighting], line: Sequence[Sighting]) -> Sighting | None:
    """The older value that alone went on when `newer` was gone; None where another did, or it is too soon to say.

    While both serve, now the one and now the other is the last: nothing is said of that until one stays away.
    """
    gone = newer.last_at
    if newer.what not in OVERLAP or gone - newer.first_at < SERVED_LEAST:
        return None
    until = gone + min(max((gone - newer.first_at) / 2, GONE_LEAST), GONE_MOST)
    around = [each for each in line if each is not newer and each.first_at <= until and each.last_at > gone]
    if len(around) != 1 or around[0] not in older or around[0].last_at < until:
        return None
    return around[0]
