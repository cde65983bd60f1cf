"""The shapes of incidents in REST."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from alerts.incidents.types import (
    COMMENT_MAX,
    DIMENSIONS,
    NOTE_MAX,
    SEVERITIES,
    STEPS,
    TIMER_LEAST,
    TIMER_MOST,
    TITLE_MAX,
    Kind,
    Origin,
    State,
)
from alerts.monitors.states import Standing
from telltale.rest.shapes import page_of

STATES, STEP_NAMES = [each.value for each in State], [each.value for each in STEPS]
VERDICTS = ["real", "false"]
JOINABLE = [Kind.ALARM.value, Kind.PROBE.value, Kind.REVIEW.value]
_Any = serializers.Serializer[Any]


class ScopeField(serializers.JSONField):
    """Documented as an object of lists; read by `alerts.regrouping.read_scope`."""


class IncidentShape(_Any):
    number = serializers.IntegerField(help_text="42 of INC-42.")
    ref = serializers.CharField()
    title = serializers.CharField()
    severity = serializers.IntegerField(min_value=0, max_value=3, help_text="P0 to P3.")
    state = serializers.ChoiceField(STATES)
    step = serializers.ChoiceField(STEP_NAMES, help_text="The step it is at.")
    step_started_at = serializers.DateTimeField(allow_null=True)
    step_due_at = serializers.DateTimeField(allow_null=True, help_text="Null: no timer, or it is over.")
    is_overdue = serializers.BooleanField()
    round = serializers.IntegerField(help_text="1, and one more each time it was opened again.")
    origin = serializers.ChoiceField([each.value for each in Origin])
    scope = ScopeField(help_text="What its members have in common: values by dimension; empty: the whole project.")
    members = serializers.IntegerField(help_text="Alarms and others that belong to it.")
    began_at = serializers.DateTimeField(help_text="Start of the first window out of limits.")
    opened_at = serializers.DateTimeField()
    last_moved_at = serializers.DateTimeField(help_text="End of the last window that joined.")
    quiet_since = serializers.DateTimeField(allow_null=True, help_text="Every member is over since. Null: it goes on.")
    acknowledged_at = serializers.DateTimeField(allow_null=True)
    acknowledged_by = serializers.CharField(allow_null=True)
    assignee = serializers.CharField(allow_null=True)
    assignee_id = serializers.IntegerField(allow_null=True)
    muted_until = serializers.DateTimeField(allow_null=True)
    muted_until_worse = serializers.BooleanField()
    verdict = serializers.ChoiceField(VERDICTS, allow_null=True, help_text="Null: nobody decided.")
    scope_note = serializers.CharField(help_text="Who is affected, as people wrote it.")
    cause_change = serializers.IntegerField(allow_null=True, help_text="The change that people marked, by its id.")
    cause_note = serializers.CharField()
    dataset = serializers.IntegerField(allow_null=True)
    experiment = serializers.IntegerField(allow_null=True)
    closed_at = serializers.DateTimeField(allow_null=True)
    closed_by = serializers.CharField(allow_null=True)
    override_reason = serializers.CharField()
    merged_into = serializers.IntegerField(allow_null=True, help_text="Number of the incident that has its members.")
    split_from = serializers.IntegerField(allow_null=True)
    created_by = serializers.CharField(allow_null=True)
    version = serializers.IntegerField(help_text="Moves with every change; acts take it as `of_version`.")


class IncidentStepShape(_Any):
    step = serializers.ChoiceField(STEP_NAMES)
    round = serializers.IntegerField()
    started_at = serializers.DateTimeField()
    due_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    finished_by = serializers.CharField(allow_null=True)
    in_time = serializers.BooleanField(allow_null=True, help_text="Null: not finished, or no timer.")
    draft = serializers.JSONField(help_text="What was written and not yet finished.")
    outcome = serializers.JSONField(help_text="What it came to; `words` is what the timeline says of it.")


class IncidentMemberShape(_Any):
    id = serializers.IntegerField(help_text="Of the membership: what `split` takes.")
    kind = serializers.ChoiceField([each.value for each in Kind])
    ref = serializers.IntegerField(help_text="Id of the alarm, alarm of a probe, item of a queue, stand of a budget.")
    monitor = serializers.IntegerField(allow_null=True)
    name = serializers.CharField()
    says = serializers.CharField(help_text="What it said when it joined.")
    metric = serializers.CharField()
    direction = serializers.CharField(allow_blank=True)
    rule = serializers.CharField()
    value = serializers.FloatField(allow_null=True, help_text="In the metric's unit.")
    before = serializers.FloatField(allow_null=True, help_text="Level of its baseline.")
    n = serializers.IntegerField(allow_null=True)
    scope = ScopeField()
    severity = serializers.IntegerField()
    is_page = serializers.BooleanField(help_text="Not: it joined as evidence.")
    joined_at = serializers.DateTimeField()
    began_at = serializers.DateTimeField()
    over_at = serializers.DateTimeField(allow_null=True)


class IncidentSignalShape(_Any):
    monitor = serializers.IntegerField()
    name = serializers.CharField()
    metric = serializers.CharField()
    standing = serializers.ChoiceField([each.value for each in Standing])
    is_out = serializers.BooleanField()
    is_member = serializers.BooleanField()
    agrees = serializers.BooleanField()
    value = serializers.FloatField(allow_null=True)
    before = serializers.FloatField(allow_null=True)
    n = serializers.IntegerField(allow_null=True)


class IncidentAgreementShape(_Any):
    agree = serializers.IntegerField()
    of = serializers.IntegerField(help_text="Monitors of the same part of the project that were judged.")
    silent = serializers.IntegerField(help_text="Those that cannot say: learning, broken, without data.")
    signals = IncidentSignalShape(many=True)


class IncidentWatcherShape(_Any):
    user_id = serializers.IntegerField()
    name = serializers.CharField()
    since = serializers.DateTimeField()


class IncidentEventShape(_Any):
    id = serializers.IntegerField()
    at = serializers.DateTimeField()
    kind = serializers.CharField()
    who = serializers.CharField(allow_null=True, help_text="A person or a key; null: Telltale.")
    words = serializers.CharField()
    facts = serializers.JSONField()


class IncidentDetailShape(IncidentShape):
    summary = serializers.CharField(help_text="What moved, in a sentence or two.")
    steps = IncidentStepShape(many=True, help_text="Of every round.")
    watchers = IncidentWatcherShape(many=True)
    agreement = IncidentAgreementShape()
    first_members = IncidentMemberShape(many=True, help_text="At most 50; the address members has all.")
    last_events = IncidentEventShape(many=True, help_text="At most 50, newest first; the address events has all.")


IncidentPage = page_of(IncidentShape, "IncidentPage")
MemberPage = page_of(IncidentMemberShape, "IncidentMemberPage")
EventPage = page_of(IncidentEventShape, "IncidentEventPage")


class IncidentStepsShape(_Any):
    items = IncidentStepShape(many=True)


class MemberRef(_Any):
    kind = serializers.ChoiceField(JOINABLE)
    id = serializers.IntegerField(min_value=1, max_value=2**63 - 1)


def _version() -> serializers.IntegerField:
    return serializers.IntegerField(
        required=False, min_value=0, max_value=2**63 - 1, help_text="The version you have seen; another one is a 409."
    )


class IncidentBody(_Any):
    title = serializers.CharField(max_length=TITLE_MAX)
    severity = serializers.IntegerField(min_value=SEVERITIES[0], max_value=SEVERITIES[-1], default=2)
    scope = ScopeField(required=False, help_text=f"A value or list of values by {', '.join(DIMENSIONS)}.")
    members = MemberRef(many=True, required=False, help_text="Alarms, alarms of probes and items of review queues.")


class IncidentChange(_Any):
    title = serializers.CharField(max_length=TITLE_MAX, required=False)
    severity = serializers.IntegerField(min_value=SEVERITIES[0], max_value=SEVERITIES[-1], required=False)
    of_version = _version()


class IncidentAssignBody(_Any):
    user_id = serializers.IntegerField(
        allow_null=True, min_value=1, max_value=2**63 - 1, help_text="A person of the project; null: nobody."
    )
    of_version = _version()


class IncidentCommentBody(_Any):
    text = serializers.CharField(max_length=COMMENT_MAX)


class IncidentMembersBody(_Any):
    members = MemberRef(many=True)


class IncidentMuteBody(_Any):
    until = serializers.DateTimeField(
        required=False, allow_null=True, help_text="At most 30 days ahead. Null: not muted any more.",
        style={"limit": "ISO 8601, or null"},
    )  # fmt: skip
    until_worse = serializers.BooleanField(default=False, help_text="Until it gets worse, instead of a moment.")


class IncidentMergeBody(_Any):
    into = serializers.IntegerField(min_value=1, max_value=2**31 - 1, help_text="Number of the other incident.")


class IncidentSplitBody(_Any):
    members = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**63 - 1), min_length=1, max_length=1_000,
        help_text="Ids of memberships, not all of them.",
    )  # fmt: skip
    title = serializers.CharField(max_length=TITLE_MAX, required=False)


class IncidentReopenBody(_Any):
    reason = serializers.CharField(max_length=NOTE_MAX)


class IncidentStepBody(_Any):
    outcome = serializers.JSONField(
        required=False, help_text="Finishes the step. An object; `words` is what the timeline says of it."
    )
    draft = serializers.JSONField(required=False, help_text="Keeps an object without finishing.")
    is_open = serializers.BooleanField(required=False, help_text="true: go back to this step.")
    of_version = _version()


class SummaryStepShape(_Any):
    step = serializers.ChoiceField(STEP_NAMES)
    title = serializers.CharField()
    words = serializers.CharField()
    took_minutes = serializers.FloatField(allow_null=True)
    due_minutes = serializers.FloatField(allow_null=True)
    in_time = serializers.BooleanField(allow_null=True)
    finished_by = serializers.CharField()
    finished_at = serializers.DateTimeField(allow_null=True)


class SummaryLineShape(_Any):
    at = serializers.DateTimeField()
    kind = serializers.CharField()
    who = serializers.CharField()
    words = serializers.CharField()


class IncidentSummaryShape(_Any):
    incident = IncidentShape()
    lines = serializers.ListField(child=serializers.CharField())
    members = IncidentMemberShape(many=True)
    steps = SummaryStepShape(many=True)
    timeline = SummaryLineShape(many=True, help_text="Oldest first.")
    is_cut = serializers.BooleanField(help_text="The timeline is longer: its newest lines are here.")
    began_to_opened_minutes = serializers.FloatField(allow_null=True)
    opened_to_acknowledged_minutes = serializers.FloatField(allow_null=True)
    opened_to_closed_minutes = serializers.FloatField(allow_null=True)
    made_at = serializers.DateTimeField()


class IncidentStepTimersShape(_Any):
    triage, scope, isolate, respond, learn = (
        serializers.IntegerField(allow_null=True, min_value=TIMER_LEAST, max_value=TIMER_MOST, required=False)
        for _ in range(5)
    )


class IncidentTimersShape(_Any):
    p0, p1, p2, p3 = (IncidentStepTimersShape(required=False) for _ in range(4))


class IncidentSettingsShape(_Any):
    timers = IncidentTimersShape(
        required=False, help_text="Minutes of each step by severity. Null: no timer. What is left out stays."
    )
    cases_least = serializers.IntegerField(
        required=False, min_value=0, max_value=1_000, help_text="Failing cases that a data set must hold to close."
    )
    recovery_hours = serializers.FloatField(
        required=False, min_value=0.25, max_value=336, help_text="Hours within limits until a series counts as back."
    )
    reopen_days = serializers.IntegerField(
        required=False, min_value=0, max_value=90, help_text="Days in which the same alarm opens it again. 0: never."
    )


class IncidentSettingsAnswer(IncidentSettingsShape):
    changed_by = serializers.CharField(allow_null=True)
    changed_at = serializers.DateTimeField(allow_null=True, help_text="Null: the defaults hold.")
