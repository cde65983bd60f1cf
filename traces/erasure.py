"""Removing what a project has in this room."""

from __future__ import annotations

from collections.abc import Iterator

from traces.write.erase import erase_slice, list_leaves


def erase_project(project_id: int) -> Iterator[int]:
    """Remove every row of the project, telling after each slice how many went; the project itself stays.

    Safe to stop anywhere and to repeat. What arrives meanwhile is removed as well: it ends when a whole round finds
    nothing, so the project's keys should be revoked first.
    """
    removed, found = 0, True
    while found:
        found = False
        for leaf in list_leaves():
            while gone := erase_slice(leaf, project_id):
                found = True
                removed += gone
                yield removed
