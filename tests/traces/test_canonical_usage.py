"""Token counts of every speaker become the same disjoint buckets."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traces.canonical.types import SpanFlag, Usage, Vocabulary
from traces.canonical.usage import Counts, resolve, to_count
from traces.canonical.usage_maps import counts_from_map

# Call A of the worked examples: fresh 500, read 8,000, written 1,200 for 5 minutes and 400 for an hour, 250 out.
CALL_A = Usage(500, 8000, 1200, 400, None, 250, None, None)


def settle(counts, vocabulary=Vocabulary.GENAI, provider="anthropic", **options):
    options = {"cache_blind": False, "is_error": False, "has_output": True, "source": "test", **options}
    return resolve(counts, vocabulary=vocabulary, provider=provider, **options)


@pytest.mark.parametrize(
    ("counts", "vocabulary"),
    [
        (Counts(10_100, 250, read=8000, write=1600, write_5m=1200, write_1h=400), Vocabulary.GENAI),
        (Counts(10_100, 250, read=8000, write_5m=1200, write_1h=400), Vocabulary.ANTHROPIC),
        (Counts(10_100, 250, read=8000, write=1600, write_1h=400), Vocabulary.MLFLOW),
        (Counts(500, 250, read=8000, write=1600, write_5m=1200, write_1h=400), Vocabulary.OPENLIT),
        (Counts(500, 250, read=8000, write=1600, write_5m=1200, write_1h=400), Vocabulary.GENAI),
        (Counts(500, 250, read=8000, write_5m=1200, write_1h=400, accounting="exclusive"), Vocabulary.NATIVE),
        (Counts(500, 250, read=8000, write_5m=1200, write_1h=400, accounting="additive"), Vocabulary.NATIVE),
    ],
)
def test_inclusive_exclusive_and_additive_speakers_tell_the_same_call(counts, vocabulary):
    resolved = settle(counts, vocabulary)

    assert resolved.usage == CALL_A
    assert resolved.flags == 0


@pytest.mark.parametrize(
    "usage",
    [
        {"input_tokens": 500, "cache_read_input_tokens": 8000, "cache_creation_input_tokens": 1600, "output_tokens": 250,  # noqa: E501
         "cache_creation": {"ephemeral_5m_input_tokens": 1200, "ephemeral_1h_input_tokens": 400}},
        {"input": 500, "cache_read_input_tokens": 8000, "input_cache_write_5m": 1200, "input_cache_write_1h": 400,
         "output": 250, "total": 10_350},
        {"prompt_tokens": 10_100, "completion_tokens": 250, "total_tokens": 10_350, "cache_read_input_tokens": 8000,
         "cache_creation": {"ephemeral_5m_input_tokens": 1200, "ephemeral_1h_input_tokens": 400}},
        {"input_tokens": 10_100, "output_tokens": 250, "input_token_details":
            {"cache_read": 8000, "ephemeral_5m_input_tokens": 1200, "ephemeral_1h_input_tokens": 400}},
    ],
)  # fmt: skip
def test_maps_of_every_shape_tell_the_same_call(usage):
    assert settle(counts_from_map(usage), Vocabulary.LANGFUSE).usage == CALL_A


def test_openai_details_are_subsets():
    usage = {"prompt_tokens": 2500, "completion_tokens": 300, "total_tokens": 2800,
             "prompt_tokens_details": {"cached_tokens": 2048, "audio_tokens": 0},
             "completion_tokens_details": {"reasoning_tokens": 192, "audio_tokens": 0}}  # fmt: skip

    assert settle(counts_from_map(usage), provider="openai").usage == Usage(452, 2048, None, None, 0, 108, 192, 0)


def test_geminis_thoughts_are_outside_of_its_candidates():
    usage = {"promptTokenCount": 1000, "candidatesTokenCount": 200, "thoughtsTokenCount": 600, "totalTokenCount": 1800}

    assert settle(counts_from_map(usage)).usage == Usage(1000, output_text=200, output_reasoning=600)


def test_a_lifetime_that_was_not_told_is_assumed_and_flagged():
    resolved = settle(Counts(10_100, 250, read=8000, write=1600))

    assert resolved.usage == Usage(500, 8000, 1600, None, None, 250)
    assert resolved.flags == SpanFlag.CACHE_TTL_ASSUMED


@pytest.mark.parametrize(
    ("counts", "text", "reasoning"),
    [
        (Counts(10, 300, reasoning=192), 108, 192),
        (Counts(10, 100, reasoning=600), 100, 600),
        (Counts(10, 300, total=502, reasoning=192), 300, 192),
        (Counts(10, 300, total=310, reasoning=192), 108, 192),
        (Counts(10, 300, reasoning=192, accounting="additive"), 300, 192),
        (Counts(10, 300, reasoning=0), 300, 0),
    ],
)
def test_reasoning_is_inside_the_output_unless_the_numbers_say_otherwise(counts, text, reasoning):
    usage = settle(counts).usage

    assert (usage.output_text, usage.output_reasoning) == (text, reasoning)


def test_audio_is_a_subset_and_first_to_be_taken_as_cached():
    assert settle(Counts(100, 50, read=20, audio_in=30, audio_out=10)).usage == Usage(
        50, 20, None, None, 30, 40, None, 10
    )
    assert settle(Counts(100, 50, read=80, audio_in=30)).usage == Usage(20, 80, None, None, 0, 50)


def test_counts_that_contradict_each_other_are_clamped_and_flagged():
    resolved = settle(Counts(100, 50, read=80, write_5m=10, write_1h=30, accounting="inclusive"))

    assert resolved.usage.input_fresh == 0
    assert resolved.flags & SpanFlag.USAGE_INCONSISTENT


@pytest.mark.parametrize(
    ("counts", "is_error", "has_output", "known"),
    [
        (Counts(), False, True, False),
        (Counts(total=5), False, True, False),
        (Counts(0, 0), False, True, False),
        (Counts(0, 0), True, False, False),
        (Counts(0, None), False, True, False),
        (Counts(0, 0), False, False, True),
        (Counts(0, 0, read=5), False, True, True),
        (Counts(12, None), True, False, True),
        (Counts(None, 3), False, True, True),
    ],
)
def test_no_usage_and_zeros_of_clients_that_do_not_know_are_unknown(counts, is_error, has_output, known):
    resolved = settle(counts, is_error=is_error, has_output=has_output)

    assert (resolved.usage is not None) is known


def test_a_speaker_that_shows_no_cache_leaves_the_cache_unknown():
    assert settle(Counts(10, 5), cache_blind=True).flags == SpanFlag.CACHE_UNKNOWN
    assert settle(Counts(10, 5, read=0), cache_blind=True).flags == 0
    assert settle(counts_from_map({"prompt_tokens": 10, "completion_tokens": 5}), cache_blind=True).flags == 0


def test_what_was_reported_is_kept_beside_the_buckets():
    assert settle(Counts(10_100, 250, total=10_350, read=8000)).provenance == {
        "accounting": "inclusive", "source": "test", "input_total_reported": 10_100, "output_total_reported": 250,
        "total_reported": 10_350,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("value", "count"),
    [
        (128, 128), ("128", 128), (128.0, 128), ("128.0", 128), (0, 0), ("0", 0), (10**12, 10**12), (10**12 + 1, None),
        (-1, None), ("-1", None), (1.5, None), ("1.5", None), (float("nan"), None), (float("inf"), None), ("", None),
        ("nan", None), ("many", None), (True, None), (None, None), ([], None), ({}, None), ("9" * 5000, None),
        ("²", None),
    ],
)  # fmt: skip
def test_only_counts_are_counts(value, count):
    assert to_count(value) == count


def test_a_map_with_a_count_that_is_none_is_flagged_and_the_rest_kept():
    counts = counts_from_map({"prompt_tokens": -5, "completion_tokens": 7})

    assert (counts.tokens_in, counts.tokens_out, counts.bad) == (None, 7, True)


def test_keys_of_free_maps_that_are_no_tokens_are_left_out():
    counts = counts_from_map({"input": 5, "output": 2, "input_image": 3, "total": 10, "seconds": 9, "cost": 1})

    assert settle(counts).usage == Usage(8, output_text=2)


OPTIONAL = st.none() | st.integers(0, 10**6)


@given(st.builds(Counts, *[OPTIONAL] * 10, accounting=st.sampled_from(["unknown", "inclusive", "exclusive"])))
def test_buckets_are_never_negative_and_add_up_to_what_was_reported(counts):
    resolved = settle(counts)
    usage = resolved.usage
    if usage is None:
        return

    assert all(count is None or count >= 0 for count in usage.buckets())
    inclusive = resolved.provenance["accounting"] == "inclusive"
    if counts.tokens_in is not None and inclusive and not resolved.flags & SpanFlag.USAGE_INCONSISTENT:
        assert sum(count or 0 for count in usage.buckets()[:5]) == counts.tokens_in
    if counts.tokens_out is not None:
        total = sum(count or 0 for count in usage.buckets()[5:])
        assert total in (counts.tokens_out, counts.tokens_out + (counts.reasoning or 0))


@given(
    st.permutations(
        [("input", 500), ("output", 250), ("cache_read_input_tokens", 8000), ("input_cache_write_5m", 1200)]
    )
)
def test_the_order_of_a_maps_keys_does_not_matter(pairs):
    assert settle(counts_from_map(dict(pairs))).usage == Usage(500, 8000, 1200, None, None, 250)


def test_exclusive_is_certain_where_input_is_less_than_what_was_cached():
    for read, write in itertools.product((0, 900), (0, 800)):
        wanted = "exclusive" if read + write > 1000 else "inclusive"
        assert settle(Counts(1000, 1, read=read, write=write)).provenance["accounting"] == wanted
