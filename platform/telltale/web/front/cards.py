"""The cards of the overview: each question with its answer, chart, and where to go on. Pure.

Where no monitor can answer, the card says what is known all the same, that nobody watches it, and what would change it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urlencode

from alerts.questions.pillars import Pillar
from alerts.read.incidents import IncidentRow
from evals.read.estimates import Estimates
from telltale.lib import format as fmt
from telltale.lib.charts import Figure
from telltale.web.front import pictures, words
from telltale.web.front.answers import Said, Sight, answer
from telltale.web.front.values import Asked, Front, Traffic
from traces.read.cost_values import MonthForecast, money_of

# Whole days that "a day" is the mean of.
RATE_DAYS = 7
Link = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Card:
    """One question, ready to show. `act` is the next step where nobody can answer yet; `title` its whole address."""

    key: str
    question: str
    pillar: Pillar
    said: Said
    figure: Figure | None
    facts: str
    links: tuple[Link, ...]
    act: Link | None = None
    monitor_ids: tuple[int, ...] = ()
    asked: Asked | None = field(default=None, compare=False)

    @property
    def is_bad(self) -> bool:
        return self.said.state == "bad"


def cards(front: Front, sight: Sight, base: str, *, may_measure: bool) -> list[Card]:
    """The cards in the order of the questions; none where the monitors could not be read in time."""
    if front.watching is None:
        return []
    return [
        _card(front, asked, sight, base, f"q{at}", may_measure=may_measure)
        for at, asked in enumerate(front.watching.asked, 1)
    ]


def _card(front: Front, asked: Asked, sight: Sight, base: str, key: str, *, may_measure: bool) -> Card:
    pillar = asked.question.pillar
    said = answer(asked, sight)
    figure = None
    if asked.lead is not None:
        figure = pictures.figure(asked.lead, asked.beside, front.start, front.end, front.zone, base)
    elif pillar is Pillar.COST and front.traffic is not None:
        figure = pictures.daily_cost(front.traffic.month)
    act = None
    if said is None:
        said, act = _nobody(front, asked, base)
        act = act if may_measure else None
    return Card(
        key=key,
        question=asked.question.text,
        pillar=pillar,
        said=_priced(said, front) if pillar is Pillar.COST and asked.question.is_shipped else said,
        figure=figure,
        facts=_facts(front, pillar),
        links=_links(front, asked, base),
        act=act,
        monitor_ids=tuple(each.id for each in asked.monitors),
        asked=asked,
    )


def _nobody(front: Front, asked: Asked, base: str) -> tuple[Said, Link | None]:
    """What is said of a question that no monitor answers, and the next step."""
    pillar, new = asked.question.pillar, f"{base}monitors/new/"
    if not asked.question.is_shipped:
        detail = "No monitor that is turned on answers this question."
        return _unwatched("Nobody knows: nothing is bound to this question.", detail), (
            f"{base}monitors/",
            "See monitors",
        )
    if pillar is Pillar.QUALITY:
        return _no_quality(front.judged, base)
    if pillar is Pillar.COST:
        told = _spend_words(front.traffic)
        sentence = f"Nobody watches it{f': {told}' if told else ''}."
        return _unwatched(sentence, "No monitor of cost has limits, so a jump calls nobody."), (
            f"{new}?preset=spend-chart", "Watch spend",
        )  # fmt: skip
    if pillar is Pillar.LATENCY:
        told = _speed_words(front.traffic)
        sentence = f"Nobody watches it{f': {told}' if told else ''}."
        return _unwatched(sentence, "No monitor says whether that is slow, or calls anybody when it changes."), (
            f"{new}?preset=duration-chart", "Watch duration",
        )  # fmt: skip
    sentence = "Nobody knows yet: no monitor looks for unsafe or unsupported answers."
    if front.judged is not None and not front.judged.judges:
        return _unwatched(sentence, "A judge has to read answers first."), (f"{base}judges/new/", "Make a judge")
    return _unwatched(sentence, "Judges are there; a monitor would look at what they score."), (
        f"{new}?preset=hallucination-2", "Watch unsupported answers",
    )  # fmt: skip


def _no_quality(judged: Estimates | None, base: str) -> tuple[Said, Link | None]:
    if judged is None:
        return _unwatched("Nobody watches it.", "The scores took too long to read."), None
    if not judged.judges:
        said = _unwatched("Nobody knows yet: no judge scores the answers.", "What no judge reads, no chart can show.")
        return said, (f"{base}judges/new/", "Make a judge")
    if not any(each.is_live for each in judged.judges):
        said = _unwatched("Nobody knows yet: no judge is live.", "A judge scores new traffic once a version is live.")
        return said, (f"{base}judges/", "See the judges")
    n = sum(coverage.states.get("scored", 0) for coverage in judged.coverage.values())
    if not n:
        detail = "Judges score a sample of new traces within minutes of their end."
        return _unwatched("Nobody knows: nothing was judged in the last 24 h.", detail), (
            f"{base}judges/",
            "See the judges",
        )
    detail = f"Judges gave {words.plural(n, 'verdict')} in the last 24 h, and no monitor looks at them."
    return _unwatched("Nobody watches it: there are scores, and no limits.", detail), (
        f"{base}monitors/new/?preset=score-chart", "Watch the score",
    )  # fmt: skip


def _unwatched(sentence: str, detail: str) -> Said:
    return Said("none", "Not watched", sentence, detail, is_known=False)


def day_rate(month: MonthForecast) -> float | None:
    """What a day costs in dollars: the mean of the last whole days, at most RATE_DAYS; None without any."""
    whole = [day.usd for day in (*month.previous, *month.days[:-1]) if day.usd is not None]
    began = next((at for at, usd in enumerate(whole) if usd), len(whole))
    last = whole[began:][-RATE_DAYS:]
    return sum(last) / len(last) if last else None


def _spend_words(traffic: Traffic | None) -> str:
    """ "$393 a day; November is heading for about $11,800"."""
    if traffic is None or traffic.month.spent.pico is None:
        return ""
    rate, forecast = day_rate(traffic.month), traffic.month.forecast.usd
    parts = [f"{fmt.cost(fmt.decimal_of(round(rate, 6)))} a day"] if rate else []
    month = f"{traffic.month.month:%B}"
    if forecast is not None:
        parts.append(f"{month} is heading for {fmt.about_cost(fmt.decimal_of(round(forecast, 6)))}")
    elif traffic.month.spent.is_known:
        parts.append(f"{fmt.cost(traffic.month.spent.usd)} so far in {month}")
    return "; ".join(parts)


def _priced(said: Said, front: Front) -> Said:
    """The answer about cost with the month's bill, where limits were kept."""
    told = _spend_words(front.traffic)
    if said.state != "ok" or not told:
        return said
    first, _, rest = said.sentence.partition(": ")
    return Said(said.state, said.word, f"{first}: {told}.", f"{rest[:1].upper()}{rest[1:]} {said.detail}")


