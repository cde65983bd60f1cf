"""What names and values of signals mean, and which of them are the same signal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traces.signals.items import ItemRefused, read_item
from traces.signals.kinds import Kind, Source, Target
from traces.signals.names import NO_NAMES, SHIPPED, Names, NamesRefused, plain_name

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TRACE = "5b8efff798038103d269b633813fc60c"


def read(names=NO_NAMES, **item):
    return read_item({"name": "thumbs_up", "trace_id": TRACE} | item, NOW, names)


@pytest.mark.parametrize(
    ("name", "value", "vote"),
    [
        ("thumbs_up", None, 1), ("thumbs_up", True, 1), ("thumbs_up", 1, 1), ("thumbs_up", False, -1),
        ("thumbs_up", 0, -1), ("thumbs_down", None, -1), ("thumbs_down", True, -1), ("thumbs_down", 1, -1),
        ("thumbs_down", -1, -1), ("thumbs_down", False, 0), ("thumbs_down", 0, 0), ("thumb", True, 1),
        ("thumb", False, -1), ("thumb", 0.2, 1), ("thumb", -1, -1), ("thumb", "up", 1), ("thumb", "Thumbs Down", -1),
        ("thumb", "none", 0), ("thumb", "👍🏽", 1), ("thumb", None, 0), ("👎", None, -1), ("User-Feedback", 0, -1),
        ("user score", 1, 1), ("Like", None, 1), ("rating", 5, None), ("mood", True, None),
    ],
)  # fmt: skip
def test_a_thumb_says_up_down_or_nothing(name, value, vote):
    assert read(name=name, value=value).vote == vote


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Thumbs Up", Kind.THUMB), ("👍️", Kind.THUMB), ("star-rating", Kind.RATING), ("Correction", Kind.CORRECTION),
        ("follow.up", Kind.FOLLOW_UP), ("regenerate", Kind.RETRY), ("copied", Kind.COPIED), ("edited", Kind.EDITED),
        ("abandonment", Kind.ABANDONED), ("human-handoff", Kind.ESCALATED), ("task_completed", Kind.COMPLETED),
        ("purchase", Kind.CONVERSION), ("free text", Kind.TEXT), ("thumbs_up_maybe", Kind.OTHER),
    ],
)  # fmt: skip
def test_known_names_mean_their_kind_however_they_are_written(name, kind):
    assert read(name=name, value=1).kind is kind


def test_every_shipped_name_is_written_as_names_are_looked_up():
    assert [name for name in SHIPPED if plain_name(name) != name] == []


@pytest.mark.parametrize("source", ["model", "code"])
def test_what_a_model_or_program_says_is_outside_whatever_its_name(source):
    signal = read(name="thumbs_up", source=source)

    assert (signal.kind, signal.vote, signal.source) == (Kind.OUTSIDE, None, Source[source.upper()])


def test_a_projects_own_names_go_before_the_shipped_ones():
    names = Names.parse({"Smiley": "thumb.up", "helpful": "other", "stars": "thumb"})

    assert read(names, name="smiley").vote == 1
    assert read(names, name="helpful", value=1).kind is Kind.OTHER
    assert read(names, name="Stars", value=0).vote == -1
    assert Names.parse(names.to_json()) == names


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ([], "names"), ({"a": "thumbs"}, "names.a"), ({"a": None}, "names.a"), ({" ": "thumb"}, "names"),
        ({"a" * 101: "thumb"}, "names"), ({"a b": "thumb", "A-b": "rating"}, "names.a_b"),
        ({str(at): "thumb" for at in range(201)}, "names"),
    ],
)  # fmt: skip
def test_names_that_cannot_be_are_refused_with_their_field(told, field):
    with pytest.raises(NamesRefused) as refused:
        Names.parse(told)

    assert refused.value.field == field
    assert refused.value.limit


def test_user_feedback_is_told_from_what_evaluators_score():
    assert all(NO_NAMES.is_user_feedback(name) for name in ("user_feedback", "User-Score", "thumbs_down", "csat"))
    assert not any(NO_NAMES.is_user_feedback(name) for name in ("helpful", "task_completion", "rating", "groundedness"))
    assert Names.parse({"smiley": "thumb"}).is_user_feedback("Smiley")
    assert not Names.parse({"csat": "other"}).is_user_feedback("csat")


def key(**item):
    return read(**item).key


def test_an_id_is_the_key_and_without_one_what_makes_it_the_same():
    at = "2026-11-20T10:00:00Z"

    assert key(client_id="a") == key(id="a", name="retry", trace_id=TRACE[::-1])
    assert key() == key(name="thumbs_down") == key(name="thumb", value=False) == key(trace_id=TRACE.upper())
    assert key() != key(user_id="u") != key(user_id="v")
    assert key(happened_at=at) == key(happened_at="2026-11-20T11:00:00+01:00") != key()
    assert key(name="retry") == key(name="Retry") != key(name="copied")
    assert key(name="comment", value="a") != key(name="comment", value="b")
    assert key(name="comment", value="a", happened_at=at) == key(name="comment", value="b", happened_at=at)
    assert key(name="csat", value=1) == key(name="csat", value=2) != key(name="nps", value=1)
    assert key(span_id="a1" * 8) != key() != key(session_id="s")
    # An id is never what somebody else's digest could be.
    assert key(source="model") != key()


def test_what_a_signal_is_about_is_the_narrowest_that_is_told():
    assert read(span_id="a1" * 8, session_id="s", request_id="r").target is Target.SPAN
    assert read(session_id="s").target is Target.TRACE
    assert read(trace_id=None, session_id="s").target is Target.SESSION
    assert read(trace_id=None, session_id="s", request_id="r").target is Target.REQUEST
    foreign = read(trace_id="order/77")
    assert (foreign.target, foreign.trace_id, foreign.request_id) == (Target.TRACE, None, "order/77")


def test_ids_of_sessions_and_users_are_cut_as_those_of_spans_are():
    signal = read(session_id="ä" * 600, user_id=" u ")

    assert signal.session_id == "ä" * 512
    assert signal.author == "u"


def test_a_time_that_was_not_told_is_when_it_came():
    assert (read().happened_at, read().is_dated) == (NOW, False)
    told = read(happened_at="2026-11-22T11:59:59.5")
    assert (told.happened_at - NOW, told.is_dated) == (timedelta(hours=23, minutes=59, seconds=59.5), True)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(["name", "value", "trace_id", "span_id", "session_id", "client_id", "happened_at", "metadata"])


def faults_of(item, is_told):
    try:
        signal = read(**item) if is_told else read_item(item, NOW, NO_NAMES)
    except ItemRefused as refused:
        return refused.faults
    assert "\x00" not in signal.name
    assert signal.happened_at.tzinfo is not None
    return ()


@given(st.dictionaries(fields, json_values), st.booleans())
def test_anything_is_read_or_refused_in_words(item, is_told):
    assert all(fault.field and fault.message for fault in faults_of(item, is_told))
