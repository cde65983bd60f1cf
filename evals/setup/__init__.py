"""Connections, rubrics, judges, plans and settings as people set them up; each change is in the audit log."""

from evals.setup.connections import add_connection, archive_connection, change_connection
from evals.setup.judges import (
    archive_judge,
    change_judge,
    discard_draft,
    find_judge,
    gate_of,
    make_live,
    pause_judge,
    save_judge,
    take_down,
)
from evals.setup.plans import end_plan, set_plan
from evals.setup.refusals import GateUnproven, NotThere, SetupRefused
from evals.setup.rubrics import archive_rubric, save_rubric
from evals.setup.testing import Tested, try_connection
from evals.setup.whole import save_settings, settings_for

__all__ = [
    "GateUnproven",
    "NotThere",
    "SetupRefused",
    "Tested",
    "add_connection",
    "archive_connection",
    "archive_judge",
    "archive_rubric",
    "change_connection",
    "change_judge",
    "discard_draft",
    "end_plan",
    "find_judge",
    "gate_of",
    "make_live",
    "pause_judge",
    "save_judge",
    "save_rubric",
    "save_settings",
    "set_plan",
    "settings_for",
    "take_down",
    "try_connection",
]
