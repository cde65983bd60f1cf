"""The form of a review queue: its inputs, and what was typed as a wanted queue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

from evals.forms.fields import Field, choices_of
from evals.read.review import QueueView
from evals.read.setup import JudgeView, RubricView
from evals.reviewing.config import CATEGORIES, FEEDBACK, KIND_WORDS, RULE_WORDS, RULES, RefusedReview, stored_config
from evals.reviewing.queues import WantedQueue

NAMES = (
    "name", "kind", "judge", "rubric", "rule_flagged", "rule_thumbs_down", "rule_errors", "feedback",
    "feedback_at_most", "share", "feature", "wanted", "days", "criterion",
    "reviewers_per_item", "double_share", "is_blind", "needs_scores", "due", "categories",
)  # fmt: skip
DEFAULTS = {
    "name": "",
    "kind": RULES,
    "judge": "",
    "rubric": "",
    "rule_flagged": "on",
    "rule_thumbs_down": "on",
    "rule_errors": "",
    "feedback": FEEDBACK,
    "feedback_at_most": "0",
    "share": "",
    "feature": "",
    "wanted": "200",
    "days": "28",
    "criterion": "",
    "reviewers_per_item": "1",
    "double_share": "20",
    "is_blind": "on",
    "needs_scores": "",
    "due": "",
    "categories": "\n".join(CATEGORIES),
}
_OF = {"config.rules": "rule_flagged", "due_at": "due"}


def typed_of_queue(queue: QueueView, zone: ZoneInfo) -> dict[str, str]:
    """A queue as its form shows it."""
    config = stored_config(queue.config)
    return {
        "name": queue.name,
        "kind": queue.kind,
        "judge": queue.judge_slug,
        "rubric": queue.rubric_slug,
        **{f"rule_{rule}": "on" if rule in config.rules else "" for rule in RULE_WORDS},
        "feedback": config.feedback,
        "feedback_at_most": f"{config.feedback_at_most:g}",
        "share": f"{config.share * 100:g}",
        "feature": config.feature,
        "wanted": str(config.wanted),
        "days": str(config.days),
        "criterion": config.criterion,
        "reviewers_per_item": str(queue.reviewers_per_item),
        "double_share": f"{queue.double_share * 100:g}",
        "is_blind": "on" if queue.is_blind else "",
        "needs_scores": "on" if config.needs_scores else "",
        "due": queue.due_at.astimezone(zone).date().isoformat() if queue.due_at else "",
        "categories": "\n".join(config.categories),
    }


def wanted_of_form(typed: Mapping[str, str], zone: ZoneInfo, keeps: QueueView | None = None) -> WantedQueue:
    """What was typed as a wanted queue; RefusedReview."""
    kind = keeps.kind if keeps else typed["kind"]
    config: dict[str, object] = {
        "rules": [rule for rule in RULE_WORDS if typed[f"rule_{rule}"]] if kind == RULES else [],
        "feature": typed["feature"],
        "criterion": typed["criterion"],
        "feedback": typed["feedback"],
        "feedback_at_most": _number("feedback_at_most", typed["feedback_at_most"]),
        "categories": [line.strip() for line in typed["categories"].splitlines() if line.strip()],
        "needs_scores": bool(typed["needs_scores"]),
    }
    share = _share("share", typed["share"])
    if share is not None:
        config["share"] = share
    for name in ("wanted", "days"):
        whole = _whole(name, typed[name])
        if whole is not None:
            config[name] = whole
    double = _share("double_share", typed["double_share"])
    keeps_rubric = keeps is not None and typed["rubric"] in ("", keeps.rubric_slug)
    return WantedQueue(
        name=typed["name"],
        kind=kind,
        rubric=keeps.rubric_slug if keeps is not None and keeps_rubric else typed["rubric"],
        rubric_version=keeps.rubric_number if keeps is not None and keeps_rubric else None,
        judge=typed["judge"],
        config=config,
        reviewers_per_item=_whole("reviewers_per_item", typed["reviewers_per_item"]) or 1,
        double_share=0.2 if double is None else double,
        is_blind=bool(typed["is_blind"]),
        due_at=_day(typed["due"], zone),
    )


def fields_of(
    typed: Mapping[str, str],
    rubrics: Sequence[RubricView],
    judges: Sequence[JudgeView],
    refused: RefusedReview | None,
) -> dict[str, Field]:
    """The inputs, with what is wrong at the one it is about."""
    criteria = {each.key: each.title for rubric in rubrics for each in rubric.newest.rubric.criteria}
    made = (
        Field("name", "Name", chars_max=120, is_required=True, placeholder="Flagged answers"),
        Field("kind", "What comes in", kind="select", choices=choices_of(KIND_WORDS.items(), typed["kind"])),
        Field(
            "judge", "Judge", kind="select", hint="Whose flags and scores the queue is about; needed to calibrate.",
            choices=choices_of([("", "Any"), *((each.slug, each.name) for each in judges)], typed["judge"]),
        ),
        Field(
            "rubric", "Rubric", kind="select", hint="What people score by. A judge is calibrated by its own rubric.",
            choices=choices_of([("", "The judge’s"), *((each.slug, each.name) for each in rubrics)], typed["rubric"]),
        ),
        *(Field(f"rule_{rule}", words, kind="check") for rule, words in RULE_WORDS.items()),
        Field(
            "feedback", "Score that is the thumb", chars_max=100,
            hint="As your program sends it to /api/v1/scores.",
        ),
        Field(
            "feedback_at_most", "Down at", kind="number", hint="And below. False is 0; labels: down, negative, bad.",
        ),
        Field(
            "share", "Share", kind="number", suffix="%",
            hint="Of what the rule picks, or of all traffic. Empty: 100% of a rule’s, 5% at random.",
        ),
        Field("feature", "Feature", chars_max=200, hint="Empty: all features."),
        Field(
            "wanted", "Answers to draw", kind="number", hint="Over the judge’s scores; more where people differ more."
        ),
        Field("days", "From the last", kind="number", suffix="days"),
        Field(
            "criterion", "Drawn by", kind="select",
            choices=choices_of([("", "The first criterion"), *criteria.items()], typed["criterion"]),
        ),
        Field("reviewers_per_item", "Reviewers an answer", kind="number"),
        Field(
            "double_share", "One reviewer more for", kind="number", suffix="%",
            hint="Of the answers: shows how far people agree.",
        ),
        Field(
            "is_blind", "Blind", kind="check",
            hint="The judge’s scores are hidden until the reviewer has answered. Calibration tasks always are.",
        ),
        Field("needs_scores", "A verdict needs a score for every criterion", kind="check"),
        Field("due", "Due", hint="A day such as 2026-12-01, or empty."),
        Field("categories", "What may have gone wrong", kind="area", rows=6, hint="One a line."),
    )  # fmt: skip
    found = {}
    for each in made:
        wrong = error_at(refused, each.name)
        found[each.name] = Field(
            each.name, each.label, typed[each.name], each.hint, wrong, each.kind, each.choices, each.suffix,
            each.is_required, each.rows, each.chars_max, each.placeholder,
        )  # fmt: skip
    return found


def field_of(refused: RefusedReview) -> str:
    """The input that a fault is about."""
    return _OF.get(refused.field, refused.field.removeprefix("config."))


def error_at(refused: RefusedReview | None, name: str) -> str:
    """What is wrong with an input; empty where nothing is."""
    if refused is None or field_of(refused) != name:
        return ""
    return refused.message.rstrip(".") + (f" ({refused.limit})" if refused.limit else "") + "."


def _whole(name: str, text: str) -> int | None:
    raw = text.strip().replace(",", "")
    if not raw:
        return None
    if not (raw.isascii() and raw.isdigit() and len(raw) < 10):
        raise RefusedReview(name, "is no whole number", value=raw[:40])
    return int(raw)


def _number(name: str, text: str) -> float | None:
    raw = text.strip()
    if not raw:
        return None
    try:
        return float(raw) if raw.isascii() and "_" not in raw else float("x")
    except ValueError:
        raise RefusedReview(name, "is no number", value=raw[:40]) from None


def _share(name: str, text: str) -> float | None:
    raw = text.strip().removesuffix("%").strip()
    if not raw:
        return None
    try:
        number = float(raw) if raw.isascii() and "_" not in raw else None
    except ValueError:
        number = None
    if number is None or not 0 <= number <= 100:
        raise RefusedReview(name, "is no share", "0 to 100%", raw[:40])
    return number / 100


def _day(text: str, zone: ZoneInfo) -> datetime | None:
    raw = text.strip()
    if not raw:
        return None
    try:
        day = datetime.fromisoformat(raw).date()
    except ValueError:
        raise RefusedReview("due", "is no day", "such as 2026-12-01", raw[:40]) from None
    if not 2000 <= day.year <= 2200:
        raise RefusedReview("due", "is out of range", "years 2000 to 2200", raw[:40])
    return datetime.combine(day, time(23, 59), zone).astimezone(UTC)
