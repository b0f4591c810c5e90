"""Early warnings: signs that often precede churn, with their evidence. Noisy signs need confirmation."""

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
from models.peer_groups.percentiles import ComparableAccounts
from models.peer_groups.rule_files import Rules
from models.rules.conditions import TRUE, UNKNOWN, ConditionGroup
from models.rules.history import PortfolioHistory, confirmed, holding_since
from models.rules.plays import SEVERITIES, Cause, Severity
from models.rules.usage_anomalies import UsageAnomalyRule, find_usage_anomalies

WarningStatus = Literal["risk", "watch"]
RENEWAL = "contract.days_to_renewal"


class WarningRule(ConditionGroup):
    """The rule of an early warning.

    ``shows`` are features that belong to the evidence without deciding, such as an amount.
    """

    code: str
    says: str
    severity: Severity
    cause: Cause
    noisy: bool = False
    shows: Annotated[tuple[str, ...], Field(strict=False)] = ()

    def features(self, key: str) -> Iterator[tuple[str, str]]:
        """Yield the key and the feature of each condition, and of what is shown."""
        yield from super().features(key)
        for i, feature in enumerate(self.shows):
            yield f"{key}.shows.{i}", feature


class WarningsFile(Rules):
    """The content of ``warnings.toml``."""

    renewal_window_days: Annotated[int, Field(gt=0)]
    unusual: UsageAnomalyRule
    warnings: Annotated[tuple[WarningRule, ...], Field(strict=False)]

    def used(self) -> Iterator[tuple[str, str]]:
        """Yield each key that names a feature, and the feature."""
        yield "unusual.feature", self.unusual.feature
        for i, rule in enumerate(self.warnings):
            yield from rule.features(f"warnings.{i}")


@dataclass(frozen=True)
class WarningEvidence:
    """A feature that a warning is based on, and the account's value; None if unknown."""

    feature: str
    value: float | None


@dataclass(frozen=True)
class AccountWarning:
    """A warning for one account.

    ``standing`` is "risk", or "watch" while a noisy sign has held for one date only; ``since`` is the date from which
    it has held without interruption, as far as the history reaches; ``before_renewal`` is whether the renewal is so
    near that warnings matter most.
    """

    code: str
    says: str
    severity: Severity
    cause: Cause
    standing: WarningStatus
    since: datetime
    before_renewal: bool
    evidence: tuple[WarningEvidence, ...]


def find_warnings(
    history: PortfolioHistory, rules: WarningsFile, peers: Peers | None = None
) -> tuple[tuple[AccountWarning, ...], ...]:
    """Find the warnings of each account at the last date, most urgent first.

    Parameters
    ----------
    history : the portfolio at several dates; without earlier dates, noisy signs are only "watch".
    peers : the accounts to compare with, for single accounts; without it the rows of a date are a whole portfolio.
    """
    result: list[list[AccountWarning]] = [[] for _ in history.accounts]
    now, comparable = history.now, ComparableAccounts(history.rows, peers)
    days = number_column(now, RENEWAL)
    near = days <= rules.renewal_window_days
    for rule in rules.warnings:
        states = history.over_time(rule.states(history.rows, comparable.percentile), UNKNOWN)
        # Signs that are not noisy count immediately.
        risk = confirmed(states) == TRUE if rule.noisy else states[:, -1] == TRUE
        begins = holding_since(states)
        values = {name: number_column(now, name) for name in rule.evidence()}
        for row in np.flatnonzero(begins >= 0).tolist():
            result[row].append(
                AccountWarning(
                    rule.code,
                    rule.says,
                    rule.severity,
                    rule.cause,
                    "risk" if risk[row] else "watch",
                    history.dates[begins[row]].to_pydatetime(),
                    bool(near[row]),
                    tuple(WarningEvidence(name, _or_none(x[row])) for name, x in values.items()),
                )
            )
    for row, sign in _usage_anomaly_warnings(history, rules, near):
        result[row].append(sign)
    return tuple(tuple(sorted(signs, key=_urgency)) for signs in result)


def _usage_anomaly_warnings(
    history: PortfolioHistory, rules: WarningsFile, near: npt.NDArray[np.bool_]
) -> Iterator[tuple[int, AccountWarning]]:
    rule = rules.unusual
    anomalies = find_usage_anomalies(history, rule)
    for row in np.flatnonzero(anomalies.now).tolist():
        fell = anomalies.value[row] < anomalies.usual[row]
        yield (
            row,
            AccountWarning(
                "use_unusually_low" if fell else "use_unusually_high",
                f"usage in the last week is far {'below' if fell else 'above'} the account's usual level",
                rule.severity if fell else "early",
                rule.cause if fell else rule.cause_of_increase,
                "risk" if fell and anomalies.before[row] else "watch",
                (history.dates[-2] if anomalies.before[row] else history.as_of).to_pydatetime(),
                bool(near[row]),
                (
                    WarningEvidence(rule.feature, _or_none(anomalies.value[row])),
                    WarningEvidence("its own median", _or_none(anomalies.usual[row])),
                ),
            ),
        )


def _urgency(sign: AccountWarning) -> tuple[bool, int, str]:
    return sign.standing == "watch", SEVERITIES.index(sign.severity), sign.code


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
