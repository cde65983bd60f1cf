"""What names of signals mean: the kind, and for a thumb which way it points. A project may say so for its own names.

Only names of the table are known; everything else is kept under its own name as OTHER, and nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from traces.canonical.text import clean_text
from traces.signals.kinds import Kind, Source

NAME_CHARS_MAX = 100
OWN_MAX = 200
# Variation selectors and skin tones of emoji say nothing that matters here.
_DECORATION = re.compile("[\ufe0e\ufe0f\U0001f3fb-\U0001f3ff]")
_BETWEEN = re.compile(r"[\s\-./:]+")


@dataclass(frozen=True, slots=True)
class Meaning:
    """A kind; for a thumb, `way` is 1 where the name itself says up, -1 down, 0 where its value says it."""

    kind: Kind
    way: int = 0


# What a project may say that a name means.
MEANINGS: dict[str, Meaning] = {
    "thumb": Meaning(Kind.THUMB),
    "thumb.up": Meaning(Kind.THUMB, 1),
    "thumb.down": Meaning(Kind.THUMB, -1),
    "rating": Meaning(Kind.RATING),
    "correction": Meaning(Kind.CORRECTION),
    "follow_up": Meaning(Kind.FOLLOW_UP),
    "retry": Meaning(Kind.RETRY),
    "copied": Meaning(Kind.COPIED),
    "edited": Meaning(Kind.EDITED),
    "abandoned": Meaning(Kind.ABANDONED),
    "escalated": Meaning(Kind.ESCALATED),
    "completed": Meaning(Kind.COMPLETED),
    "conversion": Meaning(Kind.CONVERSION),
    "text": Meaning(Kind.TEXT),
    "other": Meaning(Kind.OTHER),
}
OTHER = MEANINGS["other"]
_SHIPPED: dict[str, str] = {
    "thumb": "thumb thumbs user_feedback feedback user_score user_thumb user_vote vote thumb_vote thumb_rating "
    "thumbs_rating thumbs_up_down",
    "thumb.up": "thumbs_up thumb_up thumbup thumbsup up upvote upvoted like liked helpful 👍",
    "thumb.down": "thumbs_down thumb_down thumbdown thumbsdown down downvote downvoted dislike disliked not_helpful "
    "unhelpful 👎",
    "rating": "rating user_rating stars star_rating csat user_csat nps",
    "correction": "correction corrected user_correction corrected_answer",
    "follow_up": "follow_up followup followed_up follow_up_question",
    "retry": "retry retried user_retry regenerate regenerated try_again",
    "copied": "copied copy answer_copied copied_answer copy_answer",
    "edited": "edited edit answer_edited edited_answer user_edit",
    "abandoned": "abandoned abandon abandonment abandoned_session left",
    "escalated": "escalated escalate escalation human_handoff handoff handover contacted_support",
    "completed": "completed complete task_completed task_complete task_completion task_done goal_reached resolved",
    "conversion": "conversion converted purchase purchased order_placed order_value",
    "text": "text free_text comment user_comment feedback_text user_text",
}
SHIPPED: dict[str, Meaning] = {name: MEANINGS[word] for word, names in _SHIPPED.items() for name in names.split()}
# Scores and evaluation events carry all kinds of names; under these alone an end user's word is meant.
USER_FEEDBACK = frozenset({
    "user_feedback", "user_score", "user_thumb", "user_vote", "user_rating", "user_csat", "user_comment",
    "user_correction", "user_text", "csat", "nps", "thumb", "thumbs", "thumbs_up", "thumb_up", "thumbs_down",
    "thumb_down", "thumbs_up_down", "thumb_vote", "thumb_rating", "thumbs_rating", "like", "liked", "dislike",
    "disliked", "upvote", "downvote", "👍", "👎",
})  # fmt: skip
_UP_WORDS = frozenset({
    "up", "thumbs_up", "thumb_up", "like", "liked", "positive", "good", "yes", "true", "helpful", "👍",
})  # fmt: skip
_DOWN_WORDS = frozenset({
    "down", "thumbs_down", "thumb_down", "dislike", "disliked", "negative", "bad", "no", "false", "not_helpful", "👎",
})  # fmt: skip


class NamesRefused(ValueError):
    """Names that cannot be a project's: which field, what is accepted, what came."""

    def __init__(self, field_: str, message: str, limit: str = "", value: Any = None) -> None:
        super().__init__(f"{field_} {message}")
        self.field = field_
        self.message = message
        self.limit = limit
        self.value = value


