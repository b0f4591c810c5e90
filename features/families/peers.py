"""Peers: churn of other accounts on the same plan, industry or region, and recent rates of the portfolio.

Expansion rates of peers are left out because they raised the log loss (bench/RESULTS.md). Owners (``csm``) are no
peers: the contract has only their latest assignment, and accounts are often reassigned when they leave, so the rates
would reveal the future.
"""

from __future__ import annotations

from features.definitions.aggregations import from_column
from features.definitions.feature import Family, Feature
from features.definitions.windows import HALF_YEAR, YEAR

_peers = Family("subscriptions", "commercial", "peers")
_portfolio = Family("subscriptions", "commercial", "portfolio")

_GROUPS = {"plan": "on the same plan", "industry": "in the same industry", "region": "in the same region"}


def _of_group(group: str, which: str) -> Feature:
    return _peers(
        f"{group}_churn_{YEAR}d", from_column(f"{group}_churn_{YEAR}"), "churn of peers", "per year",
        f"churn rate of other accounts {which} in the last {YEAR} days", direction="raises_risk", shared=True,
    )


def _of_portfolio(days: int) -> tuple[Feature, Feature]:
    return (
        _portfolio(
            f"churn_{days}d", from_column(f"portfolio_churn_{days}"), "churn of the portfolio", "per year",
            f"churn rate of all accounts in the last {days} days", direction="raises_risk", shared=True,
        ),
        _portfolio(
            f"expansion_{days}d", from_column(f"portfolio_expansion_{days}"), "expansion of the portfolio", "per year",
            f"expansion rate of all accounts in the last {days} days", chance="raises_chance", shared=True,
        ),
    )


FEATURES: tuple[Feature, ...] = (
    *(_of_group(group, which) for group, which in _GROUPS.items()),
    *(feature for days in (HALF_YEAR, YEAR) for feature in _of_portfolio(days)),
)
TERM_FEATURES = frozenset(f.name for f in FEATURES if "expansion" in f.name or f.name.startswith("peers.plan"))
"""The features that depend on the terms of subscriptions."""
