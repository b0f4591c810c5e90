"""Verdict of a data check in plain words: what can be trained, what is missing, and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from features.feed_health.feed_health import Feeds
from features.signals.overwritten_contracts import EXPORT
from models.targets import TARGETS, Target
from training.dataset.sufficiency import MINIMUM_ACCOUNTS
from training.dataset.sufficiency_check import SufficiencyReport

_ANSWER = "answer the open questions in the mapping, and delete them there: until then, its figures may be wrong"


@dataclass(frozen=True)
class Verdict:
    """What a source can be used for.

    Parameters
    ----------
    ready : targets with enough data to train on.
    horizon_days : the horizon of the verdict.
    summary : the verdict in one sentence.
    missing : per target that is not ready, what is missing and how much.
    todo : recommended actions, in order.
    """

    ready: tuple[Target, ...]
    horizon_days: int
    summary: str
    missing: Mapping[Target, tuple[str, ...]]
    todo: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the verdict as JSON values."""
        own = {k: getattr(self, k) for k in ("horizon_days", "summary")}
        missing = {target: list(lines) for target, lines in self.missing.items()}
        return {"ready": list(self.ready), **own, "missing": missing, "todo": list(self.todo)}

    def missing_lines(self) -> list[str]:
        """Return what is missing, one line each; a line that several targets share appears once."""
        targets_by_line: dict[str, list[Target]] = {}
        for target, lines in self.missing.items():
            for line in lines:
                targets_by_line.setdefault(line, []).append(target)
        return [f"{' and '.join(targets)}: {line}" for line, targets in targets_by_line.items()]


def broken_contract_verdict(findings: int, horizon_days: int) -> Verdict:
    """Return the verdict on a source that violates the data contract.

    Parameters
    ----------
    findings : the number of places with a violation.
    horizon_days : the requested horizon.

    Returns
    -------
    Verdict
    """
    places = "one place" if findings == 1 else f"{findings} places"
    todo = ("fix the source or its mapping as the errors describe, and check again",)
    return Verdict((), horizon_days, f"not usable: the data contract is violated in {places}", {}, todo)


def verdict(
    sufficiency: SufficiencyReport, feeds: Feeds, open_questions: Sequence[str] = (), instead: str = ""
) -> Verdict:
    """Return the verdict on a source that satisfies the data contract.

    Parameters
    ----------
    sufficiency : the data for training, by horizon and target.
    feeds : what each feed contains.
    open_questions : what the mapping has not answered.
    instead : what to do until there is enough data; see `models.health.scored_accounts.score_instead`.

    Returns
    -------
    Verdict
    """
    requested = sufficiency.requested
    asked = [_ANSWER] if open_questions else []
    if sufficiency.overwritten:
        summary = "not suitable for training: contracts look overwritten, so every earlier date shows who will leave"
        terms = ("the terms of contracts as they were",)
        return Verdict((), requested.days, summary, dict.fromkeys(TARGETS, terms), (EXPORT, *asked, *_fix_feeds(feeds)))
    ready = requested.ready
    missing = {t: counts.missing for t, counts in requested.targets.items() if counts.missing}
    lost = [each.cure for each in sufficiency.findings if each.column == "term_started_at"]
    # If terms are lost, no outcome is known, regardless of how many accounts are loaded.
    unknowable = [t for t in missing if lost and t != "churn" and not requested.targets[t].accounts]
    missing |= dict.fromkeys(unknowable, ("the terms of contracts before the current one: the source overwrites them",))
    if not missing:
        summary = f"ready to train on {_and(TARGETS)} at {requested.days} days"
    elif ready:
        summary = (
            f"ready to train on {_and(ready)} at {requested.days} days, not enough data for {_and(tuple(missing))}"
        )
    else:
        summary = f"not enough data to train on {' or '.join(TARGETS)} at {requested.days} days"
    export = lost[:1] if unknowable else []
    todo = [
        *asked,
        *_fix_feeds(feeds),
        *_other_horizons(sufficiency),
        *export,
        *_more_data(sufficiency, [t for t in missing if t not in unknowable]),
        *([instead] if missing and instead else []),
    ]
    return Verdict(ready, requested.days, summary, missing, tuple(todo))


def _and(targets: tuple[Target, ...]) -> str:
    return " and ".join(targets)


def _fix_feeds(feeds: Feeds) -> list[str]:
    """Return what to do about the faults of the feeds."""
    lines, covered = [], set[str]()
    base = feeds.tables.get("subscriptions") or feeds.tables.get("orders")
    if base is not None and base.stale and base.last is not None:
        covered = {base.table} if len(base.troubles()) == 1 else set()
        day = (base.last + timedelta(days=1)).date()
        lines.append(
            f"load the {base.table} since {base.last:%Y-%m-%d}, or train with --data-through {day}: without them, "
            "accounts that stayed look as if they had left"
        )
    if others := sorted({name for name, feed in feeds.tables.items() if feed.troubles()} - covered):
        lines.append(
            f"first review the findings in {', '.join(others)}: a model mistakes faults of a feed for customer behavior"
        )
    return lines


def _other_horizons(sufficiency: SufficiencyReport) -> list[str]:
    """Return, per target that is not ready, the nearest horizon with enough data."""
    lines = []
    for target in TARGETS:
        if target in sufficiency.requested.ready:
            continue
        ready = [h.days for h in sufficiency.horizons if target in h.ready]
        if ready:
            nearest = min(ready, key=lambda days: abs(days - sufficiency.requested.days))
            lines.append(
                f"predict {target} at {nearest} days, where there is enough data: train with --horizon {nearest}"
            )
    return lines


def _more_data(sufficiency: SufficiencyReport, targets: list[Target]) -> list[str]:
    """Return which data these targets need."""
    counts = [sufficiency.requested.targets[target] for target in targets]
    if not counts:
        return []
    if not all(each.long_enough for each in counts):
        return ["load older data, or wait for more history"]
    if any(each.accounts < MINIMUM_ACCOUNTS for each in counts):
        return ["load the missing accounts, including those that have left"]
    return ["load older data and the accounts that have left, or wait for more outcomes"]