@lru_cache(maxsize=4096)
def plain_name(name: str) -> str:
    """A name as the tables have it: lower case, `_` between words."""
    return _BETWEEN.sub("_", _DECORATION.sub("", name).strip().casefold()).strip("_")


def kind_for(kind: Kind, source: Source) -> Kind:
    """What a signal of this kind is once it is known who says so: no model's or program's number is a user's."""
    return Kind.OUTSIDE if source in (Source.MODEL, Source.CODE) else kind


def vote_of(meaning: Meaning, number: float | None, truth: bool | None, label: str | None) -> int | None:
    """What a thumb says: 1 up, -1 down, 0 nothing. None where the name is no thumb's.

    `thumbs_up` alone or with anything true is up, with false, 0 or less down. `thumbs_down` alone or with anything
    true is down, with false or 0 taken back. Of `thumb` the value alone says it.
    """
    if meaning.kind is not Kind.THUMB:
        return None
    if truth is not None:
        said = 1 if truth else -1
    elif number is not None:
        # Some write a thumb down as -1, under whatever name.
        said = 1 if number > 0 else -1
        if meaning.way < 0 and number < 0:
            return -1
    elif label is not None:
        word = plain_name(label)
        # A word names a direction by itself.
        return 1 if word in _UP_WORDS else -1 if word in _DOWN_WORDS else 0
    else:
        return meaning.way
    if meaning.way < 0:
        return -1 if said > 0 else 0
    return said


@dataclass(frozen=True, slots=True)
class Names:
    """A project's own names over the shipped ones: plain name -> word of `MEANINGS`."""

    own: Mapping[str, str] = field(default_factory=dict)

    def meaning(self, name: str) -> Meaning:
        """What a name means here."""
        plain = plain_name(name)
        word = self.own.get(plain)
        return MEANINGS[word] if word is not None else SHIPPED.get(plain, OTHER)

    def is_user_feedback(self, name: str) -> bool:
        """Whether a score of this name is an end user's word rather than an evaluator's number."""
        plain = plain_name(name)
        if plain in self.own:
            return MEANINGS[self.own[plain]].kind is Kind.THUMB
        return plain in USER_FEEDBACK

    def to_json(self) -> dict[str, str]:
        """As a definition's spec holds them."""
        return dict(self.own)

    @classmethod
    def parse(cls, raw: Any) -> Names:
        """The names of a definition's spec; NamesRefused naming the field, its limit and the value."""
        if raw is None:
            return NO_NAMES
        if not isinstance(raw, Mapping):
            raise NamesRefused("names", "is no object", "an object from name to meaning")
        if len(raw) > OWN_MAX:
            raise NamesRefused("names", "has too many entries", f"{OWN_MAX} names", len(raw))
        own: dict[str, str] = {}
        for name, word in raw.items():
            plain = plain_name(clean_text(str(name)))
            if not plain or len(plain) > NAME_CHARS_MAX:
                raise NamesRefused("names", "has a name that is none", f"1 to {NAME_CHARS_MAX} characters", name)
            if not isinstance(word, str) or word not in MEANINGS:
                raise NamesRefused(f"names.{plain}", "is no meaning", f"one of {', '.join(MEANINGS)}", word)
            if own.get(plain, word) != word:
                raise NamesRefused(f"names.{plain}", "is told twice, differently", "each name once", word)
            own[plain] = word
        return cls(own)


NO_NAMES = Names()
