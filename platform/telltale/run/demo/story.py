"""Who comes to the shop, when, and what they ask: sessions of a day, each from a random stream of its own.

A session depends on the seed, its day and its place in the day alone. So the same day comes out the same whenever it is
made, and more traffic is the same traffic with more sessions behind it.
"""

from __future__ import annotations

import hashlib
from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import accumulate
from random import Random

from telltale.run.demo.texts import FEATURES, LANGUAGES, Product, Topic, products_of, topics
from telltale.run.demo.turns import Ask, make_trace
from telltale.run.demo.values import DemoTrace

SEED = "telltale demo 1"
# How many answers a session has on average, measured over four weeks of it.
TURNS_MEAN = 1.62
USERS = 1800
# Monday first; their mean is 1.
WEEKDAYS = (1.12, 1.08, 1.02, 1.0, 0.98, 0.84, 0.96)
# By hour of UTC, for people in western Europe: a lunch peak, an evening peak, a quiet night.
HOURS = (3, 2, 1, 1, 1, 2, 5, 10, 16, 21, 24, 25, 27, 25, 22, 21, 22, 25, 30, 36, 38, 30, 18, 8)
# How much earlier than that their day is.
HOURS_EARLIER = {"zh": 7, "ja": 8, "ar": 2}
LANGUAGE_WEIGHTS = (66, 11, 7, 5, 5, 4, 2)
FEATURE_WEIGHTS = (41, 28, 20, 11)
CARRIERS = ("DHL", "UPS", "GLS", "PostNord")
CITIES = ("Malmö", "Leeds", "Lyon", "Graz", "Gent", "Porto", "Aarhus", "Kraków", "Osaka", "Chengdu", "Amman")
WEEKDAY_NAMES = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday"),
    "de": ("Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag"),
    "fr": ("lundi", "mardi", "mercredi", "jeudi", "vendredi"),
    "es": ("lunes", "martes", "miércoles", "jueves", "viernes"),
}
# Before the first day of the demo: (days, time of day, release).
RELEASES = (
    (400, time(), "5.8.3"),
    (21, time(9, 40), "5.9.0"),
    (14, time(13, 5), "5.9.1"),
    (9, time(15, 20), "5.10.0"),
    (3, time(8, 10), "5.11.0"),
)
_HOURS_SUMMED = tuple(accumulate(HOURS))


@dataclass(frozen=True, slots=True)
class Story:
    """What happens around the day on which the demo was first filled."""

    first_day: date
    seed: str = SEED

    def at(self, days_before: int, moment: time) -> datetime:
        """A moment before the first day of the demo."""
        return datetime.combine(self.first_day - timedelta(days=days_before), moment, UTC)

    @property
    def prompt_changed_at(self) -> datetime:
        """When v18 of the returns prompt went out, with the newest release."""
        return self.at(3, time(8, 10))

    def has_outage(self, at: datetime) -> bool:
        """Whether Anthropic's models were overloaded: 50 minutes before the release that followed."""
        return self.at(9, time(14)) <= at < self.at(9, time(14, 50))

    def has_own_model(self, at: datetime) -> bool:
        """Whether the self-hosted sizing model was tried already."""
        return at >= self.at(16, time(10))

    def release(self, at: datetime) -> str:
        """The release that answered."""
        return next(name for days, moment, name in reversed(RELEASES) if at >= self.at(days, moment) or days == 400)


@dataclass(frozen=True, slots=True)
class Person:
    """One end user."""

    id: str
    language: str
    channel: str


def make_day(story: Story, day: date, sessions_a_day: float, before: datetime) -> Iterator[DemoTrace]:
    """The traces of a day that had ended before `before`, session by session."""
    wobble = Random(f"{story.seed}/{day}").uniform(0.93, 1.07)  # noqa: S311 - made-up traffic
    for number in range(round(sessions_a_day * WEEKDAYS[day.weekday()] * wobble)):
        for trace in make_session(story, day, number):
            if trace.ended_ns < before.timestamp() * 1e9:
                yield trace


def sessions_for(traces: int, days: int) -> float:
    """How many sessions a day make about `traces` traces in `days` days."""
    return traces / days / TURNS_MEAN


