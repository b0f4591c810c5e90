"""Alerts: changes of an account that somebody has to be told of, once, when they happen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from models.peer_groups.rule_files import Part, Rules
from models.rules.conditions import FALSE, TRUE, UNKNOWN
from models.rules.history import Table, since

Code = Literal["score_drop", "green_to_yellow", "into_red", "churn_risk"]
#: The most pressing first.
CODES: tuple[Code, ...] = ("churn_risk", "into_red", "score_drop", "green_to_yellow")
_BETTER_THAN_RED = ("green", "yellow")

Floats = npt.NDArray[np.float64]


class _Alert(Part):
    to: str
    says: str


class _Drop(_Alert):
    more_than: Annotated[float, Field(gt=0, le=100)]
    within_days: Annotated[int, Field(gt=0)]


class _Risk(_Alert):
    above: Annotated[float, Field(ge=0, lt=100)]
    to_otherwise: str
    within_hours: Annotated[int, Field(gt=0)]


class AlertsFile(Rules):
    """All that ``alerts.toml`` says."""

    score_drop: _Drop
    green_to_yellow: _Alert
    into_red: _Alert
    churn_risk: _Risk


@dataclass(frozen=True)
class Alert:
    """One alert for one account.

    ``since`` is the date at which what it tells of came about, or the first one looked at if that is longer ago;
    ``raised`` whether that is the date looked at: only then somebody is told. ``by`` is the instant until which action
    is asked for, if it is; ``before`` and ``after`` are the score, the band or the risk score that it is about.
    """

    code: Code
    says: str
    to: str
    since: datetime
    raised: bool
    by: datetime | None
    before: float | str | None
    after: float | str | None

    @property
    def key(self) -> str:
        """The same for the same alert whenever it is looked at, beside the account's id."""
        return f"{self.code}:{self.since.date().isoformat()}"


def alerts(
    dates: Sequence[datetime], score: Floats, band: Table, risk: Floats, rules: AlertsFile
) -> tuple[tuple[Alert, ...], ...]:
    """The alerts that stand for each account at the last date, the most pressing first.

    Parameters
    ----------
    dates : in order, shape (d,).
    score, band : health score (NaN unknown) and band at each date, shape (n, d).
    risk : the churn model's risk score at each date, 0 to 100, NaN where it is not known, shape (n, d).

    A change of band stands until the band changes again, a risk as long as it lasts, a drop for as many days as it is
    looked back. Nothing is said of a change between dates of which one is unknown.
    """
    stands: dict[Code, Table] = {
        "score_drop": _drops(dates, score, rules.score_drop),
        "green_to_yellow": _arrived(band, ("green",), "yellow"),
        "into_red": _arrived(band, _BETTER_THAN_RED, "red"),
        "churn_risk": np.where(np.isnan(risk), UNKNOWN, (risk > rules.churn_risk.above).astype(np.int8)),
    }
    found: list[list[Alert]] = [[] for _ in range(len(score))]
    for code in CODES:
        rule: _Alert = getattr(rules, code)
        begun = since(stands[code])
        values: Table = {"churn_risk": risk, "score_drop": score}.get(code, band)
        for row in np.flatnonzero(begun >= 0):
            at = int(begun[row])
            by = dates[at] + timedelta(hours=rule.within_hours) if isinstance(rule, _Risk) else None
            before = _plain(values[row, _reference(dates, at, rule)]) if at else None
            found[row].append(
                Alert(code, rule.says, rule.to, dates[at], at == len(dates) - 1, by, before, _plain(values[row, at]))
            )
    return tuple(tuple(each) for each in found)


def addressed(
    given: Sequence[Sequence[Alert]], by_executives: Sequence[bool], rules: AlertsFile
) -> tuple[tuple[Alert, ...], ...]:
    """The alerts of a churn risk addressed to whoever acts: to an executive only where executives run the account's
    play, for there are few of them (``plays.toml``)."""
    other = rules.churn_risk.to_otherwise
    return tuple(
        tuple(replace(alert, to=other) if alert.code == "churn_risk" and not theirs else alert for alert in each)
        for each, theirs in zip(given, by_executives, strict=True)
    )


def _drops(dates: Sequence[datetime], score: Floats, rule: _Drop) -> Table:
    """Whether the score is lower by more than so much than at some date within so many days before."""
    states = np.full(score.shape, UNKNOWN, dtype=np.int8)
    for at in range(len(dates)):
        near = [i for i in range(at) if dates[at] - dates[i] <= timedelta(days=rule.within_days)]
        if near:
            fall = np.fmax.reduce(score[:, near], axis=1) - score[:, at]
            # The score is told to one decimal, and so is the fall.
            states[:, at] = np.where(np.isnan(fall), UNKNOWN, (np.round(fall, 1) > rule.more_than).astype(np.int8))
    return states


def _reference(dates: Sequence[datetime], at: int, rule: _Alert) -> int:
    if not isinstance(rule, _Drop):
        return at - 1
    return min(i for i in range(at) if dates[at] - dates[i] <= timedelta(days=rule.within_days))


def _arrived(band: Table, start: tuple[str, ...], end: str) -> Table:
    """Whether the band is ``end`` and was, before that, one of ``start``."""
    states = np.full(band.shape, FALSE, dtype=np.int8)
    for at in range(1, band.shape[1]):
        here = band[:, at] == end
        fell = np.isin(band[:, at - 1].astype(str), start)
        states[:, at] = np.where(here & (fell | (states[:, at - 1] == TRUE)), TRUE, FALSE)
    return states


def _plain(value: object) -> float | str | None:
    if isinstance(value, str):
        return value
    number = float(value) if value is not None else np.nan  # type: ignore[arg-type]
    return None if np.isnan(number) else number
