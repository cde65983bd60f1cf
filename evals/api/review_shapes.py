"""Shapes of review queues, their items and reviews, and these as JSON."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from evals.judges.material import Material
from evals.read.review import Counts, ItemView, Judged, QueueView, ReviewView
from evals.reviewing.config import KINDS, NOTE_MAX, REVIEWERS_MAX, VERDICTS, stored_config
from evals.rubrics import Rubric, to_json
from telltale.rest import form


class QueueShape(serializers.Serializer[Any]):
    slug = serializers.CharField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(list(KINDS))
    rubric = serializers.CharField()
    rubric_version = serializers.IntegerField()
    judge = serializers.CharField(allow_null=True)
    judge_version = serializers.IntegerField(allow_null=True)
    config = serializers.JSONField(
        help_text="rules (flagged, thumbs_down, errors), share, feature, wanted, days, criterion, feedback, "
        "feedback_at_most, categories, needs_scores."
    )
    reviewers_per_item = serializers.IntegerField()
    double_share = serializers.FloatField(help_text="The share of items that get one reviewer more.")
    is_blind = serializers.BooleanField()
    due_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(allow_null=True)
    items = serializers.JSONField(help_text="How many: open, held, done, disputed, settled, dropped, total.")
    criteria = serializers.JSONField(help_text="Of the rubric: key, title, definition, scale.")


class QueueBody(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=120)
    kind = serializers.ChoiceField(list(KINDS), required=False)
    rubric = serializers.CharField(required=False, help_text="A slug; the judge's rubric where left out.")
    rubric_version = serializers.IntegerField(required=False, allow_null=True)
    judge = serializers.CharField(required=False, allow_blank=True, allow_null=True)
    judge_version = serializers.IntegerField(required=False, allow_null=True)
    config = serializers.JSONField(required=False)
    reviewers_per_item = serializers.IntegerField(required=False, help_text=f"1 to {REVIEWERS_MAX}.")
    double_share = serializers.FloatField(required=False, help_text="0 to 1.")
    is_blind = serializers.BooleanField(required=False)
    due_at = serializers.DateTimeField(required=False, allow_null=True)


class QueueChange(QueueBody):
    name = serializers.CharField(max_length=120, required=False)
    is_closed = serializers.BooleanField(required=False)


class ItemShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    queue = serializers.CharField()
    trace_id = serializers.CharField()
    span_id = serializers.CharField(allow_null=True)
    started_at = serializers.DateTimeField()
    feature = serializers.CharField(allow_null=True)
    model = serializers.CharField(allow_null=True)
    prompt_version = serializers.CharField(allow_null=True)
    reason = serializers.CharField(allow_null=True, help_text="Why it is here; hidden while the queue is blind.")
    stratum = serializers.CharField(allow_null=True)
    pi_judge = serializers.FloatField(allow_null=True)
    pi_review = serializers.FloatField(allow_null=True, help_text="null: picked by a rule or by hand, in no estimate.")
    state = serializers.ChoiceField(["open", "done", "disputed", "settled", "dropped"])
    wanted = serializers.IntegerField()
    reviews_count = serializers.IntegerField()
    assigned_to = serializers.CharField(allow_null=True)
    held_by = serializers.CharField(allow_null=True)
    held_until = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    done_at = serializers.DateTimeField(allow_null=True)


class WholeItemShape(ItemShape):
    material = serializers.JSONField(
        allow_null=True, help_text="question, answer, messages, documents, tools; null where the trace is gone."
    )
    judge = serializers.JSONField(
        allow_null=True, help_text="What the judge gave; null while it is hidden, or where there is nothing."
    )
    is_blind = serializers.BooleanField(help_text="Whether the judge is hidden.")
    reviews = serializers.JSONField(
        help_text="What people said; empty while it is hidden from who has yet to say theirs."
    )
    tab = serializers.CharField(required=False, help_text="To be repeated with the verdict: it holds the item.")


class ItemBody(serializers.Serializer[Any]):
    trace_id = serializers.CharField(help_text="Of a trace that is there.")
    span_id = serializers.CharField(required=False, allow_null=True)
    note = serializers.CharField(required=False, max_length=200, help_text="Why it is to be reviewed.")


class ItemChange(serializers.Serializer[Any]):
    assigned_to = serializers.CharField(required=False, allow_null=True, allow_blank=True, help_text="An e-mail.")
    is_dropped = serializers.BooleanField(required=False)


class ClaimBody(serializers.Serializer[Any]):
    reviewer = serializers.CharField(required=False, max_length=200, help_text="Needed with a key: who reviews.")
    tab = serializers.CharField(required=False, max_length=40, help_text="What the last answer gave; else a new one.")
    item_id = serializers.CharField(required=False, help_text="This item, instead of the next.")
    is_blind = serializers.BooleanField(required=False, help_text="Hide the judge in a queue that is not blind.")


class VerdictBody(serializers.Serializer[Any]):
    verdict = serializers.ChoiceField(list(VERDICTS))
    scores = serializers.JSONField(required=False, help_text="criterion -> value")
    category = serializers.CharField(required=False, allow_blank=True, max_length=100)
    note = serializers.CharField(required=False, allow_blank=True, max_length=NOTE_MAX)
    seconds = serializers.FloatField(required=False, help_text="How long it took.")
    dataset = serializers.CharField(required=False, help_text="Keep the answer in this dataset as well.")
    reviewer = serializers.CharField(required=False, max_length=200, help_text="Needed with a key: who reviews.")
    tab = serializers.CharField(required=False, max_length=40)


class HolderBody(serializers.Serializer[Any]):
    reviewer = serializers.CharField(required=False, max_length=200)
    tab = serializers.CharField(required=False, max_length=40)


class ReviewShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    item_id = serializers.CharField(allow_null=True, help_text="null: brought in from elsewhere.")
    trace_id = serializers.CharField()
    span_id = serializers.CharField(allow_null=True)
    reviewer = serializers.CharField()
    verdict = serializers.CharField(allow_null=True)
    scores = serializers.JSONField()
    category = serializers.CharField(allow_null=True)
    note = serializers.CharField(allow_null=True)
    is_adjudication = serializers.BooleanField()
    was_blind = serializers.BooleanField()
    pi_judge = serializers.FloatField(allow_null=True)
    pi_review = serializers.FloatField(allow_null=True)
    seconds = serializers.FloatField(allow_null=True)
    external_id = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()


class TakenShape(serializers.Serializer[Any]):
    review = ReviewShape()
    state = serializers.CharField(help_text="Of the item now.")
    disagreements = serializers.ListField(child=serializers.CharField(), help_text="verdict, and keys of criteria.")
    judge = serializers.JSONField(allow_null=True, help_text="What the judge gave: no secret after the verdict.")


def queue_json(queue: QueueView, counts: Counts) -> dict[str, Any]:
    """A queue as REST shows it."""
    config = stored_config(queue.config).stored()
    config.pop("salt")
    return {
        "slug": queue.slug,
        "name": queue.name,
        "kind": queue.kind,
        "rubric": queue.rubric_slug,
        "rubric_version": queue.rubric_number,
        "judge": queue.judge_slug or None,
        "judge_version": queue.judge_version_number,
        "config": config,
        "reviewers_per_item": queue.reviewers_per_item,
        "double_share": queue.double_share,
        "is_blind": queue.is_blind,
        "due_at": form.moment(queue.due_at),
        "created_at": form.moment(queue.created_at),
        "closed_at": form.moment(queue.closed_at),
        "items": {
            "open": counts.open,
            "held": counts.held,
            "done": counts.done,
            "disputed": counts.disputed,
            "settled": counts.settled,
            "dropped": counts.dropped,
            "total": counts.total,
        },
        "criteria": to_json(queue.rubric)["criteria"],
    }


def item_json(queue: QueueView, item: ItemView, *, hides: bool | None = None) -> dict[str, Any]:
    """An item as REST shows it; while the queue is blind and it waits, nothing that tells the judge's opinion."""
    if hides is None:
        hides = queue.is_blind and item.state in ("open", "disputed")
    return {
        "id": str(item.id),
        "queue": queue.slug,
        "trace_id": item.hex_id,
        "span_id": form.hex_span(item.span_id) if item.span_id else None,
        "started_at": form.moment(item.started_at),
        "feature": item.feature or None,
        "model": item.model or None,
        "prompt_version": item.prompt_version or None,
        "reason": None if hides else item.reason or None,
        "stratum": None if hides else item.stratum or None,
        "pi_judge": None if hides else item.pi_judge,
        "pi_review": None if hides else item.pi_review,
        "state": item.state,
        "wanted": item.wanted,
        "reviews_count": item.reviews_count,
        "assigned_to": item.assigned_to or None,
        "held_by": item.held_by or None,
        "held_until": form.moment(item.leased_until) if item.held_by else None,
        "created_at": form.moment(item.created_at),
        "done_at": form.moment(item.done_at),
    }


