"""Tables of evals that the ORM serves: what people set up, review and keep.

The rows of every trace and every judgement (candidate, decision, judgement, score and their hourly sums) are in
`migrations/0001_rows.sql`: they are many, and SQL reads better there.
"""

from __future__ import annotations

from django.db import models

from telltale.jobs.models import Leased
from telltale.lib.bound import Owned

PROJECT = "projects.Project"
USER = "accounts.User"


class Settings(Owned):
    """What holds for the judging of a whole project. No row: the defaults."""

    project = models.OneToOneField(PROJECT, primary_key=True, on_delete=models.CASCADE, related_name="+")
    # Pico-dollars and calls a day (of the project's zone) for all judges together; NULL is no limit.
    budget_pico_day = models.BigIntegerField(null=True, blank=True, default=5_000_000_000_000)
    budget_calls_day = models.BigIntegerField(null=True, blank=True)
    # A trace is looked at when nothing of it came for so long.
    settle_seconds = models.PositiveIntegerField(default=30)
    gate = models.JSONField(default=dict, blank=True)  # what differs from the default gate
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"evals of {self.project_id}"


class Connection(Owned):
    """A model endpoint that judges and experiments may call. The key is sealed and never shown again."""

    project = models.ForeignKey(PROJECT, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=80)
    kind = models.CharField(max_length=20)  # openai, anthropic
    base_url = models.CharField(max_length=2048)
    sealed_key = models.TextField(blank=True, default="")
    key_hint = models.CharField(max_length=12, blank=True, default="")
    timeout_seconds = models.FloatField(default=60.0)
    calls_a_minute = models.PositiveIntegerField(null=True, blank=True)
    at_a_time = models.PositiveIntegerField(default=4)
    # Pico-dollars a token; NULL: asked of the price book by the model's name.
    input_pico = models.BigIntegerField(null=True, blank=True)
    output_pico = models.BigIntegerField(null=True, blank=True)
    is_stand_in = models.BooleanField(default=False)
    # Shared among workers: nobody calls before, because the provider said so or failed in a row.
    paused_until = models.DateTimeField(null=True, blank=True)
    paused_reason = models.CharField(max_length=200, blank=True, default="")
    failures = models.PositiveIntegerField(default=0)
    created_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="connection_name")]

    def __str__(self) -> str:
        return self.name


class Rubric(Owned):
    """A written standard, as a line of versions."""

    project = models.ForeignKey(PROJECT, on_delete=models.CASCADE, related_name="+")
    slug = models.SlugField(max_length=60)
    name = models.CharField(max_length=120)
    created_at = models.DateTimeField(auto_now_add=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "slug"], name="rubric_slug")]

    def __str__(self) -> str:
        return self.name


class RubricVersion(Owned):
    """One version: criteria as `evals.rubrics.parse_rubric` reads them. Frozen at its first use, never changed then."""

    rubric = models.ForeignKey(Rubric, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    spec = models.JSONField()
    spec_hash = models.CharField(max_length=64)
    frozen_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rubric", "number"], name="rubric_version_number")]

    def __str__(self) -> str:
        return f"{self.rubric_id} v{self.number}"


class Judge(Owned):
    """Whoever scores: a model, rules, people, or somebody's own program; a line of versions, one of them live."""

    project = models.ForeignKey(PROJECT, on_delete=models.CASCADE, related_name="+")
    slug = models.SlugField(max_length=60)
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=10)  # model, rule, person, external
    live_version = models.ForeignKey(
        "evals.JudgeVersion", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    live_since = models.DateTimeField(null=True, blank=True)
    paused_at = models.DateTimeField(null=True, blank=True)
    # Pico-dollars a day for this judge alone; NULL is no limit of its own.
    budget_pico_day = models.BigIntegerField(null=True, blank=True)
    created_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "slug"], name="judge_slug")]

    def __str__(self) -> str:
        return self.name