def make_session(story: Story, day: date, number: int) -> list[DemoTrace]:
    """The answers one person got in one visit."""
    rng = Random(f"{story.seed}/{day}/{number}")  # noqa: S311
    is_staging = rng.random() < 0.05
    person = qa_person(rng.randrange(4)) if is_staging else person_of(int(USERS * rng.random() ** 2.1))
    at = datetime.combine(day, time(), UTC) + timedelta(seconds=_second_of_day(rng, person.language))
    session_id = "s_" + hashlib.blake2b(f"{story.seed}/{day}/{number}".encode(), digest_size=4).hexdigest()
    history: list[tuple[str, str]] = []
    made: list[DemoTrace] = []

    def answer(topic: Topic, question: str, said: str, is_worse: bool, filled: dict[str, str], chosen: Product) -> None:
        nonlocal at
        key = f"{story.seed}/{day}/{number}/{len(made)}"
        ask = Ask(
            trace_id=hashlib.blake2b(key.encode(), digest_size=16).digest(),
            at=at,
            topic=topic,
            question=question.format(**filled),
            answer=said.format(**filled),
            is_worse=is_worse,
            product=chosen,
            order=filled["order"],
            history=tuple(history[-6:]),
            user_id=person.id,
            session_id=session_id,
            language=person.language,
            channel=person.channel,
            environment="staging" if is_staging else "production",
            release=story.release(at),
            has_new_prompt=at >= story.prompt_changed_at,
            has_outage=story.has_outage(at),
            has_own_model=story.has_own_model(at),
        )
        trace, told = make_trace(ask, rng)
        made.append(trace)
        history.append((ask.question, told))
        at = datetime.fromtimestamp(trace.ended_ns / 1e9, UTC) + timedelta(seconds=rng.uniform(9, 95))

    while True:
        topic = rng.choice(topics(person.language, rng.choices(FEATURES, FEATURE_WEIGHTS)[0]))
        product, filled = _fill(topic, person.language, rng)
        is_worse = bool(topic.worse) and at >= story.prompt_changed_at and rng.random() < 0.85
        answer(topic, rng.choice(topic.asks), topic.worse if is_worse else topic.answer, is_worse, filled, product)
        objects = is_worse and bool(topic.objections)
        further = topic.objections if objects else topic.further
        if further and rng.random() < (0.7 if objects else 0.55):
            told = topic.objection_answer if objects else topic.further_answer
            answer(topic, rng.choice(further), told, False, filled, product)
        elif is_worse and rng.random() < 0.3:
            answer(topic, rng.choice(topic.asks), topic.worse, True, filled, product)
        if len(made) > 5 or rng.random() > 0.28:
            return made


@lru_cache(maxsize=USERS)
def person_of(number: int) -> Person:
    """An end user, always the same."""
    rng = Random(f"person {number}")  # noqa: S311
    language = rng.choices(LANGUAGES, LANGUAGE_WEIGHTS)[0]
    return Person(f"u_{0x1A00 + number * 37:04x}", language, rng.choices(("phone", "web", "app"), (5, 3, 2))[0])


def qa_person(number: int) -> Person:
    """One of the shop's own testers."""
    return Person(f"u_qa_{number + 1}", "en", "web")


def _second_of_day(rng: Random, language: str) -> float:
    hour = bisect(_HOURS_SUMMED, rng.random() * _HOURS_SUMMED[-1])
    return ((hour - HOURS_EARLIER.get(language, 0)) % 24 + rng.random()) * 3600


def _fill(topic: Topic, language: str, rng: Random) -> tuple[Product, dict[str, str]]:
    """The product a visit is about, and what stands in the blanks of the topic's texts."""
    choice = products_of(topic.kind)
    product, other = rng.sample(choice, 2)
    filled = {
        "product": product.name,
        "price": product.price.removesuffix(".00"),
        "about": product.about,
        "other": other.name,
        "otherprice": other.price.removesuffix(".00"),
        "order": f"{rng.randrange(410_000, 690_000)}",
        "size": str(rng.randrange(37, 47)),
        "day": rng.choice(WEEKDAY_NAMES.get(language, WEEKDAY_NAMES["en"])),
        "carrier": rng.choice(CARRIERS),
        "city": rng.choice(CITIES),
    }
    return product, filled
