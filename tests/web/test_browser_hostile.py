"""Every page of a project whose every text is hostile, in a real browser, with the policy and without it."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.telltale.access_table import PAGES
from tests.web.hostile_world import COLUMNS, SPAN_FIELDS, UNSEEN, furnish, marker, shown
from tests.web.looks import sign_in

pytestmark = pytest.mark.django_db
SAID = "42" * 16
# Where what was injected would stand: elements that no template of ours makes, and what runs or fetches by itself.
INJECTED = """() => {
  const told = [];
  const LEADS = /^(href|src|action|formaction|srcset|poster|data|ping)$/i;
  const OURS = [/^([/?#]|$)/, /^(\\.\\.\\/)+[a-z/]*(\\?|$)/, /^[a-z0-9-]+\\/?$/, /^https?:\\/\\/[a-z0-9.-]+/];
  if (window.ownedCount) told.push('ran ' + window.ownedCount);
  for (const each of document.querySelectorAll('*')) {
    for (const { name, value } of each.attributes) {
      if (/^on/i.test(name) || name === 'style') told.push(each.tagName + ' has ' + name);
      if (LEADS.test(name) && !OURS.some((each) => each.test(value)))
        told.push(each.tagName + ' ' + name + '=' + value.slice(0, 80));
    }
    if (/^(IMG|IFRAME|OBJECT|EMBED|VIDEO|AUDIO|BASE|STYLE)$/.test(each.tagName)) told.push(each.tagName);
    if (each.tagName === 'SCRIPT' && !each.src && each.type !== 'application/json') told.push('inline script');
  }
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode())
    // What is edited stays as it is, and so does an id that is there to be copied, which nobody sees.
    if (!walker.currentNode.parentElement.closest('textarea, #uid')
        && /[\\u202a-\\u202e\\u2066-\\u2069\\x07]/.test(walker.currentNode.data))
      told.push('unseen characters in ' + walker.currentNode.data.trim().slice(0, 60));
  return told;
}"""


HEADERS = {
    "content-security-policy": "default-src 'none'", "x-content-type-options": "nosniff", "cache-control": "no-store",
    "referrer-policy": "same-origin", "cross-origin-opener-policy": "same-origin", "permissions-policy": "camera=()",
    "x-frame-options": "DENY",
}  # fmt: skip
# What people see and what is in their fields and hints.
ALL_TEXT = """document.body.textContent
  + [...document.querySelectorAll('input, textarea, option, [title], [aria-label]')]
  .map((each) => `${each.value} ${each.title} ${each.ariaLabel}`).join(' ')"""


def addresses(ids):
    """Every page of a project that is read, and the views of one whose contents are the sender's."""
    found = ["/", "/organisations/example-ltd/"]
    read = [route for route, (get, _) in sorted(PAGES.items()) if get is not None and not route.endswith("/file/")]
    found += ["/" + ids.fill(route).lstrip("/") for route in read]  # a file is no page: it is kept, not shown
    trace = f"/p/shop/traces/{SAID}/"
    found += [trace, *(f"{trace}?{query}" for query in ("tab=attributes", "tab=raw", "tab=sources", "view=chat"))]
    found += [f"/p/shop/sessions/{quote(marker('session'), safe='')}/"]
    found += [f"/p/shop/users/{quote(marker('user'), safe='')}/"]
    # What the address itself says comes back on the page, too.
    hostile = quote(marker("address"))
    found += [f"/p/shop/{page}/?q={hostile}&feature={hostile}&sort={hostile}" for page in ("traces", "sessions")]
    found += [f"/p/shop/cost/?by={hostile}&from={hostile}", f"/p/shop/performance/?feature={hostile}"]
    found += [f"/p/shop/quality/?judge={hostile}", f"/p/shop/changes/?kind={hostile}", f"/nothing/{hostile}/"]
    return list(dict.fromkeys(found))


@pytest.fixture
def look(chromium, live_server, alice):
    """`look(**context options)`: a page of alice's, and what it asked for elsewhere or its policy refused."""
    contexts = []

    def make(**options):
        context = chromium.new_context(base_url=live_server.url, **options)
        contexts.append(context)
        context.set_default_timeout(30_000)
        context.add_init_script("window.ownedCount = 0; window.owned = () => { window.ownedCount += 1 }")
        page, told = context.new_page(), []
        ours = (live_server.url, "data:")
        page.on("request", lambda asked: None if asked.url.startswith(ours) else told.append(f"asked {asked.url}"))
        page.on("console", lambda said: told.append(said.text) if "Content Security Policy" in said.text else None)
        page.on("pageerror", lambda error: told.append(f"failed: {error}"))
        page.on("dialog", lambda dialog: (told.append("a dialog"), dialog.dismiss()))
        page.goto("/accounts/login/")
        sign_in(page, alice)
        return page, told

    yield make
    for context in contexts:
        context.close()


def test_hostile_text_is_text_on_every_page_with_the_policy_and_without_it(alice, look):
    ids = furnish(alice)
    seen, troubles, opened = set(), [], 0
    fields = {f"{table}.{column}" for table, columns in COLUMNS.items() for column in columns}
    fields |= {f"span.{name}" for name in SPAN_FIELDS} | {"comment", "signal.comment", "score.comment", "item.input"}
    fields |= {"input", "output", "asked", "system", "tag", "tool", "arguments", "result", "document", "error"}
    fields |= {"user", "session", "root", "attribute", "attribute.key", "metadata", "event", "document.id", "prompt"}

    for options in ({"bypass_csp": True}, {}):
        page, told = look(**options)
        # Without the policy every page; with it, which can only refuse more, each third and those of the sender.
        for path in addresses(ids) if options else [*addresses(ids)[::3], *addresses(ids)[-16:]]:
            answer = page.goto(path, wait_until="load")
            opened += answer.status == 200
            if answer.status >= 500:
                troubles.append(f"{path}: answered {answer.status}")
            missing = [name for name, value in HEADERS.items() if value not in answer.headers.get(name, "")]
            troubles += [f"{path}: no {name}" for name in missing]
            troubles += [f"{path}: {each}" for each in (*page.evaluate(INJECTED), *told)]
            told.clear()
            text = page.evaluate(ALL_TEXT)
            seen |= {field for field in fields if shown(field) in text}

    assert sorted(set(troubles)) == []
    assert opened > 150
    assert sorted(fields - seen - UNSEEN.keys()) == []
