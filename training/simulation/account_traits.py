"""Permanent traits of accounts: segment, size, contract terms, and hidden traits that are the mean of latent states.

Amounts are in one currency per year, logarithms are natural, and hidden traits are in standard deviations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.utils.arrays import Bools, Floats, Ints
from training.simulation.calendar import anniversaries_within, month_and_day, months_after
from training.simulation.columns import Columns
from training.simulation.market_segments import INDUSTRIES, PRICE, REGIONS, SMB, TERM_MONTHS
from training.simulation.presets import Market

YEARLY_ARRIVAL_SHARE = 0.25
"""New accounts per year as a share of those at the start; slightly more than the accounts that leave."""
QUARTER_END_SHARE = 0.2
"""Share of the first contracts that are moved to the last month of their quarter, when most are signed."""


@dataclass(frozen=True)
class AccountTraits(Columns):
    """Permanent traits of accounts, each an array with one entry per account.

    Visible to the company: ``segment``, ``industry``, ``region`` (indices), ``employees``, ``csm``, ``created`` (day of
    the first contract) with ``born_month`` and ``born_dom``, ``term`` and ``billing`` (months), ``uplift`` (price
    increase at renewal, a share), and the ``first_*`` terms of the first contract in the data, and
    ``first_day``, the first day of the data.
    Hidden: ``fit`` (how well the product fits), ``usual_share`` (log-odds of a seat being used), ``usual_breadth``,
    ``usual_depth``, ``thrift`` (usual budget stress), ``ambition`` (usual appetite), ``fragility`` (log of its rate of
    product problems), ``warmth`` (usual responsiveness, unrelated to churn), ``ramp_days``
    (onboarding time constant), ``renewal_base``, ``monthly_base``, ``expansion`` and ``card_failure`` (of the segment),
    ``growth`` (of the units used, a share per year, if the account pays for usage), ``order_rate`` (log of the usual
    orders per week) and ``order_size`` (log of the usual amount of an order).
    ``market``: the settings of the simulated market, the same for all accounts.
    """

    created: Ints
    born_month: Ints
    born_dom: Ints
    segment: Ints
    industry: Ints
    region: Ints
    employees: Ints
    csm: Ints
    term: Ints
    billing: Ints
    uplift: Floats
    first_day: Ints
    first_terms: Ints
    first_seats: Floats
    first_price: Floats
    first_plan: Ints
    first_add_ons: Floats
    fit: Floats
    usual_share: Floats
    usual_breadth: Floats
    usual_depth: Floats
    thrift: Floats
    ambition: Floats
    fragility: Floats
    warmth: Floats
    ramp_days: Floats
    renewal_base: Floats
    monthly_base: Floats
    expansion: Floats
    card_failure: Floats
    growth: Floats
    order_rate: Floats
    order_size: Floats
    market: Market

    def renewal_day(self, terms: Ints) -> Ints:
        """The day on which the contract ends after so many terms."""
        return months_after(self.born_month, self.born_dom, terms * self.term)

    def invoice_due(self, day: int) -> tuple[Bools, Ints]:
        """Which accounts are invoiced in the week from ``day``, and the day of each invoice."""
        return anniversaries_within(self.born_month, self.born_dom, self.billing, day, day + 6)


def draw_account_traits(
    accounts: int, weeks: int, start: int, market: Market, rng: np.random.Generator
) -> AccountTraits:
    """Draw the accounts of a portfolio for ``weeks`` weeks from day ``start``; some are older, others arrive later.

    Parameters
    ----------
    accounts, weeks : number of accounts and weeks.
    start : first day of the data.
    market : settings of the market.
    rng : random numbers.
    """
    n = accounts
    segments = market.segments
    segment = rng.choice(len(segments), n, p=[s.share for s in segments])
    low, median, high = (np.array([s.arr[i] for s in segments])[segment] for i in range(3))
    spread = np.array([s.arr_spread for s in segments])[segment]
    arr = np.clip(median * np.exp(spread * rng.standard_normal(n)), low, high)
    plan = _draw_by_row(np.array([s.plans for s in segments])[segment], rng)
    price = np.round(PRICE[plan] * np.exp(0.15 * rng.standard_normal(n)), 2)
    term = TERM_MONTHS[_draw_by_row(np.array([s.terms for s in segments])[segment], rng)]
    monthly = (term == 1) | ((segment <= SMB) & (rng.random(n) < 0.5))
    add_on = rng.random((n, 2)) < 0.12 * (segment >= SMB)[:, None]
    employees = np.array([s.employees for s in segments])[segment] * np.exp(0.7 * rng.standard_normal(n))

    old = np.arange(n) < round(n / (1 + YEARLY_ARRIVAL_SHARE * weeks / 52))
    tenure = np.clip(rng.exponential(700, n), 21, 2500).astype(np.int64)
    arrival = start + rng.integers(0, max(7 * weeks - 7, 1), n)
    created = _move_to_quarter_end(np.where(old, start - tenure, arrival), start, start + 7 * weeks - 7, rng)
    created = np.sort(created)
    month, dom = month_and_day(created)
    # The older an account is, the more of those with a poor fit have left before.
    fit = 0.9 * rng.standard_normal(n) + 0.25 * np.log1p(np.maximum(start - created, 0) / 365.25)
    pool = np.array([s.accounts_per_csm for s in segments])[segment]
    return AccountTraits(
        created=created,
        born_month=month,
        born_dom=dom,
        segment=segment.astype(np.int64),
        industry=rng.integers(0, len(INDUSTRIES), n),
        region=rng.choice(len(REGIONS), n, p=[0.4, 0.45, 0.15]),
        employees=np.maximum(1, employees).astype(np.int64),
        csm=1000 * segment + rng.integers(0, np.maximum(n // pool, 1)),
        term=term,
        billing=np.where(monthly, 1, 12),
        uplift=np.where(term == 1, 0.0, rng.choice([0.0, 0.02, 0.03, 0.04], n)),
        first_day=np.full(n, start),
        first_terms=_signed_terms(month, dom, term, start),
        first_seats=np.maximum(1.0, np.round(arr / price)),
        first_price=price,
        first_plan=plan,
        first_add_ons=np.round(add_on * arr[:, None] * rng.uniform(0.1, 0.3, (n, 2)), 2),
        fit=fit,
        usual_share=0.5 + 0.3 * fit + 0.5 * rng.standard_normal(n),
        usual_breadth=-0.3 + 0.3 * plan + 0.45 * rng.standard_normal(n),
        usual_depth=0.25 * rng.standard_normal(n),
        thrift=0.5 * rng.standard_normal(n),
        ambition=0.5 * rng.standard_normal(n),
        fragility=0.4 * rng.standard_normal(n),
        warmth=0.3 * rng.standard_normal(n),
        ramp_days=np.clip(np.exp(2.9 - 0.3 * fit + 0.6 * rng.standard_normal(n)), 3, 120),
        renewal_base=np.array([s.renewal_base for s in segments])[segment],
        monthly_base=np.array([s.monthly_base for s in segments])[segment],
        expansion=np.array([s.expansion for s in segments])[segment],
        card_failure=np.array([s.card_failure for s in segments])[segment],
        growth=0.04 + 0.11 * segment + 0.15 * rng.standard_normal(n),
        order_rate=-2.6 + 0.8 * rng.standard_normal(n),
        order_size=np.log(arr / 12) + 0.3 * rng.standard_normal(n),
        market=market,
    )


def _move_to_quarter_end(day: Ints, start: int, last: int, rng: np.random.Generator) -> Ints:
    """Move some days to the last month of their quarter, unless they would pass ``start`` or ``last``."""
    month, dom = month_and_day(day)
    moved = months_after(month, dom, 2 - month % 3)
    may_move = (moved <= last) & ((moved < start) == (day < start))
    return np.where((rng.random(len(day)) < QUARTER_END_SHARE) & may_move, moved, day)


def _draw_by_row(shares: Floats, rng: np.random.Generator) -> Ints:
    """Draw one index per row, with the shares of that row as probabilities."""
    below = np.cumsum(shares, axis=1)[:, :-1]
    return np.asarray((rng.random(len(shares))[:, None] >= below).sum(axis=1), dtype=np.int64)


def _signed_terms(month: Ints, dom: Ints, term: Ints, start: int) -> Ints:
    """Number of terms signed before the simulation; the current contract ends on or after day ``start``."""
    start_month, _ = month_and_day(np.array([start]))
    terms = np.maximum((start_month[0] - month) // term, 1)
    return np.asarray(terms + (months_after(month, dom, terms * term) < start), dtype=np.int64)
