"""The products of one account: ARR, seats, users, ARR at risk, and what stands out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from features.utils.dates import to_iso
from models.predictions.columns import number_or_null
from models.predictions.payload import account_row
from models.predictions.schema import ResponseModel
from serving.portfolio.account_list import published_account_list
from serving.snapshots.scored_snapshot import ScoredSnapshot
from serving.snapshots.sidecars import PRODUCTS, read_sidecar

ProductFact = Literal["unused", "falling", "not_held"]
UNUSED: ProductFact = "unused"
FELL: ProductFact = "falling"
NOT_HELD: ProductFact = "not_held"
FALL = 0.7
"""Usage of a product is falling if its active users are at most this share of those in the 28 days before."""


FACT_WORDS: Mapping[ProductFact, str] = {
    UNUSED: "not used in the last 28 days",
    FELL: "active users fell by 30% or more",
    NOT_HELD: "used without a contract",
}


class AccountProduct(ResponseModel):
    """A product of the account."""

    product: str | None = Field(description="Null: the unknown product, of contracts or orders that name none.")
    held: bool = Field(description="Under contract (or ordered in the last year). False: the account only uses it.")
    arr: float | None = Field(description="The products add up to the account's ARR.")
    arr_at_risk: float | None = Field(description="The account's churn probability times the product's ARR.")
    expanding_arr: float | None = Field(description="The account's expansion probability times the product's ARR.")
    seats: float | None
    active_users: float | None = Field(description="In the last 28 days. Null: unknown.")
    active_users_before: float | None = Field(description="In the 28 days before. Null: unknown.")
    adoption: float | None = Field(description="Active users, at most the seats, per seat.")
    fact: ProductFact | None = Field(
        description="unused: held, but without active users. falling: active users fell by 30% or more. not_held: "
        "used, but not under contract, although other accounts hold it. Null: none of these, or unknown."
    )


class AccountProducts(ResponseModel):
    """The products of an account."""

    as_of: str
    account_id: str
    products: list[AccountProduct] = Field(
        description="Largest ARR first, the unknown product last. Empty: the source names no product."
    )


def account_products(scored: ScoredSnapshot, account_id: str) -> dict[str, Any]:
    """Return the products of an account (`AccountProducts`).

    Parameters
    ----------
    scored : the snapshot.
    account_id : the account.

    Raises
    ------
    UnknownAccount : the snapshot does not hold it.
    HomeError : the sidecar is not valid.
    """
    row = account_row(scored.assessment, account_id)
    read_sidecar(scored.snapshots, scored.as_of, PRODUCTS)
    roster = published_account_list(scored)
    holdings = roster.holdings
    own = holdings[holdings["row"] == row]
    account: Any = roster.frame.iloc[row]
    products = []
    for fact, (_, each) in zip(product_facts(own, roster.products), own.iterrows(), strict=True):
        users, seats = float(each["active_users"]), float(each["seats"])
        products.append(
            {
                "product": each["product"],
                "held": bool(each["held"]),
                "arr": number_or_null(each["arr"]),
                "arr_at_risk": number_or_null(float(each["arr"] * account["risk"])),
                "expanding_arr": number_or_null(float(each["arr"] * account["growth"])),
                "seats": number_or_null(seats),
                "active_users": number_or_null(users),
                "active_users_before": number_or_null(float(each["active_users_before"])),
                "adoption": number_or_null(min(users, seats) / seats) if seats > 0 else None,
                "fact": fact,
            }
        )
    products.sort(key=lambda each: (each["product"] is None, -(each["arr"] or 0.0), each["product"] or ""))
    return {"as_of": to_iso(scored.as_of), "account_id": account_id, "products": products}


def product_facts(holdings: pd.DataFrame, held_products: Collection[str] = ()) -> list[ProductFact | None]:
    """Return what stands out of each holding.

    Parameters
    ----------
    holdings : rows of `serving.portfolio.account_list.AccountList.holdings`.
    held_products : the products that some account holds. A product that none holds may have other names in contracts.
    """
    facts: list[ProductFact | None] = []
    columns = (holdings[name] for name in ("product", "held", "active_users", "active_users_before"))
    for product, held, users, before in zip(*columns, strict=True):
        if not held:
            facts.append(NOT_HELD if users > 0 and product in held_products else None)
        elif users == 0:
            facts.append(UNUSED)
        else:
            facts.append(FELL if before > 0 and users <= np.float64(FALL) * before else None)
    return facts
