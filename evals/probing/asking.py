"""One answer of a probe: the call, and the calls of judges that its checks ask for. Values in, values out, no rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from evals.calling.client import ask, chat
from evals.calling.kinds import Called, CallFailed, ChatMessage, Endpoint, ToolOffer
from evals.judges import (
    Config,
    Material,
    ModelConfig,
    RuleConfig,
    Unusable,
    Verdict,
    build_prompt,
    fresh_nonce,
    read_reply,
    run_rules,
)
from evals.probes.checks import JUDGE, SIMILAR, Checked, judged, run_rule
from evals.probes.spec import Spec, material_of
from evals.rubrics import Rubric

# Of English text some 4 characters are a token, of code and other scripts fewer: what is set aside must suffice.
CHARS_A_TOKEN = 3


@dataclass(frozen=True, slots=True)
class JudgeOf:
    """A judge version ready to be asked; `endpoint` None for rules, `problem` where it cannot be asked."""

    rubric: Rubric
    config: Config
    endpoint: Endpoint | None
    model: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """What a thread needs for one answer. `judges` are those of the spec's checks, by the check's place."""

    answer_id: int
    series_id: int
    attempts: int
    spec: Spec
    endpoint: Endpoint
    max_output_tokens: int
    temperature: float | None
    trace_id: UUID
    name: str
    set_aside: int | None = None
    judges: Mapping[int, JudgeOf] = ()  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class JudgeCalled:
    """A call of a judge: to whom, and what came."""

    endpoint: Endpoint
    called: Called | CallFailed


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of an order: the answer, what each check said (None: it waits for vectors), and judges' calls."""

    called: Called
    checked: tuple[Checked | None, ...]
    judging: tuple[JudgeCalled, ...]


def chat_of(spec: Spec) -> list[ChatMessage]:
    """The chat that asks a probe."""
    system = [ChatMessage("system", spec.system)] if spec.system else []
    return [*system, *(ChatMessage(each.role, each.text) for each in spec.messages)]


def tokens_at_most(spec: Spec) -> int:
    """Roughly how many input tokens a probe has, rather too many than too few."""
    tools = sum(len(each.name) + len(each.description) + len(str(each.parameters)) for each in spec.tools)
    return (sum(len(each.text) + 24 for each in chat_of(spec)) + tools) // CHARS_A_TOKEN


def carry_out(order: Order) -> Answered:
    """Ask once, and have judges look at the answer. CallFailed where there is no answer."""
    spec = order.spec
    offers = [ToolOffer(each.name, each.description, each.parameters) for each in spec.tools]
    called = chat(order.endpoint, chat_of(spec), order.max_output_tokens, order.temperature, offers)
    material = material_of(
        spec, called.text, tuple((each.name, each.arguments) for each in called.tools), model=called.model,
        finish_reason=called.finish_reason, duration_ms=called.duration_ms, cost_pico=called.cost_pico,
        input_tokens=called.input_tokens, output_tokens=called.output_tokens,
    )  # fmt: skip
    checked: list[Checked | None] = []
    judging: list[JudgeCalled] = []
    for at, check in enumerate(spec.checks):
        if check.kind == SIMILAR:
            checked.append(None)
        elif check.kind == JUDGE:
            number, told = _judge(order.judges.get(at), str(check.settings["criterion"]), material, judging)
            checked.append(judged(check, number, told))
        else:
            checked.append(run_rule(check, material))
    return Answered(called, tuple(checked), tuple(judging))


def _judge(
    judge: JudgeOf | None, criterion: str, material: Material, judging: list[JudgeCalled]
) -> tuple[float | None, str]:
    """The judge's number for the criterion with its reason; None with why there is none."""
    if judge is None or judge.problem:
        return None, "The judge cannot be asked: it is gone." if judge is None else judge.problem
    found = _verdict(judge, material, judging)
    if isinstance(found, CallFailed):
        return None, f"The judge did not answer: {found.told}"
    if isinstance(found, Unusable):
        return None, f"The judge gave no score: {found.told}"
    score = found.score(criterion)
    if score is None or score.number is None:
        return None, "The judge was unsure." if score is not None and score.is_unsure else "The judge gave no number."
    return score.number, score.reason


def _verdict(judge: JudgeOf, material: Material, judging: list[JudgeCalled]) -> Verdict | Unusable | CallFailed:
    if isinstance(judge.config, RuleConfig):
        return run_rules(judge.rubric, judge.config, material)
    if not isinstance(judge.config, ModelConfig) or judge.endpoint is None:
        return CallFailed("egress", "it is no judge that can be asked", was_sent=False)
    prompt = build_prompt(judge.rubric, judge.config, material, fresh_nonce(material))
    try:
        called = ask(judge.endpoint, prompt, judge.config.max_output_tokens)
    except CallFailed as failed:
        judging.append(JudgeCalled(judge.endpoint, failed))
        return failed
    judging.append(JudgeCalled(judge.endpoint, called))
    return read_reply(judge.rubric, called.text, material, called.finish_reason)
