"""What a portfolio's own past renewals have come to: how often they shrank or grew, and by how much.

Read from contracts as they were known, so everything here was known then too. A past renewal is a term that a running
subscription reached, settled a grace later; the ARR of the account then stands against that of `LEAD_DAYS` before the
renewal. Accounts that left are no part of it: how likely that is, a model says.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from models.peer_groups.segments import WHOLE_PORTFOLIO, segment_of

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: The ARR before a renewal is that of so many days ahead: on average a forecast for a quarter looks so far.
LEAD_DAYS = 60
#: How far back renewals count, so that prices and habits are today's.
BACK_DAYS = 730
#: At 1.05 of the ARR an account has expanded, at 0.95 contracted (the outcomes' definitions).
GROWN, SHRUNK = 1.05, 0.95
#: A segment's rate is drawn to the portfolio's with the weight of so many renewals.
PRIOR_RENEWALS = 20.0
#: Fewer changes than this of a segment say little of their size: the portfolio's are taken.
LEAST_SIZES = 20
#: So many sizes of each kind are kept: quantiles, so that their distribution stays.
KEPT_SIZES = 200

Size = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]
#: A term counts as reached where its subscription ended no more than so many days ahead of it: some books close the day
#: before.
NEAR_DAYS = 2
_DAY = 86_400


class Habit(BaseModel):
    """Past renewals of one segment: how many, how many grew and shrank, and the ARR after over before of each kind
    (quantiles, ascending), those that did neither among them as ``level``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    renewals: Count
    grew: Count
    shrank: Count
    grown: tuple[Size, ...]
    shrunk: tuple[Size, ...]
    level: tuple[Size, ...]


class Habits(BaseModel):
    """Past renewals by segment, and of the whole portfolio as `models.peer_groups.segments.WHOLE_PORTFOLIO`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    segments: dict[str, Habit]

    @classmethod
    def none(cls) -> Self:
        """Where no renewal was ever seen: everything is renewed as it is."""
        return cls(segments={WHOLE_PORTFOLIO: _habit(np.zeros(0))})

    @property
    def whole(self) -> Habit:
        """Of the whole portfolio."""
        return self.segments[WHOLE_PORTFOLIO]

    def contraction(self, segment: str | None) -> tuple[float, float]:
        """The Beta distribution of the rate at which the segment's renewals shrink: its two parameters, above 0. A
        segment without renewals has the portfolio's; without any at all it says nothing, and `sizes` are all 1."""
        return self._rate(segment, "shrank")

    def expansion(self, segment: str | None) -> tuple[float, float]:
        """The Beta distribution of the rate at which they grow."""
        return self._rate(segment, "grew")

    def sizes(self, segment: str | None) -> tuple[Floats, Floats, Floats]:
        """The ARR after over before of renewals that grew, shrank, and did neither; of the portfolio where the segment
        has too few, and 1 where nobody has any."""
        own = self.segments.get(segment or WHOLE_PORTFOLIO, self.whole)
        return _pool(own, self.whole, "grown"), _pool(own, self.whole, "shrunk"), _pool(own, self.whole, "level")

    def _rate(self, segment: str | None, what: str) -> tuple[float, float]:
        happened, renewals = getattr(self.whole, what), self.whole.renewals
        own = None if segment is None else self.segments.get(segment)
        # Half a change of either kind, so that none seen is not taken for none possible (Jeffreys' prior).
        if own is None:
            return happened + 0.5, renewals - happened + 0.5
        rate = (happened + 0.5) / (renewals + 1.0)
        seen = getattr(own, what)
        return rate * PRIOR_RENEWALS + seen, (1 - rate) * PRIOR_RENEWALS + own.renewals - seen


def _pool(own: Habit, whole: Habit, what: str) -> Floats:
    counted = {"grown": own.grew, "shrunk": own.shrank, "level": own.renewals - own.grew - own.shrank}[what]
    found = getattr(own if counted >= LEAST_SIZES else whole, what)
    return np.asarray(found or (1.0,), dtype=np.float64)


