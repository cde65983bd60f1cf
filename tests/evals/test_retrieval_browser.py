"""Retrieval in a browser: no violations, it fits, documents are labelled by keyboard; the examples of its page work."""

from __future__ import annotations

from uuid import uuid4

import pytest

from tests.evals.documented import commands, run
from tests.evals.judging_kit import make_version, sql
from tests.evals.retrieval_rows import judge_documents, store_retrievals

PAGE = "/p/shop/retrieval/"


def test_retrieval_is_read_and_labelled_in_a_browser(project, page, alice, sign_in_browser, axe):
    traces = store_retrievals(project, 6, documents=3, question="Where is " + "my very long order " * 20)
    judge_documents(project, traces, "NNN", pi=0.5)
    judge_documents(project, [uuid4() for _ in range(20)], "NNR", pi=0.5)
    judge_documents(project, [uuid4() for _ in range(25)], "RNN", pi=0.5, feature="a-feature-of-a-long-name-" * 3)
    judge_documents(project, [uuid4()], "R", source=2)
    documents = f"{PAGE}{traces[0].hex}/"
    sign_in_browser(page, alice)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for width in (1440, 390):
            page.set_viewport_size({"width": width, "height": 900})
            for address in (PAGE, documents):
                assert page.goto(address).status == 200
                assert axe(page) == [], (address, scheme, width)
                assert page.evaluate("document.documentElement.scrollWidth") <= width, (address, width)

    page.goto(PAGE)
    page.get_by_role("link", name="Documents of").first.focus()
    page.keyboard.press("Enter")
    first = page.get_by_role("group", name="Document 1").get_by_role("radio")
    first.last.wait_for()
    assert first.count() == 3
    first.first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.get_by_text("Kept: 1 of 3 documents are labelled.").wait_for()
    assert sql("SELECT rank, relevance FROM evals_document_score WHERE source = 2 AND trace_id = ANY(%s)", traces) == [
        (1, 1.0)
    ]


@pytest.mark.django_db
def test_the_examples_of_the_documentation_work(project, client, key):
    [trace] = store_retrievals(project, 1, documents=1)
    judge_documents(project, [uuid4() for _ in range(25)], "RN", source=1, version=make_version(project, "rule").pk)
    found = commands("retrieval.md")

    answers = [run(client, words, key.secret, **{"4bf92f3577b34da6a3ce929d0e0e4736": trace.hex}) for words in found]

    assert [answer.status_code for answer in answers] == [200, 200], [answer.content for answer in answers]
    assert answers[0].json()["quality"][0].keys() == {
        "k", "feature", "partly", "is_sample", "unweighted", "precision", "hit_rate",
    }  # fmt: skip
    assert answers[1].json() == {
        "accepted": 1, "refused": [{"index": 1, "message": "there is no document of this id"}],
    }  # fmt: skip
