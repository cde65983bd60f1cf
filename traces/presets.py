"""Limits that the field's guides name, as lines to compare with: never proven for anybody's own traffic."""

from __future__ import annotations

from dataclasses import dataclass

TRACKING = "Tracking model quality, cost, latency, and drift in production"
OBSERVABILITY = "LLM Monitoring and Observability"


@dataclass(frozen=True, slots=True)
class Preset:
    """One named limit. `value` is in the unit of its figure: ms, tokens a second, or a share; `is_floor`: not under it.

    `figure` names what it limits; `source` is the title of the guide.
    """

    figure: str
    value: float
    words: str
    source: str
    is_floor: bool = False


PRESETS = (
    Preset("latency_p95", 5000.0, "p95 over 5 s", TRACKING),
    Preset("ttft_p95", 500.0, "p95 over 500 ms", OBSERVABILITY),
    Preset("tpot_p95", 50.0, "p95 over 50 ms", OBSERVABILITY),
    Preset("error_share", 0.01, "over 1%", OBSERVABILITY),
    Preset("refusal_share", 0.20, "over 20%", OBSERVABILITY),
    Preset("gpu_share", 0.60, "under 60%", OBSERVABILITY, is_floor=True),
    Preset("gpu_share", 0.95, "over 95%", OBSERVABILITY),
)


def presets_of(figure: str) -> tuple[Preset, ...]:
    """The presets that limit `figure`; none for a figure that no guide limits."""
    return tuple(preset for preset in PRESETS if preset.figure == figure)
