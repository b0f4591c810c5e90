"""Historical rates of a portfolio's renewals: how often they shrank or grew, and by how much.

The rates come from contracts as recorded at that time, so that no later information is used. A past renewal is
a term that an active subscription reached, settled a grace period later. The ARR of the account at that time is
compared with the ARR `LEAD_DAYS` before the renewal. Accounts that left are excluded: the model predicts their
probability.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Self

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from features.utils.arrays import Floats, Ints
from models.peer_groups.segments import WHOLE_PORTFOLIO, segment_of

#: The ARR before a renewal is taken this many days ahead, the average lead time of a forecast for a quarter.
LEAD_DAYS = 60
#: How far back renewals count, so that prices and rates are current.
LOOKBACK_DAYS = 730
#: Ratios from which an account has expanded or contracted (as in the definitions of the outcomes).
GROWN, SHRUNK = 1.05, 0.95
#: A segment's rate is shrunk toward the portfolio's with the weight of this many renewals.
PRIOR_RENEWALS = 20.0
#: Minimum changes of a segment for its own sizes; with fewer, the portfolio's are used.
MIN_SIZES = 20
#: Maximum stored sizes of each kind; more are reduced to quantiles, which retain the distribution.
MAX_SIZES = 200

Size = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]
#: A term counts as reached if its subscription ended at most this many days before: some systems end it a day earlier.
NEAR_DAYS = 2
_DAY = 86_400


class SegmentRates(BaseModel):
    """Past renewals of one segment.

    It has the number of renewals, how many grew and shrank, and the ratios of ARR after to before for each kind (as
    ascending quantiles), with ``level`` for those that did neither.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    renewals: Count
    grew: Count
    shrank: Count
    grown: tuple[Size, ...]
    shrunk: tuple[Size, ...]
    level: tuple[Size, ...]


class HistoricalRates(BaseModel):
    """Past renewals by segment, and for the whole portfolio as `models.peer_groups.segments.WHOLE_PORTFOLIO`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    segments: dict[str, SegmentRates]

    @classmethod
    def none(cls) -> Self:
        """Return the rates without any past renewal: everything is renewed unchanged."""
        return cls(segments={WHOLE_PORTFOLIO: _segment_rates(np.zeros(0))})

    @property
    def whole(self) -> SegmentRates:
        """The rates of the whole portfolio."""
        return self.segments[WHOLE_PORTFOLIO]

    def contraction(self, segment: str | None) -> tuple[float, float]:
        """Return the two parameters, above 0, of the Beta distribution of a segment's contraction rate.

        A segment without renewals has the portfolio's. Without any renewals, `sizes` are all 1.
        """
        return self._rate(segment, "shrank")

    def expansion(self, segment: str | None) -> tuple[float, float]:
        """Return the parameters of the Beta distribution of a segment's expansion rate."""
        return self._rate(segment, "grew")

    def sizes(self, segment: str | None) -> tuple[Floats, Floats, Floats]:
        """Return the ratios of ARR after to before for renewals that grew, shrank, and did neither.

        They are those of the portfolio if the segment has too few, and 1 if there are none.
        """
        own = self.segments.get(segment or WHOLE_PORTFOLIO, self.whole)
        return _pool(own, self.whole, "grown"), _pool(own, self.whole, "shrunk"), _pool(own, self.whole, "level")

    def _rate(self, segment: str | None, what: str) -> tuple[float, float]:
        happened, renewals = getattr(self.whole, what), self.whole.renewals
        own = None if segment is None else self.segments.get(segment)
        # Half a change of either kind, so that the rate is never exactly 0 (Jeffreys' prior).
        if own is None:
            return happened + 0.5, renewals - happened + 0.5
        rate = (happened + 0.5) / (renewals + 1.0)
        own_count = getattr(own, what)
        return rate * PRIOR_RENEWALS + own_count, (1 - rate) * PRIOR_RENEWALS + own.renewals - own_count


def _pool(own: SegmentRates, whole: SegmentRates, what: str) -> Floats:
    counted = {"grown": own.grew, "shrunk": own.shrank, "level": own.renewals - own.grew - own.shrank}[what]
    sizes = getattr(own if counted >= MIN_SIZES else whole, what)
    return np.asarray(sizes or (1.0,), dtype=np.float64)


