"""How many judgements a second the judges of rules make on one core, over materials like those of real traces."""

from __future__ import annotations

import json
import random
import time

from benchmarks._report import Report
from evals.judges import JUDGE_PRESETS, Document, Material, RuleConfig, Unusable, parse_config, run_rules
from evals.rubrics import Rubric, parse_rubric

BAR = 2_000.0
MATERIALS = 400
SECONDS = 2.0
_TEXT = """
    the your order refund return within days card gift receipt store credit item unopened please send label to and is
    for delivery arrived damaged replacement policy customer December January price shipping we
    can you it of in not if with
"""
_WORDS = _TEXT.split()
_PERSON = {
    "type": "object",
    "required": ["status", "items"],
    "properties": {
        "status": {"enum": ["open", "closed"]},
        "items": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["sku", "n"],
                "properties": {"sku": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]+$"}, "n": {"type": "integer"}},
            },
        },
    },
}
_TEN_RULES = [
    {"kind": "expression", "expression": "bool(answer.strip()) and len(words(answer)) < 400"},
    {"kind": "refusal"},
    {"kind": "language", "languages": ["question"]},
    {"kind": "pii"},
    {"kind": "injection"},
    {"kind": "regex", "pattern": r"(?i)refund|return|replacement"},
    {"kind": "documents", "at_least": 1, "score_at_least": 0.2},
    {"kind": "relevance"},
    {"kind": "numbers"},
    {"kind": "latency", "at_most_ms": 5000},
]


def make_materials(seed: int) -> list[Material]:
    """Questions of 25 words, answers of 160 (1 kB), five documents of 150 each; the same for everybody."""
    chance = random.Random(seed)

    def text(n: int) -> str:
        words = [chance.choice(_WORDS) if chance.random() > 0.04 else str(chance.randint(1, 900)) for _ in range(n)]
        return " ".join(f"{word}." if at % 12 == 11 else word for at, word in enumerate(words))

    return [
        Material(
            question=f"Can I return my order {chance.randint(1, 900)}? {text(20)}",
            answer=text(160),
            documents=tuple(Document(f"doc-{at}", text(150), chance.random(), at) for at in range(1, 6)),
            duration_ms=chance.expovariate(1 / 2000),
            cost_pico=chance.randint(1, 10**10),
            output_tokens=chance.randint(20, 900),
            finish_reason="stop",
        )
        for _ in range(MATERIALS)
    ]


def measure_rules(report: Report, seed: int = 1, seconds: float = SECONDS) -> None:
    """Each preset of rules alone, ten rules at once, and a JSON schema, each against the bar."""
    materials = make_materials(seed)
    report.say(f"{MATERIALS} materials, {sum(len(m.answer) for m in materials) // MATERIALS:,} characters an answer")
    for preset in JUDGE_PRESETS:
        if preset.kind == "rule":
            config = parse_config("rule", preset.config)
            n = len(preset.config["rules"])
            _measure(report, f"{preset.name} ({n} rules)", parse_rubric(preset.rubric), config, materials, seconds)
    rubric, config = _one_each(_TEN_RULES)
    _measure(report, "ten rules at once", rubric, config, materials, seconds)
    items = {"status": "open", "items": [{"sku": f"AB-{n}", "n": n} for n in range(10)]}
    rubric, config = _one_each([{"kind": "json_schema", "schema": _PERSON}])
    _measure(report, "JSON schema, ten items", rubric, config, [Material(answer=json.dumps(items))], seconds)


def _one_each(rules: list[dict[str, object]]) -> tuple[Rubric, object]:
    keys = [f"rule_{at}" for at in range(len(rules))]
    criteria = [{"key": key, "definition": "As the rule says.", "scale": {"kind": "boolean"}} for key in keys]
    config = parse_config("rule", {"rules": [{"criterion": key} | r for key, r in zip(keys, rules, strict=True)]})
    return parse_rubric({"criteria": criteria}), config


def _measure(
    report: Report, name: str, rubric: Rubric, config: object, materials: list[Material], seconds: float
) -> None:
    """Judgements a second of CPU: what else the machine does makes no difference."""
    assert isinstance(config, RuleConfig)
    n, began = 0, time.process_time()
    while (spent := time.process_time() - began) < seconds:
        for material in materials:
            if isinstance(run_rules(rubric, config, material), Unusable):
                raise RuntimeError(f"{name} gave no verdict")
        n += len(materials)
    report.add(f"rule judges, {name}", round(n / spent), "judgements/s", BAR, is_floor=True)
