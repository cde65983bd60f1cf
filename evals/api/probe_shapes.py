"""What REST says and takes of probes."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from evals.probes.checks import KINDS
from evals.probes.verdicts import ANSWERS, PASSES, RECENT, TOGETHER
from evals.probing.alarms import VERDICTS

STATES = ("learning", "same", "watch", "changed", "unanswered")
RUN_STATES = ("running", "done", "failed", "cancelled")
ALARM_STATES = ("open", "acknowledged", "closed")


class ProbeTargetShape(serializers.Serializer[Any]):
    connection = serializers.CharField(help_text="The connection's id.")
    connection_name = serializers.CharField()
    model = serializers.CharField()
    is_pinned = serializers.BooleanField(
        help_text="False: the name lets the provider change the model behind it; compare answers, not names."
    )
    is_stand_in = serializers.BooleanField()


class ProbeShape(serializers.Serializer[Any]):
    key = serializers.CharField()
    version = serializers.IntegerField(help_text="Another question, tool or check is another version.")
    must = serializers.CharField(help_text="What the answer must do, in words.")
    system = serializers.CharField()
    messages = serializers.JSONField()
    tools = serializers.JSONField()
    checks = serializers.JSONField(help_text=f"Each has a kind: {', '.join(KINDS)}.")
    created_at = serializers.DateTimeField()
    archived_at = serializers.DateTimeField(allow_null=True)


class ProbesShape(serializers.Serializer[Any]):
    items = ProbeShape(many=True)


class ProbeEncoderShape(serializers.Serializer[Any]):
    connection = serializers.CharField()
    model = serializers.CharField()


class ProbeRunShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    suite = serializers.CharField(help_text="The suite's slug.")
    number = serializers.IntegerField()
    cause = serializers.ChoiceField(["schedule", "asked", "change"])
    state = serializers.ChoiceField(RUN_STATES)
    reason = serializers.CharField(help_text="Why it failed, or what is missing in it.")
    calls = serializers.IntegerField(allow_null=True, help_text="Null until it has ended.")
    cost_usd = serializers.CharField(allow_null=True, help_text="Of the calls with a known price.")
    unpriced = serializers.IntegerField(allow_null=True, help_text="Calls without one.")
    made_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class ProbeSuiteShape(serializers.Serializer[Any]):
    slug = serializers.CharField()
    name = serializers.CharField()
    schedule = serializers.JSONField(help_text='{"every_minutes": 1440}, {"days": ["wed"], "at": "06:00"}, or {}.')
    with_changes = serializers.BooleanField(help_text="It also runs after a recorded change.")
    repeats = serializers.IntegerField(help_text="So often each probe is asked of each model in a run.")
    temperature = serializers.FloatField(allow_null=True)
    max_output_tokens = serializers.IntegerField()
    runs_between_alarms = serializers.IntegerField(help_text="One false alarm in so many runs, all tests together.")
    expected_alarms_a_week = serializers.FloatField(help_text="False alarms by that budget and the schedule.")
    passes_that_alarm = serializers.IntegerField(
        allow_null=True,
        help_text="The most passes of `repeats` of one probe that alarm against 20 of 20; null: not even none would.",
    )
    budget_usd_run = serializers.CharField(allow_null=True)
    encoder = ProbeEncoderShape(allow_null=True, help_text="Null: answers are compared by their words.")
    targets = ProbeTargetShape(many=True)
    probes = serializers.ListField(child=serializers.CharField(), help_text="Keys of the probes that are asked.")
    is_paused = serializers.BooleanField()
    next_at = serializers.DateTimeField(allow_null=True)
    last_run = ProbeRunShape(allow_null=True)
    running = ProbeRunShape(allow_null=True)
    created_at = serializers.DateTimeField()
    archived_at = serializers.DateTimeField(allow_null=True)


class ProbeSuitesShape(serializers.Serializer[Any]):
    items = ProbeSuiteShape(many=True)


class ProbeSuiteChange(serializers.Serializer[Any]):
    name = serializers.CharField(required=False)
    targets = serializers.JSONField(required=False, help_text='[{"connection": "<id>", "model": "<name>"}], 1 to 8.')
    schedule = serializers.JSONField(required=False, help_text='Every day if left out; {} for "only when asked".')
    with_changes = serializers.BooleanField(required=False)
    repeats = serializers.IntegerField(required=False, min_value=5, max_value=50)
    temperature = serializers.FloatField(required=False, allow_null=True, help_text="0 if left out.")
    max_output_tokens = serializers.IntegerField(required=False, min_value=1, max_value=8000)
    runs_between_alarms = serializers.IntegerField(required=False, min_value=20, max_value=1_000_000)
    budget_usd_run = serializers.DecimalField(18, 12, required=False, allow_null=True, help_text="No call beyond it.")
    encoder = serializers.JSONField(
        required=False, allow_null=True, help_text='{"connection": "<id>", "model": "<name>"} with /embeddings.'
    )
    is_paused = serializers.BooleanField(required=False)
    is_archived = serializers.BooleanField(required=False)


class ProbeSuiteBody(ProbeSuiteChange):
    name = serializers.CharField()
    slug = serializers.CharField(required=False, help_text="Made of the name if left out.")
    targets = serializers.JSONField(help_text='[{"connection": "<id>", "model": "<name>"}], 1 to 8.')
    presets = serializers.ListField(
        child=serializers.CharField(), required=False, help_text="Keys of /api/v1/probes/presets."
    )
    probes = serializers.ListField(
        child=serializers.JSONField(), required=False, help_text="Objects with key, must, user, checks."
    )
    is_archived = None  # type: ignore[assignment]


class ProbeBody(serializers.Serializer[Any]):
    must = serializers.CharField(help_text='What the answer must do, in words, after "must".')
    user = serializers.CharField(required=False, help_text="The question; or `messages`.", trim_whitespace=False)
    messages = serializers.JSONField(required=False, help_text='[{"role": "user", "content": "…"}], the last of user.')
    system = serializers.CharField(required=False, allow_blank=True, trim_whitespace=False)
    tools = serializers.JSONField(required=False, help_text="name, description and parameters (a JSON schema) of each.")
    checks = serializers.JSONField(help_text=f"1 to 10 objects, each with a kind: {', '.join(KINDS)}.")


class ProbePutShape(serializers.Serializer[Any]):
    key = serializers.CharField()
    version = serializers.IntegerField()


class ProbePresetShape(serializers.Serializer[Any]):
    key = serializers.CharField()
    about = serializers.CharField()
    probe = serializers.JSONField(help_text="What a PUT of it would hold.")


class ProbePresetsShape(serializers.Serializer[Any]):
    items = ProbePresetShape(many=True)


class ProbeCheckBody(ProbeBody):
    answer = serializers.CharField(allow_blank=True, trim_whitespace=False, help_text="A text to check.")
    tool_calls = serializers.JSONField(required=False, help_text='[{"name": "…", "arguments": "<JSON text>"}]')
    finish_reason = serializers.CharField(required=False, allow_blank=True)


class ProbeCheckedShape(serializers.Serializer[Any]):
    kind = serializers.CharField()
    passed = serializers.BooleanField(allow_null=True, help_text="Null: it cannot tell.")
    told = serializers.CharField()


class ProbeCheckedAllShape(serializers.Serializer[Any]):
    passed = serializers.BooleanField(allow_null=True)
    checks = ProbeCheckedShape(many=True)


class ProbeResultShape(serializers.Serializer[Any]):
    run = serializers.IntegerField(help_text="The run's number.")
    at = serializers.DateTimeField()
    state = serializers.ChoiceField(STATES)
    passes = serializers.IntegerField()
    runs = serializers.IntegerField(help_text="Answers whose checks could tell.")
    unclear = serializers.IntegerField(help_text="Answers whose checks could not.")
    unanswered = serializers.IntegerField(help_text="Asked without an answer; neither passes nor fails.")
    was_learned = serializers.BooleanField(help_text="Part of the baseline.")
    baseline = serializers.IntegerField(allow_null=True, help_text="Number of the baseline it was judged by.")
    baseline_passes = serializers.IntegerField(allow_null=True)
    baseline_runs = serializers.IntegerField(allow_null=True)
    test = serializers.CharField(allow_null=True, help_text='"exact binomial" from 100 stored runs, else "Fisher".')
    p = serializers.FloatField(allow_null=True, help_text="That so few pass by chance; Fisher's where it is larger.")
    level = serializers.FloatField(allow_null=True, help_text="What p had to reach for an alarm.")
    fewest = serializers.IntegerField(allow_null=True, help_text="Passes that chance still explains at that level.")
    low = serializers.FloatField(allow_null=True, help_text="Of the 95 % interval of the share of passes.")
    high = serializers.FloatField(allow_null=True)
    recent_passes = serializers.IntegerField(allow_null=True, help_text="Of this run and up to three before it.")
    recent_runs = serializers.IntegerField(allow_null=True)
    recent_p = serializers.FloatField(allow_null=True)
    distance = serializers.FloatField(allow_null=True, help_text="Mean cosine distance to the first answers, 0 to 2.")
    noise = serializers.FloatField(allow_null=True, help_text="The same among answers of one side.")
    p_answers = serializers.FloatField(allow_null=True, help_text="That answers are so far apart by chance.")
    models = serializers.ListField(child=serializers.CharField(), help_text="What answers call the model.")
    fingerprints = serializers.ListField(child=serializers.CharField())


class ProbeBaselineShape(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    first_run = serializers.IntegerField(allow_null=True)
    passes = serializers.IntegerField()
    runs = serializers.IntegerField()
    frozen_at = serializers.DateTimeField(allow_null=True, help_text="From 100 runs on it takes in no more.")
    ended_at = serializers.DateTimeField(allow_null=True)
    reason = serializers.CharField()
    made_by = serializers.CharField()
    created_at = serializers.DateTimeField()


class ProbeBaselinesShape(serializers.Serializer[Any]):
    items = ProbeBaselineShape(many=True)


class ProbeSeriesShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    suite = serializers.CharField()
    probe = serializers.CharField(help_text="The probe's key.")
    version = serializers.IntegerField()
    must = serializers.CharField()
    target = ProbeTargetShape()
    state = serializers.ChoiceField(STATES)
    state_at = serializers.DateTimeField()
    baseline = ProbeBaselineShape(allow_null=True)
    last = ProbeResultShape(allow_null=True)


class ProbeSeriesListShape(serializers.Serializer[Any]):
    items = ProbeSeriesShape(many=True)


class ProbeResultsShape(serializers.Serializer[Any]):
    items = ProbeResultShape(many=True)
    next = serializers.CharField(allow_null=True, help_text="The run's number to go on from, as `before`.")


class ProbeAnswerShape(serializers.Serializer[Any]):
    run = serializers.IntegerField()
    repeat = serializers.IntegerField()
    state = serializers.ChoiceField(["pending", "done", "failed"])
    text = serializers.CharField()
    tool_calls = serializers.JSONField()
    passed = serializers.BooleanField(allow_null=True)
    checks = ProbeCheckedShape(many=True)
    error = serializers.CharField()
    finish_reason = serializers.CharField()
    model = serializers.CharField(help_text="What the answer calls the model.")
    fingerprint = serializers.CharField()
    latency_ms = serializers.FloatField(allow_null=True)
    input_tokens = serializers.IntegerField(allow_null=True)
    output_tokens = serializers.IntegerField(allow_null=True)
    cost_usd = serializers.CharField(allow_null=True)
    trace_id = serializers.CharField(allow_null=True)


class ProbeAnswersShape(serializers.Serializer[Any]):
    items = ProbeAnswerShape(many=True)


class ProbeRunsShape(serializers.Serializer[Any]):
    items = ProbeRunShape(many=True)
    next = serializers.CharField(allow_null=True, help_text="The run's id to go on from, as `before`.")


class ProbeRunResultShape(serializers.Serializer[Any]):
    series = serializers.CharField(help_text="The series' id.")
    probe = serializers.CharField()
    version = serializers.IntegerField()
    model = serializers.CharField()
    result = ProbeResultShape()


class ProbeRunWholeShape(ProbeRunShape):
    answered = serializers.IntegerField(help_text="Answers that are there, or failed.")
    asked = serializers.IntegerField()
    results = ProbeRunResultShape(many=True, help_text="Once it has ended.")


class ProbeEvidenceShape(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(
        [PASSES, RECENT, TOGETHER, ANSWERS],
        help_text="passes: of one probe in this run; recent: in the last four; together: of all probes of the model; "
        "answers: their distance from the first ones.",
    )
    p = serializers.FloatField()
    level = serializers.FloatField(help_text="What p had to reach.")
    series = serializers.CharField(allow_null=True, help_text="Null: of all probes of the model.")


class ProbeMovedShape(serializers.Serializer[Any]):
    series = serializers.CharField()
    probe = serializers.CharField()


class ProbeAlarmShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    suite = serializers.CharField()
    target = ProbeTargetShape()
    run = serializers.IntegerField(help_text="Number of the run that opened it.")
    state = serializers.ChoiceField(ALARM_STATES)
    evidence = ProbeEvidenceShape(many=True)
    changed = ProbeMovedShape(many=True, help_text="The probes that were found changed.")
    p = serializers.FloatField()
    level = serializers.FloatField()
    runs_within = serializers.IntegerField(help_text="Runs in a row within limits since; after three it ends.")
    opened_at = serializers.DateTimeField()
    acknowledged_at = serializers.DateTimeField(allow_null=True)
    acknowledged_by = serializers.CharField()
    closed_at = serializers.DateTimeField(allow_null=True)
    closed_by = serializers.CharField()
    verdict = serializers.ChoiceField(["", *VERDICTS, "ended"], help_text="ended: by itself.")
    note = serializers.CharField()


class ProbeAlarmsShape(serializers.Serializer[Any]):
    items = ProbeAlarmShape(many=True)
    next = serializers.CharField(allow_null=True, help_text="The alarm's id to go on from, as `before`.")


class ProbeAlarmCloseBody(serializers.Serializer[Any]):
    verdict = serializers.ChoiceField(
        VERDICTS, help_text="real; false; accepted: the model is another one, and its probes get new baselines."
    )
    note = serializers.CharField(required=False, allow_blank=True, max_length=500)


class ProbeBaselineBody(serializers.Serializer[Any]):
    run = serializers.IntegerField(min_value=1, max_value=2**31 - 1, help_text="Number of the run it begins with.")
    reason = serializers.CharField(max_length=500)