def material_json(material: Material | None) -> dict[str, Any] | None:
    """What the item is about."""
    if material is None:
        return None
    return {
        "question": material.question,
        "answer": material.answer,
        "system": material.system or None,
        "messages": [{"role": each.role, "text": each.text} for each in material.messages],
        "documents": [
            {"id": each.id, "text": each.text, "score": each.score, "rank": each.rank} for each in material.documents
        ],
        "tools": [
            {"name": each.name, "arguments": each.arguments, "result": each.result, "error": each.error or None}
            for each in material.tools
        ],
        "error_type": material.error_type or None,
        "finish_reason": material.finish_reason or None,
    }


def judged_json(judged: Judged | None) -> dict[str, Any] | None:
    """What a judge gave."""
    if judged is None:
        return None
    return {
        "judge": judged.judge_slug,
        "version": judged.version,
        "is_flagged": judged.is_flagged,
        "flags": list(judged.flags),
        "scores": {
            each.name: {
                "value": _value(each.data_type, each.number, each.label),
                "reason": each.reason or None,
                "evidence": list(each.evidence),
            }
            for each in judged.scores
        },
    }


def review_json(review: ReviewView) -> dict[str, Any]:
    """A review as REST shows it."""
    return {
        "id": str(review.id),
        "item_id": None if review.item_id is None else str(review.item_id),
        "trace_id": review.trace_id.hex,
        "span_id": form.hex_span(review.span_id) if review.span_id else None,
        "reviewer": review.reviewer,
        "verdict": review.verdict or None,
        "scores": {each.name: _value(each.data_type, each.number, each.label) for each in review.scores},
        "category": review.category or None,
        "note": review.note or None,
        "is_adjudication": review.is_adjudication,
        "was_blind": review.was_blind,
        "pi_judge": review.pi_judge,
        "pi_review": review.pi_review,
        "seconds": review.seconds,
        "external_id": review.external_id,
        "created_at": form.moment(review.created_at),
    }


def _value(data_type: int, number: float | None, label: str | None) -> Any:
    if label is not None:
        return label
    return bool(number) if data_type == 2 and number is not None else number


def criteria_of(rubric: Rubric) -> list[dict[str, Any]]:
    """The criteria of a rubric."""
    found: list[dict[str, Any]] = to_json(rubric)["criteria"]
    return found
