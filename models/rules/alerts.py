"""Alerts: changes of an account that someone must be notified of, once, when they happen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from features.utils.arrays import Floats
from models.peer_groups.rule_files import RulePart, Rules
from models.rules.conditions import FALSE, TRUE, UNKNOWN
from models.rules.history import AccountTable, holding_since

AlertCode = Literal["score_drop", "green_to_yellow", "into_red", "churn_risk", "renewal_at_risk"]
#: The most urgent first.
ALERT_CODES: tuple[AlertCode, ...] = ("churn_risk", "into_red", "renewal_at_risk", "score_drop", "green_to_yellow")
_BETTER_THAN_RED = ("green", "yellow")
_WORSE_THAN_GREEN = ("yellow", "red")


class _Alert(RulePart):
    to: str
    says: str


class _Drop(_Alert):
    more_than: Annotated[float, Field(gt=0, le=100)]
    within_days: Annotated[int, Field(gt=0)]


class _Renewal(_Alert):
    within_days: Annotated[int, Field(gt=0)]


class _Risk(_Alert):
    above: Annotated[float, Field(ge=0, lt=100)]
    to_otherwise: str
    within_hours: Annotated[int, Field(gt=0)]


class AlertsFile(Rules):
    """The content of ``alerts.toml``. Files that were written before ``renewal_at_risk`` existed do not have it."""

    score_drop: _Drop
    green_to_yellow: _Alert
    into_red: _Alert
    churn_risk: _Risk
    renewal_at_risk: _Renewal | None = None


@dataclass(frozen=True)
class RenewalTerms:
    """The days to the renewal and the days of the term at each date, NaN if unknown, shape (n, d)."""

    days_left: Floats
    term_days: Floats


@dataclass(frozen=True)
class Alert:
    """An alert for one account.

    ``since`` is the date of the change, or the first date of the history if the change is older; ``raised`` is whether
    that is the assessed date: only then is someone notified. ``by`` is the deadline for action, if any; ``before`` and
    ``after`` are the health score, the band or the risk score in question.
    """

    code: AlertCode
    says: str
    to: str
    since: datetime
    raised: bool
    by: datetime | None
    before: float | str | None
    after: float | str | None

    @property
    def key(self) -> str:
        """A key that identifies the alert within the account, whenever it is computed."""
        return f"{self.code}:{self.since.date().isoformat()}"


def find_alerts(
    dates: Sequence[datetime],
    score: Floats,
    band: AccountTable,
    risk: Floats,
    renewals: RenewalTerms,
    rules: AlertsFile,
) -> tuple[tuple[Alert, ...], ...]:
    """Find the current alerts of each account at the last date, most urgent first.

    Band alerts last until the band changes again, alerts of risks and renewals as long as their cause, and drop alerts
    for the days of their lookback. A change between dates causes no alert if one of them is unknown.

    Parameters
    ----------
    dates : the dates in order, shape (d,).
    score, band : the health score (NaN if unknown) and band at each date, shape (n, d).
    risk : the risk score of the churn model at each date, 0 to 100, NaN if unknown, shape (n, d).
    renewals : the renewals at each date.
    """
    active: dict[AlertCode, AccountTable] = {
        "score_drop": _score_drops(dates, score, rules.score_drop),
        "green_to_yellow": _band_changes(band, ("green",), "yellow"),
        "into_red": _band_changes(band, _BETTER_THAN_RED, "red"),
        "churn_risk": np.where(np.isnan(risk), UNKNOWN, (risk > rules.churn_risk.above).astype(np.int8)),
    }
    if rules.renewal_at_risk is not None:
        active["renewal_at_risk"] = _renewals_at_risk(band, renewals, rules.renewal_at_risk)
    result: list[list[Alert]] = [[] for _ in range(len(score))]
    for code in (code for code in ALERT_CODES if code in active):
        rule: _Alert = getattr(rules, code)
        begins = holding_since(active[code])
        values: AccountTable = {"churn_risk": risk, "score_drop": score}.get(code, band)
        for row in np.flatnonzero(begins >= 0):
            at = int(begins[row])
            by = dates[at] + timedelta(hours=rule.within_hours) if isinstance(rule, _Risk) else None
            before = _plain(values[row, _reference(dates, at, rule)]) if at else None
            result[row].append(
                Alert(code, rule.says, rule.to, dates[at], at == len(dates) - 1, by, before, _plain(values[row, at]))
            )
    return tuple(tuple(each) for each in result)


def route_alerts(
    alerts: Sequence[Sequence[Alert]], by_executives: Sequence[bool], rules: AlertsFile
) -> tuple[tuple[Alert, ...], ...]:
    """Address churn risk alerts to executives where they run the account's play, and else to ``to_otherwise``.

    The capacity of executives is limited (``plays.toml``).
    """
    other = rules.churn_risk.to_otherwise
    return tuple(
        tuple(replace(alert, to=other) if alert.code == "churn_risk" and not theirs else alert for alert in each)
        for each, theirs in zip(alerts, by_executives, strict=True)
    )


def _score_drops(dates: Sequence[datetime], score: Floats, rule: _Drop) -> AccountTable:
    """Return whether the score dropped by more than ``more_than`` from any date within ``within_days`` before."""
    states = np.full(score.shape, UNKNOWN, dtype=np.int8)
    for at in range(len(dates)):
        near = [i for i in range(at) if dates[at] - dates[i] <= timedelta(days=rule.within_days)]
        if near:
            fall = np.fmax.reduce(score[:, near], axis=1) - score[:, at]
            # The score has one decimal, and so does the drop.
            states[:, at] = np.where(np.isnan(fall), UNKNOWN, (np.round(fall, 1) > rule.more_than).astype(np.int8))
    return states


def _reference(dates: Sequence[datetime], at: int, rule: _Alert) -> int:
    if not isinstance(rule, _Drop):
        return at - 1
    return min(i for i in range(at) if dates[at] - dates[i] <= timedelta(days=rule.within_days))


def _band_changes(band: AccountTable, start: tuple[str, ...], end: str) -> AccountTable:
    """Return whether the band is ``end`` and was one of ``start`` before."""
    states = np.full(band.shape, FALSE, dtype=np.int8)
    for at in range(1, band.shape[1]):
        here = band[:, at] == end
        fell = np.isin(band[:, at - 1].astype(str), start)
        states[:, at] = np.where(here & (fell | (states[:, at - 1] == TRUE)), TRUE, FALSE)
    return states


def _renewals_at_risk(band: AccountTable, renewals: RenewalTerms, rule: _Renewal) -> AccountTable:
    """Return whether the renewal is near and the band is not green; a known shorter term is excluded."""
    days, worse = renewals.days_left, np.isin(band.astype(str), _WORSE_THAN_GREEN)
    known = ~np.isnan(days) & (worse | (band == "green"))
    # Comparisons with NaN are false, so that an unknown term does not hide a renewal.
    near = (days >= 0) & (days <= rule.within_days) & ~(renewals.term_days < rule.within_days)
    return np.where(known, np.where(near & worse, TRUE, FALSE), UNKNOWN)


def _plain(value: object) -> float | str | None:
    if isinstance(value, str):
        return value
    number = float(value) if value is not None else np.nan  # type: ignore[arg-type]
    return None if np.isnan(number) else number
