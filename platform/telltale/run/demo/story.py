"""Who comes to the shop, when, and what they ask: sessions of a day, each from a random stream of its own.

A session depends on the seed, its day and its place in the day alone. So the same day comes out the same whenever it is
made, and more traffic is the same traffic with more sessions behind it.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import accumulate
from random import Random

from telltale.run.demo.known import known_session
from telltale.run.demo.reactions import Visit, react
from telltale.run.demo.texts import FEATURES, LANGUAGES, Product, Topic, manners, next_steps, products_of, topics
from telltale.run.demo.turns import Ask, make_trace
from telltale.run.demo.values import DemoTrace

SEED = "telltale demo 2"
# How many answers a session has on average, measured over four weeks of it.
TURNS_MEAN = 2.74
USERS = 1800
# Those who ask most, as everybody who looks around here gets to know them.
REGULARS = ("u_2b90", "u_58f2", "u_e013", "u_77aa", "u_19cd")
# Monday first; their mean is 1.
WEEKDAYS = (1.12, 1.08, 1.02, 1.0, 0.98, 0.84, 0.96)
# By hour of UTC, for people in western Europe: a lunch peak, an evening peak, a quiet night.
HOURS = (3, 2, 1, 1, 1, 2, 5, 10, 16, 21, 24, 25, 27, 25, 22, 21, 22, 25, 30, 36, 38, 30, 18, 8)
# How much earlier than that their day is.
HOURS_EARLIER = {"zh": 7, "ja": 8, "ar": 2}
LANGUAGE_WEIGHTS = (68, 10, 7, 5, 5, 3, 2)
FEATURE_WEIGHTS = (42, 22, 20, 11, 7)
CHANNELS = {"phone": 64, "web": 24, "app": 12}
CARRIERS = ("DHL", "UPS", "GLS", "PostNord")
CITIES = ("Malmö", "Leeds", "Lyon", "Graz", "Gent", "Porto", "Aarhus", "Kraków", "Osaka", "Chengdu", "Amman")
WEEKDAY_NAMES = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday"),
    "de": ("Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag"),
    "fr": ("lundi", "mardi", "mercredi", "jeudi", "vendredi"),
    "es": ("lunes", "martes", "miércoles", "jueves", "viernes"),
}
# Days before the story's day, time of day, release.
RELEASES = (
    (400, time(), "5.8.3"),
    (24, time(9, 40), "5.9.0"),
    (17, time(13, 5), "5.9.1"),
    (9, time(15, 20), "5.10.0"),
    (5, time(2, 0), "5.11.0"),
)
# The part of returns answers that the new prompt spoils: those about presents, and the others.
WORSE_GIFT, WORSE_OTHER = 0.92, 0.35
FIRST_ENOUGH = 0.29
# How a visit ends: of those with one answer, and of longer ones; the rest leaves, or has carried on.
ENDINGS = ("again", "person", "thanks", "goal")
AFTER_ONE, AFTER_MORE = (0.05, 0.015, 0.04, 0.08), (0.05, 0.03, 0.24, 0.2)
# People who got a wrong answer reach their goal that much less often.
WORSE_GOAL = 0.3
_HOURS_SUMMED = tuple(accumulate(HOURS))
_SENTENCE_ENDS = re.compile(r"(?<=[.!?])\s+|(?<=[。？！])")


@dataclass(frozen=True, slots=True)
class Story:
    """What happens around one day: the day on which the new prompt of returns went out, at 08:10 UTC."""

    day: date
    seed: str = SEED

    def at(self, days_before: int, moment: time) -> datetime:
        """A moment on a day before the story's day."""
        return datetime.combine(self.day - timedelta(days=days_before), moment, UTC)

    @property
    def prompt_changed_at(self) -> datetime:
        """When v18 of the returns prompt went out."""
        return self.at(0, time(8, 10))

    @property
    def index_rebuilt_at(self) -> datetime:
        """When the policies' index was rebuilt, with 38 passages fewer than before."""
        return self.at(0, time(2))

    @property
    def rules_changed_at(self) -> datetime:
        """When the router got its rules r7: long questions go to gpt-4-turbo."""
        return self.at(2, time(1))

    @property
    def model_tried_at(self) -> datetime:
        """When the shop began to try a model that nobody has given a price."""
        return self.at(1, time(14))

    def has_outage(self, at: datetime) -> bool:
        """Whether Anthropic's models were overloaded: 50 minutes before a release."""
        return self.at(9, time(14)) <= at < self.at(9, time(14, 50))

    def gift_weight(self, at: datetime) -> float:
        """How often people ask about presents for one who asks about other returns; a banner began it five days ago."""
        days = (at - self.at(5, time(2))) / timedelta(days=1)
        return 0.06 if days < 0 else min(0.5 + 0.25 * days, 1.6)

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
    if day == story.day and number == 0:
        return known_session(story.day)
    return _Visit(story, day, number).run()


