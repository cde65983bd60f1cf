"""Filters of lists by what end users did, against the same question asked of Python; REST, files and views by them."""

from __future__ import annotations

import csv
import io
from random import Random

import orjson
import pytest

from tests.traces.session_rows import put_trace, refresh_all, trace_id
from tests.traces.signal_rows import put_behaviour, put_signal
from traces.behaviour.types import Fact, Stratum
from traces.read.asking import asking
from traces.read.filters import TraceFilter, parse_terms
from traces.read.listing import Ask, list_traces
from traces.read.session_did import tally_sessions
from traces.read.sessions import SESSION_FIELDS, list_sessions
from traces.read.signal_terms import BEHAVIOUR_CHOICES, SEEN_CHOICES, SIGNAL_CHOICES
from traces.signals.kinds import Kind, Source

pytestmark = pytest.mark.django_db
SIGNALS = [value for value, _, _ in SIGNAL_CHOICES]
SESSIONS = 24


def word(kind, vote):
    return {1: "thumb.up", -1: "thumb.down"}.get(vote, kind.name.lower())


@pytest.fixture
def crowd(shop):
    """Traces and sessions with signals of every kind, and what Python knows of them."""
    rng, project = Random(5), shop.project.pk
    traces, sessions, did = {}, {f"s{n}": set() for n in range(SESSIONS)}, {}
    ratings = {}
    for n in range(60):
        session = f"s{rng.randrange(SESSIONS)}"
        put_trace(project, n, session, at=n)
        traces[n] = set()
        for _ in range(rng.choice((0, 0, 1, 2))):
            kind = rng.choice(list(Kind))
            vote = rng.choice((1, -1, 0)) if kind is Kind.THUMB else None
            at, number = rng.random() * 1000, float(rng.randrange(1, 6)) if kind is Kind.RATING else None
            put_signal(project, kind, trace=trace_id(n), at=at, vote=vote, value_number=number, session=session,
                       source=Source.MODEL if kind is Kind.OUTSIDE else Source.END_USER, target_kind=1)  # fmt: skip
            if kind is not Kind.OUTSIDE and vote != 0:
                traces[n].add(word(kind, vote))
                sessions[session].add(word(kind, vote))
            if number is not None:
                ratings[n] = max(ratings.get(n, (0.0, 0.0)), (at, number))
    refresh_all(project)
    for session in list(sessions)[: SESSIONS - 4]:
        facts = Fact(rng.randrange(8192)) & ~Fact(0)
        did[session] = (rng.choice(list(Stratum)), facts, rng.choice((1, -1, 0, 0)), rng.choice((None, 2.0, 4.5)))
        stratum, facts, vote, rating = did[session]
        put_behaviour(project, session, stratum, facts=facts, vote=vote, rating=rating)
    # The same in another project must change nothing.
    put_signal(shop.elsewhere.pk, trace=trace_id(1), vote=1)
    put_behaviour(shop.elsewhere.pk, "s23", Stratum.ABANDONED, vote=1)
    shop.traces, shop.sessions, shop.did = traces, sessions, did
    shop.ratings = {n: number for n, (_, number) in ratings.items()}
    shop.there = {row.session_id for row in list_sessions(project, TraceFilter(), ask=Ask(limit=1000)).rows}
    return shop


def traces_by(crowd, **terms):
    found, wrong = parse_terms((key.replace("__", "."), values) for key, values in terms.items())
    assert not wrong
    page = list_traces(crowd.project.pk, TraceFilter(terms=found), ask=Ask(limit=1000))
    return {row.trace_id.int for row in page.rows}


def sessions_by(crowd, **terms):
    found, wrong = parse_terms(((key.replace("__", "."), values) for key, values in terms.items()), SESSION_FIELDS)
    assert not wrong
    page = list_sessions(crowd.project.pk, TraceFilter(terms=found), ask=Ask(limit=1000))
    assert page.count.n == len(page.rows)
    return {row.session_id for row in page.rows}


def matches(words, value):
    return bool(words) if value == "any" else not words if value == "none" else value in words


def test_traces_and_sessions_by_signal_are_those_that_have_it(crowd):
    for value in SIGNALS:
        traces = {n for n, words in crowd.traces.items() if matches(words, value)}
        sessions = {s for s in crowd.there if matches(crowd.sessions[s], value)}
        assert traces_by(crowd, signal=[value]) == traces, value
        assert traces_by(crowd, signal__not=[value]) == set(crowd.traces) - traces, value
        assert sessions_by(crowd, signal=[value]) == sessions, value
        assert sessions_by(crowd, signal__not=[value]) == crowd.there - sessions, value
    some = ["thumb.down", "correction", "none"]
    assert traces_by(crowd, signal=some) == {
        n for n, words in crowd.traces.items() if any(matches(words, value) for value in some)
    }


def test_traces_by_rating_are_those_with_such_a_newest_one(crowd):
    for bound in (1.0, 3.0, 5.0):
        assert traces_by(crowd, rating__min=[str(bound)]) == {n for n, held in crowd.ratings.items() if held >= bound}
        assert traces_by(crowd, rating__max=[str(bound)]) == {n for n, held in crowd.ratings.items() if held <= bound}


