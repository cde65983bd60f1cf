"""The form of a judge: rubric, model or rules, what it looks at, when it flags."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any
from uuid import UUID

from django.http import QueryDict

from evals.forms.fields import Choice, Field, choices_of, clean, error_at, number_of, whole_of
from evals.forms.rules import RuleLine, RuleRow, lines_of, read_row, row_of, rule_of
from evals.judges.config import (
    DEFAULT_PARTS,
    EXTERNAL,
    MAX_CHARS,
    MODEL,
    OUTPUT_TOKENS,
    PARTS,
    PERSON,
    RULE,
    RULES_MAX,
)
from evals.judges.presets import JudgePreset
from evals.judging.trying import PREFLIGHT_MAX
from evals.read.setup import ConnectionView, JudgeVersionView, RubricVersionView, RubricView
from evals.rubrics import Rubric
from evals.setup.refusals import SetupRefused

KINDS = {
    MODEL: ("A model", "A language model reads the answer and scores it by the rubric."),
    RULE: ("Rules", "Patterns, schemas, lengths, limits: no model, no cost."),
    PERSON: ("People", "Only people score, in review queues."),
    EXTERNAL: ("Your own program", "Scores are posted by REST."),
}
PART_WORDS = {
    "system": "System prompt",
    "messages": "The conversation before",
    "question": "The question",
    "documents": "Retrieved documents",
    "tools": "Tool calls and results",
    "metadata": "Metadata",
    "expected": "Expected answer (datasets)",
    "answer": "The answer",
}
SOURCES = ("question", "answer", "system", "documents")
TEXTS = (
    "name", "kind", "rubric", "connection", "model", "instructions", "share", "max_chars", "max_output_tokens",
    "with_documents", "mean_at_most", "preset", "traces", "instructions_of",
)  # fmt: skip
NEVER = ""
_TRACE_ID = re.compile(r"[0-9a-fA-F]{32}\Z")
PRESET = "preset"


@dataclass(frozen=True, slots=True)
class JudgeForm:
    """The whole form as typed. `flags` by criterion, `mapping` by part."""

    texts: Mapping[str, str]
    parts: tuple[str, ...]
    mapping: Mapping[str, str]
    flags: Mapping[str, str]
    rules: tuple[RuleRow, ...]

    def text(self, name: str) -> str:
        """What was typed under a name."""
        return self.texts.get(name, "")

    def with_text(self, name: str, text: str) -> JudgeForm:
        """The form with another text under a name."""
        return replace(self, texts={**self.texts, name: text})

    @property
    def has_instructions(self) -> bool:
        """Whether instructions were typed, of the very rubric that is chosen."""
        return bool(self.rubric_version_id) and id_of(self.text("instructions_of")) == self.rubric_version_id

    @property
    def rubric_version_id(self) -> int:
        """The rubric's version chosen; 0 for none."""
        return id_of(self.text("rubric"))

    @property
    def connection_id(self) -> int | None:
        """The connection chosen."""
        return id_of(self.text("connection")) or None


@dataclass(frozen=True, slots=True)
class FlagLine:
    """From which level on a criterion flags."""

    key: str
    title: str
    choices: tuple[Choice, ...]


def id_of(raw: str) -> int:
    """An id as a select sends it; 0 where it is none."""
    return int(raw) if raw.isascii() and raw.isdigit() and len(raw) < 19 else 0


def read_form(post: QueryDict) -> JudgeForm:
    """The form as it was sent."""
    raw = post.get("rules", "")
    count = min(int(raw), RULES_MAX) if raw.isascii() and raw.isdigit() and len(raw) < 4 else 0
    return JudgeForm(
        texts={name: clean(post.get(name, "")) for name in TEXTS},
        parts=tuple(part for part in PARTS if f"part-{part}" in post),
        mapping={name: clean(post.get(f"map-{name}", "")).strip() for name in SOURCES},
        flags={
            name.removeprefix("flag-"): clean(post.get(name, ""))
            for name in list(post)[:500]
            if name.startswith("flag-") and post.get(name, "").strip()
        },
        rules=tuple(read_row(post, at) for at in range(count)),
    )


def form_json(form: JudgeForm) -> dict[str, Any]:
    """The form as JSON, to be kept beside what it was tried on."""
    return asdict(form)


def form_from_json(told: Mapping[str, Any]) -> JudgeForm:
    """The form that `form_json` told."""
    rules = tuple(RuleRow(each["criterion"], each["kind"], each["values"]) for each in told["rules"])
    return JudgeForm(told["texts"], tuple(told["parts"]), told["mapping"], told["flags"], rules)


