"""How relevant each retrieved document is to the question, by shared words: a rule of thumb that needs no model.

The share of the question's content words that a document holds. It knows no synonyms and no meaning, so its figures
compare retrievers on the same questions and say little about a single document; a model judge says more.
"""

from __future__ import annotations

from evals.judges.material import Material
from evals.judges.verdict import DocumentScore
from evals.judges.words import Wanted

DOCUMENTS_MAX = 50
DOCUMENT_CHARS_MAX = 50_000


def judge_documents(material: Material) -> tuple[DocumentScore, ...] | None:
    """A relevance from 0 to 1 for each document, at most 50; None where the question has no words to look for."""
    wanted = Wanted(material.question[:DOCUMENT_CHARS_MAX])
    if not wanted.terms:
        return None
    found = []
    for each in material.documents[:DOCUMENTS_MAX]:
        share = wanted.share(each.text[:DOCUMENT_CHARS_MAX]) or 0.0
        found.append(DocumentScore(each.rank, share, each.id, each.score, each.span_id))
    return tuple(found)
