"""What our code does not contain, read from it: ways of running what others wrote, weak digests, doors left open."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from django.test import Client

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("platform/telltale", "traces", "evals", "alerts", "sdk/python/telltale_sdk")
# Modules that read or run what others wrote in ways that cannot be made safe, or speak to what we do not have.
NEVER = {
    "pickle", "marshal", "shelve", "dill", "yaml", "xml", "lxml", "defusedxml", "jinja2", "mako", "ldap", "ldap3",
    "code", "pymemcache", "pylibmc", "imaplib", "poplib", "telnetlib", "ftplib", "paramiko", "ctypes", "cffi",
}  # fmt: skip
RUNS = {"eval", "exec", "compile", "__import__", "breakpoint"}
KNOWN = (
    # Writes a document of ours by `safe_dump`; ends a child with its parent; gives memory back to the system.
    "platform/telltale/web/api_docs.py: yaml",
    "platform/telltale/run/child.py: ctypes",
    "traces/ingest/gate.py: ctypes",
    # Asks whether a text is well formed; one that declares a document type or an entity is refused before.
    "evals/judges/formats.py: xml.parsers",
)  # fmt: skip
SHELLS = {("os", "system"), ("os", "popen"), ("subprocess", "getoutput"), ("subprocess", "getstatusoutput")}


def sources():
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            yield path.relative_to(ROOT), ast.parse(path.read_text())


def test_nothing_of_others_is_run_unpickled_or_read_by_a_parser_that_reaches_out():
    found = []
    for path, tree in sources():
        for node in ast.walk(tree):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            found += [f"{path}: {name}" for name in names if name.split(".")[0] in NEVER]
            if isinstance(node, ast.Call):
                called = node.func
                if isinstance(called, ast.Name) and called.id in RUNS:
                    found.append(f"{path}:{node.lineno} {called.id}")
                if isinstance(called, ast.Attribute) and (getattr(called.value, "id", ""), called.attr) in SHELLS:
                    found.append(f"{path}:{node.lineno} {called.attr}")
                found += [f"{path}:{node.lineno} shell" for word in node.keywords if word.arg == "shell"]

    assert [line for line in found if line not in KNOWN] == []


def test_templates_come_from_files_alone():
    found = []
    for path, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module in {"django.template", "django.template.base"}:
                found += [f"{path}: {a.name}" for a in node.names if a.name in {"Template", "Engine"}]
            if isinstance(node, ast.Attribute) and node.attr == "from_string":
                found.append(f"{path}:{node.lineno}")

    assert found == []


def test_weak_digests_name_things_and_protect_nothing():
    found = []
    for path, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                marks = {word.arg: getattr(word.value, "value", None) for word in node.keywords}
                if name in {"md5", "sha1"} and marks.get("usedforsecurity") is not False:
                    found.append(f"{path}:{node.lineno}")

    assert found == []


def test_our_scripts_take_no_messages_and_merge_no_foreign_names():
    for path in (ROOT / "platform/telltale/static/js").glob("*.js"):
        text = path.read_text()
        assert not re.search(r"postMessage|[\"']message[\"']|JSON\.parse|Object\.assign|__proto__", text), path
        assert '"use strict"' in text, path


@pytest.mark.django_db
@pytest.mark.parametrize(
    "address",
    ["/static/", "/static/css/", "/static/../settings.py", "/static/%2e%2e/settings.py", "/static/..%2fsettings.py",
     "/.git/config", "/.env", "/manage.py", "/.telltale/secret_key", "/static/css/app.css/", "/admin/",
     "/__debug__/"],
)  # fmt: skip
def test_no_folder_is_listed_and_no_file_beside_the_static_ones_is_served(address):
    assert Client().get(address).status_code == 404


def test_images_hold_neither_history_nor_tests():
    left_out = (ROOT / ".dockerignore").read_text().split()

    assert {".git", "tests", "benchmarks", ".telltale", ".venv"} <= set(left_out)
