"""The rules of a state folder and of the user as one, and rules as a document to carry elsewhere; matches nothing.

A rule is written where it is already kept, and a new one to the state folder. Where both have a rule of one id, the
state folder's counts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from knowledge.rules import Rule, merged, rule_to_json
from knowledge.rules_check import rule_from_json
from knowledge.rules_store import RuleStore, user_folder
from sysmith_errors import InputError

SCHEMA_VERSION = 1
KIND = "sysmith-rules"
MOST_BYTES = 64 << 20
Place = Literal["state", "user"]


@dataclass(frozen=True)
class Imported:
    """What an import did with each rule, by id."""

    added: tuple[str, ...]
    merged: tuple[str, ...]
    unchanged: tuple[str, ...]


class RuleBook:
    """The rules below ``state`` (``<state>/rules``) and, unless ``user`` is False, those of the user."""

    def __init__(self, state: Path, *, user: bool = True) -> None:
        self.stores: dict[Place, RuleStore] = {"state": RuleStore(state / "rules")}
        if user:
            self.stores["user"] = RuleStore(user_folder())

    def read(self) -> dict[str, tuple[Place, Rule]]:
        """Every rule by id, with where it is kept. Raises InputError for a damaged store."""
        found: dict[str, tuple[Place, Rule]] = {}
        for place, store in self.stores.items():
            for rule in store.read().values():
                found.setdefault(rule.id, (place, rule))
        return found

    def rules(self, domain: str | None = None) -> list[Rule]:
        """All rules, of ``domain`` where one is given, retired ones included."""
        return [rule for _, rule in self.read().values() if domain in (None, rule.domain)]

    def find(self, wanted: str) -> tuple[Place, Rule]:
        """The rule whose id is, or alone begins with, ``wanted``. Raises InputError where there is none, or several."""
        known = self.read()
        ids = [wanted] if wanted in known else [rule_id for rule_id in known if wanted and rule_id.startswith(wanted)]
        if len(ids) != 1:
            what = f"{len(ids)} rules begin with {wanted!r}" if ids else f"there is no rule {wanted!r}"
            raise InputError(what, mend="See sysmith rules list.")
        return known[ids[0]]

    def amend(self, rule_id: str, how: Callable[[Rule], Rule]) -> Rule | None:
        """Change one rule where it is kept, under that store's lock; returns it as it is now, None for an unknown id.

        Raises as ``RuleStore.update`` does.
        """
        for store in self.stores.values():
            if rule_id in store.read():
                store.update(lambda known: [how(known[rule_id])] if rule_id in known else [])
                return store.read().get(rule_id)
        return None

    def learn(self, rule: Rule, join: Callable[[Rule, Rule], Rule | None]) -> Rule:
        """Keep a new rule, or let one that says the same take it in.

        ``join(known, rule)`` is the known rule with the new one taken in, or None where the two are not one lesson; it
        is asked for those of equal domain and advice only. Raises as ``RuleStore.update`` does.
        """

        def same(known: Rule) -> bool:
            return (known.domain, known.advice.key) == (rule.domain, rule.advice.key) and join(known, rule) is not None

        outside = [store for place, store in self.stores.items() if place != "state"]
        for known in (known for store in outside for known in store.read().values() if same(known)):
            if known.id not in self.stores["state"].read():
                return self.amend(known.id, lambda now: join(now, rule) or now) or rule
        result = rule

        def change(known: Mapping[str, Rule]) -> list[Rule]:
            nonlocal result
            twin = next((known_rule for known_rule in known.values() if same(known_rule)), known.get(rule.id))
            result = rule if twin is None else join(twin, rule) or merged(twin, rule)
            return [result]

        self.stores["state"].update(change)
        return result

    def merge(self, rules: Iterable[Rule], place: Place = "state") -> Imported:
        """Take rules in: new ones are added, known ones get the evidence that is new."""
        incoming = list(rules)
        before: dict[str, Rule] = {}

        def change(known: Mapping[str, Rule]) -> list[Rule]:
            before.update(known)
            return [merged(known[r.id], r) if r.id in known else r for r in incoming]

        changed = {rule.id for rule in self.stores[place].update(change)}
        return Imported(
            tuple(r.id for r in incoming if r.id not in before),
            tuple(r.id for r in incoming if r.id in before and r.id in changed),
            tuple(r.id for r in incoming if r.id in before and r.id not in changed),
        )

    def retire(self, wanted: str, reason: str) -> Rule:
        """Offer a rule no more. Raises InputError for an id that is unknown or ambiguous."""
        place, rule = self.find(wanted)
        after = replace(rule, retired=f"by hand: {reason}" if reason else "by hand")
        self.stores[place].update(lambda known: [replace(known.get(rule.id, rule), retired=after.retired)])
        return after


def document(rules: Iterable[Rule]) -> dict[str, Any]:
    """The rules as a document that ``read_document`` takes."""
    return {"schema_version": SCHEMA_VERSION, "kind": KIND, "rules": [rule_to_json(rule) for rule in rules]}


def read_document(path: Path) -> list[Rule]:
    """The rules of a file that ``sysmith rules export`` wrote. Raises InputError naming file, rule and field for
    anything else: nothing of a file that is wrong in one place is taken."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"{path} has more than {MOST_BYTES} bytes", mend="Give a file of sysmith rules export.")
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", mend="Give the path of a file.") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON: {error}", mend="Give a file of sysmith rules export.") from error
    if not isinstance(data, dict) or data.get("kind") != KIND:
        raise InputError(f"{path}: kind is not {KIND!r}", mend="Give a file of sysmith rules export.")
    if data.get("schema_version") != SCHEMA_VERSION:
        raise InputError(
            f"{path}: schema_version is {data.get('schema_version')!r}, not {SCHEMA_VERSION}",
            mend="Export it with this version of Sysmith.",
        )
    if not isinstance(data.get("rules"), list):
        raise InputError(f"{path}: rules is not a list", mend="Give a file of sysmith rules export.")
    rules = [rule_from_json(item, f"{path}: rules[{n}]") for n, item in enumerate(data["rules"])]
    ids = [rule.id for rule in rules]
    for rule_id in ids:
        if ids.count(rule_id) > 1:
            raise InputError(f"{path}: the id {rule_id} comes more than once", mend="Keep one of them.")
    return rules
