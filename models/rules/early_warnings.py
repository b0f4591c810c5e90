"""Early warnings: what is known to precede a churn, with its evidence, checked against noise before it counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from models.peer_groups.frame_columns import number_column
from models.peer_groups.peers import Peers
from models.peer_groups.percentiles import Comparable
from models.peer_groups.rule_files import Rules
from models.rules.conditions import TRUE, UNKNOWN, Conditions
from models.rules.history import History, confirmed, since
from models.rules.plays import SEVERITIES, Cause, Severity
from models.rules.usage_anomalies import UnusualRule, unusual

Standing = Literal["risk", "watch"]
RENEWAL = "contract.days_to_renewal"


class WarningRule(Conditions):
    """One early warning."""

    code: str
    says: str
    severity: Severity
    cause: Cause
    noisy: bool = False


class WarningsFile(Rules):
    """All that ``warnings.toml`` says."""

    renewal_window_days: Annotated[int, Field(gt=0)]
    unusual: UnusualRule
    warnings: Annotated[tuple[WarningRule, ...], Field(strict=False)]

    def used(self) -> Iterator[tuple[str, str]]:
        """Each key that names a feature, and the feature."""
        yield "unusual.feature", self.unusual.feature
        for i, rule in enumerate(self.warnings):
            yield from rule.features(f"warnings.{i}")


@dataclass(frozen=True)
class Evidence:
    """A feature that a warning rests on, and the account's value; None unknown."""

    feature: str
    value: float | None


@dataclass(frozen=True)
class EarlyWarning:
    """One warning for one account.

    ``standing`` is risk, or watch as long as a noisy sign has held for one date only; ``since`` the date from which it
    has held without a break, as far as the history reaches; ``before_renewal`` whether the renewal is near enough to
    look for warnings in particular.
    """

    code: str
    says: str
    severity: Severity
    cause: Cause
    standing: Standing
    since: datetime
    before_renewal: bool
    evidence: tuple[Evidence, ...]


def early_warnings(
    history: History, rules: WarningsFile, peers: Peers | None = None
) -> tuple[tuple[EarlyWarning, ...], ...]:
    """The warnings of each account of the last date, the most pressing first.

    Parameters
    ----------
    history : without earlier dates, nothing noisy is more than "watch".
    peers : what to compare with, for accounts that come alone; without it the rows of a date are a whole portfolio.
    """
    found: list[list[EarlyWarning]] = [[] for _ in history.accounts]
    now, among = history.now, Comparable(history.rows, peers)
    days = number_column(now, RENEWAL)
    near = days <= rules.renewal_window_days
    for rule in rules.warnings:
        states = history.over_time(rule.states(history.rows, among.percentile), UNKNOWN)
        # What is not noisy counts at once.
        risk = confirmed(states) == TRUE if rule.noisy else states[:, -1] == TRUE
        begun = since(states)
        values = {name: number_column(now, name) for name in rule.evidence()}
        for row in np.flatnonzero(begun >= 0).tolist():
            found[row].append(
                EarlyWarning(
                    rule.code,
                    rule.says,
                    rule.severity,
                    rule.cause,
                    "risk" if risk[row] else "watch",
                    history.dates[begun[row]].to_pydatetime(),
                    bool(near[row]),
                    tuple(Evidence(name, _known(x[row])) for name, x in values.items()),
                )
            )
    for row, sign in _out_of_the_ordinary(history, rules, near):
        found[row].append(sign)
    return tuple(tuple(sorted(signs, key=_pressing)) for signs in found)


def _out_of_the_ordinary(
    history: History, rules: WarningsFile, near: npt.NDArray[np.bool_]
) -> Iterator[tuple[int, EarlyWarning]]:
    rule = rules.unusual
    strange = unusual(history, rule)
    for row in np.flatnonzero(strange.now).tolist():
        fell = strange.value[row] < strange.usual[row]
        yield (
            row,
            EarlyWarning(
                "use_unusually_low" if fell else "use_unusually_high",
                f"use in the last week is far {'below' if fell else 'above'} what is usual for the account",
                rule.severity if fell else "early",
                rule.cause if fell else rule.cause_of_increase,
                "risk" if fell and strange.before[row] else "watch",
                (history.dates[-2] if strange.before[row] else history.as_of).to_pydatetime(),
                bool(near[row]),
                (
                    Evidence(rule.feature, _known(strange.value[row])),
                    Evidence("its own median", _known(strange.usual[row])),
                ),
            ),
        )


def _pressing(sign: EarlyWarning) -> tuple[bool, int, str]:
    return sign.standing == "watch", SEVERITIES.index(sign.severity), sign.code


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
