"""`telltale change` logs a change from a shell, and lists the newest."""

from __future__ import annotations

import io
import json

from telltale.projects.write import create_project
from telltale.run.commands import run_command
from traces.models import Change


def run(*arguments):
    out = io.StringIO()
    return run_command(["change", *arguments], out), out.getvalue()


def test_a_deploy_from_a_shell_is_logged_once_and_listed(project):
    told = ("deploy", "--version", "1.8.2", "--service", "api", "--client-id", "run-1", "--detail", "commit=abc=1")

    first, again, listed = run(*told), run(*told), run()

    assert [first[0], again[0], listed[0]] == [0, 0, 0]
    assert [json.loads(said)["status"] for _, said in (first, again)] == ["accepted", "unchanged"]
    change = Change.objects.get()
    assert (change.source, change.details, change.project_id) == ("cli", {"commit": "abc=1"}, project.pk)
    assert "Deploy 1.8.2  (api)" in listed[1]


def test_what_is_refused_says_why(project):
    no_name = run("model")
    no_value = run("note", "--note", "x", "--detail", "commit")
    no_project = run("note", "--note", "x", "--project", "nowhere")

    assert no_name == (1, "name or version or note is required (accepted: what changed).\n")
    assert no_value == (1, "--detail wants NAME=VALUE, not 'commit'.\n")
    assert no_project == (1, "There is no project 'nowhere'.\n")
    assert not Change.objects.exists()


def test_of_several_projects_one_must_be_named(project):
    create_project(project.organisation, "Other")

    assert run("note", "--note", "x") == (1, "Say which project: --project SLUG.\n")
    assert run("note", "--note", "x", "--project", project.slug)[0] == 0
