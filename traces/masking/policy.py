"""The rules of a project: which kinds are masked, own patterns, what becomes of text at all, whole and by feature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import re2

from telltale.lib.faults import Fault
from traces.canonical.text import clean_text
from traces.masking.detectors import compiled
from traces.masking.kinds import KIND, KINDS, STRICTNESS, Mode

PATTERNS_MAX = 32
PATTERN_CHARS_MAX = 512
FEATURES_MAX = 100
FEATURE_CHARS_MAX = 256
NAME_CHARS_MAX = 40
_NAME_SIGNS = frozenset("abcdefghijklmnopqrstuvwxyz -")
FIELDS = ("mode", "kinds", "tokens", "patterns", "features")


class PolicyRefused(Exception):
    """Rules that cannot be, each fault with its field, limit and value."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__("; ".join(f"{fault.field} {fault.message}" for fault in faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class OwnPattern:
    """A pattern of RE2 that a project masks by. `name` is its rule and the word in its mark."""

    name: str
    pattern: str
    ignore_case: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of a project. `kinds` are those that are on; marks of `tokens` carry a keyed hash of what they hide."""

    mode: Mode = Mode.MASK
    kinds: frozenset[str] = frozenset(kind.name for kind in KINDS if kind.is_on)
    tokens: frozenset[str] = frozenset()
    patterns: tuple[OwnPattern, ...] = ()
    features: tuple[tuple[str, Mode], ...] = ()

    def mode_of(self, feature: str | None) -> Mode:
        """What becomes of the text of spans of a feature; None is one that is not known."""
        if feature is not None:
            for name, mode in self.features:
                if name == feature:
                    return mode
        return self.mode

    @property
    def strictest(self) -> Mode:
        """The most careful of all its modes."""
        return max((self.mode, *(mode for _, mode in self.features)), key=STRICTNESS.__getitem__)

    def as_dict(self) -> dict[str, Any]:
        """As it is stored and shown by REST."""
        return {
            "mode": str(self.mode),
            "kinds": {kind.name: kind.name in self.kinds for kind in KINDS},
            "tokens": sorted(self.tokens),
            "patterns": [
                {"name": own.name, "pattern": own.pattern, "ignore_case": own.ignore_case} for own in self.patterns
            ],
            "features": [{"feature": feature, "mode": str(mode)} for feature, mode in self.features],
        }


DEFAULT = Policy()


@dataclass(slots=True)
class _Faults:
    found: list[Fault] = field(default_factory=list)

    def add(self, name: str, message: str, limit: str = "", value: Any = "") -> None:
        self.found.append(Fault(name, message, limit, clean_text(str(value))[:100]))


def parse_policy(told: Any) -> Policy:
    """The rules that a request tells; what it leaves out is as from the start. PolicyRefused with all that is wrong."""
    faults = _Faults()
    if not isinstance(told, Mapping):
        raise PolicyRefused(Fault("body", "must be an object"))
    for name in told:
        if name not in FIELDS:
            faults.add(str(name)[:100], "is not known", f"one of {', '.join(FIELDS)}")
    mode = _mode("mode", told.get("mode", Mode.MASK), faults)
    kinds = _kinds(told.get("kinds", {}), faults)
    patterns = _patterns(told.get("patterns", []), faults)
    tokens = _tokens(told.get("tokens", []), patterns, faults)
    features = _features(told.get("features", []), faults)
    if faults.found:
        raise PolicyRefused(*faults.found)
    return Policy(mode, kinds, tokens, patterns, features)


def _mode(name: str, told: Any, faults: _Faults) -> Mode:
    if isinstance(told, str) and told in set(Mode):
        return Mode(told)
    faults.add(name, "is not accepted", f"one of {', '.join(Mode)}", told)
    return Mode.MASK


def _kinds(told: Any, faults: _Faults) -> frozenset[str]:
    on = {kind.name for kind in KINDS if kind.is_on}
    if not isinstance(told, Mapping):
        faults.add("kinds", "must be an object of true and false", f"of {', '.join(KIND)}")
        return frozenset(on)
    for name, is_on in told.items():
        if name not in KIND:
            faults.add("kinds", "names a kind that is not known", f"one of {', '.join(KIND)}", name)
        elif not isinstance(is_on, bool):
            faults.add(f"kinds.{name}", "must be true or false", "", is_on)
        elif is_on:
            on.add(name)
        else:
            on.discard(name)
    return frozenset(on)


def _tokens(told: Any, patterns: tuple[OwnPattern, ...], faults: _Faults) -> frozenset[str]:
    known = {*KIND, *(own.name for own in patterns)}
    if not isinstance(told, list) or not all(isinstance(item, str) for item in told):
        faults.add("tokens", "must be a list of kinds and names of patterns")
        return frozenset()
    for item in told:
        if item not in known:
            faults.add("tokens", "names no kind and no pattern of these rules", f"one of {', '.join(KIND)}", item)
    return frozenset(told)


def _patterns(told: Any, faults: _Faults) -> tuple[OwnPattern, ...]:
    if not isinstance(told, list):
        faults.add("patterns", "must be a list")
        return ()
    if len(told) > PATTERNS_MAX:
        faults.add("patterns", "are too many", f"{PATTERNS_MAX}", len(told))
        return ()
    found: list[OwnPattern] = []
    for at, item in enumerate(told):
        own = _pattern(f"patterns.{at}", item, faults)
        if own is None:
            continue
        if own.name in KIND or any(own.name == other.name for other in found):
            faults.add(f"patterns.{at}.name", "is taken", "a name of its own", own.name)
        found.append(own)
    return tuple(found)


def _pattern(place: str, told: Any, faults: _Faults) -> OwnPattern | None:
    if not isinstance(told, Mapping) or not set(told) <= {"name", "pattern", "ignore_case"}:
        faults.add(place, "must be an object", "name, pattern, ignore_case")
        return None
    name, pattern, ignore_case = told.get("name"), told.get("pattern"), told.get("ignore_case", False)
    if not isinstance(name, str) or not is_name(name):
        limit = f"1 to {NAME_CHARS_MAX} of the letters a to z, spaces and hyphens, a letter first and last"
        faults.add(f"{place}.name", "is not accepted", limit, name)
    if not isinstance(ignore_case, bool):
        faults.add(f"{place}.ignore_case", "must be true or false", "", ignore_case)
    fault = fault_of(pattern if isinstance(pattern, str) else "", ignore_case is True)
    if fault is not None:
        faults.add(f"{place}.pattern", *fault)
    return OwnPattern(str(name), str(pattern), ignore_case is True)


def is_name(name: str) -> bool:
    """Whether a rule of one's own may be called so."""
    has_ends = bool(name) and name[0].isalpha() and name[-1].isalpha()
    return has_ends and len(name) <= NAME_CHARS_MAX and set(name) <= _NAME_SIGNS


