"""Rules of the house that no linter knows."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.apps import apps

ROOT = Path(__file__).resolve().parent.parent.parent
ROOMS = ("traces", "evals", "alerts")
PURE = ("canonical", "wire", "tree", "cost", "rubrics", "sampling", "detectors", "stats", "summary.py")
# The network of the standard library: import-linter sees only the first part of these names.
NETWORK = {"urllib.request", "http.client", "socket", "ssl", "smtplib", "requests", "httpx", "aiohttp"}
SETTING = re.compile(r"TELLTALE_[A-Z0-9_]+")


def tracked(*patterns):
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=ROOT, capture_output=True, check=False,
    )  # fmt: skip
    if listed.returncode:
        pytest.skip("not a git checkout: there is no list of tracked files")
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def imported(path):
    """Names a file imports: `a.b` for `import a.b`, `from a import b` and `from a.b import c`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def python_files(*folders):
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def level(label):
    """How high a Django app stands: a foreign key may point down or sideways below the rooms, never up."""
    if label in ROOMS:
        return 1 + ROOMS.index(label)
    return 9 if label == "web" else 0


def test_standard_library_keeps_its_platform():
    assert not (ROOT / "platform" / "__init__.py").exists()

    code = "import platform; print(platform.python_version())"
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert told.stdout.strip() == ".".join(map(str, sys.version_info[:3]))


def test_foreign_keys_point_down_and_leave_no_name_behind():
    wrong = []
    for model in apps.get_models():
        for field in model._meta.get_fields():
            target = getattr(field, "related_model", None)
            if not target or not getattr(field, "remote_field", None) or field.auto_created:
                continue
            own, other = model._meta.app_label, target._meta.app_label
            if own not in (*ROOMS, "web", "jobs") or own == other:
                continue
            if level(other) > level(own):
                wrong.append(f"{model.__name__}.{field.name} points up to {other}")
            if field.remote_field.related_name != "+":
                wrong.append(f"{model.__name__}.{field.name} lacks related_name='+'")

    assert wrong == []


def test_pure_modules_open_no_connection():
    files = [path for room in (*ROOMS, "platform/telltale") for name in PURE for path in pure_files(room, name)]

    wrong = [f"{path.relative_to(ROOT)} imports {name}" for path in files for name in imported(path) if name in NETWORK]

    assert len(files) > 20
    assert wrong == []


def pure_files(room, name):
    path = ROOT / room / name
    return [path] if path.is_file() else sorted(path.rglob("*.py"))


def test_time_zones_are_found_by_the_one_function_that_knows_of_lost_ones():
    wrong = []
    for path in python_files("platform/telltale", *ROOMS):
        if path.relative_to(ROOT).as_posix() == "platform/telltale/lib/clock.py":
            continue
        if re.search(r"\bZoneInfo\(", path.read_text()):
            wrong.append(f"{path.relative_to(ROOT)} calls ZoneInfo: use telltale.lib.clock.zone_of")

    assert wrong == []


def test_rows_are_changed_by_their_own_room():
    wrong = []
    for path in python_files("platform/telltale", *ROOMS):
        own = path.relative_to(ROOT).parts[0]
        for name in imported(path):
            room, _, rest = name.partition(".")
            if room in ROOMS and room != own and rest.split(".")[0] in {"models", "write", "sql"}:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")

    assert wrong == []


def sql_files():
    return [path for room in ROOMS for path in sorted((ROOT / room / "sql").glob("*.sql"))]


def statements(path):
    return re.sub(r"--[^\n]*", "", path.read_text())


def test_every_sql_file_says_what_it_is():
    wrong = [str(path.relative_to(ROOT)) for path in sql_files() if not path.read_text().startswith("-- ")]

    assert len(sql_files()) > 5
    assert wrong == []