class JudgeVersion(Owned):
    """Rubric, model or rules, mapping and flag rule of a judge. Frozen at its first use, never changed then."""

    judge = models.ForeignKey(Judge, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    rubric_version = models.ForeignKey(RubricVersion, on_delete=models.RESTRICT, related_name="+")
    connection = models.ForeignKey(Connection, null=True, blank=True, on_delete=models.RESTRICT, related_name="+")
    model = models.CharField(max_length=200, blank=True, default="")
    config = models.JSONField(default=dict)  # evals.judges.parse_config: mapping, rules, flag, limits
    config_hash = models.CharField(max_length=64)
    frozen_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["judge", "number"], name="judge_version_number")]

    def __str__(self) -> str:
        return f"{self.judge_id} v{self.number}"


class SamplingPlan(Owned):
    """One immutable version of which traces a judge scores, valid in [valid_from, valid_to).

    `salt` belongs to the judge and the purpose and outlives versions, so that a raised share keeps what it had.
    """

    project = models.ForeignKey(PROJECT, on_delete=models.CASCADE, related_name="+")
    judge = models.ForeignKey(Judge, on_delete=models.CASCADE, related_name="plans")
    number = models.PositiveIntegerField()
    spec = models.JSONField()  # evals.sampling.parse_plan
    salt = models.CharField(max_length=64)
    valid_from = models.DateTimeField()
    valid_to = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["judge", "number"], name="plan_number"),
            models.UniqueConstraint(fields=["judge"], condition=models.Q(valid_to=None), name="plan_in_force"),
        ]

    def __str__(self) -> str:
        return f"{self.judge_id} plan {self.number}"


class PlanRate(Owned):
    """By how much the money limit lowered a plan's shares in an hour, fixed before the hour's first draw."""

    plan = models.ForeignKey(SamplingPlan, on_delete=models.CASCADE, related_name="+")
    hour = models.DateTimeField()
    factor = models.FloatField()
    reason = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["plan", "hour"], name="plan_rate_hour")]

    def __str__(self) -> str:
        return f"{self.plan_id} {self.hour}: {self.factor}"


class SpendDay(Owned):
    """Money and calls of judging on a day of the project's zone: reserved before a call, settled after it.

    `judge` 0 is the whole project. spent_pico counts known costs; a call of unknown price counts as a call.
    """

    project = models.ForeignKey(PROJECT, on_delete=models.CASCADE, related_name="+")
    judge_id = models.BigIntegerField(default=0)
    day = models.DateField()
    reserved_pico = models.BigIntegerField(default=0)
    spent_pico = models.BigIntegerField(default=0)
    reserved_calls = models.IntegerField(default=0)
    calls = models.BigIntegerField(default=0)
    unpriced_calls = models.BigIntegerField(default=0)
    # Calls without an answer (a time-out, a killed worker), and what was set aside for them: at most so much was paid.
    lost_calls = models.BigIntegerField(default=0)
    lost_pico = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "judge_id", "day"], name="spend_day")]

    def __str__(self) -> str:
        return f"{self.project_id}/{self.judge_id} {self.day}"


class Backfill(Owned):
    """Past traces that a judge is to score, queued piece by piece as they are judged (evals.backfilling)."""

    project = models.ForeignKey(PROJECT, on_delete=models.CASCADE, related_name="+")
    judge_version = models.ForeignKey(JudgeVersion, on_delete=models.CASCADE, related_name="+")
    query = models.TextField(blank=True)  # the list's address query: filters and range
    share = models.FloatField(default=1.0)
    salt = models.CharField(max_length=64)
    state = models.CharField(max_length=12, default="running")  # running, paused, done, cancelled
    traces_total = models.BigIntegerField(null=True, blank=True)
    traces_seen = models.BigIntegerField(default=0)
    queued = models.BigIntegerField(default=0)
    estimate_pico = models.BigIntegerField(null=True, blank=True)
    cursor = models.JSONField(default=dict)
    job_id = models.BigIntegerField(null=True, blank=True)
    created_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"backfill {self.pk}"


