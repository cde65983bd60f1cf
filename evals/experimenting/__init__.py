"""Experiments: running a dataset against an endpoint, taking posted results, having them judged."""

from evals.experimenting.asking import AskConfig
from evals.experimenting.making import (
    RESULTS_A_REQUEST,
    Conflict,
    Estimate,
    ExperimentRefused,
    Refused,
    Taken,
    Wanted,
    cancel,
    estimate,
    finish,
    judge_more,
    make_experiment,
    post_results,
    remove,
)
from evals.experimenting.running import tend_experiments

__all__ = [
    "RESULTS_A_REQUEST",
    "AskConfig",
    "Conflict",
    "Estimate",
    "ExperimentRefused",
    "Refused",
    "Taken",
    "Wanted",
    "cancel",
    "estimate",
    "finish",
    "judge_more",
    "make_experiment",
    "post_results",
    "remove",
    "tend_experiments",
]
