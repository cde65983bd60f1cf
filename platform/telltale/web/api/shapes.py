"""The shapes of the overview and the inbox in REST."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from alerts.questions.pillars import Pillar
from telltale.rest.shapes import page_of
from telltale.web.inbox.acting import ACT_WORDS, KEYS_MOST
from telltale.web.inbox.items import Kind

STATES = ("ok", "watch", "bad", "none")
PILLARS = [each.value for each in Pillar]
KINDS = [each.value for each in Kind]


class AnswerShape(serializers.Serializer[Any]):
    question = serializers.CharField()
    question_id = serializers.IntegerField(
        allow_null=True, help_text="Null: nobody wrote it, it stands for its pillar."
    )
    pillar = serializers.ChoiceField(PILLARS)
    state = serializers.ChoiceField(
        STATES,
        help_text="bad: out of limits, and may page; watch: out and calls nobody, or not current; ok: within limits; "
        "none: nobody can say.",
    )
    word = serializers.CharField()
    is_known = serializers.BooleanField(help_text="Whether the monitors could answer.")
    sentence = serializers.CharField()
    detail = serializers.CharField()
    monitors = serializers.ListField(child=serializers.IntegerField())
    monitor = serializers.IntegerField(allow_null=True, help_text="The one the sentence is about.")
    alarm = serializers.IntegerField(allow_null=True)
    incident = serializers.IntegerField(allow_null=True, help_text="Number of the incident of that alarm.")
    since = serializers.DateTimeField(allow_null=True, help_text="Start of the first window out of limits.")
    before = serializers.FloatField(allow_null=True, help_text="The level against which the change is measured.")
    after = serializers.FloatField(allow_null=True)
    change = serializers.FloatField(allow_null=True, help_text="after - before, in the metric's unit.")
    change_low = serializers.FloatField(allow_null=True, help_text="Its 95 % interval.")
    change_high = serializers.FloatField(allow_null=True)
    unit = serializers.CharField(allow_null=True)


class OverviewIncidentShape(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    title = serializers.CharField()
    severity = serializers.CharField()
    state = serializers.CharField()
    step = serializers.CharField()
    step_due_at = serializers.DateTimeField(allow_null=True)
    is_overdue = serializers.BooleanField()
    owner = serializers.CharField(allow_null=True)
    opened_at = serializers.DateTimeField()


class OverviewChangeShape(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    at = serializers.DateTimeField()
    title = serializers.CharField()
    feature = serializers.CharField(allow_null=True)
    author = serializers.CharField(allow_null=True)
    is_suspect = serializers.BooleanField(help_text="The last one shortly before an alarm that is open: no proof.")


class OverviewFeatureShape(serializers.Serializer[Any]):
    feature = serializers.CharField(allow_null=True)
    requests = serializers.IntegerField()
    errors = serializers.IntegerField()  # type: ignore[assignment]
    p95_ms = serializers.FloatField(allow_null=True)
    cost_usd = serializers.CharField(allow_null=True, help_text="Null: unpriced or unknown, never 0.")
    unpriced_calls = serializers.IntegerField()


class OverviewBudgetShape(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    state = serializers.ChoiceField(["over", "near", "within", "unknown"])
    limit = serializers.CharField()
    period = serializers.CharField()
    spent = serializers.CharField(help_text="By who spent most, where it is for each feature or user.")
    subject = serializers.CharField(allow_null=True, help_text="Who spent most, where it is for each.")
    share = serializers.CharField(allow_null=True, help_text="Of the limit.")
    forecast = serializers.CharField(allow_null=True, help_text="At its end, with the 80 % interval.")


class OverviewHealthShape(serializers.Serializer[Any]):
    key = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    value = serializers.CharField()
    note = serializers.CharField()
    state = serializers.ChoiceField(STATES)


class OverviewShape(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    headline = serializers.CharField()
    engine_stands_since = serializers.DateTimeField(allow_null=True, help_text="Null: monitors are evaluated.")
    answers = AnswerShape(many=True)
    incidents = OverviewIncidentShape(many=True)
    waiting = serializers.IntegerField(help_text="Items of the inbox, flagged answers counted up to 50.")
    changes = OverviewChangeShape(many=True, allow_null=True)
    features = OverviewFeatureShape(many=True, allow_null=True, help_text="Of the last 24 hours, busiest first.")
    budgets = OverviewBudgetShape(many=True, allow_null=True, help_text="Cost budgets that are on, the worst first.")
    health = OverviewHealthShape(many=True)
    lacking = serializers.ListField(child=serializers.CharField(), help_text="Parts that took too long to read.")


class InboxItemShape(serializers.Serializer[Any]):
    key = serializers.CharField(help_text="What names it in acts.")
    kind = serializers.ChoiceField(KINDS)
    severity = serializers.CharField(allow_null=True)
    title = serializers.CharField()
    detail = serializers.CharField()
    state = serializers.CharField()
    owner = serializers.CharField(allow_null=True)
    since = serializers.DateTimeField()
    due_at = serializers.DateTimeField(allow_null=True)
    feature = serializers.CharField(allow_null=True)
    path = serializers.CharField(help_text="Its page, below the project's.")
    trace_id = serializers.CharField(allow_null=True)
    dismissed_at = serializers.DateTimeField(allow_null=True)
    dismissed_by = serializers.CharField(allow_null=True)


InboxPage = page_of(InboxItemShape, "InboxPage")


class InboxActBody(serializers.Serializer[Any]):
    act = serializers.ChoiceField(list(ACT_WORDS))
    keys = serializers.ListField(
        child=serializers.CharField(max_length=200), min_length=1, max_length=KEYS_MOST,
        style={"limit": f"1 to {KEYS_MOST} keys of items"},
    )  # fmt: skip
    queue = serializers.CharField(
        required=False, allow_blank=True, max_length=60, help_text="For `queue`: the slug of an open review queue.",
        style={"limit": "0 to 60 characters"},
    )  # fmt: skip


class InboxRefusedShape(serializers.Serializer[Any]):
    key = serializers.CharField()
    reason = serializers.CharField()


class InboxOutcomeShape(serializers.Serializer[Any]):
    act = serializers.CharField()
    done = serializers.ListField(child=serializers.CharField())
    same = serializers.ListField(child=serializers.CharField(), help_text="They were so before.")
    refused = InboxRefusedShape(many=True)