def test_sql_of_a_room_reads_no_higher_room():
    wrong = []
    for path in sql_files():
        higher = ROOMS[ROOMS.index(path.parent.parent.name) + 1 :]
        text = statements(path)
        wrong += [f"{path.relative_to(ROOT)} names {room}" for room in higher if re.search(rf"\b{room}_\w+", text)]

    assert wrong == []


def test_sql_of_a_room_writes_its_own_tables_only():
    written = re.compile(r"\b(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM|COPY|TRUNCATE)\s+(?:ONLY\s+)?(\w+)", re.IGNORECASE)
    ours = re.compile(r"^(traces|evals|alerts|projects|accounts|audit|jobs)_")
    wrong = []
    for path in sql_files():
        room = path.parent.parent.name
        tables = [name for name in written.findall(statements(path)) if ours.match(name)]
        wrong += [f"{path.relative_to(ROOT)} writes {name}" for name in tables if not name.startswith(room + "_")]

    assert wrong == []


def environment_read():
    """Names of the environment that the product reads, by file."""
    found = {}
    for path in python_files("platform/telltale", *ROOMS):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and SETTING.fullmatch(node.value):
                if node.value.endswith("_"):
                    continue  # the beginning of names, see below
                found.setdefault(node.value, path)
    # Put together from parts in telltale.run.provision.
    init = ("ADMIN_EMAIL", "ADMIN_PASSWORD", "PROJECT", "PUBLIC_KEY", "SECRET_KEY")
    return set(found) | {f"TELLTALE_INIT_{name}" for name in init}


def environment_of_the_sdk():
    """Names of the environment that applications set for the SDK; docs/sdk.md has them."""
    read = "".join(path.read_text() for path in python_files("sdk/python/telltale_sdk"))
    return set(re.findall(r'"(TELLTALE_[A-Z_]+)"', read))


def test_every_setting_of_the_sdk_has_its_row():
    rows = re.findall(r"`(TELLTALE_[A-Z_]+)`", (ROOT / "docs" / "sdk.md").read_text())

    assert environment_of_the_sdk()
    assert set(rows) == environment_of_the_sdk()


def test_every_setting_has_its_row_and_every_row_its_setting():
    rows = re.findall(r"^\| `(TELLTALE_[A-Z0-9_]+)` \|", (ROOT / "docs" / "settings.md").read_text(), re.MULTILINE)

    # Names of Django settings that are no variables of the environment.
    internal = {"TELLTALE_QUEUES"}
    assert sorted(rows) == sorted(set(rows))
    assert environment_read() - internal - set(rows) == set(), "read, but not in docs/settings.md"
    assert set(rows) - environment_read() == set(), "in docs/settings.md, but read nowhere"


def test_settings_that_docs_name_exist():
    # A variable of the compose file, and one of the shells in which people try the examples.
    known = environment_read() | {"TELLTALE_PUBLISH", "TELLTALE_KEY"} | environment_of_the_sdk()
    wrong = []
    for path in tracked("docs/*.md", "README.md", "docker-compose.yml", "Dockerfile"):
        for name in SETTING.findall(path.read_text()):
            is_group = name.endswith("_") and any(one.startswith(name) for one in known)
            if name not in known and not is_group:
                wrong.append(f"{path.name}: {name}")

    assert wrong == []


def test_no_tracked_file_names_a_package_registry():
    hosts = re.compile(r"\b(pypi\.org|pythonhosted\.org|registry\.npmjs\.org|index-url\s*=|--index-url\s+http)")
    texts = {".md", ".txt", ".toml", ".in", ".yml", ".yaml", ".cfg", ".py", ".sh", ""}
    wrong = []
    for path in tracked():
        is_text = path.suffix in texts and path.stat().st_size < 2_000_000
        if is_text and path != Path(__file__).resolve() and hosts.search(path.read_text(errors="replace")):
            wrong.append(str(path.relative_to(ROOT)))

    assert wrong == []


def test_tests_are_no_packages():
    assert list((ROOT / "tests").rglob("__init__.py")) == []
    assert not (ROOT / "tests" / "platform").exists()