class ReviewQueue(Owned):
    """Items for people: by rules (flagged, thumbs-down, errors), a random sample, or a calibration task."""

    project = models.ForeignKey(PROJECT, on_delete=models.CASCADE, related_name="+")
    slug = models.SlugField(max_length=60)
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=12)  # rules, random, calibration, manual
    rubric_version = models.ForeignKey(RubricVersion, on_delete=models.RESTRICT, related_name="+")
    judge = models.ForeignKey(Judge, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    judge_version = models.ForeignKey(JudgeVersion, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    config = models.JSONField(default=dict)  # rules, share, strata, salt, wanted
    reviewers_per_item = models.PositiveSmallIntegerField(default=1)
    double_share = models.FloatField(default=0.2)  # of items that get one reviewer more, to compare people
    is_blind = models.BooleanField(default=True)
    due_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "slug"], name="queue_slug")]

    def __str__(self) -> str:
        return self.name


class ReviewItem(Owned):
    """A trace (or one span of it) that waits for reviews. Whoever holds the lease has it on the screen.

    `pi_judge` and `pi_review` are the chances it had to be judged and to be drawn for review; NULL for what somebody
    picked by hand: such reviews enter no estimate.
    """

    project = models.ForeignKey(PROJECT, on_delete=models.CASCADE, related_name="+")
    queue = models.ForeignKey(ReviewQueue, on_delete=models.CASCADE, related_name="items")
    trace_id = models.UUIDField()
    span_id = models.BigIntegerField(default=0)
    started_at = models.DateTimeField()
    feature = models.CharField(max_length=200, blank=True, default="")
    model = models.CharField(max_length=300, blank=True, default="")
    prompt_version = models.CharField(max_length=200, blank=True, default="")
    reason = models.CharField(max_length=200, blank=True, default="")  # why it is here, in words
    stratum = models.CharField(max_length=100, blank=True, default="")
    priority = models.FloatField(default=0.0)
    pi_judge = models.FloatField(null=True, blank=True)
    pi_review = models.FloatField(null=True, blank=True)
    state = models.CharField(max_length=12, default="open")  # open, done, disputed, settled, dropped
    wanted = models.PositiveSmallIntegerField(default=1)
    reviews_count = models.PositiveSmallIntegerField(default=0)
    assigned_to = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    leased_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    lease_key = models.CharField(max_length=40, blank=True, default="")  # one browser tab
    leased_until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    done_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["queue", "trace_id", "span_id"], name="review_item_once")]
        indexes = [
            models.Index(fields=["queue", "state", "-priority", "id"], name="review_item_next"),
            models.Index(fields=["project", "trace_id"], name="review_item_trace"),
        ]

    def __str__(self) -> str:
        return f"{self.queue_id}: {self.trace_id}"


class Review(Owned):
    """One person's verdict on an item, or on a trace directly (an import). Changing it keeps the row, undo ends it."""

    project = models.ForeignKey(PROJECT, on_delete=models.CASCADE, related_name="+")
    item = models.ForeignKey(ReviewItem, null=True, blank=True, on_delete=models.CASCADE, related_name="reviews")
    rubric_version = models.ForeignKey(RubricVersion, on_delete=models.RESTRICT, related_name="+")
    trace_id = models.UUIDField()
    span_id = models.BigIntegerField(default=0)
    reviewer = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    reviewer_name = models.CharField(max_length=200)  # as an import names people; else the reviewer's e-mail
    verdict = models.CharField(max_length=12, blank=True, default="")  # failure, false_alarm, unsure, good
    category = models.CharField(max_length=100, blank=True, default="")  # what went wrong
    note = models.TextField(blank=True, default="")
    is_adjudication = models.BooleanField(default=False)
    was_blind = models.BooleanField(default=True)
    is_skip = models.BooleanField(default=False)
    pi_judge = models.FloatField(null=True, blank=True)
    pi_review = models.FloatField(null=True, blank=True)
    seconds = models.FloatField(null=True, blank=True)
    external_id = models.CharField(max_length=200, null=True, blank=True)  # noqa: DJ001 - unique where there is one
    created_at = models.DateTimeField(auto_now_add=True)
    undone_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["item", "reviewer"], condition=models.Q(undone_at=None, item__isnull=False), name="review_once"
            ),
            models.UniqueConstraint(
                fields=["project", "external_id"], condition=models.Q(external_id__isnull=False), name="review_external"
            ),
        ]
        indexes = [models.Index(fields=["project", "trace_id"], name="review_trace")]

    def __str__(self) -> str:
        return f"{self.trace_id} by {self.reviewer_name}"


