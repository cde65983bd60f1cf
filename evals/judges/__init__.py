"""Judges as values: material in, verdict out. Prompts, replies, rules; nothing here speaks to the outside."""

from evals.judges.config import (
    Config,
    FlagRule,
    Mapped,
    ModelConfig,
    PlainConfig,
    RuleConfig,
    check_fit,
    config_json,
    flags,
    parse_config,
)
from evals.judges.fields import ConfigRefused, Rule
from evals.judges.material import Document, Material, Message, Tool
from evals.judges.presets import JUDGE_PRESETS, JudgePreset
from evals.judges.prompt import Prompt, build_prompt, fresh_nonce
from evals.judges.reply import read_reply
from evals.judges.rules import run_rules
from evals.judges.verdict import CriterionScore, DocumentScore, Unusable, Verdict

__all__ = [
    "JUDGE_PRESETS",
    "Config",
    "ConfigRefused",
    "CriterionScore",
    "Document",
    "DocumentScore",
    "FlagRule",
    "JudgePreset",
    "Mapped",
    "Material",
    "Message",
    "ModelConfig",
    "PlainConfig",
    "Prompt",
    "Rule",
    "RuleConfig",
    "Tool",
    "Unusable",
    "Verdict",
    "build_prompt",
    "check_fit",
    "config_json",
    "flags",
    "fresh_nonce",
    "parse_config",
    "read_reply",
    "run_rules",
]
