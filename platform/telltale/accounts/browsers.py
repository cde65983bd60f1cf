"""What a browser calls itself, in words: "Firefox on Windows"."""

from __future__ import annotations

# The first that is found counts: browsers name those they descend from as well.
BROWSERS = (
    ("Edg", "Edge"), ("OPR/", "Opera"), ("SamsungBrowser/", "Samsung Internet"), ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"), ("HeadlessChrome/", "Chrome without a window"), ("Chrome/", "Chrome"), ("CriOS/", "Chrome"),
    ("Safari/", "Safari"), ("curl/", "curl"), ("python-requests/", "Python"), ("python-httpx/", "Python"),
)  # fmt: skip
SYSTEMS = (
    ("Android", "Android"), ("iPhone", "an iPhone"), ("iPad", "an iPad"), ("Windows", "Windows"), ("Mac OS X", "a Mac"),
    ("CrOS", "ChromeOS"), ("Linux", "Linux"),
)  # fmt: skip
UNKNOWN = "A browser that does not say what it is"
CHARS_MAX = 60


def browser_words(user_agent: str) -> str:
    """`user_agent` in words; its own beginning where it names nothing known. It is hearsay: anybody may send any."""
    browser = next((words for mark, words in BROWSERS if mark in user_agent), "")
    system = next((words for mark, words in SYSTEMS if mark in user_agent), "")
    if not browser:
        return user_agent[:CHARS_MAX].strip() or UNKNOWN
    return f"{browser} on {system}" if system else browser