class Calibration(Owned):
    """What was found when a judge version was set against people, for one criterion and one scope. Kept for ever."""

    project = models.ForeignKey(PROJECT, on_delete=models.CASCADE, related_name="+")
    judge_version = models.ForeignKey(JudgeVersion, on_delete=models.CASCADE, related_name="+")
    criterion = models.CharField(max_length=100)
    scope = models.JSONField(default=dict, blank=True)  # feature, model, prompt_version; empty: all
    result = models.JSONField()  # evals.stats figures with intervals, confusion, gate checks, seed
    verdict = models.CharField(max_length=16)  # proven, failed, not_proven
    pairs = models.IntegerField()
    reviewers = models.IntegerField()
    labels_until = models.DateTimeField(null=True, blank=True)
    computed_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    stale_at = models.DateTimeField(null=True, blank=True)
    stale_reason = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        indexes = [models.Index(fields=["judge_version", "criterion", "-computed_at"], name="calibration_latest")]

    def __str__(self) -> str:
        return f"{self.judge_version_id} {self.criterion}: {self.verdict}"


class Routine(Owned):
    """A dated task about a judge: the monthly look at its level, the quarterly relabelling, a bias probe."""

    project = models.ForeignKey(PROJECT, on_delete=models.CASCADE, related_name="+")
    judge = models.ForeignKey(Judge, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=20)  # monthly, quarterly, position, length, repeat, injection
    due_at = models.DateTimeField()
    queue = models.ForeignKey(ReviewQueue, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    state = models.CharField(max_length=12, default="due")  # due, running, done, skipped
    result = models.JSONField(null=True, blank=True)
    job_id = models.BigIntegerField(null=True, blank=True)
    done_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["project", "state", "due_at"], name="routine_due")]

    def __str__(self) -> str:
        return f"{self.kind} of {self.judge_id}"


class Dataset(Owned):
    """Fixed examples, as a line of versions: version n is every item with from_version <= n < to_version."""

    project = models.ForeignKey(PROJECT, on_delete=models.CASCADE, related_name="+")
    slug = models.SlugField(max_length=60)
    name = models.CharField(max_length=120)
    description = models.TextField(blank=True, default="")
    version = models.PositiveIntegerField(default=0)
    created_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "slug"], name="dataset_slug")]

    def __str__(self) -> str:
        return self.name


class DatasetVersion(Owned):
    """When a version was made, by whom and why."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    items = models.IntegerField()
    note = models.CharField(max_length=300, blank=True, default="")
    created_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["dataset", "number"], name="dataset_version_number")]

    def __str__(self) -> str:
        return f"{self.dataset_id} v{self.number}"


class DatasetItem(Owned):
    """One content of an item; `item_key` stays when the content changes."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="items")
    item_key = models.CharField(max_length=100)
    from_version = models.PositiveIntegerField()
    to_version = models.PositiveIntegerField(null=True, blank=True)
    input = models.JSONField()
    expected = models.JSONField(null=True, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    # Where it came from: trace, review, incident, file, api; with the inclusion probability of a drawn one.
    origin = models.CharField(max_length=12)
    origin_trace_id = models.UUIDField(null=True, blank=True)
    origin_span_id = models.BigIntegerField(null=True, blank=True)
    origin_ref = models.CharField(max_length=200, blank=True, default="")
    pi = models.FloatField(null=True, blank=True)
    created_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["dataset", "item_key", "from_version"], name="dataset_item_version"),
            models.UniqueConstraint(
                fields=["dataset", "item_key"], condition=models.Q(to_version=None), name="dataset_item_current"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.dataset_id}/{self.item_key}"


