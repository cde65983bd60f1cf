"""Metrics of one text against an expected one: exact match, token F1, ROUGE, BLEU, chrF. All in 0..1."""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

# The longest common subsequence of two texts takes time by the product of their lengths: 1.4 ms at 2,000 words each.
WORDS_MAX = 10_000
CHARS_MAX = 50_000
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_WORD = re.compile(r"\w+")
_PUNCTUATION = frozenset(string.punctuation)


def normalise(text: str) -> str:
    """Text as answers are compared: small letters, without punctuation, articles and runs of space.

    Rajpurkar et al. 2016, the evaluation script of SQuAD 1.1, after NFKC so that one text has one form.
    """
    small = unicodedata.normalize("NFKC", text).lower()
    kept = "".join(c for c in small if c not in _PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", kept).split())


def exact_match(answer: str, expected: str) -> float:
    """1 where both texts are the same after `normalise`, else 0."""
    return float(normalise(answer) == normalise(expected))


def contains(answer: str, expected: str) -> float:
    """1 where the expected text stands in the answer after `normalise`, else 0; an empty one stands in none."""
    wanted = normalise(expected)
    return float(bool(wanted) and f" {wanted} " in f" {normalise(answer)} ")


def token_f1(answer: str, expected: str) -> float:
    """The harmonic mean of precision and recall of words, after `normalise` (Rajpurkar et al. 2016, SQuAD 1.1).

    Where one of the two has no words it is 1 if neither has any, else 0 (SQuAD 2.0).
    """
    words, wanted = normalise(answer).split(), normalise(expected).split()
    if not words or not wanted:
        return float(words == wanted)
    same = sum((Counter(words) & Counter(wanted)).values())
    return _f1(same, len(words), len(wanted))


def rouge_n(answer: str, expected: str, n: int) -> float:
    """ROUGE-N as F1 over n-grams of words (Lin 2004). Equals rouge-score 0.1.2 without stemming on ASCII texts.

    Words are runs of letters and digits of any script; rouge-score drops all but a-z and 0-9.
    """
    grams, wanted = (_ngrams(_words(text), n) for text in (answer, expected))
    return _f1(sum((grams & wanted).values()), grams.total(), wanted.total())


def rouge_l(answer: str, expected: str) -> float:
    """ROUGE-L as F1 over the longest common subsequence of words (Lin 2004)."""
    words, wanted = _words(answer), _words(expected)
    return _f1(_common(words, wanted), len(words), len(wanted))


def bleu(answer: str, expected: str) -> float:
    """BLEU of one sentence by sacrebleu (Post 2018): 4-grams, 13a tokens, exponential smoothing, effective order."""
    score: float = _bleu().sentence_score(answer[:CHARS_MAX], [expected[:CHARS_MAX]]).score
    return min(score / 100, 1.0)


def chrf(answer: str, expected: str) -> float:
    """chrF of one sentence by sacrebleu (Popović 2015): character 6-grams, beta 2."""
    score: float = _chrf().sentence_score(answer[:CHARS_MAX], [expected[:CHARS_MAX]]).score
    return min(score / 100, 1.0)


def corpus_bleu(answers: Sequence[str], expected: Sequence[str]) -> float | None:
    """BLEU over all answers together by sacrebleu; None without any."""
    if not answers:
        return None
    cut = [[text[:CHARS_MAX] for text in texts] for texts in (answers, expected)]
    score: float = _bleu(of_corpus=True).corpus_score(cut[0], [cut[1]]).score
    return min(score / 100, 1.0)


def _f1(same: int, found: int, wanted: int) -> float:
    return 2 * same / (found + wanted) if same else 0.0


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower().replace("_", " "))[:WORDS_MAX]


def _ngrams(words: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[at : at + n]) for at in range(len(words) - n + 1))


def _common(a: Sequence[str], b: Sequence[str]) -> int:
    """The length of the longest common subsequence, by bits (Crochemore et al. 2001, Hyyrö 2004)."""
    places: dict[str, int] = {}
    for at, word in enumerate(a):
        places[word] = places.get(word, 0) | 1 << at
    full = (1 << len(a)) - 1
    row = full
    for word in b:
        hit = row & places.get(word, 0)
        row = ((row + hit) | (row - hit)) & full
    return len(a) - row.bit_count()


# sacrebleu takes 25 MB and 0.2 s to import: only a process that measures pays.
@lru_cache(maxsize=2)
def _bleu(*, of_corpus: bool = False) -> Any:
    from sacrebleu.metrics.bleu import BLEU

    return BLEU() if of_corpus else BLEU(effective_order=True)


@lru_cache(maxsize=1)
def _chrf() -> Any:
    from sacrebleu.metrics.chrf import CHRF

    return CHRF()
