"""Drift as values: what is frozen, what a window comes to against it, and what a sentence may claim. No database."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from alerts.drift.fields import BANDS, band_of, combined
from alerts.drift.grouping import About, Pair
from alerts.drift.groups import new_groups
from alerts.drift.map import plane_of
from alerts.drift.naming import names_of
from alerts.drift.packing import narrowed, pack, unit, unpack
from alerts.drift.reference import VECTORS_MIN, from_stored, learn, learned_json
from alerts.drift.report import Current, Report, adjust, make_report
from alerts.drift.wording import began, describe, tell
from alerts.drift.words import change_word, encoder_title
from alerts.pages import drift_view
from alerts.read.drift import DayPoint
from alerts.stats.distances import compare_counts, compare_numbers
from evals.stats.lexical import DIMS as LEXICAL_DIMS
from evals.stats.lexical import lexical_vectors
from evals.stats.results import TooLittle
from tests.alerts.drift_kit import DIMS, ENCODER, clusters, directions, facts, hex_ids

EVEN = (1, 1, 1, 0)
GOLDEN = [(12, -0.272), (26, -0.272), (69, -0.272)]
SEMANTIC = "endpoint:text-embedding-3-small/32"


def frozen(n=600, seed=1, **told):
    rows, _ = clusters(n, EVEN, seed=seed)
    found = learn(rows, hex_ids(n), facts(n, **told), seed=5)
    assert not isinstance(found, TooLittle)
    return found


def window(n, shares, seed, **told):
    rows, _ = clusters(n, shares, seed=seed)
    return Current(rows, hex_ids(n, 10_000), facts(n, **told), float(n))


# --- vectors --------------------------------------------------------------------------------------------------------


def test_a_packed_vector_keeps_its_distances_within_a_thousandth():
    rows, _ = clusters(50, EVEN, seed=3)

    back = unpack([pack(row) for row in rows], DIMS)

    apart, again = (np.linalg.norm(each[:, None] - each[None], axis=2) for each in (rows, back))
    assert np.abs(apart - again).max() < 1e-3


@pytest.mark.parametrize("broken", [[], [0.0, 0.0], [1.0, float("nan")], [float("inf"), 1.0], [[1.0, 2.0]]])
def test_what_has_no_direction_is_no_vector(broken):
    assert unit(broken) is None


def test_huge_and_tiny_numbers_have_a_direction_all_the_same():
    assert unit([3e300, 4e300]) == pytest.approx([0.6, 0.8])
    assert unit([3e-300, 4e-300]) == pytest.approx([0.6, 0.8])


def test_unpacking_refuses_another_length():
    with pytest.raises(ValueError, match="16 numbers"):
        unpack([pack(directions()[0])], 16)


def test_narrowing_keeps_distances_and_never_changes():
    rows = np.random.default_rng(2).normal(size=(60, 512))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)

    few = narrowed(rows, 64)

    ratio = np.linalg.norm(few[:30] - few[30:], axis=1) / np.linalg.norm(rows[:30] - rows[30:], axis=1)
    # The variance of a squared distance by 64 random signs is at most 2/64 of it.
    assert abs(float((ratio**2).mean()) - 1) < 4 * np.sqrt(2 / 64 / 30)
    signs = narrowed(np.eye(128), 64)[0, :8].tolist()
    assert signs == [0.125, -0.125, 0.125, -0.125, -0.125, -0.125, -0.125, -0.125]
    assert narrowed(rows[:, :32], 64).shape == (60, 32)


# --- lexical vectors ------------------------------------------------------------------------------------------------


def test_the_same_words_are_near_and_other_words_far():
    texts = [
        "Where is my refund?", "where's my REFUND, please", "Can I return a gift?",
        "返品したいです", "返品は可能ですか",
    ]  # fmt: skip
    rows = lexical_vectors(texts)
    near = rows @ rows.T

    assert near[0, 1] > 0.6 > 0.2 > near[0, 2]
    assert near[3, 4] > 0.2 > abs(near[3, 0])


def test_numbers_of_orders_make_no_other_text_and_blanks_make_none():
    rows = lexical_vectors(["order 123456 is late", "order 987654 is late", " \n\t ", "?!"])

    assert rows[0] == pytest.approx(rows[1])
    assert not rows[2].any()
    assert not rows[3].any()
    assert rows.shape == (4, LEXICAL_DIMS)


def test_a_lexical_vector_is_the_same_in_ten_years():
    row = lexical_vectors(["Can I return a gift without the receipt?"])[0]

    top = np.argsort(-np.abs(row), kind="stable")[:3]
    assert [(int(at), round(float(row[at]), 3)) for at in sorted(top)] == GOLDEN


def test_odd_texts_have_a_vector_of_finite_numbers():
    rows = lexical_vectors(["\ud800 half a character", "a" * 50_000, "\u202e" * 20, "ß" * 9, "١٢٣ ١٢٣"])

    assert np.isfinite(rows).all()
    assert np.linalg.norm(rows[1]) == pytest.approx(1)


# --- references -----------------------------------------------------------------------------------------------------


def test_a_reference_needs_its_vectors():
    rows, _ = clusters(VECTORS_MIN - 1, EVEN, seed=1)

    found = learn(rows, hex_ids(len(rows)), facts(len(rows)), seed=1)

    assert found == TooLittle(VECTORS_MIN - 1, VECTORS_MIN, "vectors")


def test_a_stored_reference_comes_back_and_gives_the_same_report():
    reference = frozen(categories={"model": {"a": 400, None: 200}}, numbers={"input_length": (1.0, 2.0) * 300})
    stored = json.loads(json.dumps(learned_json(reference)))

    again = from_stored(
        stored,
        reference.rows.astype("<f2").tobytes(),
        b"".join(bytes.fromhex(each) for each in reference.traces),
        reference.topics.centres.astype("<f4").tobytes(),
        DIMS,
        reference.seed,
    )

    assert again.traces == reference.traces
    assert again.facts == reference.facts
    assert again.names == reference.names
    now = window(200, EVEN, 9)
    told, retold = (make_report(each, now, "input", seed=3) for each in (reference, again))
    assert told.mmd2 == pytest.approx(retold.mmd2, abs=1e-4)
    assert [g.n_current for g in told.groups] == [g.n_current for g in retold.groups]


# --- reports --------------------------------------------------------------------------------------------------------


def test_steady_traffic_moves_in_one_report_of_ten_at_most():
    reference = frozen()

    moved = sum(make_report(reference, window(150, EVEN, 100 + at), "input", seed=at).has_moved for at in range(24))

    # The family of two tests is held to q = .1: more than 9 of 24 has a chance below 1e-4.
    assert moved <= 9


def test_a_new_topic_is_found_named_apart_and_shown_by_its_examples():
    reference, now = frozen(), window(300, (1, 1, 1, 0.75), 8)

    report = make_report(reference, now, "input", seed=4, with_plane=True)

    assert report.has_moved
    assert report.p == pytest.approx(1 / 1001)
    new = next(group for group in report.groups if group.is_new)
    assert new.n_reference == 0
    assert new.share_current == pytest.approx(0.2, abs=0.06)
    assert new.low > 0.1
    assert set(new.current_traces) <= set(now.traces)
    assert report.plane is not None
    assert len(report.plane.new) > 10


def test_groups_tell_passages_and_scores_of_their_own_traces_and_unknown_is_not_0():
    reference, current = frozen(), window(120, (1, 1, 1, 1), 77)
    plain = make_report(reference, current, "input", seed=3)
    new = next(each for each in plain.groups if each.is_new)
    told = [*new.current_traces[:3]]
    about = About(
        passages={told[0]: 0, told[1]: 3, reference.traces[0]: 5},
        scores={told[0]: (1.0, 1.0), told[1]: (4.0, 3.0)},
        scored_by="correctness",
    )

    report = make_report(reference, current, "input", seed=3, about=about)

    group = next(each for each in report.groups if each.is_new)
    assert group.passages == Pair(None, 0, 1.5, 2)
    assert group.score == Pair(None, 0, 3.25, 2), "weighted"
    assert sum(each.passages.n_reference for each in report.groups) == 1
    assert sum(each.passages.reference or 0 for each in report.groups) == 5
    assert Report.from_json(json.loads(json.dumps(report.as_json()))) == report
    old = report.as_json()
    old.pop("scored_by")
    for each in old["groups"]:
        del each["passages"], each["score"]
    assert {each.score for each in Report.from_json(old).groups} == {Pair()}, "a report from before"


def test_a_topic_that_grew_leads_the_groups():
    report = make_report(frozen(), window(300, (3, 1, 1, 0), 8), "input", seed=4)

    first = report.groups[0]
    assert first.key.startswith("topic:")
    assert first.residual > 3
    assert sum(group.n_current for group in report.groups) == 300


def test_a_report_survives_json_to_the_last_bit():
    told = {"categories": {"model": {"a": 300, "b": 300}}, "numbers": {"input_length": tuple(map(float, range(600)))}}
    now = window(120, (1, 1, 1, 0.75), 8, categories={"model": {"b": 120}}, numbers={"input_length": (9.0,) * 120})
    report = make_report(frozen(**told), now, "input", seed=4, with_plane=True)

    assert Report.from_json(json.loads(json.dumps(report.as_json()))) == report


def test_an_empty_window_is_unknown_and_nothing_moved():
    now = Current(np.empty((0, DIMS)), (), facts(0), 0.0)

    report = make_report(frozen(), now, "input", seed=4)

    assert (report.mmd2, report.p, report.groups) == (None, None, ())
    assert report.lacking == "0 of 20 vectors"
    assert not report.has_moved
    assert tell(report, "input", ENCODER).state == "none"


def test_fields_have_the_distances_of_the_statistics_and_a_state_in_a_word():
    then = {"finish_reason": {"stop": 950, "length": 50}, "model": {"a": 1000}, "field:tier": {None: 900}}
    lengths = tuple(float(each) for each in np.random.default_rng(1).gamma(2, 100, 1000))
    shorter = tuple(each / 3 for each in lengths[:400])
    now = {"finish_reason": {"stop": 300, "length": 100}, "model": {"a": 390, "b": 10}, "field:tier": {None: 400}}
    report = make_report(
        frozen(categories=then, numbers={"output_length": lengths}),
        window(400, EVEN, 2, categories=now, numbers={"output_length": shorter}),
        "output",
        seed=1,
    )
    found = {each.key: each for each in report.fields}

    counted = compare_counts([50, 950], [100, 300])
    assert found["finish_reason"].psi == pytest.approx(counted.psi)
    assert found["finish_reason"].js == pytest.approx(counted.js)
    assert found["finish_reason"].kl == pytest.approx(counted.kl)
    assert found["finish_reason"].state == "shifted"
    told = compare_numbers(lengths, shorter)
    assert found["output_length"].ks == pytest.approx(told.ks)
    assert found["output_length"].wasserstein == pytest.approx(told.wasserstein)
    assert "before" in describe(found["output_length"])
    assert found["model"].new == ("b",)
    assert found["field:tier"].state == "too_little"
    assert found["field:tier"].p is None


def test_a_value_called_unknown_is_not_mixed_with_what_is_not_known():
    then, now = {"model": {"unknown": 500, None: 500}}, {"model": {"unknown": 390, None: 10}}

    report = make_report(frozen(categories=then), window(400, EVEN, 2, categories=now), "output", seed=1)

    assert {each.name for each in report.fields[0].moved} == {"unknown", "“unknown”"}


def test_a_small_difference_that_is_real_is_called_small():
    then, now = {"input_language": {"en": 9000, "de": 1000}}, {"input_language": {"en": 8700, "de": 1300}}

    report = make_report(frozen(categories=then), window(400, EVEN, 2, categories=now), "input", seed=1)

    assert report.fields[0].state == "small"
    assert report.fields[0].psi < 0.1


def test_ps_are_adjusted_within_their_family_alone():
    assert adjust([0.01, None, 0.04, 0.03]) == pytest.approx([0.03, None, 0.04, 0.04])
    assert adjust([None]) == [None]


# --- groups, names, words -------------------------------------------------------------------------------------------


def test_single_oddities_make_no_group():
    reference = frozen()
    random = np.random.default_rng(3)
    odd = random.normal(size=(12, DIMS))
    odd /= np.linalg.norm(odd, axis=1, keepdims=True)
    rows = np.concatenate((clusters(200, EVEN, seed=5)[0], odd))

    assert new_groups(reference.topics, reference.rows, rows) == ()


def test_groups_are_named_by_what_they_say_and_others_do_not():
    groups = [
        ["Can I return a gift?", "return of a gift without receipt", "gift return please"],
        ["Where is my refund", "my refund is late", "refund for order 1"],
        ["???", "!!!"],
    ]

    names = names_of(groups, ["Topic 1", "Topic 2", "Topic 3"], taken=["outside"])

    assert set(names[0].lower().split()) >= {"return", "gift"}
    assert "refund" in names[1].lower()
    assert names[2] == "Topic 3"


def test_no_name_is_given_twice():
    names = names_of([["same words here"] * 3] * 3, ["A", "B", "C"], taken=["Same words"])

    assert len({name.casefold() for name in names}) == 3


def test_a_plane_is_within_its_frame_and_the_same_again():
    reference, now = clusters(400, EVEN, seed=1)[0], clusters(300, EVEN, seed=2)[0]
    told = plane_of(reference, now, np.zeros(300, dtype=bool))

    assert told == plane_of(reference, now, np.zeros(300, dtype=bool))
    assert all(0 <= value <= 1 for point in (*told.reference, *told.current) for value in point)
    assert plane_of(reference[:1], now[:1], np.zeros(1, dtype=bool)) is None


def test_letters_are_never_called_meaning():
    grown = make_report(frozen(), window(300, (1, 1, 1, 0.75), 8), "input", seed=4)

    lexical, semantic = tell(grown, "input", ENCODER), tell(grown, "input", SEMANTIC)

    assert lexical.sentence.startswith("A new kind of wording: ")
    assert semantic.sentence.startswith("A new kind of question: ")
    assert lexical.state == semantic.state == "watch"
    assert change_word(ENCODER) == "lexical change"
    assert change_word(SEMANTIC) == "semantic change"
    assert "text-embedding-3-small" in encoder_title(SEMANTIC)


def test_a_quiet_side_says_so_and_a_shifted_field_is_named():
    lengths = tuple(float(each) for each in np.random.default_rng(1).gamma(2, 100, 600))
    quiet = make_report(frozen(), window(300, EVEN, 21), "output", seed=4)
    shifted = make_report(
        frozen(numbers={"output_length": lengths}),
        window(300, EVEN, 21, numbers={"output_length": tuple(each / 3 for each in lengths[:300])}),
        "output",
        seed=4,
    )

    assert tell(quiet, "output", ENCODER).sentence == "Outputs look like the reference"
    assert tell(shifted, "output", ENCODER).sentence.startswith("Outputs read as before, but length of the output")


def test_a_group_is_new_in_the_table_only_where_sentence_and_map_call_it_so():
    report = make_report(frozen(), window(300, (1, 1, 1, 0.75), 8), "input", seed=4, with_plane=True)
    calm = replace(report, groups=tuple(replace(each, residual=1.0) for each in report.groups))

    for told, words, finding in ((report, {"new"}, "1 new group"), (calm, {"outside"}, "No new group")):
        rows = drift_view.group_rows(told, {})
        assert {row.word for row in rows if row.key.startswith("new:")} == words
        assert drift_view.plane_figure(told.plane, told, "input").finding.startswith(finding)


@pytest.mark.parametrize(
    ("values", "has_moved", "words"),
    [
        ((3, 1), False, "as in the reference now; 1 of 2 days beyond chance"),
        ((3, 1), True, "1 of 2 days beyond chance; the latest day alone is not"),
        ((1, 1), True, "no day alone lies beyond chance; its days together do"),
        ((1, 1), False, "within what chance gives on all 2 days"),
    ],
)
def test_the_curve_of_days_does_not_gainsay_the_window(values, has_moved, words):
    at = datetime(2026, 11, 1, tzinfo=UTC)
    days = [DayPoint(at + timedelta(n), at + timedelta(n + 1), 80, value, 0.5, 2.0)
            for n, value in enumerate(values)]  # fmt: skip

    figure = drift_view.series("input", ENCODER, None, days, ZoneInfo("UTC"), [], has_moved=has_moved)

    assert figure.finding == f"Inputs: {words}"


def test_days_in_a_row_are_counted_from_the_last_and_gaps_do_not_count():
    assert began([(1, 2), (3, 2), (None, None), (4, 2)]) == 2
    assert began([(3, 2), (1, 2)]) == 0
    assert began([]) == 0


def test_lengths_fall_into_bands_without_a_gap():
    assert [band_of(value) for value in (0, 31, 32, 63, 16384)] == [
        "under 32", "under 32", "32 to 63", "32 to 63", "16,384 and more",
    ]  # fmt: skip
    assert len(set(BANDS)) == len(BANDS)
    assert combined(("refund", "search")) == "refund + search"
    assert combined(()) == "none"