class Experiment(Owned):
    """One judged pass of a system over a version of a dataset."""

    project = models.ForeignKey(PROJECT, on_delete=models.CASCADE, related_name="+")
    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="+")
    dataset_version = models.PositiveIntegerField()
    name = models.CharField(max_length=120)
    source = models.CharField(max_length=10)  # endpoint: we call it; posted: the user's code sends results
    connection = models.ForeignKey(Connection, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    config = models.JSONField(default=dict)  # model, system prompt, temperature, mapping; or what the sender says
    judge_versions = models.ManyToManyField(JudgeVersion, related_name="+", blank=True)
    metrics = models.JSONField(default=list, blank=True)  # reference metrics by name
    figures = models.JSONField(default=list, blank=True)  # evals.metrics.Whole: of all results together
    state = models.CharField(max_length=12, default="open")  # open, running, judging, done, failed, cancelled
    reason = models.CharField(max_length=300, blank=True, default="")
    job_id = models.BigIntegerField(null=True, blank=True)
    created_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["project", "-created_at"], name="experiment_newest")]

    def __str__(self) -> str:
        return self.name


class ExperimentResult(Leased, Owned):
    """What the system answered to one item. `target_id` is what judgements and scores point at (target kind 4)."""

    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, related_name="results")
    item_key = models.CharField(max_length=100)
    target_id = models.UUIDField(unique=True)
    state = models.CharField(max_length=12, default="pending")  # pending, done, failed
    output = models.JSONField(null=True, blank=True)
    error = models.CharField(max_length=500, blank=True, default="")
    metrics = models.JSONField(default=dict, blank=True)  # reference metrics and the sender's own numbers
    latency_ms = models.FloatField(null=True, blank=True)
    cost_pico = models.BigIntegerField(null=True, blank=True)
    input_tokens = models.IntegerField(null=True, blank=True)
    output_tokens = models.IntegerField(null=True, blank=True)
    trace_id = models.UUIDField(null=True, blank=True)
    next_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    done_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["experiment", "item_key"], name="experiment_item_once")]

    def __str__(self) -> str:
        return f"{self.experiment_id}/{self.item_key}"


class SurvivorshipSettings(Owned):
    """What the survivorship check of a project takes for satisfied. No row: found by name (evals.surviving).

    judge: the score that `judge` gives `criterion` is at least `at_least`, corrected by reviews; reviews: what people
    alone said of drawn answers; none: no anchor.
    """

    project = models.OneToOneField(PROJECT, primary_key=True, on_delete=models.CASCADE, related_name="+")
    method = models.CharField(max_length=8)  # judge, reviews, none
    judge = models.ForeignKey(Judge, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    criterion = models.CharField(max_length=100, blank=True, default="")
    at_least = models.FloatField(null=True, blank=True)  # a number of the criterion's scale
    tolerance = models.FloatField(default=0.05)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"survivorship of {self.project_id}: {self.method}"


class SurvivorshipDay(Owned):
    """The verdict at the end of one day (of the project's zone) over the 28 days before, and its figures.

    `basis` names definitions and settings; rows of another basis are made again. Counts alone: no person is in it.
    """

    project = models.ForeignKey(PROJECT, on_delete=models.CASCADE, related_name="+")
    day = models.DateField()
    is_whole = models.BooleanField()  # all features together; else `feature`, "" where none was told
    feature = models.TextField(blank=True, default="")
    colour = models.CharField(max_length=5)
    rule = models.CharField(max_length=40)
    sessions = models.BigIntegerField()
    figures = models.JSONField()  # evals.surviving.days: votes, calibrated, anchor, coverage, with limits and n
    definition = models.IntegerField()
    basis = models.CharField(max_length=64)
    revision = models.PositiveIntegerField(default=1)  # how often late votes, sessions or reviews changed it
    computed_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "is_whole", "feature", "day"], name="survivorship_day_once")
        ]

    def __str__(self) -> str:
        return f"{self.project_id} {self.day}: {self.colour}"


