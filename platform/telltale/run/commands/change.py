"""`telltale change`: log a change of what a project runs, from a shell on this machine; or list the newest ones."""

from __future__ import annotations

import argparse
import getpass
import json
from typing import TextIO

from telltale.projects.models import Project
from traces import changelog
from traces.changing.kinds import KIND_WORDS, Source
from traces.read.changelog import ChangeFilter, list_changes

_TEXTS = {
    "name": "what changed: a prompt, a model, an index, a setting",
    "version": "what it is now; of a deploy, the release",
    "previous": "what it was before",
    "at": "when, ISO 8601 (now)",
    "ended-at": "of a change that took time: until when",
    "service": "that it touches; every one where absent",
    "feature": "that it touches; every one where absent",
    "environment": "that it touches; every one where absent",
    "author": "who did it; the account of the shell where absent",
    "note": "a few words",
    "url": "where more is said, https://...",
    "client-id": "an id of yours: told again it replaces what it said",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options; without a kind the newest changes are listed."""
    parser.add_argument("kind", nargs="?", choices=list(KIND_WORDS), help="what kind of change; none: list")
    parser.add_argument("--project", default="", help="the project's slug; may be left out where there is one project")
    for name, words in _TEXTS.items():
        parser.add_argument(f"--{name}", default="", help=words)
    parser.add_argument("--detail", action="append", default=[], metavar="NAME=VALUE", help="may be repeated")
    parser.add_argument("--limit", type=int, default=20, help="of the list (20)")


def handle(options: argparse.Namespace, out: TextIO) -> int:
    """Print what became of it as JSON, or the newest changes a line each; 1 where it was refused."""
    project = _project(options.project, out)
    if project is None:
        return 1
    if options.kind is None:
        for change in list_changes(project.pk, ChangeFilter(), min(max(options.limit, 1), 500)).rows:
            scope = " ".join(part for part in (change.service, change.feature, change.environment) if part)
            print(
                f"{change.at.isoformat()}  {change.source:<8} {change.title}{f'  ({scope})' if scope else ''}", file=out
            )
        return 0
    told = {name.replace("-", "_"): getattr(options, name.replace("-", "_")) for name in _TEXTS}
    item = {"kind": options.kind, **{name: value for name, value in told.items() if value}}
    pairs = [detail.partition("=") for detail in options.detail]
    bad = next((name for name, equals, _ in pairs if not (name and equals)), None)
    if bad is not None:
        print(f"--detail wants NAME=VALUE, not {bad!r}.", file=out)
        return 1
    if pairs:
        item["details"] = {name: value for name, _, value in pairs}
    (result,) = changelog.put_changes(project, [item], changelog.By(name=_account()), Source.CLI)
    if result.id is None:
        for fault in result.faults:
            said = f" (accepted: {fault.limit})" if fault.limit else ""
            print(f"{fault.field} {fault.message}{said}.", file=out)
        return 1
    print(json.dumps({"id": str(result.id), "status": result.status, "project": project.slug}), file=out)
    return 0


def _project(slug: str, out: TextIO) -> Project | None:
    found = list(Project.objects.filter(slug=slug) if slug else Project.objects.order_by("slug")[:2])
    if len(found) == 1:
        return found[0]
    print(f"There is no project {slug!r}." if slug else "Say which project: --project SLUG.", file=out)
    return None


def _account() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""
