"""Masking: what is secret in a text, which rules a project has, and texts, values and spans without it. Pure."""

from traces.masking.kinds import KINDS, Kind, Mode
from traces.masking.masker import Masker, mask_default, masker_of
from traces.masking.policy import DEFAULT, OwnPattern, Policy, PolicyRefused, parse_policy
from traces.masking.spans import mask_event, mask_point, mask_span, strip_event, strip_span

__all__ = [
    "DEFAULT", "KINDS", "Kind", "Masker", "Mode", "OwnPattern", "Policy", "PolicyRefused", "mask_default", "mask_event",
    "mask_point", "mask_span", "masker_of", "parse_policy", "strip_event", "strip_span",
]  # fmt: skip
