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
HOUR = timedelta(hours=1)
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
# Of those who got a wrong answer so many object, where they can; of the others, so many ask again.
OBJECTING, WORSE_AGAIN = 0.75, 0.45
# The part of sessions that try v18 of the returns prompt before everybody gets it, and that keeps v17 from then on.
CANARY, HOLDOUT = 0.04, 0.1
# Visits an hour that a newsletter about presents brings to returns, beside 130 visits a day; how long before v18 is for
# everybody it goes out, and how long people come.
NEWS_VISITS, NEWS_BESIDE = 54, 130
NEWS_BEFORE, NEWS_LASTS = timedelta(hours=2), timedelta(hours=10)
# How much more often they ask about presents than others do by then.
NEWS_GIFTS = 6.0
# A chart decides live on an hour that closes after the chart was made. Here it is the hour that had ended so long
# before the project was made that its sessions are over; v18 was rolled out in its first minutes.
OVER_AFTER, INTO_HOUR = timedelta(minutes=45), timedelta(minutes=3)
# The story's day is the last one of which so much was over: people looked into v18 in its evening.
SETTLED_AFTER = timedelta(hours=16)
# When v18 is for everybody unless a story says so: well before a day is over.
USUAL_ROLL_OUT = time(16, 3)
_HOURS_SUMMED = tuple(accumulate(HOURS))
_SENTENCE_ENDS = re.compile(r"(?<=[.!?])\s+|(?<=[。？！])")


@dataclass(frozen=True, slots=True)
class Story:
    """What happens around one day: the day on which the new prompt of returns went out, at 08:10 UTC.

    A few sessions try it until `rolled_out_at`; then nearly all have it.
    """

    day: date
    seed: str = SEED
    full_from: datetime | None = None

    @classmethod
    def of(cls, made_at: datetime) -> Story:
        """The story of a project that was made then: its last full hour but a little is the first of the new prompt."""
        last_hour = (made_at.astimezone(UTC) - OVER_AFTER).replace(minute=0, second=0, microsecond=0)
        return cls((made_at.astimezone(UTC) - SETTLED_AFTER).date(), full_from=last_hour - HOUR + INTO_HOUR)

    @property
    def found_at(self) -> datetime:
        """The end of the first hour of which nearly all was answered by the new prompt."""
        return self.rolled_out_at - INTO_HOUR + HOUR

    def at(self, days_before: int, moment: time) -> datetime:
        """A moment on a day before the story's day."""
        return datetime.combine(self.day - timedelta(days=days_before), moment, UTC)

    @property
    def prompt_changed_at(self) -> datetime:
        """When v18 of the returns prompt went out, to a few sessions."""
        return self.at(0, time(8, 10))

    @property
    def rolled_out_at(self) -> datetime:
        """When v18 of the returns prompt went out to all sessions but the tenth kept for comparison."""
        return self.full_from or self.at(0, USUAL_ROLL_OUT)

    @property
    def newsletter_at(self) -> datetime:
        """When a newsletter about presents brought many people to returns; v17 answered them well."""
        return self.rolled_out_at - NEWS_BEFORE

    def has_new_prompt(self, at: datetime, lot: float) -> bool:
        """Whether a session that drew `lot` (0 to 1) is answered by v18 at this moment."""
        if at < self.prompt_changed_at:
            return False
        return lot < CANARY or (at >= self.rolled_out_at and lot < 1 - HOLDOUT)

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
    """The traces of a day that had ended before `before`, session by session; first those of the newsletter."""
    ended = before.timestamp() * 1e9
    for trace in make_newsletter(story, day, sessions_a_day):
        if trace.ended_ns < ended:
            yield trace
    wobble = Random(f"{story.seed}/{day}").uniform(0.93, 1.07)  # noqa: S311 - made-up traffic
    for number in range(round(sessions_a_day * WEEKDAYS[day.weekday()] * wobble)):
        for trace in make_session(story, day, number):
            if trace.ended_ns < ended:
                yield trace


def make_newsletter(story: Story, day: date, sessions_a_day: float) -> Iterator[DemoTrace]:
    """What people ask whom the newsletter brought on this day, beside `sessions_a_day` others."""
    for number in range(round(NEWS_VISITS * sessions_a_day / NEWS_BESIDE * (NEWS_LASTS / HOUR))):
        # Evenly spread however many they are, each always at its own moment (a sequence of the golden ratio).
        at = story.newsletter_at + NEWS_LASTS * (number * 0.618_033_988_749_895 % 1)
        if at.astimezone(UTC).date() == day:
            yield from _Visit(story, day, number, at).run()


def sessions_for(traces: int, days: int) -> float:
    """How many sessions a day make about `traces` traces in `days` days."""
    return traces / days / TURNS_MEAN


def make_session(story: Story, day: date, number: int) -> list[DemoTrace]:
    """The answers one person got in one visit."""
    if day == story.day and number == 0:
        return known_session(story.day)
    return _Visit(story, day, number).run()


class _Visit:
    """One visit in the making; `at` is where its clock stands. `news_at`: when the newsletter brought it."""

    def __init__(self, story: Story, day: date, number: int, news_at: datetime | None = None) -> None:
        self.story = story
        self.is_news = news_at is not None
        self.key = f"{story.seed}/{day}/{'news/' if self.is_news else ''}{number}"
        self.rng = rng = Random(self.key)  # noqa: S311
        self.lot = Random(f"{self.key}/prompt").random()  # noqa: S311
        self.is_staging = rng.random() < 0.05 and not self.is_news
        self.person = qa_person(rng.randrange(12)) if self.is_staging else person_of(int(USERS * rng.random() ** 1.6))
        second = _second_of_day(rng, self.person.language)
        self.at = news_at or datetime.combine(day, time(), UTC) + timedelta(seconds=second)
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
            if further and rng.random() < (OBJECTING if objects else 0.45):
                self.objected_to = self.made[-1] if objects else self.objected_to
                told = topic.objection_answer if objects else topic.further_answer
                self.answer(topic, rng.choice(further), told, False, filled, product)
            elif is_worse and rng.random() < WORSE_AGAIN:
                self.answer(topic, rng.choice(topic.asks), _worse(topic), True, filled, product)
            # Whom the newsletter brought has one question.
            if self.is_news or len(self.made) > 9 or rng.random() > 0.64:
                return topic, product, filled

    def topic(self) -> Topic:
        feature = self.rng.choices(FEATURES, FEATURE_WEIGHTS)[0]
        feature = "returns" if self.is_news else feature
        choice = topics(self.person.language, feature)
        gift = self.story.gift_weight(self.at) * (NEWS_GIFTS if self.is_news else 1.0)
        return self.rng.choices(choice, [gift if topic.is_gift else 1.0 for topic in choice])[0]

    def is_worse(self, topic: Topic) -> bool:
        share = WORSE_GIFT if topic.is_gift else WORSE_OTHER
        return bool(topic.worse) and self.has_new_prompt and self.rng.random() < share

    @property
    def has_new_prompt(self) -> bool:
        return self.story.has_new_prompt(self.at, self.lot)

    def right(self, topic: Topic) -> str:
        """The right answer, at the length that the prompt of the moment wants."""
        if topic.feature != "returns":
            return topic.answer
        if self.has_new_prompt:
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
            has_new_prompt=self.has_new_prompt,
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
