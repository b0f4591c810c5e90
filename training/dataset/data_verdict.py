"""The verdict of a check in plain words: what can be trained, what is missing and by how much, what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from features.feed_health.feed_health import Feeds
from features.signals.overwritten_contracts import EXPORT
from models.targets import TARGETS, Target
from training.dataset.sufficiency import MINIMUM_ACCOUNTS
from training.dataset.sufficiency_check import SufficiencyReport


@dataclass(frozen=True)
class Verdict:
    """What a source is good for.

    Parameters
    ----------
    ready : the targets that there is enough of to train on.
    horizon_days : at which horizon.
    summary : the verdict in one sentence.
    missing : per target that is not ready, what is lacking and by how much.
    todo : what to do, in order.
    """

    ready: tuple[Target, ...]
    horizon_days: int
    summary: str
    missing: Mapping[Target, tuple[str, ...]]
    todo: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The verdict as plain JSON values."""
        own = {k: getattr(self, k) for k in ("horizon_days", "summary")}
        missing = {target: list(lines) for target, lines in self.missing.items()}
        return {"ready": list(self.ready), **own, "missing": missing, "todo": list(self.todo)}

    def lacking(self) -> list[str]:
        """What is lacking, a line each; what all targets lack is said once."""
        told: dict[str, list[Target]] = {}
        for target, lines in self.missing.items():
            for line in lines:
                told.setdefault(line, []).append(target)
        return [f"{' and '.join(targets)}: {line}" for line, targets in told.items()]


def broken_contract_verdict(findings: int, horizon_days: int) -> Verdict:
    """The verdict on a source that breaks the data contract in so many places."""
    places = "one place" if findings == 1 else f"{findings} places"
    todo = ("mend the source, or its mapping, where the errors say so, and check again",)
    return Verdict((), horizon_days, f"not usable: the data contract is broken in {places}", {}, todo)


def verdict(enough: SufficiencyReport, feeds: Feeds) -> Verdict:
    """The verdict on a source that keeps the data contract."""
    asked = enough.asked
    if enough.overwritten:
        summary = "not fit to train on: contracts look overwritten, so every earlier date tells who will leave"
        lacking = ("the terms of contracts as they were",)
        return Verdict((), asked.days, summary, dict.fromkeys(TARGETS, lacking), (EXPORT, *_mend(feeds)))
    ready = asked.ready
    missing = {t: there.missing for t, there in asked.targets.items() if there.missing}
    lost = [each.cure for each in enough.findings if each.column == "term_started_at"]
    # Of lost terms no outcome is known, however many accounts are loaded.
    unknowable = [t for t in missing if lost and t != "churn" and not asked.targets[t].accounts]
    missing |= dict.fromkeys(unknowable, ("the terms of contracts before the current one: the source overwrites them",))
    if not missing:
        summary = f"ready to train on {_and(TARGETS)} at {asked.days} days"
    elif ready:
        summary = f"ready to train on {_and(ready)} at {asked.days} days, not enough for {_and(tuple(missing))}"
    else:
        summary = f"not enough to train on {' or '.join(TARGETS)} at {asked.days} days"
    export = lost[:1] if unknowable else []
    todo = [
        *_mend(feeds),
        *_other_horizons(enough),
        *export,
        *_more(enough, [t for t in missing if t not in unknowable]),
    ]
    return Verdict(ready, asked.days, summary, missing, tuple(todo))


def _and(targets: tuple[Target, ...]) -> str:
    return " and ".join(targets)


def _mend(feeds: Feeds) -> list[str]:
    """What to do about the feeds' troubles."""
    lines, told = [], set[str]()
    base = feeds.tables.get("subscriptions") or feeds.tables.get("orders")
    if base is not None and base.stale and base.last is not None:
        told = {base.table} if len(base.troubles()) == 1 else set()
        day = (base.last + timedelta(days=1)).date()
        lines.append(
            f"load the {base.table} since {base.last:%Y-%m-%d}, or train with --data-through {day}: without them, "
            "accounts that stayed look as if they had left"
        )
    if others := sorted({name for name, feed in feeds.tables.items() if feed.troubles()} - told):
        lines.append(
            f"look first at what was found in {', '.join(others)}: a model takes a feed's faults for customers' habits"
        )
    return lines


def _other_horizons(enough: SufficiencyReport) -> list[str]:
    """The horizon nearest to the one asked for at which there is enough of a target that lacks here."""
    lines = []
    for target in TARGETS:
        if target in enough.asked.ready:
            continue
        able = [h.days for h in enough.horizons if target in h.ready]
        if able:
            nearest = min(able, key=lambda days: abs(days - enough.asked.days))
            lines.append(
                f"predict {target} at {nearest} days, of which there is enough: train with --horizon {nearest}"
            )
    return lines


def _more(enough: SufficiencyReport, targets: list[Target]) -> list[str]:
    """Which data would fill what these targets lack."""
    there = [enough.asked.targets[target] for target in targets]
    if not there:
        return []
    lines = []
    if not all(t.long_enough for t in there):
        lines.append("load older data, or wait for more history")
    elif any(t.accounts < MINIMUM_ACCOUNTS for t in there):
        lines.append("load the accounts that are not here yet, those that have left among them")
    else:
        lines.append("load older data, and the accounts that have left; or wait: outcomes come with time")
    return [*lines, "until then the health score answers in the model's place"]