@lru_cache(maxsize=512)
def fault_of(pattern: str, ignore_case: bool) -> tuple[str, str, str] | None:
    """What is wrong with a pattern: (message, limit, value); None where nothing is."""
    if not pattern:
        return "must be a regular expression", f"1 to {PATTERN_CHARS_MAX} characters", ""
    if len(pattern) > PATTERN_CHARS_MAX:
        return "is too long", f"{PATTERN_CHARS_MAX} characters", f"{len(pattern)} characters"
    if clean_text(pattern) != pattern:
        return "holds characters that no text can", "", ""
    try:
        found = compiled(pattern, is_latin=False, ignore_case=ignore_case)
    except re2.error as error:
        said = error.args[0] if error.args else ""
        said = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        told = "is no regular expression of RE2 (which knows no look-around and no back references)"
        return told, clean_text(said)[:200], pattern[:100]
    if found.search(b"") is not None:
        return "matches the empty text, so it would match everywhere", "a pattern that needs a character", pattern[:100]
    return None


def _features(told: Any, faults: _Faults) -> tuple[tuple[str, Mode], ...]:
    if not isinstance(told, list):
        faults.add("features", "must be a list")
        return ()
    if len(told) > FEATURES_MAX:
        faults.add("features", "are too many", f"{FEATURES_MAX}", len(told))
        return ()
    found: dict[str, Mode] = {}
    for at, item in enumerate(told):
        place = f"features.{at}"
        if not isinstance(item, Mapping) or not set(item) <= {"feature", "mode"}:
            faults.add(place, "must be an object", "feature, mode")
            continue
        feature = item.get("feature")
        if not isinstance(feature, str) or not 1 <= len(feature) <= FEATURE_CHARS_MAX or clean_text(feature) != feature:
            faults.add(f"{place}.feature", "is no feature's name", f"1 to {FEATURE_CHARS_MAX} characters", feature)
            continue
        if feature in found:
            faults.add(f"{place}.feature", "stands twice", "each feature once", feature)
        found[feature] = _mode(f"{place}.mode", item.get("mode"), faults)
    return tuple(found.items())
