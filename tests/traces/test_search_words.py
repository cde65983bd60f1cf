"""Terms: what is written differently and read the same is one term, in every script."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traces.search.words import chunk_terms, fold, plain_text, terms_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Refund REFUND refund", {"refund"}),
        ("Größe", {"grosse", "groesse"}),
        ("Straße STRASSE", {"strasse"}),
        ("Müller", {"muller", "mueller"}),
        ("naïve café", {"naive", "cafe"}),
        (unicodedata.normalize("NFD", "Müller"), {"muller", "mueller"}),
        ("Łódź", {"lodz"}),
        ("ＦＵＬＬ１２", {"full12"}),
        ("İstanbul", {"istanbul"}),
        ("طَلَبٌ", {"طلب"}),
        ("أحمد احمد إلى الى", {"احمد", "الي"}),
        ("مـــرحبا", {"مرحبا"}),
        ("الاسترداد", {"الاسترداد", "استرداد"}),
        ("١٢٣ ۴۵۶ १२३", {"123", "456"}),
        ("退款政策", {"退款", "款政", "政策", "策"}),
        ("환불을", {"환불", "불을", "을"}),
        ("iPhone15手机", {"iphone15", "手机", "机"}),
        ("ハーフ", {"ハー", "ーフ", "フ"}),
        ("हिन्दी", {"हिन्दी"}),
        ("foo\u200bbar so\u00adft", {"foobar", "soft"}),
        ("don't", {"don", "t"}),
        ("✈️ ok", {"✈", "ok"}),
        ("!!! --- ...", set()),
    ],
)
def test_a_text_is_found_under(text, expected):
    assert terms_of(text) == expected


@pytest.mark.parametrize(
    ("chunk", "some"),
    [
        ("order-2024-001", {"order-2024-001", "order", "2024", "001"}),
        ("anna.schmidt@example.com", {"anna.schmidt@example.com", "anna.schmidt", "example.com", "anna", "example"}),
        ("https://api.shop.com/v1/orders", {"api.shop.com", "orders", "v1", "shop"}),
        ("550E8400-E29B-41D4-A716-446655440000", {"550e8400e29b41d4a716446655440000", "a716"}),
        ("search_knowledge_base", {"search_knowledge_base", "knowledge"}),
        ("getUserName", {"getusername", "user", "name"}),
        ("gpt-4o-mini", {"gpt-4o-mini", "gpt", "4o", "mini"}),
    ],
)
def test_a_compound_is_found_whole_and_by_its_parts(chunk, some):
    assert some <= set(chunk_terms(chunk))


def test_an_encoded_file_has_no_terms():
    assert terms_of("QUJD" * 400) == set()
    assert terms_of("a/b+" * 400) == set()


@given(st.text(max_size=300))
def test_any_text_has_terms_that_folding_does_not_change(text):
    for term in terms_of(text):
        assert term
        assert "\n" not in term
        assert len(term) <= 128
        assert fold(term) == term


@given(st.text(max_size=200))
def test_a_plain_text_is_its_own_plain_text(text):
    assert plain_text(plain_text(text)) == plain_text(text)


@given(st.text(alphabet="aäöüßéñ退款返طلبأ1 -._@/", max_size=60))
def test_upper_and_decomposed_writing_is_found_under_the_same_terms(text):
    assert terms_of(unicodedata.normalize("NFD", text)) == terms_of(text)
