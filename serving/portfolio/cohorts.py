"""Retention by cohort and lifetime value of a published snapshot."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import Field

from features.utils.arrays import equal_to
from models.peer_groups.segments import segment_of
from models.predictions.schema import Fraction, ResponseModel
from serving.portfolio.lifetime_value import LIMIT_YEARS, check_parameters, lifetimes
from serving.schemas.account_filter import EVERYONE, WITHOUT, AccountFilter, AppliedFilter
from serving.snapshots.account_attributes import (
    TIMELESS,
    AccountAttributes,
    AccountSelection,
    account_attributes,
    attribute_versions,
    filtered_cache,
)
from serving.snapshots.scored_snapshot import ScoredSnapshot
from serving.snapshots.sidecars import COHORTS, read_sidecar, sidecar_path
from serving.snapshots.snapshot_files import file_version

#: The sidecar with the lives of accounts.
LIVES = "lives"
NOT_STORED = "not stored with this snapshot; `renewcast score --publish` stores it"
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

    retention: Retention | None = Field(description="Null: `retention_unknown` gives the reason.")
    retention_unknown: str | None
    lifetime: Lifetime
    filter: AppliedFilter | None = Field(
        description="The accounts that the figures are of; null: all accounts. Retention includes accounts that have "
        "left, with their segment by the ARR at their start."
    )


def published_cohorts(
    scored: ScoredSnapshot,
    margin: float = 1.0,
    years: float = LIMIT_YEARS,
    limit: int | None = None,
    selection: AccountSelection | None = None,
) -> dict[str, Any]:
    """Return retention and lifetime value.

    Parameters
    ----------
    scored : the snapshot.
    margin, years : the gross margin and the limit of the lifetime (`serving.portfolio.lifetime_value.lifetimes`).
    limit : the number of accounts; None for all.
    selection : the accounts that count; None for all.

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
    chosen = EVERYONE if selection is None else selection.account_filter
    cache = filtered_cache(scored, chosen)
    version = attribute_versions(scored)
    is_default = (margin, years) == (1.0, LIMIT_YEARS)

    def make() -> dict[str, Any]:
        return lifetimes(scored.assessment, margin, years, None if selection is None else selection.rows)

    # Only the default parameters are cached, so that other requests cannot evict what the pages need.
    life = cache.get(("lifetimes", *version), make) if is_default else make()
    if chosen.chosen:
        lives = file_version(sidecar_path(scored.snapshots, scored.as_of, LIVES))
        retention, unknown = cache.get(("retention", lives, *version), lambda: filtered_retention(scored, chosen))
    else:
        retention = read_sidecar(scored.snapshots, scored.as_of, COHORTS)
        unknown = NOT_STORED if retention is None else None
    shown = life["accounts"] if limit is None else life["accounts"][:limit]
    more = len(life["accounts"]) - len(shown)
    return {
        "retention": retention,
        "retention_unknown": unknown,
        "lifetime": {**life, "accounts": shown, "more_accounts": more},
        "filter": chosen.applied,
    }


def lives_document(lives: pd.DataFrame, contractual: bool) -> dict[str, Any]:
    """Build the sidecar `LIVES`: how long each account stayed, from which filtered retention is computed.

    Parameters
    ----------
    lives : the rows of `features.kpi.cohort_retention.account_lives`.
    contractual : whether accounts have contracts.
    """
    columns = {name: [None if value != value else value for value in lives[name].tolist()] for name in lives}
    return {"contractual": contractual, "columns": columns}


def filtered_retention(
    scored: ScoredSnapshot, account_filter: AccountFilter
) -> tuple[dict[str, Any] | None, str | None]:
    """Return the retention (`Retention`) of the accounts that match a filter, or why it is unknown.

    Parameters
    ----------
    scored : the snapshot.
    account_filter : the filter.

    Raises
    ------
    HomeError : a sidecar is not valid.
    """
    document = read_sidecar(scored.snapshots, scored.as_of, LIVES)
    if document is None:
        return None, NOT_STORED
    lives, contractual = pd.DataFrame(document["columns"]), document["contractual"]
    return retention_of_selected(lives, scored.as_of, contractual, account_attributes(scored), account_filter)


def retention_of_selected(
    lives: pd.DataFrame,
    as_of: datetime,
    contractual: bool,
    attributes: AccountAttributes,
    account_filter: AccountFilter,
) -> tuple[dict[str, Any] | None, str | None]:
    """Return the retention of the accounts that match a filter, or why it is unknown.

    Parameters
    ----------
    lives : the rows of `features.kpi.cohort_retention.account_lives`.
    as_of, contractual : as in `features.kpi.cohort_retention.retention_of`.
    attributes : what the accounts are filtered by.
    account_filter : the filter. The segment is that of the ARR at the start.
    """
    # Imported here, since reading published data otherwise needs no query engine.
    from features.kpi.cohort_retention import retention_of

    chosen = account_filter.chosen
    if lacking := [name for name in chosen if name not in (*TIMELESS, "segment")]:
        return None, f"{lacking[0]} is unknown for accounts that have left"
    known = attributes.select(AccountFilter.model_validate({n: chosen[n] for n in TIMELESS if n in chosen}))
    lives = lives[[known.includes(account) for account in lives["account_id"]]]
    if "segment" in chosen:
        start = pd.to_numeric(lives["arr_start"]).to_numpy(dtype=np.float64)
        lives = lives[equal_to(segment_of(start), None if chosen["segment"] == WITHOUT else chosen["segment"])]
    if lives.empty:
        return None, "no matching accounts"
    return retention_of(lives.reset_index(drop=True), as_of, contractual), None
