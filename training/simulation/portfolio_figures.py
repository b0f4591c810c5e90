"""Figures of a simulated portfolio that are published for real ones: churn, retention, tenure, season, failed payments.

docs/reference/simulator.md compares them with their sources, and a test holds the table.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.utils.arrays import Bools, Floats, Ints
from training.simulation.calendar import month_and_day
from training.simulation.contract_events import ContractEvent
from training.simulation.history import SimulatedHistory

WEEKS_A_YEAR = 365.25 / 7
YEAR_END = (12, 1)
"""Months in which budgets are closed and opened."""


@dataclass(frozen=True)
class PortfolioFigures:
    """Figures of one simulated history. Rates are 0 to 1, and NaN where there is nothing to measure.

    Parameters
    ----------
    annual_churn : share of all accounts that leave within a year.
    annual_churn_by_segment : the same by segment, from self-serve to enterprise.
    monthly_churn_of_monthly_terms : share of accounts with monthly terms that leave within a month.
    net_retention : ARR after a year of the accounts of a date, relative to their ARR at the date, by segment.
    gross_retention : the same without expansions of an account.
    involuntary_share : share of the churned accounts with monthly payments that left because of a failed payment.
    lost_at_renewal : share of contracts of one year lost at the first, the second, and each later renewal.
    monthly_churn_by_tenure : monthly churn of accounts with monthly terms in months 1-3, 4-12, and later.
    year_end_ratio : churn rate per renewal in December and January relative to the other months.
    quarter_end_share : share of yearly renewals that fall in the last month of a quarter.
    """

    annual_churn: float
    annual_churn_by_segment: Floats
    monthly_churn_of_monthly_terms: float
    net_retention: Floats
    gross_retention: Floats
    involuntary_share: float
    lost_at_renewal: Floats
    monthly_churn_by_tenure: Floats
    year_end_ratio: float
    quarter_end_share: float


def portfolio_figures(history: SimulatedHistory) -> PortfolioFigures:
    """Compute the published figures of a simulated history of at least 53 weeks.

    Parameters
    ----------
    history : the simulated history.
    """
    traits = history.traits
    running = history.grid(lambda state: state.running)
    kinds = np.stack(history.kinds)
    lost = kinds <= ContractEvent.NONPAYMENT
    days = history.start + 7 * np.arange(history.weeks)
    monthly = np.broadcast_to(traits.term == 1, lost.shape)
    retention = [_retention(history, traits.segment == segment) for segment in range(4)]
    tenure = (days[:, None] - traits.created) / (365.25 / 12)
    by_tenure = [(tenure >= low) & (tenure < high) for low, high in ((0, 3), (3, 12), (12, np.inf))]
    at_term, unsigned, renewal_number = _terms_that_ended(history, running, days)
    month = month_and_day(days)[0] % 12 + 1
    at_year_end = np.isin(month, YEAR_END)[:, None]
    # Terms of one month end every month, so that their rate per term and year is that of their season.
    occasions = np.where(monthly, running, at_term)
    left = lost & occasions
    return PortfolioFigures(
        annual_churn=history.annual_churn,
        annual_churn_by_segment=np.array(
            [_annual(lost[:, traits.segment == s], running[:, traits.segment == s]) for s in range(4)]
        ),
        monthly_churn_of_monthly_terms=_monthly(lost & monthly, running & monthly),
        net_retention=np.array([net for net, _ in retention]),
        gross_retention=np.array([gross for _, gross in retention]),
        involuntary_share=_share(
            kinds[:, traits.billing == 1] == ContractEvent.NONPAYMENT, lost[:, traits.billing == 1]
        ),
        lost_at_renewal=np.array(
            [
                _share(lost & (at_term | unsigned) & number, at_term & number)
                for number in (renewal_number == 1, renewal_number == 2, renewal_number > 2)
            ]
        ),
        monthly_churn_by_tenure=np.array(
            [_monthly(lost & monthly & span, running & monthly & span) for span in by_tenure]
        ),
        year_end_ratio=_share(left & at_year_end, occasions & at_year_end)
        / _share(left & ~at_year_end, occasions & ~at_year_end),
        quarter_end_share=_share(at_term & (month % 3 == 0)[:, None], at_term),
    )


def _terms_that_ended(history: SimulatedHistory, running: Bools, days: Ints) -> tuple[Bools, Bools, Ints]:
    """Whether a yearly term ended in each week, whether one is past its end without a renewal, and its number."""
    terms = history.grid(lambda state: state.terms)
    unsigned = history.grid(lambda state: state.unsigned)
    ends = np.stack([history.traits.renewal_day(row) for row in terms])
    yearly = running & (history.traits.term == 12)
    return yearly & ~unsigned & (ends <= days[:, None] + 6), yearly & unsigned, terms


def _retention(history: SimulatedHistory, who: Bools) -> tuple[float, float]:
    """Net and gross retention over a year, of the accounts of the dates four weeks apart."""
    year = round(WEEKS_A_YEAR)
    net, gross, base = 0.0, 0.0, 0.0
    for week in range(0, history.weeks - year, 4):
        then, now = history.after[week], history.after[week + year]
        here = who & then.running
        before = then.arr[here]
        after = now.arr[here] * ~now.left[here]
        net, gross, base = net + after.sum(), gross + np.minimum(before, after).sum(), base + before.sum()
    return (net / base, gross / base) if base else (np.nan, np.nan)


def _share(part: Bools, whole: Bools) -> float:
    """The count of ``part`` relative to that of ``whole``."""
    return float(part.sum() / whole.sum()) if whole.sum() else float("nan")


def _annual(lost: Bools, running: Bools) -> float:
    return float(1.0 - (1.0 - _share(lost, running)) ** WEEKS_A_YEAR)


def _monthly(lost: Bools, running: Bools) -> float:
    return float(1.0 - (1.0 - _share(lost, running)) ** (WEEKS_A_YEAR / 12))