def historical_rates(contracts: pd.DataFrame, as_of: datetime, grace_days: int) -> HistoricalRates:
    """Compute the historical rates from contracts.

    Parameters
    ----------
    contracts : account_id, started_at, ended_at (null if active), arr, renewal_at, as known before ``as_of``; times in
        UTC. Rows with later starts and later ends are ignored, and so are renewals with an unknown ARR (null) before or
        after them.
    """
    now = int(as_of.timestamp())
    start, end = seconds_of(contracts["started_at"]), seconds_of(contracts["ended_at"])
    begun = start < now
    codes = pd.factorize(contracts["account_id"])[0].astype(np.int64)[begun]
    renewal = seconds_of(contracts["renewal_at"])[begun]
    amounts = contracts["arr"].to_numpy(dtype=np.float64)[begun]
    arr, unknown = np.nan_to_num(amounts), np.isnan(amounts).astype(np.float64)
    start, end = start[begun], np.where(end[begun] < now, end[begun], NEVER)
    settled = renewal + grace_days * _DAY
    counts = (settled <= now) & (renewal >= now - LOOKBACK_DAYS * _DAY) & (end >= renewal - NEAR_DAYS * _DAY)
    pairs = np.unique(np.column_stack([codes[counts], renewal[counts]]), axis=0)
    if not len(pairs):
        return HistoricalRates.none()
    line, lost = ArrLine(codes, start, end, arr), ArrLine(codes, start, end, unknown)
    account, due = pairs[:, 0], pairs[:, 1]
    then, settled_at = due - LEAD_DAYS * _DAY, due + grace_days * _DAY
    before, after = line.at(account, then), line.at(account, settled_at)
    valid = (before > 0) & (after > 0) & (lost.at(account, then) + lost.at(account, settled_at) == 0)
    ratio, segment = after[valid] / before[valid], segment_of(before[valid])
    segments = {WHOLE_PORTFOLIO: _segment_rates(ratio)}
    for name in sorted({str(each) for each in segment}):
        segments[name] = _segment_rates(ratio[segment == name])
    return HistoricalRates(segments=segments)


@dataclass(frozen=True)
class ArrLine:
    """The active ARR of each account over time.

    Parameters
    ----------
    codes, start, end : for each subscription, the number of its account, and when it began and ended (whole seconds
        since 1970 in UTC).
    arr : the annual amount.
    """

    codes: Ints
    start: Ints
    end: Ints
    arr: Floats

    def at(self, codes: Ints, instants: Ints) -> Floats:
        """Return the ARR of accounts just before some times: earlier starts and earlier ends count."""
        return self._upto(self.start, codes, instants) - self._upto(self.end, codes, instants)

    def _upto(self, times: Ints, codes: Ints, instants: Ints) -> Floats:
        # One number per (account, second): 2**34 seconds reach past the year 2500.
        keys = self.codes * _STRIDE + np.minimum(times, _STRIDE - 1)
        order = np.argsort(keys, kind="stable")
        sums = np.concatenate([[0.0], np.cumsum(self.arr[order])])
        first = np.searchsorted(keys[order], codes * _STRIDE, side="left")
        last = np.searchsorted(keys[order], codes * _STRIDE + np.minimum(instants, _STRIDE - 1), side="left")
        active = sums[last] - sums[np.minimum(first, last)]
        # Differences of sums of floats leave rounding errors.
        return np.asarray(np.round(active, 6), dtype=np.float64)


def _segment_rates(ratio: Floats) -> SegmentRates:
    grown, shrunk = ratio >= GROWN * (1 - 1e-9), ratio <= SHRUNK * (1 + 1e-9)
    return SegmentRates(
        renewals=len(ratio),
        grew=int(grown.sum()),
        shrank=int(shrunk.sum()),
        grown=_quantiles(ratio[grown]),
        shrunk=_quantiles(ratio[shrunk]),
        level=_quantiles(ratio[~grown & ~shrunk]),
    )


def _quantiles(values: Floats) -> tuple[float, ...]:
    if len(values) <= MAX_SIZES:
        return tuple(np.sort(values).tolist())
    return tuple(np.quantile(values, (np.arange(MAX_SIZES) + 0.5) / MAX_SIZES).tolist())


_STRIDE = 2**34
NEVER = _STRIDE - 1


def seconds_of(column: pd.Series[pd.Timestamp]) -> Ints:
    """Return times as whole seconds since 1970; null as `NEVER`."""
    times = pd.to_datetime(column, utc=True)
    whole = times.dt.as_unit("s").astype("int64").to_numpy()
    return np.where(times.isna().to_numpy(), NEVER, whole).astype(np.int64)
