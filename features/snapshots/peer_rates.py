"""Recent churn and expansion rates of the portfolio, and churn rates of an account's peers: other accounts like it.

A rate is the number of outcomes per year in which an account was active. At a date, the outcomes are those that became
certain (see `features.revenue.contract_outcomes`) in the window before it. The account itself is left out of the rates
of its peers. The smaller a group, the closer its rate is to that of the portfolio (`PRIOR_YEARS`); the rates of groups
with less than `MINIMUM_YEARS` are unknown.

The rates need the whole portfolio. When a portfolio is scored, its totals are stored with the snapshot
(`PeerTotals`), so that a single account gets the same rates from its own rows and the totals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from features.definitions.aggregations import Columns
from features.definitions.windows import HALF_YEAR, YEAR
from features.revenue.arr import GRACE_DAYS
from features.revenue.contract_outcomes import NEVER, ContractOutcomes, Outcomes
from features.utils.arrays import Bools, Floats, Ints, Objects
from features.utils.dates import DAY_SECONDS
from features.utils.timeline import Timeline

PORTFOLIO = "portfolio"
GROUPS = ("plan", "industry", "region")
"""What peers have in common."""
OUTCOMES = ("churn", "expansion")
PORTFOLIO_WINDOWS = (HALF_YEAR, YEAR)
PRIOR_YEARS = 10.0
"""Account years for which the portfolio's rate counts in that of a group."""
MINIMUM_YEARS = 5.0
"""Minimum account years of a group, without the account itself."""
YEAR_SECONDS = 365 * DAY_SECONDS
_SECOND = 1_000_000
WINDOWS = {PORTFOLIO: PORTFOLIO_WINDOWS} | dict.fromkeys(GROUPS, (YEAR,))

Sums = Ints
"""Totals of a window: active seconds, churns and expansions in the last axis."""


@dataclass(frozen=True)
class PeerTotals:
    """The totals of the portfolio and its groups at some dates.

    Parameters
    ----------
    dates : seconds since 1970, sorted, shape (p,).
    sums : by kind of group and window in days: the totals of each group, int64, shape (groups, p, 3).
    names : by kind, the names of the groups, sorted; the portfolio is the one group "".
    accounts : the accounts that the totals contain.
    """

    dates: Ints
    sums: Mapping[tuple[str, int], Sums]
    names: Mapping[str, tuple[str, ...]]
    accounts: frozenset[str]

    def document(self) -> dict[str, Any]:
        """Return the totals as plain data for JSON."""
        sums = [{"group": kind, "days": days, "totals": s.tolist()} for (kind, days), s in self.sums.items()]
        names = {kind: list(names) for kind, names in self.names.items()}
        return {"dates": self.dates.tolist(), "names": names, "sums": sums, "accounts": sorted(self.accounts)}

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> PeerTotals:
        """Return the totals of a `document`.

        Raises
        ------
        KeyError, TypeError, ValueError
            If it is none.
        """
        dates = np.array(document["dates"], dtype=np.int64)
        names = {str(kind): tuple(map(str, names)) for kind, names in document["names"].items()}
        sums = {}
        for each in document["sums"]:
            kind = str(each["group"])
            shape = (len(names[kind]), len(dates), 3)
            sums[kind, int(each["days"])] = np.array(each["totals"], dtype=np.int64).reshape(shape)
        if set(sums) != {(kind, days) for kind, windows in WINDOWS.items() for days in windows}:
            raise ValueError("the totals do not have all groups and windows")
        return cls(dates, sums, names, frozenset(map(str, document["accounts"])))


@dataclass(frozen=True)
class Portfolio:
    """The accounts whose rows were read, with their outcomes.

    Parameters
    ----------
    outcomes : their past outcomes.
    ids : their ids, shape (a,).
    attributes : industry and region of each account, text or None, shape (a,) each.
    """

    outcomes: ContractOutcomes
    ids: Objects
    attributes: Mapping[str, Objects]

    def totals(self, dates: Ints) -> PeerTotals:
        """Compute the totals at ``dates`` (seconds since 1970, sorted)."""
        sums, names = {}, {}
        for kind, windows in WINDOWS.items():
            names[kind], code = self._groups(kind)
            window = _Window.of(self.outcomes, code(self.outcomes.account, self.outcomes.plan), code)
            groups = np.repeat(np.arange(len(names[kind])), len(dates))
            for days in windows:
                flat = window.sums(groups, np.tile(dates, len(names[kind])), days)
                sums[kind, days] = flat.reshape(len(names[kind]), len(dates), 3)
        return PeerTotals(dates, sums, names, frozenset(self.ids.tolist()))

    def own(self, account: Ints, plan: Ints, at: Ints, days: int, *, on_plan: bool) -> Sums:
        """Return the totals of each cell's account alone, shape (n, 3): in all, or only those on its plan."""
        plans = len(self.outcomes.plans) + 1

        def code(account: Ints, plan: Ints) -> Ints:
            return account * plans + plan + 1 if on_plan else account

        window = _Window.of(self.outcomes, code(self.outcomes.account, self.outcomes.plan), code)
        return window.sums(code(account, plan), at, days)

    def _groups(self, kind: str) -> tuple[tuple[str, ...], Any]:
        """Return the names of a kind's groups, and the function from account and plan to the group (-1: none)."""
        if kind == PORTFOLIO:
            return ("",), lambda account, plan: np.zeros_like(account)
        if kind == "plan":
            return self.outcomes.plans, lambda account, plan: plan
        names = tuple(sorted({str(name) for name in self.attributes[kind] if name is not None}))
        group = positions(self.attributes[kind], names)
        return names, lambda account, plan: group[account]