class _Visit:
    """One visit in the making; `at` is where its clock stands."""

    def __init__(self, story: Story, day: date, number: int) -> None:
        self.story = story
        self.key = f"{story.seed}/{day}/{number}"
        self.rng = rng = Random(self.key)  # noqa: S311
        self.is_staging = rng.random() < 0.05
        self.person = qa_person(rng.randrange(12)) if self.is_staging else person_of(int(USERS * rng.random() ** 1.6))
        self.at = datetime.combine(day, time(), UTC) + timedelta(seconds=_second_of_day(rng, self.person.language))
        self.session_id = "s_" + hashlib.blake2b(self.key.encode(), digest_size=4).hexdigest()
        self.history: list[tuple[str, str]] = []
        self.made: list[DemoTrace] = []
        self.objected_to: DemoTrace | None = None

    def run(self) -> list[DemoTrace]:
        """Everything this person asked, and what they did about it."""
        topic, product, filled = self.talk()
        # A stream of its own: what people do about answers changes none of them.
        mood = Random(f"{self.key}/mood")  # noqa: S311
        ending = self.take_leave(topic, product, filled, mood)
        if not self.is_staging:
            person = self.person
            price = float(product.price)
            react(Visit(self.made, ending, self.objected_to, person.language, person.channel, price), mood)
        return self.made

    def take_leave(self, topic: Topic, product: Product, filled: dict[str, str], mood: Random) -> str:
        """How the visit ends, in a word of `reactions`; some say so, or ask the same again, and are answered."""
        is_single = len(self.made) == 1
        is_worse = self.made[-1].is_worse or self.objected_to is not None
        chances = [
            chance * (WORSE_GOAL if is_worse and word in {"thanks", "goal"} else 1.0)
            for word, chance in zip(ENDINGS, AFTER_ONE if is_single else AFTER_MORE, strict=True)
        ]
        rest = "left" if is_single else "carried on"
        ending = mood.choices((*ENDINGS, rest), (*chances, 1 - sum(chances)))[0]
        if ending in {"goal", rest}:
            return ending
        language = self.person.language
        said, told = mood.choice(manners(language, ending)), self.history[-1][1]
        if ending == "again":
            said = said.replace("{question}", self.history[-1][0])
            ended = datetime.fromtimestamp(self.made[-1].ended_ns / 1e9, UTC)
            self.at = ended + timedelta(seconds=mood.uniform(6, 45))
        else:
            told = manners(language, "welcome" if ending == "thanks" else "handover")[0]
        self.answer(topic, _plain(said), _plain(told), self.made[-1].is_worse and ending == "again", filled, product)
        return ending

    def talk(self) -> tuple[Topic, Product, dict[str, str]]:
        """The questions; nearly half ask no more than one. What the last one was about."""
        rng = self.rng
        while True:
            topic = self.topic()
            product, filled = _fill(topic, self.person.language, rng)
            is_worse = self.is_worse(topic)
            asked = rng.choice(topic.asks)
            self.answer(topic, asked, _worse(topic) if is_worse else self.right(topic), is_worse, filled, product)
            if len(self.made) == 1 and rng.random() < FIRST_ENOUGH:
                return topic, product, filled
            objects = is_worse and bool(topic.objections)
            further = topic.objections if objects else topic.further
            if further and rng.random() < (0.6 if objects else 0.45):
                self.objected_to = self.made[-1] if objects else self.objected_to
                told = topic.objection_answer if objects else topic.further_answer
                self.answer(topic, rng.choice(further), told, False, filled, product)
            elif is_worse and rng.random() < 0.3:
                self.answer(topic, rng.choice(topic.asks), _worse(topic), True, filled, product)
            if len(self.made) > 9 or rng.random() > 0.64:
                return topic, product, filled

    def topic(self) -> Topic:
        feature = self.rng.choices(FEATURES, FEATURE_WEIGHTS)[0]
        choice = topics(self.person.language, feature)
        gift = self.story.gift_weight(self.at)
        return self.rng.choices(choice, [gift if topic.is_gift else 1.0 for topic in choice])[0]

    def is_worse(self, topic: Topic) -> bool:
        share = WORSE_GIFT if topic.is_gift else WORSE_OTHER
        return bool(topic.worse) and self.at >= self.story.prompt_changed_at and self.rng.random() < share

    def right(self, topic: Topic) -> str:
        """The right answer, at the length that the prompt of the moment wants."""
        if topic.feature != "returns":
            return topic.answer
        if self.at >= self.story.prompt_changed_at:
            return two_sentences(topic.answer)
        return f"{topic.answer} {next_steps(self.person.language)}"

    def answer(
        self, topic: Topic, question: str, said: str, is_worse: bool, filled: dict[str, str], chosen: Product
    ) -> None:
        story, at = self.story, self.at
        ask = Ask(
            trace_id=hashlib.blake2b(f"{self.key}/{len(self.made)}".encode(), digest_size=16).digest(),
            at=at,
            topic=topic,
            question=question.format(**filled),
            answer=said.format(**filled),
            is_worse=is_worse,
            product=chosen,
            order=filled["order"],
            history=tuple(self.history[-6:]),
            user_id=self.person.id,
            session_id=self.session_id,
            language=self.person.language,
            channel=self.person.channel,
            environment="staging" if self.is_staging else "production",
            release=story.release(at),
            has_new_prompt=at >= story.prompt_changed_at,
            has_new_index=at >= story.index_rebuilt_at,
            has_new_rules=at >= story.rules_changed_at,
            has_new_model=at >= story.model_tried_at,
            has_outage=story.has_outage(at),
        )
        trace, told = make_trace(ask, self.rng)
        self.made.append(trace)
        self.history.append((ask.question, told))
        self.at = datetime.fromtimestamp(trace.ended_ns / 1e9, UTC) + timedelta(seconds=self.rng.uniform(9, 95))


def two_sentences(text: str) -> str:
    """The first two sentences of a text."""
    parts = [part for part in _SENTENCE_ENDS.split(text) if part]
    return " ".join(parts[:2]) if text.isascii() or " " in text else "".join(parts[:2])


def _plain(text: str) -> str:
    """Text for `answer`, which fills in blanks: what was filled in before has none."""
    return text.replace("{", "{{").replace("}", "}}")


def _worse(topic: Topic) -> str:
    return two_sentences(topic.worse)


@lru_cache(maxsize=USERS)
def person_of(number: int) -> Person:
    """An end user, always the same."""
    rng = Random(f"person {number}")  # noqa: S311
    name = REGULARS[number] if number < len(REGULARS) else f"u_{0x1A00 + number * 37:04x}"
    language = "en" if number < len(REGULARS) else rng.choices(LANGUAGES, LANGUAGE_WEIGHTS)[0]
    return Person(name, language, rng.choices(list(CHANNELS), list(CHANNELS.values()))[0])


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
