"""Peers: recent churn and expansion rates of the portfolio, and of other accounts on the same plan, industry or region.

Owners (``csm``) are no peers: the contract has only their latest assignment, and accounts are often reassigned when
they leave, so the rates would reveal the future.
"""

from __future__ import annotations

from features.definitions.aggregations import from_column
from features.definitions.feature import Family, Feature
from features.definitions.windows import HALF_YEAR, YEAR

_peers = Family("subscriptions", "commercial", "peers")
_portfolio = Family("subscriptions", "commercial", "portfolio")

_GROUPS = {"plan": "on the same plan", "industry": "in the same industry", "region": "in the same region"}


def _of_group(group: str, which: str) -> tuple[Feature, Feature]:
    others = f"of other accounts {which} in the last {YEAR} days"
    return (
        _peers(
            f"{group}_churn_{YEAR}d", from_column(f"{group}_churn_{YEAR}"), "churn of peers", "per year",
            f"churn rate {others}", direction="raises_risk",
        ),
        _peers(
            f"{group}_expansion_{YEAR}d", from_column(f"{group}_expansion_{YEAR}"), "expansion of peers", "per year",
            f"expansion rate {others}", chance="raises_chance",
        ),
    )


def _of_portfolio(days: int) -> tuple[Feature, Feature]:
    return (
        _portfolio(
            f"churn_{days}d", from_column(f"portfolio_churn_{days}"), "churn of the portfolio", "per year",
            f"churn rate of all accounts in the last {days} days", direction="raises_risk",
        ),
        _portfolio(
            f"expansion_{days}d", from_column(f"portfolio_expansion_{days}"), "expansion of the portfolio", "per year",
            f"expansion rate of all accounts in the last {days} days", chance="raises_chance",
        ),
    )


FEATURES: tuple[Feature, ...] = (
    *(feature for group, which in _GROUPS.items() for feature in _of_group(group, which)),
    *(feature for days in (HALF_YEAR, YEAR) for feature in _of_portfolio(days)),
)
TERM_FEATURES = frozenset(f.name for f in FEATURES if "expansion" in f.name or f.name.startswith("peers.plan"))
"""The features that depend on the terms of subscriptions."""