def positions(texts: Objects, names: tuple[str, ...]) -> Ints:
    """Return the position of each text in ``names``; -1 if it is not there."""
    place = {name: i for i, name in enumerate(names)}
    return np.fromiter((place.get(text, -1) for text in texts), dtype=np.int64, count=len(texts))


def peer_columns(
    portfolio: Portfolio, account: Ints, as_of_s: Ints, plan: Objects, totals: PeerTotals | None = None
) -> Columns:
    """Return the columns of `features.families.peers`.

    Parameters
    ----------
    portfolio : the accounts whose rows were read.
    account, as_of_s, plan : account, date and plan of each cell, shape (n,).
    totals : totals of a whole portfolio, of which the rows are only a part; by default the rows are the portfolio.
        At each date the last earlier totals are used, and the rates are unknown before the first ones.

    Returns
    -------
    dict of str to array
        Rates per year, float64, shape (n,).
    """
    whole = portfolio.totals(np.unique(as_of_s)) if totals is None else totals
    date = np.searchsorted(whole.dates, as_of_s, side="right") - 1
    at = whole.dates[np.maximum(date, 0)] if len(whole.dates) else as_of_s
    included = np.array([each in whole.accounts for each in portfolio.ids.tolist()], dtype=np.bool_)
    usable = (date >= 0) & (len(whole.dates) > 0)
    columns: dict[str, Floats] = {}
    everything: dict[int, Sums] = {}
    own_plan = positions(plan, portfolio.outcomes.plans)
    own_sums: dict[tuple[bool, int], Sums] = {}
    for kind, windows in WINDOWS.items():
        texts = plan if kind == "plan" else portfolio.attributes[kind][account] if kind != PORTFOLIO else None
        group = np.zeros_like(account) if texts is None else positions(texts, whole.names[kind])
        for days in windows:
            sums = _at(whole.sums[kind, days], group, date, usable)
            if kind == PORTFOLIO:
                columns |= {f"{kind}_{o}_{days}": _portfolio_rate(sums, o) for o in OUTCOMES}
            key = kind == "plan", days
            if key not in own_sums:
                own_sums[key] = portfolio.own(account, own_plan, at, days, on_plan=key[0]) * included[account][:, None]
            others = np.where(sums < 0, sums, sums - own_sums[key])
            if kind == PORTFOLIO:
                everything[days] = others
            else:
                columns[f"{kind}_churn_{days}"] = _shrunk_churn(others, everything[days])
    return columns


def _at(sums: Sums, group: Ints, date: Ints, usable: Bools) -> Sums:
    """Return the totals of each cell's group and date, -1 where there are none."""
    result = np.full((len(group), 3), -1, dtype=np.int64)
    some = usable & (group >= 0)
    result[some] = sums[group[some], date[some]]
    return result


def _portfolio_rate(sums: Sums, outcome: str) -> Floats:
    years = sums[:, 0] / YEAR_SECONDS
    number = sums[:, 1 + OUTCOMES.index(outcome)]
    return np.where(years >= MINIMUM_YEARS, number / np.maximum(years, MINIMUM_YEARS), np.nan)


def _shrunk_churn(others: Sums, everything: Sums) -> Floats:
    years, number = others[:, 0] / YEAR_SECONDS, others[:, 1]
    rate = (number + PRIOR_YEARS * _portfolio_rate(everything, "churn")) / (years + PRIOR_YEARS)
    return np.where(years >= MINIMUM_YEARS, rate, np.nan)


@dataclass(frozen=True)
class _Window:
    """Active time and outcomes by the code of a group, ready for sums over windows."""

    starts: _Elapsed
    ends: _Elapsed
    outcomes: tuple[Timeline, ...]

    @classmethod
    def of(cls, outcomes: ContractOutcomes, code: Ints, of: Any) -> _Window:
        """Group the active intervals by ``code``, and the outcomes by ``of(account, plan)``."""
        ended = outcomes.end < NEVER
        return cls(
            _Elapsed(code, outcomes.start // _SECOND),
            _Elapsed(code[ended], outcomes.end[ended] // _SECOND),
            tuple(_line(each, of) for each in (outcomes.churns, outcomes.expansions)),
        )

    def sums(self, codes: Ints, at: Ints, days: int) -> Sums:
        """Return the totals of each group in ``days`` before each date (seconds), as certain then, shape (n, 3)."""
        end = at - GRACE_DAYS * DAY_SECONDS
        start = end - days * DAY_SECONDS
        active = self._active(codes, end) - self._active(codes, start)
        numbers = [
            line.count(codes, end * _SECOND, including=False) - line.count(codes, start * _SECOND, including=False)
            for line in self.outcomes
        ]
        return np.stack([active, *numbers], axis=1)

    def _active(self, codes: Ints, until: Ints) -> Ints:
        return self.starts.until(codes, until) - self.ends.until(codes, until)


def _line(outcomes: Outcomes, of: Any) -> Timeline:
    return Timeline(of(outcomes.account, outcomes.plan), outcomes.at)


class _Elapsed:
    """The seconds since each of a group's instants, summed."""

    def __init__(self, codes: Ints, instants: Ints) -> None:
        self._line = Timeline(codes, instants)
        self._sums = np.concatenate([np.zeros(1, np.int64), np.cumsum(self._line.times)])

    def until(self, codes: Ints, instant: Ints) -> Ints:
        """Return the sum of ``instant - each`` over the group's earlier instants."""
        first, end = self._line.first(codes), self._line.count(codes, instant, including=False)
        end = np.maximum(end, first)
        result: Ints = (end - first) * instant - (self._sums[end] - self._sums[first])
        return result
