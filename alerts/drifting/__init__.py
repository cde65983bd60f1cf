"""Drift at work: sampling traffic, embedding it, freezing references, and reporting each window against them."""

from alerts.drifting.embedding import embed_due
from alerts.drifting.erasing import erase_project, sweep_old
from alerts.drifting.references import (
    FreezeRefused,
    NoReference,
    approve,
    freeze,
    learn_missing,
    rename_topic,
)
from alerts.drifting.reports import refresh, tend_reports
from alerts.drifting.sampling import share_of_hour, take_changes
from alerts.drifting.settings import SettingsRefused, save_settings
from alerts.drifting.updating import start_update

__all__ = [
    "FreezeRefused",
    "NoReference",
    "SettingsRefused",
    "approve",
    "embed_due",
    "erase_project",
    "freeze",
    "learn_missing",
    "refresh",
    "rename_topic",
    "save_settings",
    "share_of_hour",
    "start_update",
    "sweep_old",
    "take_changes",
    "tend_reports",
]
