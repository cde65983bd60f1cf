"""The deployment files say what the documentation promises of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def services():
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]


def test_four_containers_live_long_and_one_shot_migrates(services):
    assert set(services) == {"web", "worker", "postgres", "rabbitmq", "migrate"}
    assert [name for name, service in services.items() if service.get("restart") == "no"] == ["migrate"]


def test_only_web_is_published(services):
    assert [name for name, service in services.items() if "ports" in service] == ["web"]


def test_web_and_worker_wait_for_the_migration(services):
    for name in ("web", "worker"):
        assert services[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


def test_every_long_lived_container_has_a_health_check_and_the_migration_has_none(services):
    assert {name for name, service in services.items() if "healthcheck" in service} == set(services) - {"migrate"}


def test_no_secret_has_a_default(services):
    for service in services.values():
        for name, value in service["environment"].items():
            if "PASSWORD" in name.replace("INIT_ADMIN_PASSWORD", "") or name == "TELLTALE_SECRET_KEY":
                assert value.startswith("${"), name
                assert ":?" in value, name


def test_own_containers_drop_every_privilege(services):
    for name in ("web", "worker", "migrate"):
        assert services[name]["cap_drop"] == ["ALL"]
        assert services[name]["read_only"] is True


def test_image_does_not_run_as_root():
    lines = (ROOT / "Dockerfile").read_text().splitlines()

    users = [line.split()[1] for line in lines if line.startswith("USER ")]

    assert users
    assert users[-1] not in {"root", "0"}