class ProbeSuite(Owned):
    """Fixed questions asked of some models on schedule. Its whole family of tests has one budget of false alarms."""

    project = models.ForeignKey(PROJECT, on_delete=models.CASCADE, related_name="+")
    slug = models.SlugField(max_length=60)
    name = models.CharField(max_length=120)
    schedule = models.JSONField(default=dict)  # evals.probes.schedule: every so many minutes, or times of the week
    with_changes = models.BooleanField(default=False)  # a run as well when a deploy or a change is recorded
    repeats = models.PositiveIntegerField(default=10)
    temperature = models.FloatField(null=True, blank=True, default=0.0)
    max_output_tokens = models.PositiveIntegerField(default=512)
    # One false alarm in so many runs, all probes and models of the suite together.
    runs_between_alarms = models.PositiveIntegerField(default=1000)
    budget_pico_run = models.BigIntegerField(null=True, blank=True)  # NULL: the project's day alone
    # Whose vectors tell how far answers are apart; none: hashed n-grams, which see words and not their meaning.
    encoder = models.ForeignKey(Connection, null=True, blank=True, on_delete=models.RESTRICT, related_name="+")
    encoder_model = models.CharField(max_length=200, blank=True, default="")
    paused_at = models.DateTimeField(null=True, blank=True)
    next_at = models.DateTimeField(null=True, blank=True)
    looked_at = models.DateTimeField(null=True, blank=True)  # recorded changes were looked for up to here
    created_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "slug"], name="probe_suite_slug")]
        indexes = [models.Index(fields=["next_at"], name="probe_suite_due")]

    def __str__(self) -> str:
        return self.name


class ProbeTarget(Owned):
    """A model that a suite asks, through a connection."""

    suite = models.ForeignKey(ProbeSuite, on_delete=models.CASCADE, related_name="targets")
    connection = models.ForeignKey(Connection, on_delete=models.RESTRICT, related_name="+")
    model = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["suite", "connection", "model"], name="probe_target_once")]

    def __str__(self) -> str:
        return self.model


class Probe(Owned):
    """A question of a suite, as a line of versions; the newest is asked."""

    suite = models.ForeignKey(ProbeSuite, on_delete=models.CASCADE, related_name="probes")
    key = models.SlugField(max_length=60)
    created_at = models.DateTimeField(auto_now_add=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["suite", "key"], name="probe_key")]

    def __str__(self) -> str:
        return self.key


class ProbeVersion(Owned):
    """What is asked and what the answer must hold to; never changed: another question is another version."""

    probe = models.ForeignKey(Probe, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    spec = models.JSONField()  # evals.probes.parse_spec: messages, tools, checks, what they must, in words
    spec_hash = models.CharField(max_length=64)
    created_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["probe", "number"], name="probe_version_number")]

    def __str__(self) -> str:
        return f"{self.probe_id} v{self.number}"


