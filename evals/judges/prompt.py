"""The prompt of a model judge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from evals.judges.config import ModelConfig
from evals.judges.material import Material
from evals.rubrics import Rubric


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model judge is asked. Untrusted text is in `user` alone, each piece in a fence with the call's nonce.

    `schema` is the JSON schema of the reply. `cut`: some of the material did not fit. `hidden`: it holds invisible
    characters, which are shown as marks.
    """

    system: str
    user: str
    schema: dict[str, Any]
    cut: bool = False
    hidden: bool = False
    schema_name: str = "judgement"


def fresh_nonce(material: Material) -> str:
    """A nonce that occurs nowhere in the material."""
    raise NotImplementedError


def build_prompt(rubric: Rubric, config: ModelConfig, material: Material, nonce: str) -> Prompt:
    """The prompt for one judgement. ValueError where the nonce is weak or occurs in an untrusted text."""
    raise NotImplementedError
