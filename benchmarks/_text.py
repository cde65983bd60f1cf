"""Text that compresses about as well as prose: words by Zipf's law, in sentences, from a fixed lexicon."""

from __future__ import annotations

import itertools
import random

_COMMON = (
    "the of and to in a is that for it you your we our are on with as was at be this have from or by one not but "
    "what all were when there can an will their which do if about up out then them some so time into has more no "
    "could other than first been its now who may down day did get come made after back only most over new any these "
    "give flight ticket gate seat train booking refund luggage boarding passport visa hotel transfer delay airline "
    "traveller reservation policy change cancel request within hours days before departure arrival fee paid card "
    "receipt please contact desk agent confirm number name date city airport connection minutes missed standby "
    "upgrade lounge access "
)
_ONSETS = "b br c ch cl d dr f fl g gr h j k l m n p pl pr qu r s sh sl st str t th tr v w"
_VOWELS = "a e i o u ai ea ee io ou"
CODAS = ["", "", "l", "n", "r", "s", "t", "nd", "nt", "rt", "ck", "sh"]
ENDINGS = ["", "", "", "er", "ing", "ed", "ion", "al", "ly", "ment"]
COMMON, ONSETS, VOWELS = _COMMON.split(), _ONSETS.split(), _VOWELS.split()
LEXICON = 2400
PASSAGES = 3000
TAILS = ("café à 8 h 30", "Zażółć gęślą jaźń", "東京から大阪まで", "✈️🧳", "Größe: 55×40×23")


class Writer:
    """Texts and passages, all drawn from one generator."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        words = list(COMMON)
        known = set(words)
        while len(words) < LEXICON:
            syllables = (rng.choice(ONSETS) + rng.choice(VOWELS) + rng.choice(CODAS) for _ in range(rng.randint(1, 2)))
            word = "".join(syllables) + rng.choice(ENDINGS)
            if word not in known:
                known.add(word)
                words.append(word)
        self.words = words
        self.weights = list(itertools.accumulate(1 / (rank + 3) for rank in range(len(words))))
        self.passages = [self.text(rng.randint(250, 850)) for _ in range(PASSAGES)]

    def text(self, size: int) -> str:
        """About `size` characters of sentences."""
        picked = self.rng.choices(self.words, cum_weights=self.weights, k=max(3, size // 5))
        sentences, at = [], 0
        while at < len(picked):
            until = at + self.rng.randint(5, 17)
            sentences.append(" ".join(picked[at:until]).capitalize() + ".")
            at = until
        text = " ".join(sentences)[:size]
        return f"{text} {self.rng.choice(TAILS)}" if self.rng.random() < 0.05 else text

    def passage(self) -> tuple[int, str]:
        """A passage of the knowledge base and its number; the same ones come again in other traces."""
        number = int(self.rng.random() ** 2 * PASSAGES)
        return number, self.passages[number]
