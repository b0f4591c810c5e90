"""Retention by cohort and lifetime value of a published snapshot."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from models.predictions.schema import Fraction, ResponseModel
from serving.portfolio.lifetime_value import LIMIT_YEARS, check_parameters, lifetimes
from serving.snapshots.scored_snapshot import ScoredSnapshot
from serving.snapshots.sidecars import COHORTS, read_sidecar

Count = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(ge=0)]


class CohortAge(ResponseModel):
    """The retention of a cohort at an age."""

    months: Count
    at_risk: Count = Field(description="Accounts that have been observed for this long.")
    logos: Fraction | None = Field(
        description="The share of accounts that stay (Kaplan-Meier); null beyond the observed ages."
    )
    low: Fraction | None = Field(description="Lower end of the interval; null if undefined.")
    high: Fraction | None
    arr: Amount | None = Field(description="ARR at that age, as a share of the ARR at the start.")


class Cohort(ResponseModel):
    """Accounts that started in the same quarter."""

    cohort: str | None = Field(description="The quarter; null: all accounts.")
    accounts: Count
    lost: Count
    arr_start: Amount | None
    ages: list[CohortAge]


class Retention(ResponseModel):
    """Retention of accounts and of their ARR."""

    as_of: str
    contractual: bool
    ages: list[Count] = Field(description="Months.")
    level: Fraction = Field(description="Level of the intervals.")
    assumption: str
    arr_unknown: str | None = Field(None, description="Why the ARR of some accounts is unknown; null otherwise.")
    whole: Cohort
    cohorts: list[Cohort]


class LifetimeSummary(ResponseModel):
    """The lifetime value of a group of accounts."""

    accounts: Count
    lifetime_years: Amount | None = Field(description="The mean.")
    value: Amount | None = Field(description="The sum, in the currency of the signals.")


class AccountLifetime(ResponseModel):
    """The lifetime value of one account."""

    account_id: str
    name: str | None
    segment: str | None
    arr: Amount | None
    lifetime_years: Amount | None
    value: Amount | None
    value_low: Amount | None
    value_high: Amount | None


class Lifetime(ResponseModel):
    """Expected lifetime and lifetime value, from the model's churn probabilities."""

    assumption: str
    margin: Fraction
    limit_years: Amount
    unknown: Count = Field(description="Accounts without a probability or ARR.")
    whole: LifetimeSummary
    by_segment: dict[str, LifetimeSummary]
    accounts: list[AccountLifetime] = Field(description="Largest value first.")
    more_accounts: Count


class PortfolioCohorts(ResponseModel):
    """Retention by cohort and expected lifetime value."""

    retention: Retention | None = Field(
        description="Null: not stored with this snapshot. `renewcast score --publish` stores it."
    )
    lifetime: Lifetime


def published_cohorts(
    scored: ScoredSnapshot, margin: float = 1.0, years: float = LIMIT_YEARS, limit: int | None = None
) -> dict[str, Any]:
    """Return retention and lifetime value.

    Parameters
    ----------
    scored : the snapshot.
    margin, years : the gross margin and the limit of the lifetime (`serving.portfolio.lifetime_value.lifetimes`).
    limit : the number of accounts; None for all.

    Returns
    -------
    dict for JSON
        A `PortfolioCohorts`.

    Raises
    ------
    BadRequest : the margin or the limit of years is not valid.
    HomeError : the sidecar is not valid.
    """
    check_parameters(margin, years)
    retention = read_sidecar(scored.snapshots, scored.as_of, COHORTS)
    is_default = (margin, years) == (1.0, LIMIT_YEARS)

    def make() -> dict[str, Any]:
        return lifetimes(scored.assessment, margin, years)

    # Only the default parameters are cached, so that other requests cannot evict what the pages need.
    life = scored.cache.get("lifetimes", make) if is_default else make()
    shown = life["accounts"] if limit is None else life["accounts"][:limit]
    more = len(life["accounts"]) - len(shown)
    return {"retention": retention, "lifetime": {**life, "accounts": shown, "more_accounts": more}}