def habits_of(contracts: pd.DataFrame, as_of: datetime, grace_days: int) -> Habits:
    """Learn the habits from contracts.

    Parameters
    ----------
    contracts : account_id, started_at, ended_at (null: runs), arr, renewal_at, as known before ``as_of``; instants in
        UTC. Rows of later starts, and ends of later, are passed over, and so are renewals before or after which an ARR
        is unknown (null).
    """
    now = int(as_of.timestamp())
    start, end = seconds_of(contracts["started_at"]), seconds_of(contracts["ended_at"])
    begun = start < now
    codes = pd.factorize(contracts["account_id"])[0].astype(np.int64)[begun]
    renewal = seconds_of(contracts["renewal_at"])[begun]
    given = contracts["arr"].to_numpy(dtype=np.float64)[begun]
    arr, unknown = np.nan_to_num(given), np.isnan(given).astype(np.float64)
    start, end = start[begun], np.where(end[begun] < now, end[begun], NEVER)
    settled = renewal + grace_days * _DAY
    counts = (settled <= now) & (renewal >= now - BACK_DAYS * _DAY) & (end >= renewal - NEAR_DAYS * _DAY)
    pairs = np.unique(np.column_stack([codes[counts], renewal[counts]]), axis=0)
    if not len(pairs):
        return Habits.none()
    line, lost = ArrLine(codes, start, end, arr), ArrLine(codes, start, end, unknown)
    account, due = pairs[:, 0], pairs[:, 1]
    then, settled_at = due - LEAD_DAYS * _DAY, due + grace_days * _DAY
    before, after = line.at(account, then), line.at(account, settled_at)
    kept = (before > 0) & (after > 0) & (lost.at(account, then) + lost.at(account, settled_at) == 0)
    ratio, segment = after[kept] / before[kept], segment_of(before[kept])
    found = {WHOLE_PORTFOLIO: _habit(ratio)}
    for name in sorted({str(each) for each in segment}):
        found[name] = _habit(ratio[segment == name])
    return Habits(segments=found)


@dataclass(frozen=True)
class ArrLine:
    """The running ARR of each account over time.

    Parameters
    ----------
    codes, start, end : of each subscription: its account's number, and when it began and ended (whole seconds since
        1970 in UTC).
    arr : currency a year.
    """

    codes: Ints
    start: Ints
    end: Ints
    arr: Floats

    def at(self, codes: Ints, instants: Ints) -> Floats:
        """The ARR of accounts just before instants: a start counts before it, an end at or after it does not."""
        return self._upto(self.start, codes, instants) - self._upto(self.end, codes, instants)

    def _upto(self, times: Ints, codes: Ints, instants: Ints) -> Floats:
        # One number per (account, second): 2**34 seconds reach past the year 2500.
        keys = self.codes * _STRIDE + np.minimum(times, _STRIDE - 1)
        order = np.argsort(keys, kind="stable")
        sums = np.concatenate([[0.0], np.cumsum(self.arr[order])])
        first = np.searchsorted(keys[order], codes * _STRIDE, side="left")
        last = np.searchsorted(keys[order], codes * _STRIDE + np.minimum(instants, _STRIDE - 1), side="left")
        found = sums[last] - sums[np.minimum(first, last)]
        # Sums of floats taken from each other leave crumbs.
        return np.asarray(np.round(found, 6), dtype=np.float64)


def _habit(ratio: Floats) -> Habit:
    grown, shrunk = ratio >= GROWN * (1 - 1e-9), ratio <= SHRUNK * (1 + 1e-9)
    return Habit(
        renewals=len(ratio),
        grew=int(grown.sum()),
        shrank=int(shrunk.sum()),
        grown=_quantiles(ratio[grown]),
        shrunk=_quantiles(ratio[shrunk]),
        level=_quantiles(ratio[~grown & ~shrunk]),
    )


def _quantiles(values: Floats) -> tuple[float, ...]:
    if len(values) <= KEPT_SIZES:
        return tuple(np.sort(values).tolist())
    return tuple(np.quantile(values, (np.arange(KEPT_SIZES) + 0.5) / KEPT_SIZES).tolist())


_STRIDE = 2**34
NEVER = _STRIDE - 1


def seconds_of(column: pd.Series[pd.Timestamp]) -> Ints:
    """Instants as whole seconds since 1970; null as `NEVER`."""
    known = pd.to_datetime(column, utc=True)
    whole = known.dt.as_unit("s").astype("int64").to_numpy()
    return np.where(known.isna().to_numpy(), NEVER, whole).astype(np.int64)