def _speed_words(traffic: Traffic | None) -> str:
    """ "95% of requests finished within 4.1 s in the last 24 h, 0.4% with an error"."""
    if traffic is None or not traffic.total.sums.n:
        return ""
    found = traffic.total.durations.quantile(0.95)
    if found is None:
        return ""
    errors = fmt.share(traffic.total.sums.errors / traffic.total.sums.n)
    value = fmt.latency(found.value / 1e6, short=True)
    return f"95% of requests finished within {value} in the last 24 h, {errors} had an error"


def _facts(front: Front, pillar: Pillar) -> str:
    """What is known beside the answer: figures of the last 24 hours, with their n."""
    traffic = front.traffic
    if pillar is Pillar.LATENCY:
        told = _speed_words(traffic)
        return f"{told} (n = {fmt.count(traffic.total.sums.n)})." if told and traffic else ""
    if pillar is Pillar.COST and traffic is not None:
        sums = traffic.total.sums
        parts = []
        if sums.n and money_of(sums).is_known:
            parts.append(f"{fmt.cost_pico(round(sums.cost_pico / sums.n))} per request in the last 24 h")
        if sums.saved_pico > 0:
            parts.append(f"cached tokens saved {fmt.cost_pico(sums.saved_pico)}")
        if sums.unpriced_count:
            parts.append(f"{fmt.count(sums.unpriced_count)} calls have no price and are not in it")
        return f"{', '.join(parts)}." if parts else ""
    return ""