class ProbeRun(Owned):
    """One cycle of a suite: every probe asked of every model, some times each."""

    suite = models.ForeignKey(ProbeSuite, on_delete=models.CASCADE, related_name="runs")
    number = models.PositiveIntegerField()
    cause = models.CharField(max_length=10)  # schedule, asked, change
    state = models.CharField(max_length=12, default="running")  # running, done, failed, cancelled
    reason = models.CharField(max_length=300, blank=True, default="")
    job_id = models.BigIntegerField(null=True, blank=True)
    figures = models.JSONField(default=dict, blank=True)  # evals.probing.judged: levels, tests of each target
    calls = models.IntegerField(null=True, blank=True)
    cost_pico = models.BigIntegerField(null=True, blank=True)  # of the calls with a known price
    unpriced = models.IntegerField(null=True, blank=True)
    made_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    due_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["suite", "number"], name="probe_run_number"),
            models.UniqueConstraint(fields=["suite"], condition=models.Q(state="running"), name="probe_run_one"),
            models.UniqueConstraint(fields=["suite", "due_at"], name="probe_run_due_once"),
        ]

    def __str__(self) -> str:
        return f"{self.suite_id}#{self.number}"


class ProbeSeries(Owned):
    """One version of a probe at one model, run after run: what is compared with its own baseline, and nothing else."""

    version = models.ForeignKey(ProbeVersion, on_delete=models.CASCADE, related_name="series")
    target = models.ForeignKey(ProbeTarget, on_delete=models.CASCADE, related_name="series")
    state = models.CharField(max_length=12, default="learning")  # learning, same, watch, changed, unanswered
    state_at = models.DateTimeField(auto_now_add=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["version", "target"], name="probe_series_once")]

    def __str__(self) -> str:
        return f"{self.version_id} at {self.target_id}"


class ProbeBaseline(Owned):
    """What a series is compared with, from `first_run` on. Kept for ever; a new one is a recorded act with a reason."""

    series = models.ForeignKey(ProbeSeries, on_delete=models.CASCADE, related_name="baselines")
    number = models.PositiveIntegerField()
    first_run = models.ForeignKey(ProbeRun, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    passes = models.IntegerField(default=0)
    runs = models.IntegerField(default=0)
    frozen_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=500, blank=True, default="")
    made_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["series", "number"], name="probe_baseline_number"),
            models.UniqueConstraint(fields=["series"], condition=models.Q(ended_at=None), name="probe_baseline_one"),
        ]

    def __str__(self) -> str:
        return f"{self.series_id} baseline {self.number}"


class ProbeAnswer(Leased, Owned):
    """One answer of a model to a probe. What failed to be asked has no pass and no fail: it is not known."""

    run = models.ForeignKey(ProbeRun, on_delete=models.CASCADE, related_name="answers")
    series = models.ForeignKey(ProbeSeries, on_delete=models.CASCADE, related_name="answers")
    repeat = models.PositiveIntegerField()
    state = models.CharField(max_length=12, default="pending")  # pending, done, failed
    text = models.TextField(blank=True, default="")
    tools = models.JSONField(default=list, blank=True)  # calls of tools: name and arguments
    passed = models.BooleanField(null=True, blank=True)  # NULL: its checks could not tell
    checks = models.JSONField(default=list, blank=True)  # evals.probes.Checked, one for each check
    vector = models.BinaryField(null=True, blank=True)  # float16, of the encoder
    encoder = models.CharField(max_length=250, blank=True, default="")
    error = models.CharField(max_length=500, blank=True, default="")
    finish_reason = models.CharField(max_length=40, blank=True, default="")
    model_answered = models.CharField(max_length=200, blank=True, default="")
    fingerprint = models.CharField(max_length=200, blank=True, default="")
    latency_ms = models.FloatField(null=True, blank=True)
    input_tokens = models.IntegerField(null=True, blank=True)
    output_tokens = models.IntegerField(null=True, blank=True)
    cost_pico = models.BigIntegerField(null=True, blank=True)
    calls = models.IntegerField(default=0)
    unpriced = models.IntegerField(default=0)
    trace_id = models.UUIDField(null=True, blank=True)
    # Money set aside for the call under way, and the day it is of.
    reserved_pico = models.BigIntegerField(null=True, blank=True)
    reserved_day = models.DateField(null=True, blank=True)
    next_at = models.DateTimeField(null=True, blank=True)
    done_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "series", "repeat"], name="probe_answer_once")]
        indexes = [
            models.Index(fields=["series", "run", "repeat"], name="probe_answer_series"),
            models.Index(fields=["run"], condition=models.Q(state="pending"), name="probe_answer_pending"),
        ]

    def __str__(self) -> str:
        return f"{self.run_id}/{self.series_id}/{self.repeat}"


