"""What a metric can be asked by beside its scope: names, words, and what each accepts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ParamKind = Literal["judge", "criterion", "number", "choice", "text", "texts", "outcome", "host", "encoder"]
TEXT_MAX = 200
TEXTS_MAX = 20


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter. `kind` says what a form offers and what JSON holds.

    judge: slug of a judge; criterion: key of a criterion of its rubric; outcome: slug of an outcome; host: a host as
    the performance page names it; encoder: name of an encoder; number: within `low` and `high`; choice: one of
    `choices`, (value, words); text: 1 to 200 characters; texts: a list of such. `default` None: none.
    """

    name: str
    title: str
    kind: ParamKind
    told: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    low: float | None = None
    high: float | None = None
    default: float | str | None = None


_ALL = (
    Param("judge", "Judge", "judge", "Whose scores: every version of it that judged live traffic."),
    Param("criterion", "Criterion", "criterion", "Which question of its rubric."),
    Param(
        "at_most",
        "Counts as low",
        "number",
        "Scores of this number of the scale or lower. Left out: what the criterion flags, or “no”.",
        low=-1e9,
        high=1e9,
    ),
    Param("name", "Score name", "text", "Name of the scores that programs send."),
    Param("quantile", "Quantile", "number", "Which quantile is drawn and held against a threshold.",
          low=0.01, high=0.999, default=0.95),
    Param("limit_ms", "Slower than", "number", "Milliseconds from which on it counts as slow.", low=0.001, high=1e9),
    Param("error_type", "Error types", "texts", "As the page of a trace shows them; any of these."),
    Param("finish_reason", "Finish reasons", "texts", "As the page of a trace shows them; any of these."),
    Param("capacity", "Capacity", "number",
          "What this part can bear, in calls a minute. Left out: as entered beside the alert budget.", low=0.001,
          high=1e9),
    Param("outcome", "Outcome", "outcome", "Which outcome of the project."),
    Param("host", "Host", "host", "One host alone. Left out: all of them, each counted alike."),
    Param("across", "Across hosts", "choice", "How several hosts become one number.",
          choices=(("mean", "their mean"), ("highest", "the highest")), default="mean"),
    Param("side", "Side", "choice", "What the embedding is of.",
          choices=(("input", "what users ask"), ("output", "what is answered")), default="input"),
    Param("encoder", "Encoder", "encoder", "Which encoder made the vectors. Left out: the one in use."),
)  # fmt: skip
PARAMS = {each.name: each for each in _ALL}
