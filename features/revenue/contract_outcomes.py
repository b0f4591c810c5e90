"""Past outcomes of contracts: churns, expansions, contractions and renewals, and when each became certain.

An outcome is certain once the grace (`GRACE_DAYS`) after it is over, because a late renewal may still cancel it. At an
instant, only outcomes that were certain before it may be used. They depend on no later row, so each is computed once
for all instants.

- A churn is a gap longer than the grace in which no subscription runs, dated at its start.
- Expansions and contractions are changes of the ARR by at least 5% between *settled* levels: levels that lasted longer
  than the grace. Shorter ones (a late renewal, two subscriptions that overlap for some days) do not count.
- A renewal is a renewal date on which a subscription ran. Its result is the ARR a grace later, relative to the ARR
  before it: 1 for a flat renewal, and 0 if the account was lost.

Amounts are whole ten-thousandths, instants microseconds since 1970 in UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.aggregation.bucket_arithmetic import fixed
from features.definitions.aggregations import MAX_RATIO
from features.revenue.arr import GRACE_DAYS
from features.sources.engine import contract_table
from features.sources.sql_functions import epoch_us
from features.utils.arrays import Bools, Floats, Ints
from features.utils.dates import DAY_SECONDS
from features.utils.timeline import Timeline

DAY_US = DAY_SECONDS * 1_000_000
GRACE_US = GRACE_DAYS * DAY_US
NEVER = 2**62
"""The end of what has not ended."""
GROWTH, SHRINKAGE = 1.05, 0.95
"""The smallest expansion and contraction, relative to the ARR before; as for the predicted outcomes."""
NO_PLAN = -1
_SLACK = 1e-9


@dataclass(frozen=True)
class Outcomes:
    """Outcomes of one kind, by account and instant.

    Parameters
    ----------
    account : position of the account, shape (n,).
    at : the instant, shape (n,). The outcome is certain after ``at`` plus the grace.
    plan : the account's plan before it, as a position in `ContractOutcomes.plans`; `NO_PLAN` if unknown.
    value : of a churn, the instant of the return (`NEVER` for none); else the ARR after it relative to before.
    """

    account: Ints
    at: Ints
    plan: Ints
    value: Floats

    def where(self, condition: Bools) -> Outcomes:
        """Return the outcomes that meet a condition, shape (n,)."""
        return Outcomes(self.account[condition], self.at[condition], self.plan[condition], self.value[condition])


@dataclass(frozen=True)
class ContractOutcomes:
    """The past outcomes of a portfolio.

    Parameters
    ----------
    churns, changes, renewals : outcomes; ``changes`` are expansions (above 1) and contractions.
    account, plan, start, end : intervals in which the account was active on a plan, shape (m,); `NEVER` for no end.
    plans : the names of the plans, sorted.
    """

    churns: Outcomes
    changes: Outcomes
    renewals: Outcomes
    account: Ints
    plan: Ints
    start: Ints
    end: Ints
    plans: tuple[str, ...]

    @property
    def expansions(self) -> Outcomes:
        """The changes that are expansions."""
        return self.changes.where(self.changes.value > 1.0)

    @property
    def contractions(self) -> Outcomes:
        """The changes that are contractions."""
        return self.changes.where(self.changes.value < 1.0)


def subscription_rows() -> ibis.Table:
    """Return what `contract_outcomes` needs of every subscription."""
    rows = contract_table("subscriptions")
    return rows.select(
        "account_id",
        "plan",
        started=epoch_us(rows.started_at),
        ended=epoch_us(rows.ended_at),
        renewal=epoch_us(rows.renewal_at),
        fixed=fixed(rows.arr),
    )


def contract_outcomes(rows: pa.Table, account: Ints) -> ContractOutcomes:
    """Compute the past outcomes of a portfolio.

    Parameters
    ----------
    rows : `subscription_rows`, in any order.
    account : the position of each row's account.
    """
    started, ended = _instants(rows, "started", 0), _instants(rows, "ended", NEVER)
    positive = ended > started
    rows, account = rows.filter(pa.array(positive)), account[positive]
    levels = _Levels.of(rows, account, started[positive], ended[positive])
    return ContractOutcomes(
        levels.churns(),
        levels.changes(),
        levels.renewals(account, _instants(rows, "renewal", NEVER), ended[positive]),
        *levels.activity(),
        levels.plans,
    )


@dataclass(frozen=True)
class _Levels:
    """The levels of every account: ``[start, end)`` in which the same subscriptions run, sorted by account and start.

    ``running`` is the number of subscriptions, ``arr`` their sum, ``known`` whether all their terms are known and
    ``plan`` that of the largest one. A gap is a level without a subscription.
    """

    account: Ints
    start: Ints
    end: Ints
    running: Ints
    arr: Ints
    known: Bools
    plan: Ints
    plans: tuple[str, ...]

    @classmethod
    def of(cls, rows: pa.Table, account: Ints, started: Ints, ended: Ints) -> _Levels:
        """Return the levels of subscriptions, all of positive duration."""
        instants, rank = np.unique(np.concatenate([started, ended]), return_inverse=True)
        keys, place = np.unique(np.tile(account, 2) * len(instants) + rank, return_inverse=True)
        low, high = place[: len(account)], place[len(account) :]
        at = instants[keys % len(instants)] if len(keys) else keys
        unknown = ~rows["fixed"].is_valid().to_numpy()
        amount = pc.fill_null(rows["fixed"], 0).to_numpy().astype(np.int64)

        def total(change: Ints) -> Ints:
            changes = np.zeros(len(keys), dtype=np.int64)
            np.add.at(changes, low, change)
            np.subtract.at(changes, high, change)
            return np.asarray(changes.cumsum(), dtype=np.int64)

        owner = keys // len(instants) if len(keys) else keys
        last = np.append(owner[1:] != owner[:-1], True)[: len(keys)]
        end = np.where(last, NEVER, np.append(at[1:], NEVER)[: len(keys)])
        plans, plan = _main_plans(rows, amount, low, high, len(keys))
        levels = cls(
            owner,
            at,
            end,
            total(np.ones(len(low), np.int64)),
            total(amount),
            total(unknown.astype(np.int64)) == 0,
            plan,
            plans,
        )
        # What never ends has its "end" as an entry.
        return levels._where(at < NEVER)

    def churns(self) -> Outcomes:
        """The gaps that are longer than the grace, with the instant of the return."""
        gaps = np.flatnonzero((self.running == 0) & (self.end - self.start > GRACE_US))
        # The account was active just before a gap, so the level before it is its own.
        return Outcomes(self.account[gaps], self.start[gaps], self.plan[gaps - 1], self.end[gaps].astype(np.float64))

    def changes(self) -> Outcomes:
        """The changes between settled levels."""
        arr = np.where(self.running > 0, self.arr, -1)
        merged = self._merged(arr, self.known.astype(np.int64))
        settled = merged._where(merged.end - merged.start > GRACE_US)
        now, before = slice(1, None), slice(None, -1)
        comparable = (settled.account[now] == settled.account[before]) & settled.known[now] & settled.known[before]
        comparable &= (settled.running[now] > 0) & (settled.running[before] > 0)
        old, new = settled.arr[before].astype(np.float64), settled.arr[now].astype(np.float64)
        grown = (new >= GROWTH * old * (1 - _SLACK)) & (new > old)
        shrunk = (new <= SHRINKAGE * old * (1 + _SLACK)) & (new < old)
        changed = comparable & (grown | shrunk)
        return Outcomes(
            settled.account[now][changed],
            settled.start[now][changed],
            settled.plan[before][changed],
            _ratio(new[changed], old[changed]),
        )

    def renewals(self, account: Ints, renewal: Ints, ended: Ints) -> Outcomes:
        """The renewal dates on which a subscription ran, with the ARR a grace later relative to before."""
        dated = np.unique(np.stack([account, renewal])[:, (renewal < NEVER) & (ended >= renewal)], axis=1)
        account, at = dated.astype(np.int64)
        line = Timeline(self.account, self.start)
        before = line.count(account, at, including=False) - 1
        after = line.count(account, at + GRACE_US, including=True) - 1
        certain = (before >= 0) & (self.account[before] == account) if len(self.account) else np.zeros(0, dtype=bool)
        account, at, before, after = account[certain], at[certain], before[certain], after[certain]
        comparable = self.known[before] & self.known[after] & (self.running[before] > 0)
        ratio = _ratio(self.arr[after].astype(np.float64), self.arr[before].astype(np.float64))
        return Outcomes(account, at, self.plan[before], np.where(comparable, ratio, np.nan))

    def activity(self) -> tuple[Ints, Ints, Ints, Ints]:
        """Return account, plan, start and end of the intervals in which an account was active on one plan."""
        merged = self._merged((self.running > 0).astype(np.int64), self.plan)
        active = merged._where(merged.running > 0)
        return active.account, active.plan, active.start, active.end

    def _merged(self, *same: Ints) -> _Levels:
        """Merge consecutive levels of an account that agree in ``same``; the rest is that of the last one."""
        new = np.ones(len(self.account), dtype=bool)
        new[1:] = self.account[1:] != self.account[:-1]
        for values in same:
            new[1:] |= values[1:] != values[:-1]
        first = np.flatnonzero(new)
        last = np.append(first[1:] - 1, len(new) - 1)[: len(first)]
        rest = (values[last] for values in (self.running, self.arr, self.known, self.plan))
        running, arr, known, plan = rest
        return _Levels(self.account[first], self.start[first], self.end[last], running, arr, known, plan, self.plans)

    def _where(self, condition: Bools) -> _Levels:
        names = ("account", "start", "end", "running", "arr", "known", "plan")
        chosen: dict[str, Any] = {name: getattr(self, name)[condition] for name in names}
        return replace(self, **chosen)


def _main_plans(rows: pa.Table, amount: Ints, low: Ints, high: Ints, levels: int) -> tuple[tuple[str, ...], Ints]:
    """Return the plans' names, and the plan of the largest subscription of each level."""
    names = rows["plan"].combine_chunks().to_numpy(zero_copy_only=False).astype(object)
    given = np.array([name is not None for name in names], dtype=bool)
    plans = np.unique(names[given].astype(str))
    plan = np.full(len(names), NO_PLAN, dtype=np.int64)
    plan[given] = np.searchsorted(plans, names[given].astype(str))
    length = high - low
    row = np.repeat(np.arange(len(low)), length)
    level = np.arange(len(row)) - np.repeat(np.cumsum(length) - length, length) + low[row]
    order = np.lexsort((plan[row], amount[row], level))
    level, row = level[order], row[order]
    last = np.append(level[1:] != level[:-1], True)[: len(level)]
    main = np.full(levels, NO_PLAN, dtype=np.int64)
    main[level[last]] = plan[row[last]]
    return tuple(plans.tolist()), main


def _ratio(new: Floats, old: Floats) -> Floats:
    """Return new over old, at most `MAX_RATIO`; growth from nothing is the most there is."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(old > 0, np.minimum(new / old, MAX_RATIO), np.where(new > 0, MAX_RATIO, np.nan))


def _instants(rows: pa.Table, name: str, unknown: int) -> Ints:
    values: Any = pc.fill_null(rows[name], unknown).to_numpy()
    return np.asarray(values, dtype=np.int64)