def _links(front: Front, asked: Asked, base: str) -> tuple[Link, ...]:
    pillar, lead, found = asked.question.pillar, asked.lead, list[Link]()
    if lead is not None:
        found.append((f"{base}monitors/{lead.shown.id}/", "Control chart"))
        alarm = lead.alarm
        if alarm is not None:
            href = pictures.behind_address(lead, base)(
                alarm.window_start, max(alarm.window_end, lead.shown.standing_since)
            )
            if href:
                found.append((href, "Sessions behind it" if "/sessions/" in href else "Answers behind it"))
        number = lead.incident
        if number is not None and any(each.number == number for each in front.incidents):
            found.append((f"{base}incidents/{number}/", f"Part of INC-{number}"))
        if len(asked.monitors) > 1:
            found.append((f"{base}monitors/", f"{len(asked.monitors)} monitors"))
    if pillar is Pillar.QUALITY:
        found.append((f"{base}quality/", "Scores"))
    elif pillar is Pillar.COST:
        found.append((f"{base}cost/", "Cost breakdown"))
        found.append((f"{base}cost/?by=user", "Heaviest users"))
    elif pillar is Pillar.LATENCY:
        start = fmt.iso(front.now - timedelta(hours=24))
        found.append((f"{base}traces/?{urlencode({'from': start, 'sort': '-duration'})}", "Slowest traces"))
    elif pillar is Pillar.USERS:
        found.append((f"{base}signals/", "User signals"))
    return tuple(found)


def headline(cards: Sequence[Card], incidents: Sequence[IncidentRow], front: Front, sight: Sight) -> str:
    """The answer of the page: what is wrong first, then what is steady, then what nobody knows."""
    if sight.stands_since is not None:
        stands = words.moment(sight.stands_since, front.zone, front.now)
        told = f"Telltale stands still since {stands}: nobody knows what happened after that."
        before = _wrong_words([card for card in cards if card.is_bad], front)
        was = before.replace(" are out ", " were out ").replace(" is out ", " was out ")
        return f"{told} Before: {was[:1].lower()}{was[1:]}" if before else told
    states = _by_pillar(cards)
    parts = [_wrong_words([card for card in cards if card.is_bad], front)]
    is_wrong = bool(parts[0])
    if not is_wrong and incidents:
        worst = incidents[0]
        parts.append(f"{words.plural(len(incidents), 'incident')} open, {worst.ref} at {worst.step}.")
    of = {
        state: [_PILLARS[pillar] for pillar, one in states.items() if one == state] for state in ("ok", "watch", "none")
    }
    if of["ok"] and not of["watch"] and not of["none"] and not is_wrong:
        parts.append(f"Nothing {'else ' if incidents else ''}is out of its limits.")
    elif of["ok"]:
        parts.append(f"{_upper(words.listed(of['ok']))} {_be(of['ok'])} in range.")
    if of["watch"]:
        parts.append(f"A notice about {words.listed(of['watch'])}, nothing that pages.")
    if of["none"]:
        nobody = "Nobody can say yet" if is_wrong or of["ok"] or of["watch"] else "Nobody watches this project yet"
        parts.append(f"{nobody}: {words.listed(of['none'])}.")
    return " ".join(part for part in parts if part) or "The monitors took too long to read."


def _wrong_words(wrong: Sequence[Card], front: Front) -> str:
    """ "Quality and safety in returns are out of limits since today 09:00."."""
    if not wrong:
        return ""
    places: dict[str, list[str]] = {}
    began = []
    for card in wrong:
        lead = card.asked.lead if card.asked else None
        named = places.setdefault(words.place(lead.about.scope) if lead is not None else "", [])
        if _PILLARS[card.pillar] not in named:
            named.append(_PILLARS[card.pillar])
        if lead is not None and lead.alarm is not None:
            began.append(lead.alarm.window_start)
    told = words.listed([f"{words.listed(named)}{place}" for place, named in places.items()])
    be = _be([one for named in places.values() for one in named])
    since = f" since {words.moment(min(began), front.zone, front.now)}" if began else ""
    return f"{_upper(told)} {be} out of limits{since}."


def _be(named: Sequence[str]) -> str:
    return "is" if len(named) == 1 and " and " not in named[0] else "are"


_PILLARS = {
    Pillar.QUALITY: "quality", Pillar.COST: "cost", Pillar.LATENCY: "speed and errors", Pillar.SAFETY: "safety",
    Pillar.USERS: "what users do",
}  # fmt: skip


def _by_pillar(cards: Sequence[Card]) -> dict[Pillar, str]:
    """The worst state of each pillar's questions."""
    order = {"bad": 0, "watch": 1, "none": 2, "ok": 3}
    found: dict[Pillar, str] = {}
    for card in cards:
        held = found.get(card.pillar)
        found[card.pillar] = card.said.state if held is None else min(held, card.said.state, key=order.__getitem__)
    return found


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
