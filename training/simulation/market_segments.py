"""Segments, plans, prices and regions of the simulation. Amounts are in one currency per year."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PLANS = ("starter", "team", "business", "enterprise")
ADD_ONS = ("analytics add-on", "automation add-on")
INDUSTRIES = ("software", "finance", "health", "retail", "manufacturing", "education", "logistics", "public sector")
REGIONS = ("EMEA", "AMER", "APAC")
CONTRACT_HOUR = np.array([23, 5, 16])
"""Hour in UTC of midnight in each region. Contracts start and end then, so never at an ``as_of`` of midnight UTC."""
PRICE = np.array([320.0, 520.0, 780.0, 1200.0])
"""List price of a seat per year, by plan."""
ALLOWANCE = np.array([60.0, 75.0, 90.0, 110.0])
"""Usage included per seat and 30 days, by plan."""


@dataclass(frozen=True)
class MarketSegment:
    """An ARR segment (one of four in docs/reference/rules.md) and the distribution of its accounts.

    ``arr`` is (lowest, median, highest) and ``arr_spread`` its spread on the log scale. ``plans`` are the shares of the
    four plans, and ``terms`` the shares of 1, 12, 24 and 36 months. ``renewal_base`` and ``monthly_base`` are the
    log-odds of leaving at the end of a yearly and of a monthly term for an average account with a tenure of one year.
    ``expansion`` is added to the log-odds of an expansion. ``card_failure`` is the log-odds that a monthly payment
    fails.
    """

    name: str
    share: float
    arr: tuple[float, float, float]
    arr_spread: float
    plans: tuple[float, float, float, float]
    terms: tuple[float, float, float, float]
    renewal_base: float
    monthly_base: float
    expansion: float
    card_failure: float
    employees: float
    accounts_per_csm: int


SEGMENTS = (
    MarketSegment(
        name="self-serve",
        share=0.22,
        arr=(240, 1_900, 4_900),
        arr_spread=0.6,
        plans=(0.8, 0.2, 0.0, 0.0),
        terms=(0.55, 0.45, 0.0, 0.0),
        renewal_base=-2.6,
        monthly_base=-4.15,
        expansion=-0.8,
        card_failure=-3.4,
        employees=12,
        accounts_per_csm=1000,
    ),
    MarketSegment(
        name="smb",
        share=0.40,
        arr=(5_100, 11_000, 24_500),
        arr_spread=0.4,
        plans=(0.2, 0.6, 0.2, 0.0),
        terms=(0.15, 0.85, 0.0, 0.0),
        renewal_base=-3.0,
        monthly_base=-4.45,
        expansion=-0.6,
        card_failure=-3.6,
        employees=70,
        accounts_per_csm=150,
    ),
    MarketSegment(
        name="mid-market",
        share=0.27,
        arr=(25_500, 48_000, 98_000),
        arr_spread=0.4,
        plans=(0.0, 0.25, 0.6, 0.15),
        terms=(0.0, 0.85, 0.1, 0.05),
        renewal_base=-4.15,
        monthly_base=-6.0,
        expansion=-0.05,
        card_failure=-4.4,
        employees=450,
        accounts_per_csm=40,
    ),
    MarketSegment(
        name="enterprise",
        share=0.11,
        arr=(101_000, 165_000, 600_000),
        arr_spread=0.5,
        plans=(0.0, 0.0, 0.3, 0.7),
        terms=(0.0, 0.65, 0.15, 0.2),
        renewal_base=-4.9,
        monthly_base=-6.9,
        expansion=0.3,
        card_failure=-5.2,
        employees=4000,
        accounts_per_csm=15,
    ),
)
TERM_MONTHS = np.array([1, 12, 24, 36])
SELF_SERVE, SMB, MID_MARKET, ENTERPRISE = range(len(SEGMENTS))
