"""Everything that changes organisations, projects, members and keys, each with its line in the audit log."""

from __future__ import annotations

from telltale.projects.write.keys import create_key, limit_key, revoke_key, set_origins
from telltale.projects.write.members import (
    Invited,
    accept,
    find_invitation,
    hash_token,
    invite,
    remove_member,
    set_role,
    withdraw_invitation,
)
from telltale.projects.write.naming import Refused
from telltale.projects.write.organisations import (
    ask_second_factor,
    create_organisation,
    end_sessions,
    remove_person,
    rename_organisation,
    set_owner,
    transfer_ownership,
)
from telltale.projects.write.settings import ProjectSettings, change_project, create_project

__all__ = [
    "Invited", "ProjectSettings", "Refused", "accept", "ask_second_factor", "change_project", "create_key",
    "create_organisation", "create_project", "end_sessions", "find_invitation", "hash_token", "invite",
    "limit_key", "remove_member", "remove_person", "rename_organisation", "revoke_key", "set_origins", "set_owner",
    "set_role", "transfer_ownership", "withdraw_invitation",
]  # fmt: skip
