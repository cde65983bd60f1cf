"""Datasets and experiments in a browser: no violations, they fit, and forms work by keyboard."""

from __future__ import annotations

from evals import keeping
from evals.keeping import By, NewItem
from evals.read import datasets as read
from tests.evals.test_experiment_pages import DATASETS, EXPERIMENTS, experiment, fill


def test_pages_of_datasets_and_experiments_have_no_violation_and_fit(project, page, alice, sign_in_browser, axe):
    fill(project, 12)
    keeping.put_items(project, "returns", [NewItem("k001", "x" * 300, {"a": ["b" * 300]}), NewItem("k003", "new")],
                      by=By())  # fmt: skip
    old, new = (experiment(project, lambda i, at=at: float(i < at), name="a-very-long-name-" * 5) for at in (12, 2))
    addresses = (
        DATASETS, DATASETS + "returns/", DATASETS + "returns/diff/", DATASETS + "returns/item/k001/",
        DATASETS + "returns/items/new/", DATASETS + "returns/settings/", DATASETS + f"add/?trace={'0' * 32}",
        EXPERIMENTS, EXPERIMENTS + "new/", f"{EXPERIMENTS}{new}/", f"{EXPERIMENTS}{new}/?against={old}",
    )  # fmt: skip
    sign_in_browser(page, alice)
    for scheme, width in (("light", 1440), ("dark", 390)):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        for address in addresses:
            assert page.goto(address).status == 200, address
            # Both looks share their parts: the densest pages stand for the others on a phone.
            if width == 1440 or address in addresses[-2:]:
                assert axe(page) == [], (address, scheme)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (address, width)

    page.goto(DATASETS + "returns/items/new/")
    page.locator("textarea[name=input]").fill("By keyboard?")
    page.locator("textarea[name=input]").press("Tab")
    page.keyboard.type("Yes")
    page.locator("input[name=key]").press("Enter")
    page.get_by_text("1 added").wait_for()
    row = read.get_dataset(project.pk, "returns")
    assert [item.expected for item in read.all_items(row.id, row.version) if item.input == "By keyboard?"] == ["Yes"]
