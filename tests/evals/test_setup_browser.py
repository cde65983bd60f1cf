"""Setting up in a browser: no violations on any page, phone width, a rule's inputs follow its kind, with and without
scripts."""

from __future__ import annotations

import pytest

from evals import backfilling, setup
from evals.judges import JUDGE_PRESETS
from evals.read import setup as read
from evals.setup import preflights
from telltale.jobs import work
from tests.evals.judging_kit import store_traces

JUDGES = "/p/shop/judges/"
PRESET = {each.slug: each for each in JUDGE_PRESETS}


@pytest.fixture
def surroundings(settings, monkeypatch):
    settings.TELLTALE_EGRESS_ALLOW = ["127.0.0.0/8"]
    monkeypatch.setattr(preflights, "wake", lambda task: None)


def test_judges_are_set_up_in_a_browser(surroundings, project, page, alice, sign_in_browser, axe):
    where = setup.add_connection(
        project, name="House " * 12, kind="openai", base_url="http://127.0.0.1:9/" + "v1" * 60, key="sk-abcdefghijkl",
    )  # fmt: skip
    store_traces(project, 2, question="Where is " + "my very long order " * 20)
    for slug, more in (("basics", {}), ("answer-quality", {"connection_id": where.id, "model": "small-1"})):
        preset = PRESET[slug]
        rubric = setup.save_rubric(project, preset.rubric, slug=slug, name=preset.name)
        version = setup.save_judge(
            project, slug=slug, name=preset.name, kind=preset.kind, rubric_version_id=rubric.id, config=preset.config,
            **more,
        )  # fmt: skip
        setup.make_live(project, slug, reason="a trial")
        setup.set_plan(project, slug, {"kind": "strata", "by": "feature", "shares": {"x" * 200: 0.5}, "other": 0.1})
        backfilling.start(project, version.id, "t=7d&feature=" + "x" * 90)
    tried = preflights.start_preflight(project, kind="rule", rubric=PRESET["basics"].rubric,
                                       config=PRESET["basics"].config)  # fmt: skip
    work.run_next()
    past = backfilling.list_backfills(project.pk)[0].row
    sign_in_browser(page, alice)
    pages = [
        JUDGES, JUDGES + "answer-quality/", JUDGES + "basics/", JUDGES + "answer-quality/runs/",
        JUDGES + "answer-quality/plan/", JUDGES + "basics/backfill/", f"{JUDGES}answer-quality/backfill/{past.pk}/",
        f"{JUDGES}try/{tried}/", JUDGES + "new/", JUDGES + "new/?preset=privacy", "/p/shop/rubrics/",
        "/p/shop/rubrics/basics/", "/p/shop/settings/connections/", f"/p/shop/settings/connections/{where.id}/",
        "/p/shop/settings/evaluation/",
    ]  # fmt: skip
    for scheme, width, addresses in (("light", 1440, pages[1:5]), ("dark", 390, pages)):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        for address in addresses:
            assert page.goto(address).status == 200, address
            assert axe(page) == [], (address, scheme)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (address, width)

    # Cards are as wide as the phone, not as the mark of a span's kind.
    page.goto(JUDGES + "new/")
    assert page.get_by_role("link", name="Privacy and injected text").bounding_box()["width"] > 300
    page.goto(JUDGES + "basics/")
    page.locator("#f-r-4-kind").select_option("contains")
    page.locator("#f-r-4-texts").wait_for()
    assert page.locator("#f-r-4-ignore_case").is_checked()
    page.locator("#f-r-4-texts").fill("30 days\nreceipt")
    page.get_by_role("button", name="Save as v2").click()
    page.get_by_text("is saved as v2").wait_for()
    kept = read.get_judge(project.pk, "basics").newest.config["rules"][4]
    assert (kept["kind"], kept["texts"]) == ("contains", ["30 days", "receipt"])


def test_a_rule_is_changed_without_scripts(surroundings, project, chromium, live, alice, sign_in_browser):
    preset = PRESET["basics"]
    rubric = setup.save_rubric(project, preset.rubric, slug="basics", name="Basics")
    setup.save_judge(
        project, slug="basics", name="Basics", kind="rule", rubric_version_id=rubric.id, config=preset.config
    )  # fmt: skip
    context = chromium.new_context(base_url=live, java_script_enabled=False)
    page = context.new_page()
    sign_in_browser(page, alice)

    page.goto(JUDGES + "basics/")
    page.locator("#f-r-0-kind").select_option("length")
    page.get_by_role("button", name="Show the settings of rule 1").click()
    page.locator("#f-r-0-at_least").fill("1")
    page.get_by_role("button", name="Save", exact=True).last.click()

    context.close()
    assert read.get_judge(project.pk, "basics").newest.config["rules"][0]["at_least"] == 1