class ProbeResult(Owned):
    """What a run found about a series: passes against the baseline it was judged by, and how far answers moved."""

    run = models.ForeignKey(ProbeRun, on_delete=models.CASCADE, related_name="results")
    series = models.ForeignKey(ProbeSeries, on_delete=models.CASCADE, related_name="results")
    baseline = models.ForeignKey(ProbeBaseline, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    passes = models.IntegerField()
    runs = models.IntegerField()  # answers whose checks could tell
    unclear = models.IntegerField()  # answered, and the checks could not tell
    unanswered = models.IntegerField()
    state = models.CharField(max_length=12)  # of the series after this run
    was_learned = models.BooleanField(default=False)  # it is part of the baseline
    base_passes = models.IntegerField(null=True, blank=True)
    base_runs = models.IntegerField(null=True, blank=True)
    figures = models.JSONField(default=dict, blank=True)  # evals.probes.verdicts: tests, level, band
    models_answered = models.JSONField(default=list, blank=True)  # what answers call the model
    fingerprints = models.JSONField(default=list, blank=True)
    judged_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "series"], name="probe_result_once")]
        indexes = [models.Index(fields=["series", "-run"], name="probe_result_newest")]

    def __str__(self) -> str:
        return f"{self.run_id}: {self.passes} of {self.runs}"


class ProbeAlarm(Owned):
    """A model of a suite answers otherwise than its baseline, beyond chance. At most one is open for a model."""

    suite = models.ForeignKey(ProbeSuite, on_delete=models.CASCADE, related_name="alarms")
    target = models.ForeignKey(ProbeTarget, on_delete=models.CASCADE, related_name="alarms")
    run = models.ForeignKey(ProbeRun, on_delete=models.CASCADE, related_name="alarms")
    evidence = models.JSONField(default=list)  # evals.probes.verdicts.Evidence: what moved, with p and level
    p = models.FloatField()
    level = models.FloatField()
    within = models.PositiveIntegerField(default=0)  # runs in a row within limits since
    opened_at = models.DateTimeField(auto_now_add=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    verdict = models.CharField(max_length=10, blank=True, default="")  # real, false, accepted; ended: by itself
    note = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["target", "run"], name="probe_alarm_once"),
            models.UniqueConstraint(fields=["target"], condition=models.Q(closed_at=None), name="probe_alarm_one"),
        ]
        indexes = [models.Index(fields=["suite", "-opened_at"], name="probe_alarm_newest")]

    def __str__(self) -> str:
        return f"{self.target_id} since run {self.run_id}"


class Promotion(Owned):
    """A version of a model or a prompt that an experiment let through the gate (evals.promoting).

    `subject`: of a prompt its name, of a model the feature it answers for, "" for all. At most one stands for a
    subject: the next takes its place. `evidence` is what was compared, as it was then; it outlives both experiments.
    """

    project = models.ForeignKey(PROJECT, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=6)  # model, prompt
    subject = models.CharField(max_length=200, blank=True, default="")
    version = models.CharField(max_length=300)
    experiment = models.ForeignKey(Experiment, null=True, on_delete=models.SET_NULL, related_name="+")
    against = models.ForeignKey(Experiment, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    evidence = models.JSONField(default=dict)
    note = models.CharField(max_length=500, blank=True, default="")
    made_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    author = models.CharField(max_length=200)
    made_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_as = models.CharField(max_length=10, blank=True, default="")  # replaced, withdrawn
    ended_by = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "kind", "subject"], condition=models.Q(ended_at=None), name="promotion_one_stands"
            )
        ]
        indexes = [models.Index(fields=["project", "-id"], name="promotion_newest")]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject} {self.version}"
