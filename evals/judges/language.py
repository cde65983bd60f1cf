"""Which language a text is in, by its script and, where scripts are shared, its commonest words.

Small and predictable on purpose: no model, the same answer everywhere, microseconds. It knows the languages below; of a
short, mixed or unknown text it says nothing rather than guess. Source of the method: commonest words as evidence of
language, Grefenstette, "Comparing two language identification schemes" (1995).
"""

from __future__ import annotations

import re
from pathlib import Path

TEXT_CHARS_MAX = 4_000
# Letters of a script that a text needs before it counts.
LETTERS_MIN = 8
# Common words that a language needs, and how far it must lead the next.
WORDS_MIN = 2
LEAD = 1.2

_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]{1,500}`|https?://\S{1,500}", re.DOTALL)
_WORD = re.compile(r"[^\W\d_]+")
_SCRIPTS: dict[str, re.Pattern[str]] = {
    "kana": re.compile("[\u3040-\u30ff]"),
    "han": re.compile("[\u3400-\u9fff]"),
    "hangul": re.compile("[\uac00-\ud7af\u1100-\u11ff]"),
    "cyrillic": re.compile("[\u0400-\u04ff]"),
    "greek": re.compile("[\u0370-\u03ff\u1f00-\u1fff]"),
    "arabic": re.compile("[\u0600-\u06ff\u0750-\u077f]"),
    "hebrew": re.compile("[\u0590-\u05ff]"),
    "thai": re.compile("[\u0e00-\u0e7f]"),
    "devanagari": re.compile("[\u0900-\u097f]"),
    "bengali": re.compile("[\u0980-\u09ff]"),
    "tamil": re.compile("[\u0b80-\u0bff]"),
    "telugu": re.compile("[\u0c00-\u0c7f]"),
    "georgian": re.compile("[\u10a0-\u10ff]"),
    "armenian": re.compile("[\u0530-\u058f]"),
    "latin": re.compile("[A-Za-z\u00c0-\u024f\u1e00-\u1eff]"),
}
_OF_SCRIPT = {
    "hangul": "ko", "greek": "el", "hebrew": "he", "thai": "th", "bengali": "bn", "tamil": "ta", "telugu": "te",
    "georgian": "ka", "armenian": "hy",
}  # fmt: skip
# Word or letter -> the languages it speaks for, by script.
_INDEX: dict[str, dict[str, tuple[str, ...]]] = {}
_LETTERS: dict[str, str] = {}
for _line in Path(__file__).with_name("data").joinpath("languages.txt").read_text(encoding="utf-8").splitlines():
    if _line.startswith("#"):
        continue
    _name, _, _listed = _line.partition(":")
    _script, _code = _name.split()
    for _each in _listed.split():
        if _script == "letters":
            _LETTERS[_each] = _code
        else:
            _known = _INDEX.setdefault(_script, {})
            _known[_each] = (*_known.get(_each, ()), _code)

_BY_WORDS = {code for known in _INDEX.values() for codes in known.values() for code in codes}
# The commonest words of all of them: they tell a language, and nothing of what a text is about.
COMMON = frozenset(word for known in _INDEX.values() for word in known)
CODES = tuple(sorted({*_OF_SCRIPT.values(), "ja", "zh", *_BY_WORDS}))


def detect(text: str) -> str | None:
    """The ISO 639-1 code of the text's language; None where it is too short, mixed or not known to this detector.

    Code blocks and addresses do not count; nor does anything beyond 4,000 characters.
    """
    text = text[:TEXT_CHARS_MAX]
    if "`" in text or "://" in text:
        text = _CODE.sub(" ", text)
    if text.isascii():
        return _by_words(text, "latin")
    counts = {name: len(script.findall(text)) for name, script in _SCRIPTS.items()}
    # A character of these stands for a word or a syllable.
    weighted = {name: n * (3 if name in ("han", "kana", "hangul") else 1) for name, n in counts.items()}
    japanese = weighted["kana"] + weighted["han"] if counts["kana"] > counts["han"] * 0.1 else 0
    if japanese:
        weighted["han"], weighted["kana"] = 0, japanese
    script = max(weighted, key=weighted.__getitem__)
    if weighted[script] < LETTERS_MIN or weighted[script] < sum(weighted.values()) * 0.6:
        return None
    if script == "kana":
        return "ja"
    if script == "han":
        return "zh"
    return _OF_SCRIPT.get(script) or _by_words(text, script)


def _by_words(text: str, script: str) -> str | None:
    index = _INDEX.get(script, {})
    votes: dict[str, float] = {}
    hits: dict[str, int] = {}
    lowered = text.lower()
    for word in _WORD.findall(lowered):
        if word in index:
            codes = index[word]
            share = 1 / len(codes)  # a word that few languages share says more
            for code in codes:
                votes[code] = votes.get(code, 0) + share
                hits[code] = hits.get(code, 0) + 1
    if not lowered.isascii():
        for letter, code in _LETTERS.items():
            if n := lowered.count(letter):
                votes[code] = votes.get(code, 0) + 0.5 * n
    if not votes:
        return None
    first, *others = sorted(votes, key=votes.__getitem__, reverse=True)
    if hits.get(first, 0) < WORDS_MIN or (others and votes[first] < votes[others[0]] * LEAD):
        return None
    return first