def traces_of(form: JudgeForm) -> list[UUID]:
    """The traces that it is to be tried on, by id or address; none: the newest. SetupRefused."""
    found: list[UUID] = []
    for raw in form.text("traces").replace(",", " ").split():
        text = raw.rstrip("/").rpartition("/")[2].replace("-", "")
        if not _TRACE_ID.match(text):
            raise SetupRefused("traces", f"hold “{raw[:60]}”, which is no id of a trace", "32 hex digits each")
        found.append(UUID(text))
    if len(found) > PREFLIGHT_MAX:
        raise SetupRefused("traces", f"are {len(found)}", f"{PREFLIGHT_MAX} at most")
    return found


def empty_form(kind: str, rubric_version: RubricVersionView | None) -> JudgeForm:
    """The form of a new judge."""
    texts = {
        "kind": kind,
        "rubric": str(rubric_version.id) if rubric_version else "",
        "max_chars": str(MAX_CHARS),
        "max_output_tokens": str(OUTPUT_TOKENS),
    }
    keys = [each.key for each in rubric_version.rubric.criteria] if rubric_version else [""]
    rules = tuple(RuleRow(criterion=key) for key in keys) if kind == RULE else ()
    return JudgeForm(texts, DEFAULT_PARTS, dict.fromkeys(SOURCES, "auto"), {}, rules)


def form_of(name: str, kind: str, version: JudgeVersionView) -> JudgeForm:
    """The form that a judge version fills."""
    texts = {
        "rubric": str(version.rubric_version.id),
        "connection": str(version.connection_id or ""),
        "model": version.model,
        "instructions": str(version.rubric_version.spec.get("instructions", "")),
        "instructions_of": str(version.rubric_version.id),
    }
    return _filled(name, kind, version.config, texts)


def form_of_preset(preset: JudgePreset) -> JudgeForm:
    """The form that a preset fills; its rubric is made when it is saved."""
    return _filled(preset.name, preset.kind, preset.config, {"rubric": PRESET, "preset": preset.slug})


def _filled(name: str, kind: str, config: Mapping[str, Any], more: Mapping[str, str]) -> JudgeForm:
    flag = config.get("flag", {})
    mean = flag.get("mean_at_most")
    texts = {
        "name": name,
        "kind": kind,
        "max_chars": str(config.get("max_chars", MAX_CHARS)),
        "max_output_tokens": str(config.get("max_output_tokens", OUTPUT_TOKENS)),
        "with_documents": "on" if config.get("with_documents") else "",
        "mean_at_most": "" if mean is None else f"{mean:g}",
        **more,
    }
    rules = tuple(row_of(each) for each in config.get("rules", []))
    mapping = {source: str(config.get("mapping", {}).get(source, "auto")) for source in SOURCES}
    flags = {key: f"{level:g}" for key, level in flag.get("criteria", {}).items()}
    return JudgeForm(texts, tuple(config.get("parts", DEFAULT_PARTS)), mapping, flags, rules)


def changed(form: JudgeForm, step: str) -> JudgeForm:
    """The form after `add-rule` or `remove-rule-2` was pressed."""
    rows = list(form.rules)
    if step == "add-rule" and len(rows) < RULES_MAX:
        rows.append(RuleRow(criterion=rows[-1].criterion if rows else ""))
    at = step.removeprefix("remove-rule-")
    if at != step and at.isascii() and at.isdigit() and int(at) < len(rows):
        del rows[int(at)]
    return replace(form, rules=tuple(rows))


def config_of(form: JudgeForm, kind: str) -> dict[str, Any]:
    """The settings that the form stands for, as `parse_config` reads them; SetupRefused for what is no number."""
    config: dict[str, Any] = {"mapping": {name: source or "auto" for name, source in form.mapping.items()}}
    flag: dict[str, Any] = {}
    criteria = {key: number_of(f"config.flag.criteria.{key}", text) for key, text in form.flags.items()}
    if criteria:
        flag["criteria"] = criteria
    mean = number_of("config.flag.mean_at_most", form.text("mean_at_most"))
    if mean is not None:
        flag["mean_at_most"] = mean
    if flag:
        config["flag"] = flag
    if kind == MODEL:
        config |= {
            "parts": list(form.parts),
            "max_chars": whole_of("config.max_chars", form.text("max_chars")),
            "max_output_tokens": whole_of("config.max_output_tokens", form.text("max_output_tokens")),
            "with_documents": form.text("with_documents") == "on",
        }
    elif kind == RULE:
        config["rules"] = [rule_of(row, at) for at, row in enumerate(form.rules)]
    return config


def rubric_choices(rubrics: Sequence[RubricView], chosen: str, preset: str = "") -> tuple[Choice, ...]:
    """The newest version of each rubric, the chosen one where it is older, and that of a preset."""
    pairs = [(PRESET, f"New, as in “{preset}”")] if preset else []
    for rubric in rubrics:
        for version in rubric.versions:
            if (version.id == rubric.newest.id and rubric.archived_at is None) or str(version.id) == chosen:
                pairs.append((str(version.id), f"{rubric.name} v{version.number}"))
    return choices_of(pairs, chosen)