def test_sessions_by_behaviour_facts_vote_and_rating(crowd):
    here = {s: held for s, held in crowd.did.items() if s in crowd.there}
    for value, _, _ in BEHAVIOUR_CHOICES:
        wanted = {s for s, held in here.items() if held[0].name.lower() == value}
        assert sessions_by(crowd, behaviour=[value]) == wanted, value
        assert sessions_by(crowd, behaviour__not=[value]) == crowd.there - wanted, value
    for value, _, _ in SEEN_CHOICES:
        wanted = {s for s, held in here.items() if held[1] & Fact[value.upper()]}
        assert sessions_by(crowd, seen=[value]) == wanted, value
    both = Fact.ABANDONED | Fact.COPIED
    assert sessions_by(crowd, seen=["abandoned", "copied"]) == {s for s, held in here.items() if held[1] & both}
    for value, vote in (("up", 1), ("down", -1)):
        assert sessions_by(crowd, vote=[value]) == {s for s, held in here.items() if held[2] == vote}
    silent = {s for s in crowd.there if s not in here or here[s][2] == 0}
    assert sessions_by(crowd, vote=["none"]) == silent
    assert sessions_by(crowd, vote=["none", "up"]) == silent | {s for s, held in here.items() if held[2] == 1}
    assert sessions_by(crowd, rating__min=["3"]) == {s for s, held in here.items() if held[3] and held[3] >= 3}


def test_the_tally_counts_what_the_list_has(crowd):
    with asking() as cursor:
        tally = tally_sessions(cursor, crowd.project.pk, TraceFilter())
    here = [crowd.did.get(s) for s in crowd.there]

    assert tally.n == len(here)
    assert tally.strata == {
        stratum: sum((held and held[0]) == stratum for held in here) for stratum in {held and held[0] for held in here}
    }
    closed = [held for held in here if held and held[0] is not Stratum.OPEN]
    assert (tally.closed, tally.up) == (len(closed), sum(held[2] == 1 for held in closed))


def test_facets_count_signals_and_lead_to_them(crowd):
    html = crowd.bob.get("/p/shop/traces/?t=all&signal=thumb.down").content.decode()
    facets = crowd.nobody.get("/api/v1/traces/facets", headers=crowd.key("read")).json()

    assert 'name="signal" value="thumb.down" checked' in html
    told = {value["value"]: value["n"] for facet in facets["facets"] if facet["field"] == "signal"
            for value in facet["values"]}  # fmt: skip
    assert told
    for value, n in told.items():
        assert n == sum(matches(words, value) for words in crowd.traces.values()), value


def test_rest_takes_the_same_filters_and_tells_the_same(crowd):
    key = crowd.key("read")

    traces = crowd.nobody.get("/api/v1/traces?signal=thumb.down&include=signals&limit=200", headers=key).json()["items"]
    plain = crowd.nobody.get("/api/v1/traces?limit=1", headers=key).json()["items"]
    answer = crowd.nobody.get("/api/v1/sessions?vote=up&include=tally&limit=200", headers=key).json()
    refused = crowd.nobody.get("/api/v1/sessions?behaviour=odd&vote=1", headers=key)

    assert {int(item["trace_id"], 16) for item in traces} == traces_by(crowd, signal=["thumb.down"])
    assert all(set(item["signals"]) == crowd.traces[int(item["trace_id"], 16)] for item in traces)
    assert "signals" not in plain[0]
    assert {item["session_id"] for item in answer["items"]} == sessions_by(crowd, vote=["up"])
    assert {item["vote"] for item in answer["items"]} == {"up"}
    for item in answer["items"]:
        stratum, facts, _, rating = crowd.did[item["session_id"]]
        assert (item["behaviour"], item["rating"]) == (stratum.name.lower(), rating)
        assert set(item["seen"]) == {str(fact.name).lower() for fact in facts}
    assert answer["tally"]["sessions"] == len(answer["items"])
    assert refused.status_code == 400
    assert {error["field"] for error in refused.json()["errors"]} == {"behaviour", "vote"}


def test_files_have_the_same_rows_and_what_users_did(crowd):
    as_csv = crowd.bob.get("/p/shop/traces/?t=all&signal=any&format=csv&columns=said,signals")
    lines = list(csv.DictReader(io.StringIO(b"".join(as_csv.streaming_content).decode())))
    as_lines = crowd.bob.get("/p/shop/sessions/?t=all&vote=down&format=ndjson")
    records = [orjson.loads(line) for line in b"".join(as_lines.streaming_content).splitlines()]

    assert {int(line["trace_id"], 16) for line in lines} == traces_by(crowd, signal=["any"])
    assert all(line["signals"] for line in lines)
    assert {record["session_id"] for record in records} == sessions_by(crowd, vote=["down"])
    assert {record["vote"] for record in records} == {"down"}
    assert {record["behaviour"] for record in records} <= {value for value, _, _ in BEHAVIOUR_CHOICES}


def test_a_view_keeps_such_a_filter(crowd):
    saved = crowd.bob.post("/p/shop/traces/views/", {"name": "Disliked", "query": "signal=thumb.down&rating.max=2"})

    assert saved.status_code == 302
    assert "signal=thumb.down" in saved.url
    assert "User signal thumb down" in crowd.bob.get("/p/shop/traces/views/").content.decode()


def test_a_value_that_cannot_be_is_told_on_the_page(crowd):
    html = crowd.bob.get("/p/shop/traces/?t=all&signal=thumb.sideways&rating.min=x").content.decode()

    assert "signal is not accepted" in html
    assert "thumb.up, thumb.down" in html
    assert "rating.min is no number" in html
