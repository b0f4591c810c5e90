"""How long accounts stay and what that makes them worth, from what was published: its shape, and where it is found."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from models.predictions.schema import Answer, Share
from serving.portfolio.lifetime_value import LIMIT_YEARS, check_parameters, lifetimes
from serving.snapshots.scored_snapshot import ScoredSnapshot
from serving.snapshots.sidecars import COHORTS, read_sidecar

Count = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(ge=0)]


class CohortAge(Answer):
    """What has become of some accounts by an age."""

    months: Count
    at_risk: Count = Field(description="Accounts that were seen for so long.")
    logos: Share | None = Field(description="The share that stays (Kaplan-Meier); null beyond what was seen.")
    low: Share | None = Field(description="Of the interval; null where it is not defined.")
    high: Share | None
    arr: Amount | None = Field(description="Their ARR at that age, as a share of that at the start.")


class Cohort(Answer):
    """Accounts that began in the same quarter."""

    cohort: str | None = Field(description="The quarter; null: all accounts.")
    accounts: Count
    lost: Count
    arr_start: Amount | None
    ages: list[CohortAge]


class Retention(Answer):
    """How many accounts stay, and how much of their ARR."""

    as_of: str
    contractual: bool
    ages: list[Count] = Field(description="Months.")
    level: Share = Field(description="Of the intervals.")
    assumption: str
    arr_unknown: str | None = Field(None, description="Why the ARR of accounts is not known; null where it is of all.")
    whole: Cohort
    cohorts: list[Cohort]


class LifetimeSummary(Answer):
    """Some accounts together."""

    accounts: Count
    lifetime_years: Amount | None = Field(description="The mean.")
    value: Amount | None = Field(description="The sum, in the currency of the signals.")


class AccountLifetime(Answer):
    """One account."""

    account_id: str
    segment: str | None
    arr: Amount | None
    lifetime_years: Amount | None
    value: Amount | None
    value_low: Amount | None
    value_high: Amount | None


class Lifetime(Answer):
    """Expected lifetime and its value, from the model's churn probabilities."""

    assumption: str
    margin: Share
    limit_years: Amount
    unknown: Count = Field(description="Accounts without a probability or ARR.")
    whole: LifetimeSummary
    by_segment: dict[str, LifetimeSummary]
    accounts: list[AccountLifetime] = Field(description="The largest value first.")
    more_accounts: Count


class PortfolioCohorts(Answer):
    """How long accounts stay, and what they are worth by that."""

    retention: Retention | None = Field(
        description="Null: none was kept with this snapshot, which `renewcast score --publish` does."
    )
    lifetime: Lifetime


def published_cohorts(
    scored: ScoredSnapshot, margin: float = 1.0, years: float = LIMIT_YEARS, limit: int | None = None
) -> dict[str, Any]:
    """What `PortfolioCohorts` says, the first ``limit`` accounts listed.

    Raises
    ------
    BadRequest : the margin or the limit of years is none.
    HomeError : what was kept is broken.
    """
    check_parameters(margin, years)
    kept = read_sidecar(scored.snapshots, scored.as_of, COHORTS)
    usual = (margin, years) == (1.0, LIMIT_YEARS)

    def make() -> dict[str, Any]:
        return lifetimes(scored.assessment, margin, years)

    # Only the usual question is kept, so that many others cannot drive out what pages need.
    life = scored.cache.get("lifetimes", make) if usual else make()
    shown = life["accounts"] if limit is None else life["accounts"][:limit]
    more = len(life["accounts"]) - len(shown)
    return {"retention": kept, "lifetime": {**life, "accounts": shown, "more_accounts": more}}