def fields_of(
    form: JudgeForm,
    refused: SetupRefused | None,
    connections: Sequence[ConnectionView],
    rubrics: Sequence[RubricView],
    preset: str = "",
) -> dict[str, Field]:
    """The inputs by name."""
    kind = form.text("kind")

    def make(name: str, label: str, hint: str = "", at: str = "", **more: Any) -> Field:
        return Field(name, label, form.text(name), hint, error_at(refused, at or name), **more)

    endpoints = [("", "Choose a connection")] if not form.text("connection") else []
    endpoints += [(str(each.id), each.name) for each in connections]
    found = [
        make("name", "Name", is_required=True, chars_max=120),
        make(
            "rubric",
            "Rubric",
            at="rubric_version",
            kind="select",
            choices=rubric_choices(rubrics, form.text("rubric"), preset),
        ),
        make(
            "connection", "Connection", kind="select", choices=choices_of(endpoints, form.text("connection"))
        ),
        make("model", "Model", chars_max=200, placeholder="as the provider names it"),
        make(
            "instructions",
            "Instructions to the judge",
            "What holds for all criteria. User text is fenced so that it cannot give the judge orders.",
            kind="code",
            rows=8,
        ),
        make("max_chars", "Longest text, characters", "What is longer is cut, with a mark.", "config.max_chars",
             kind="number"),
        make("max_output_tokens", "Longest reply, tokens", at="config.max_output_tokens", kind="number"),
        make("with_documents", "Also score each retrieved document", "For the Retrieval page.", kind="check"),
        make("mean_at_most", "The mean over all points is at or below", "Empty: never.", "config.flag.mean_at_most",
             kind="number"),
    ]  # fmt: skip
    hints = {
        "question": "auto, none, root.input, first_generation.input, span:<name>.input, attribute:…, metadata:…",
        "documents": "auto: every retriever span; none; span:<name>.",
    }
    found.append(make("traces", "Traces to try it on", "Up to five ids or addresses. None: the newest five."))
    for source in SOURCES:
        text = form.mapping.get(source, "auto")
        error = error_at(refused, f"config.mapping.{source}")
        found.append(Field(f"map-{source}", source.capitalize(), text, hints.get(source, ""), error))
    return {field.name.replace("-", "_"): field for field in found} | {
        "kind": make("kind", KINDS.get(kind, ("", ""))[0])
    }


def flag_lines(form: JudgeForm, rubric: Rubric | None) -> tuple[FlagLine, ...]:
    """A line for each criterion with an order."""
    if rubric is None:
        return ()
    lines = []
    for criterion in rubric.criteria:
        scale = criterion.scale
        if not scale.has_numbers:
            continue
        levels = scale.levels[:-1] if len(scale.levels) <= 21 else tuple(scale.levels[: len(scale.levels) // 2])
        names = dict(zip(scale.levels, scale.names, strict=True))
        # The worst level has nothing below it.
        words = {each: names[each] if each == scale.low else f"{names[each]} or below" for each in scale.levels}
        at = criterion.flag_at_most
        default = "never" if at is None else words.get(int(at), f"{at:g} or below")
        pairs = [(NEVER, f"as the rubric says: {default}"), *((f"{level:g}", words[level]) for level in levels)]
        lines.append(FlagLine(criterion.key, criterion.title, choices_of(pairs, form.flags.get(criterion.key, ""))))
    return tuple(lines)


def part_choices(form: JudgeForm) -> tuple[Choice, ...]:
    """The boxes of what a model is shown."""
    return tuple((part, PART_WORDS[part], part in form.parts) for part in PARTS)


def rule_lines(form: JudgeForm, rubric: Rubric | None, refused: SetupRefused | None = None) -> tuple[RuleLine, ...]:
    """The rules with their inputs."""
    return lines_of(form.rules, rubric, refused)


# Where a refused field was typed, if not under its own name.
_AT = {
    "rubric_version": "rubric",
    "config.max_chars": "max_chars",
    "config.max_output_tokens": "max_output_tokens",
    "config.flag.mean_at_most": "mean_at_most",
}


def refused_field(
    fields: Mapping[str, Field], refused: SetupRefused | None, rules: Sequence[RuleLine] = ()
) -> Field | None:
    """The input that a refusal is about; None where it is about none of them."""
    if refused is None:
        return None
    for line in rules:
        for each in (line.criterion, line.kind, *line.fields):
            if each.error:
                return each
    name = _AT.get(refused.field, refused.field)
    name = name.replace("config.mapping.", "map_")
    return fields.get(name)
