"""The rules of behaviour: what is a retry, a correction, a farewell, and what only looks like one."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from tests.traces.behaviour_rows import NOON, turn
from traces.behaviour import words
from traces.behaviour.definition import SHIPPED, parse_definition
from traces.behaviour.rules import behaviour
from traces.behaviour.types import Earlier, Fact, Seen, Stratum
from traces.signals.kinds import Kind, Source

RESET = "How do I reset my password?"
LATER = NOON + timedelta(days=1)


def look(*turns, seen=(), told=None, now=LATER, **more):
    return behaviour(turns, seen, parse_definition(told or {}), now, **more)


def signal(kind, at=1000.0, name="x", source=Source.END_USER, **more):
    return Seen(kind, name, source, NOON + timedelta(seconds=at), **more)


def both(first, second, gap=30.0, **more):
    """What a session of two turns shows, the second `gap` seconds after the first had ended."""
    return look(turn(1, 0, first, **more), turn(2, 5 + gap, second)).facts


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (RESET, "how do i RESET my password"),
        ("怎么申请退款？", "怎么申请退款"),
        ("كيف يمكنني إلغاء الاشتراك؟", "كيف يمكنني إلغاء الاشتراك"),
        ("Wie kündige ich mein Abonnement?", "wie kündige ich mein abonnement"),
        ("¿Dónde está mi pedido?", "donde esta mi pedido"),
    ],
)
def test_the_same_question_again_soon_is_a_retry(first, second):
    assert both(first, second) & Fact.RETRIED
    assert not both(first, second, gap=121) & Fact.RETRIED


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (RESET, "how can I reset the password"),
        ("Where is my parcel?", "My parcel, where is it?"),
        ("Why is my internet slow", "My internet is really slow, why is that"),
        ("Wie kündige ich mein Abonnement?", "Wie kann ich mein Abonnement kündigen?"),
        ("请问怎么申请退款", "怎么申请退款呢"),
        ("返金する方法を教えて", "返金の方法を教えて"),
        ("كيف يمكنني إلغاء الاشتراك؟", "إلغاء الاشتراك كيف؟"),
        ("Comment annuler mon abonnement ?", "comment puis-je annuler mon abonnement"),
    ],
)
def test_almost_the_same_question_is_a_rephrasing(first, second):
    assert both(first, second) & (Fact.REPHRASED | Fact.RETRIED) == Fact.REPHRASED
    assert not both(first, second, gap=601) & Fact.REPHRASED


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("What is the weather in Paris?", "What is the weather in London?"),
        ("Where is my order 4711?", "Where is my order 4712?"),
        ("Tell me about the refund policy", "Tell me about the shipping policy"),
        ("怎么申请退款", "怎么修改收货地址"),
        ("返金する方法を教えて", "住所を変更する方法を教えて"),
        ("Wie kündige ich mein Abonnement?", "Was kostet mein Abonnement im Monat?"),
        ("كيف يمكنني إلغاء الاشتراك؟", "كيف يمكنني تغيير كلمة المرور؟"),
    ],
)
def test_another_question_of_the_same_build_is_a_follow_up(first, second):
    assert both(first, second) & (Fact.RETRIED | Fact.REPHRASED | Fact.FOLLOWED_UP) == Fact.FOLLOWED_UP
    assert not both(first, second, gap=1801) & Fact.FOLLOWED_UP


def test_short_words_are_no_retry_except_after_an_error():
    assert both("yes", "yes") == Fact(0)
    assert both("yes", "yes", failed=True) & Fact.RETRIED


def test_what_begins_at_once_or_before_the_end_is_the_applications_doing():
    assert both(RESET, RESET, gap=0.4) == Fact(0)
    assert both(RESET, RESET, gap=-3) == Fact(0)
    assert both(RESET, RESET, gap=1.0) & Fact.RETRIED


def test_two_beginnings_are_no_proof_of_one_question():
    cut = "Summarise this document: " + "a" * 174 + "…"

    assert not both(cut, cut) & (Fact.RETRIED | Fact.REPHRASED)
    assert both(cut, cut, failed=True) & Fact.RETRIED


@pytest.mark.parametrize(
    "said",
    [
        "No, that's wrong", "that is not what I asked", "NO! I meant the blue one", "Incorrect.", "Das ist falsch!",
        "c’est faux", "eso no es lo que pedí", "não é isso", "هذا خطأ", "不对，我问的是地址", "違います",
    ],
)  # fmt: skip
def test_a_correction_after_an_answer(said):
    assert both(RESET, said) & Fact.CORRECTED
    assert not look(turn(1, 0, said)).facts & Fact.CORRECTED
    assert not both(RESET, said, answered=False) & Fact.CORRECTED


@pytest.mark.parametrize(
    "said",
    [
        "no problem", "No, thanks", "nothing wrong so far", "What is wrong with my order?", "Can you correct this text",
        "I know that is right", "kein Problem", "there is no place like home",
    ],
)  # fmt: skip
def test_no_correction(said):
    assert not both(RESET, said) & Fact.CORRECTED


@pytest.mark.parametrize(
    "said",
    [
        "Can I speak to a human?", "AGENT", "I want to talk to a real person now", "transfer me to sales",
        "Ich möchte mit einem Mitarbeiter sprechen", "quiero hablar con una persona", "转人工", "أريد التحدث مع موظف",
    ],
)  # fmt: skip
def test_asking_for_a_human(said):
    assert look(turn(1, 0, said)).facts & Fact.ESCALATED
    assert look(turn(1, 0, said)).stratum is Stratum.ESCALATED


@pytest.mark.parametrize("said", ["Which travel agent did I book with?", "human rights in France", "user agent header"])
def test_not_asking_for_a_human(said):
    assert not look(turn(1, 0, said)).facts & Fact.ESCALATED


@pytest.mark.parametrize(
    "said", ["Thanks, that worked!", "thank you so much", "ok thanks", "Danke!", "merci beaucoup", "谢谢", "شكرا جزيلا"]
)
def test_closing_words_are_completion_and_not_abandonment(said):
    found = look(turn(1, 0, RESET), turn(2, 60, said, answered=False))

    assert found.facts & (Fact.CLOSING_WORDS | Fact.COMPLETED | Fact.ABANDONED) == Fact.CLOSING_WORDS | Fact.COMPLETED
    assert found.stratum is Stratum.COMPLETED


@pytest.mark.parametrize(
    "said",
    [
        "Thanks, but it still fails", "Thanks for nothing", "thanks, and where do I find invoices?", "Danke, aber nein",
        "perfectly useless", "谢谢，但是不行",
    ],
)  # fmt: skip
def test_words_that_only_look_like_a_farewell(said):
    assert not both(RESET, said) & Fact.CLOSING_WORDS


def test_a_farewell_in_the_middle_is_none_and_a_first_word_neither():
    assert (
        not look(turn(1, 0, RESET), turn(2, 60, "thanks"), turn(3, 99, "Where is my order?")).facts & Fact.CLOSING_WORDS
    )
    assert not look(turn(1, 0, "Thanks")).facts & Fact.CLOSING_WORDS


def test_leaving_after_the_first_answer_is_abandonment_once_the_session_is_over():
    early = look(turn(1, 0, RESET), now=NOON + timedelta(seconds=5, minutes=30) - timedelta(microseconds=1))
    over = look(turn(1, 0, RESET), now=NOON + timedelta(seconds=5, minutes=30))

    assert (early.stratum, early.facts, early.is_closed) == (Stratum.OPEN, Fact(0), False)
    assert (over.stratum, over.facts, over.is_closed) == (Stratum.ABANDONED, Fact.ABANDONED, True)
    assert [why.words for why in over.whys] == ["left after an answer, with 1 answered in all"]
    assert (over.answers, over.turns, over.length_seconds) == (1, 1, 5.0)


@pytest.mark.parametrize(
    ("told", "stratum"),
    [
        ({"abandon_answers": 0}, Stratum.CARRIED_ON),
        ({"single_shot": True}, Stratum.CARRIED_ON),
        ({"features": {"chat": {"single_shot": True}}}, Stratum.CARRIED_ON),
        ({"features": {"other": {"single_shot": True}}}, Stratum.ABANDONED),
        ({"abandon_answers": 3}, Stratum.ABANDONED),
        ({"features": {"chat": {"idle_minutes": 10_080}}}, Stratum.OPEN),
    ],
)
def test_numbers_decide_what_leaving_says(told, stratum):
    assert look(turn(1, 0, RESET), told=told).stratum is stratum


def test_an_error_and_gone_is_abandonment_and_no_answer_at_all_tells_nothing():
    assert look(turn(1, 0, RESET, failed=True)).stratum is Stratum.ABANDONED
    assert look(turn(1, 0, RESET, answered=False)).stratum is Stratum.UNKNOWN
    assert look(turn(1, 0, RESET), turn(2, 60, "Where is my order?", answered=False)).stratum is Stratum.CARRIED_ON


@pytest.mark.parametrize(
    ("kind", "facts", "stratum"),
    [
        (Kind.COMPLETED, Fact.COMPLETED, Stratum.COMPLETED),
        (Kind.CONVERSION, Fact.COMPLETED | Fact.CONVERTED, Stratum.COMPLETED),
        (Kind.COPIED, Fact.COMPLETED | Fact.COPIED, Stratum.COMPLETED),
        (Kind.CORRECTION, Fact.CORRECTED, Stratum.CORRECTED),
        (Kind.EDITED, Fact.CORRECTED | Fact.EDITED, Stratum.CORRECTED),
        (Kind.RETRY, Fact.RETRIED, Stratum.RETRIED),
        (Kind.ESCALATED, Fact.ESCALATED, Stratum.ESCALATED),
        (Kind.FOLLOW_UP, Fact.FOLLOWED_UP, Stratum.CARRIED_ON),
        (Kind.ABANDONED, Fact.ABANDONED, Stratum.ABANDONED),
        (Kind.OTHER, Fact.ABANDONED, Stratum.ABANDONED),
        (Kind.TEXT, Fact.ABANDONED, Stratum.ABANDONED),
    ],
)
def test_what_signals_tell_of_a_session_of_one_answer(kind, facts, stratum):
    found = look(turn(1, 0, RESET), seen=[signal(kind)])

    assert (found.facts, found.stratum) == (facts, stratum)


def test_a_signal_that_says_no_and_one_of_a_reviewer_tell_nothing():
    for each in (
        signal(Kind.COMPLETED, truth=False), signal(Kind.COPIED, number=0), signal(Kind.COMPLETED, label="no"),
        signal(Kind.COMPLETED, source=Source.REVIEWER), signal(Kind.THUMB, vote=1, source=Source.MODEL),
    ):  # fmt: skip
        found = look(turn(1, 0, RESET), seen=[each])
        assert (found.stratum, found.vote) == (Stratum.ABANDONED, 0)
    assert look(turn(1, 0, RESET), seen=[signal(Kind.CONVERSION, number=0.0)]).stratum is Stratum.COMPLETED


def test_who_comes_back_or_is_done_later_did_not_leave():
    left = signal(Kind.ABANDONED, 100)

    assert look(turn(1, 0, RESET), turn(2, 60, "Where is my order?"), seen=[left]).stratum is Stratum.ABANDONED
    assert look(turn(1, 0, RESET), turn(2, 160, "Where is my order?"), seen=[left]).stratum is Stratum.CARRIED_ON
    assert look(turn(1, 0, RESET), seen=[left, signal(Kind.COMPLETED, 200)]).stratum is Stratum.COMPLETED


def test_completion_is_what_the_project_says_it_is():
    told = {"completion": ["conversion"], "abandon_answers": 2}

    assert look(turn(1, 0, RESET), seen=[signal(Kind.COPIED)], told=told).stratum is Stratum.ABANDONED
    assert look(turn(1, 0, RESET), turn(2, 60, "Thanks!"), told=told).stratum is Stratum.ABANDONED


def test_a_trace_without_a_session_tells_what_its_signals_tell():
    alone = look(turn(1, 0, "Let me talk to a human"), is_session=False)
    told = look(turn(1, 0, RESET), seen=[signal(Kind.RETRY)], is_session=False)

    assert (alone.stratum, alone.facts) == (Stratum.UNKNOWN, Fact.LONE)
    assert (told.stratum, told.facts) == (Stratum.RETRIED, Fact.LONE | Fact.RETRIED)


def test_the_first_group_that_matches():
    facts = [Kind.ABANDONED, Kind.RETRY, Kind.CORRECTION, Kind.ESCALATED, Kind.COPIED]
    found = [
        look(turn(1, 0, RESET), turn(2, 60, "Where is my order?"), seen=[signal(kind) for kind in facts[at:]]).stratum
        for at in range(len(facts) + 1)
    ]

    assert found == [1, 2, 3, 4, 5, 6]


def test_votes_are_the_last_of_each_person_and_the_last_of_all():
    votes = [
        signal(Kind.THUMB, 10, vote=-1, author="a"),
        signal(Kind.THUMB, 30, vote=1, author="a"),
        signal(Kind.RATING, 20, number=1.0, author="b"),
        signal(Kind.THUMB, 40, vote=0, author="c"),
        signal(Kind.RATING, 50, number=3.0, author="d"),
        signal(Kind.RATING, 60, number=9.0, author="e"),
    ]

    found = look(turn(1, 0, RESET), seen=votes)

    assert (found.vote, found.votes, found.rating) == (1, 2, 3.0)
    assert look(turn(1, 0, RESET), seen=votes, told={"rating_high": 10, "rating_up_from": 8}).votes == 3


def test_a_late_signal_opens_nothing_again_and_a_soon_one_keeps_it_open():
    soon = look(turn(1, 0, RESET), seen=[signal(Kind.TEXT, 5 + 1800)])
    late = look(turn(1, 0, RESET), seen=[signal(Kind.TEXT, 5 + 1801)])

    assert soon.closes_at == NOON + timedelta(seconds=5 + 3600)
    assert late.closes_at == NOON + timedelta(seconds=5 + 1800)


def test_order_and_clocks_do_not_matter():
    turns = [turn(1, 0, RESET), turn(2, 40, RESET), turn(3, 90, "Where is my order?", seconds=None)]

    forwards, backwards = look(*turns), look(*reversed(turns))

    assert forwards == backwards
    assert forwards.length_seconds is None
    assert look(turn(1, 0, RESET, seconds=-9.0)).length_seconds == 0.0


def test_without_words_only_what_needs_none_is_seen():
    found = look(turn(1, 0, None), turn(2, 60, None))

    assert (found.facts, found.stratum) == (Fact.WORDLESS, Stratum.CARRIED_ON)
    assert look(turn(1, 0, None)).facts == Fact.WORDLESS | Fact.ABANDONED


def test_what_was_before_the_newest_turns_counts():
    before = Earlier(NOON - timedelta(hours=1), "search", 700, 690, has_failed=True, facts=Fact.CORRECTED)

    found = look(turn(1, 0, RESET), earlier=before)

    assert (found.turns, found.answers, found.feature) == (701, 691, "search")
    assert found.facts == Fact.ERROR | Fact.CORRECTED
    assert (found.stratum, found.length_seconds) == (Stratum.CORRECTED, 3605.0)


def test_a_unit_without_turns_has_no_behaviour():
    with pytest.raises(ValueError, match="without turns"):
        behaviour([], [], SHIPPED, LATER)


def test_reasons_name_the_turn_or_the_signal_that_showed_them():
    trace = UUID(int=1)
    found = look(
        turn(1, 0, RESET), turn(2, 30, RESET), seen=[signal(Kind.COPIED, trace_id=trace, name="answer_copied")]
    )

    assert [(why.fact, why.trace_id, why.is_told) for why in found.whys] == [
        (Fact.COMPLETED, trace, True), (Fact.COPIED, trace, True), (Fact.RETRIED, UUID(int=2), False),
    ]  # fmt: skip
    assert found.whys[0].words == "the signal “answer_copied” says so"
    assert found.whys[2].words == "the same question 25 s after an answer"


def test_phrases_are_whole_words_in_any_case_and_script():
    found = words.prepare(["^no", "agent$", "real human", "^bye$", "人工", "?!"])

    assert found.find(words.normal("No. Never.")) == "^no"
    assert found.find(words.normal("nothing")) is None
    assert found.find(words.normal("call an AGENT!")) == "agent$"
    assert found.find(words.normal("call an agent"), has_end=False) is None
    assert found.find(words.normal("agents")) is None
    assert found.find(words.normal("a surreal human")) is None
    assert found.find(words.normal("bye bye")) is None
    assert found.find(words.normal("我要人工客服")) == "人工"
    assert words.prepare(["?!"]).find(words.normal("what?!")) is None


@pytest.mark.parametrize("text", ["", "?!…", "\u200f", "👍", "_" * 200, "\x00\u0300", "a\u0308" * 90, "ｶﾞ", "क्षत्रिय"])
def test_no_text_breaks_the_words(text):
    found = words.normal(text)

    assert found[0] == found[-1] == " "
    assert words.similarity(found, words.normal("hello there")) < 0.3
    assert words.letters(found) >= 0
