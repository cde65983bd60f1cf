"""What a queue takes in and asks for, read from what people write; RefusedReview names field, fault and limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from evals.rubrics import Rubric
from evals.sampling.signals import THUMB_NAMES, plain_name
from evals.sampling.signals import is_thumb_down as is_down

RULES, RANDOM, CALIBRATION, MANUAL = "rules", "random", "calibration", "manual"
KINDS = (RULES, RANDOM, CALIBRATION, MANUAL)
KIND_WORDS = {
    RULES: "What rules pick: answers that a judge flagged, thumbs-down, errors",
    RANDOM: "A random sample of all traffic",
    CALIBRATION: "A calibration task: judged answers, drawn over the whole scale",
    MANUAL: "What people pick by hand",
}
FLAGGED, THUMBS_DOWN, ERRORS = "flagged", "thumbs_down", "errors"
RULE_WORDS = {
    FLAGGED: "A judge flagged the answer",
    THUMBS_DOWN: "Thumbs-down: a program scored it low for the end user",
    ERRORS: "The trace ended in an error",
}
# The score that end users give by their thumb (any of THUMB_NAMES), and what it is at most: false and 0 are down.
FEEDBACK, FEEDBACK_AT_MOST = "user_feedback", 0.0
FEEDBACK_CHARS_MAX = 100
# What may be wrong with an answer, as the design's source documents name it; a queue may name its own.
CATEGORIES = (
    "Claim not in any source",
    "Wrong source used",
    "Did not answer",
    "Incomplete",
    "Unsafe",
    "Wrong tone",
    "Broken format",
    "Something else",
)
NAME_MAX = 120
REVIEWERS_MAX = 10
WANTED_MAX = 5_000
DAYS_MAX = 365
CATEGORIES_MAX, CATEGORY_CHARS_MAX = 30, 100
NOTE_MAX = 4_000
KNOWN = (
    "rules", "share", "feature", "wanted", "days", "criterion", "feedback", "feedback_at_most", "categories",
    "needs_scores",
)  # fmt: skip
FAILURE, FALSE_ALARM, GOOD, UNSURE = "failure", "false_alarm", "good", "unsure"
VERDICTS = (FAILURE, FALSE_ALARM, GOOD, UNSURE)


class RefusedReview(Exception):
    """What cannot be: which field, what is wrong with it, what is accepted."""

    def __init__(self, field: str, message: str, limit: str = "", value: str = "") -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message
        self.limit = limit
        self.value = value


class Held(Exception):
    """Somebody else has the item on the screen; `by` says who."""

    def __init__(self, by: str) -> None:
        super().__init__(f"{by} is looking at it now")
        self.by = by


class Enough(Exception):
    """The item needs no (further) review of this person: it has all it wanted, or they gave theirs already."""


@dataclass(frozen=True, slots=True)
class QueueConfig:
    """What comes into a queue, by its kind.

    rules: `rules` of RULE_WORDS, `share` of what they pick. random: `share` of all traffic. calibration: `wanted`
    judged traces of the last `days`, over the levels of `criterion`. `feature` keeps to one; `feedback` names the score
    of programs that is a thumb, down at `feedback_at_most` and below; `categories` are what a reviewer may say went
    wrong; `needs_scores`: a verdict comes with a score for every criterion.
    """

    rules: tuple[str, ...] = ()
    share: float = 1.0
    salt: str = ""
    feature: str = ""
    wanted: int = 200
    days: int = 28
    criterion: str = ""
    feedback: str = FEEDBACK
    feedback_at_most: float = FEEDBACK_AT_MOST
    categories: tuple[str, ...] = CATEGORIES
    needs_scores: bool = False
    told: Mapping[str, Any] = field(default_factory=dict, hash=False, compare=False)  # how the sample was drawn

    def stored(self) -> dict[str, Any]:
        """The config as a row keeps it."""
        return {
            "rules": list(self.rules),
            "share": self.share,
            "salt": self.salt,
            "feature": self.feature,
            "wanted": self.wanted,
            "days": self.days,
            "criterion": self.criterion,
            "feedback": self.feedback,
            "feedback_at_most": self.feedback_at_most,
            "categories": list(self.categories),
            "needs_scores": self.needs_scores,
            "told": dict(self.told),
        }


def read_config(kind: str, spec: Mapping[str, Any], rubric: Rubric, salt: str) -> QueueConfig:
    """The config of a queue of `kind`; what is left out has its default. RefusedReview."""
    for name in spec:
        if name not in KNOWN:
            raise RefusedReview(f"config.{str(name)[:40]}", "is not known here", ", ".join(KNOWN))
    rules = _texts(spec, "rules", len(RULE_WORDS), 40)
    for rule in rules:
        if rule not in RULE_WORDS:
            raise RefusedReview("config.rules", "names no rule", ", ".join(RULE_WORDS), rule)
    if kind == RULES and not rules:
        raise RefusedReview("config.rules", "must name at least one rule", ", ".join(RULE_WORDS))
    share = _number(spec, "share", 0.05 if kind == RANDOM else 1.0)
    if not 0.0001 <= share <= 1.0:
        raise RefusedReview("config.share", "is out of range", "0.0001 to 1", f"{share:g}")
    at_most = _number(spec, "feedback_at_most", FEEDBACK_AT_MOST)
    if not abs(at_most) <= 1e6:
        raise RefusedReview("config.feedback_at_most", "is out of range", "-1,000,000 to 1,000,000", f"{at_most:g}")
    criterion = _text(spec, "criterion", 100) or (rubric.criteria[0].key if kind == CALIBRATION else "")
    if criterion and rubric.criterion(criterion) is None:
        raise RefusedReview("config.criterion", "is no criterion of the rubric", value=criterion)
    categories = _texts(spec, "categories", CATEGORIES_MAX, CATEGORY_CHARS_MAX) if "categories" in spec else CATEGORIES
    needs = spec.get("needs_scores", kind == CALIBRATION)
    if not isinstance(needs, bool):
        raise RefusedReview("config.needs_scores", "must be true or false")
    return QueueConfig(
        rules=rules if kind == RULES else (),
        share=share,
        salt=salt,
        feature=_text(spec, "feature", 200),
        wanted=_whole(spec, "wanted", 200, 1, WANTED_MAX),
        days=_whole(spec, "days", 28, 1, DAYS_MAX),
        criterion=criterion,
        feedback=_text(spec, "feedback", FEEDBACK_CHARS_MAX) or FEEDBACK,
        feedback_at_most=at_most,
        categories=categories,
        needs_scores=needs,
    )


def stored_config(config: Mapping[str, Any]) -> QueueConfig:
    """The config of a row. Rows of other makers (routines) may hold a part of it."""
    base = QueueConfig()
    return QueueConfig(
        rules=tuple(config.get("rules", ())),
        share=float(config.get("share", base.share)),
        salt=str(config.get("salt", "")),
        feature=str(config.get("feature", "")),
        wanted=int(config.get("wanted", base.wanted)),
        days=int(config.get("days", base.days)),
        criterion=str(config.get("criterion", "")),
        feedback=str(config.get("feedback", FEEDBACK)),
        feedback_at_most=float(config.get("feedback_at_most", FEEDBACK_AT_MOST)),
        categories=tuple(config.get("categories", CATEGORIES)),
        needs_scores=bool(config.get("needs_scores", False)),
        told=dict(config.get("told", {})),
    )


def is_thumb_down(config: QueueConfig, name: str, number: float | None, label: str | None) -> bool:
    """Whether a score of a program is the thumbs-down that a queue waits for."""
    if name != config.feedback and not (config.feedback == FEEDBACK and plain_name(name) in THUMB_NAMES):
        return False
    if label is not None:
        return is_down(FEEDBACK, None, label)
    return number is not None and number <= config.feedback_at_most


def clean_text(name: str, value: object, limit: int, *, is_needed: bool = False) -> str:
    """A text that can be stored; RefusedReview where it cannot."""
    if not isinstance(value, str):
        raise RefusedReview(name, "must be a text")
    text = value.strip()
    if is_needed and not text:
        raise RefusedReview(name, "is empty")
    if len(text) > limit:
        raise RefusedReview(name, "is too long", f"{limit:,} characters", f"{len(text):,} characters")
    if "\x00" in text or any("\ud800" <= c <= "\udfff" for c in text):
        raise RefusedReview(name, "holds characters that cannot be stored")
    return text


def _text(spec: Mapping[str, Any], name: str, limit: int) -> str:
    return clean_text(f"config.{name}", spec.get(name) or "", limit)


def _texts(spec: Mapping[str, Any], name: str, most: int, limit: int) -> tuple[str, ...]:
    told = spec.get(name) or []
    if not isinstance(told, list | tuple):
        raise RefusedReview(f"config.{name}", "must be a list")
    if len(told) > most:
        raise RefusedReview(f"config.{name}", "are too many", f"{most}", f"{len(told)}")
    texts = (clean_text(f"config.{name}", each, limit) for each in told)
    return tuple(dict.fromkeys(text for text in texts if text))


def _number(spec: Mapping[str, Any], name: str, default: float) -> float:
    value = spec.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise RefusedReview(f"config.{name}", "must be a number")
    return float(value)


def _whole(spec: Mapping[str, Any], name: str, default: int, low: int, high: int) -> int:
    value = spec.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int):
        raise RefusedReview(f"config.{name}", "must be a whole number", f"{low} to {high:,}")
    if not low <= value <= high:
        raise RefusedReview(f"config.{name}", "is out of range", f"{low} to {high:,}", str(value)[:40])
    return value
