"""What judging by a version needs, read once and held for seconds: rubric, settings, endpoint, limits."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import date, datetime
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from evals.calling.kinds import Endpoint
from evals.judges import Config, ConfigRefused, ModelConfig, RuleConfig, parse_config
from evals.models import Connection, JudgeVersion
from evals.read.setup import endpoint_of, settings_for
from evals.read.spend import day_of, ends_at
from evals.rubrics import Rubric, RubricRefused, parse_rubric
from evals.write.spend import Budget
from telltale.lib import vault
from telltale.lib.clock import zone_of
from telltale.projects.models import Project
from traces.own_calls import Rates, price_call

HOLD_SECONDS = 3.0
# What a token has at least, in bytes of text that is mostly words: what is set aside is rather too much.
BYTES_A_TOKEN = 3.0
_held: dict[int, tuple[float, Context | None]] = {}


@dataclass(frozen=True, slots=True)
class Context:
    """A judge version ready to judge. `endpoint` is None for rules. `problem`: why nothing can be judged now."""

    project_id: int
    version: JudgeVersion
    rubric: Rubric
    config: Config
    rubric_version_id: int
    budget: Budget
    zone: ZoneInfo
    endpoint: Endpoint | None = None
    connection: Connection | None = None
    problem: str = ""

    @property
    def judge_id(self) -> int:
        return self.version.judge_id

    @property
    def is_rule(self) -> bool:
        return isinstance(self.config, RuleConfig)

    @property
    def provider(self) -> str:
        """Whose model it is, as the price book names providers; "" where the address does not say."""
        return "" if self.endpoint is None else provider_of(self.endpoint)

    @property
    def rates(self) -> Rates | None:
        """What the connection itself says a token costs."""
        endpoint = self.endpoint
        if endpoint is None or endpoint.input_pico is None or endpoint.output_pico is None:
            return None
        return Rates(endpoint.input_pico, endpoint.output_pico)

    def day(self, at: datetime) -> date:
        """The day of the project's zone."""
        return day_of(at, self.zone)

    def day_ends(self, at: datetime) -> datetime:
        """When the day's budget ends."""
        return ends_at(at, self.zone)

    def price(
        self, input_tokens: int | None, output_tokens: int | None, cached: int | None = None, answered: str = ""
    ) -> int | None:
        """What a call costs in pico-dollars; None where price or tokens are not known."""
        if self.endpoint is None:
            return None
        return price_call(
            self.project_id,
            self.provider,
            self.version.model,
            input_tokens,
            output_tokens,
            cached,
            model_answered=answered,
            rates=self.rates,
        )

    def at_most(self, prompt_bytes: int) -> int | None:
        """What a call with a prompt of so many bytes costs at most, about; None where the price is not known."""
        if not isinstance(self.config, ModelConfig):
            return None
        return self.price(int(prompt_bytes / BYTES_A_TOKEN) + 50, self.config.max_output_tokens)


def provider_of(endpoint: Endpoint) -> str:
    """Whose model it is, as the price book names providers; "" where the address does not say."""
    host = urlsplit(endpoint.base_url).hostname or ""
    return next((name for name in ("openai", "anthropic") if host.endswith(f"{name}.com")), "")


def context_of(version_id: int) -> Context | None:
    """What a version needs, at most `HOLD_SECONDS` old; None where it is gone or nobody can judge by it."""
    now = time.monotonic()
    held = _held.get(version_id)
    if held is not None and held[0] > now:
        return held[1]
    if len(_held) > 500:
        _held.clear()
    context = _read(version_id)
    _held[version_id] = (now + HOLD_SECONDS, context)
    return context


def forget() -> None:
    """Forget what is held (tests, and changed settings in the same process)."""
    _held.clear()


def _read(version_id: int) -> Context | None:
    related = ("judge", "rubric_version", "connection")
    version = JudgeVersion.objects.select_related(*related).filter(pk=version_id).first()
    if version is None:
        return None
    try:
        rubric = parse_rubric(version.rubric_version.spec)
        config = parse_config(version.judge.kind, version.config)
    except (RubricRefused, ConfigRefused):
        return None
    project_id = version.judge.project_id
    limits = settings_for(project_id)
    zone = zone_of(Project.objects.values_list("time_zone", flat=True).get(pk=project_id))
    context = Context(
        project_id=project_id,
        version=version,
        rubric=rubric,
        config=config,
        rubric_version_id=version.rubric_version_id,
        budget=Budget(limits.budget_pico_day, limits.budget_calls_day, version.judge.budget_pico_day),
        zone=zone,
        connection=version.connection,
        problem=_problem(version),
    )
    if version.connection_id is None or context.problem:
        return context
    try:
        endpoint = endpoint_of(version.connection_id, version.model)
    except vault.Sealed:
        return replace(context, problem="key_sealed")
    return replace(context, endpoint=endpoint)


def _problem(version: JudgeVersion) -> str:
    if version.judge.archived_at is not None:
        return "judge_archived"
    if version.judge.paused_at is not None:
        return "judge_paused"
    if version.judge.kind == "model" and version.connection is None:
        return "no_connection"
    if version.connection is not None and version.connection.archived_at is not None:
        return "connection_archived"
    return ""
