"""The accounts of a snapshot as a list with search, filters, sorting and pages."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import BeforeValidator, Field

from features.utils.account_hierarchies import top_accounts
from features.utils.arrays import Bools
from models.health.parent_health import ParentHealth, parent_health
from models.health.rubric_schema import ParentHealthRule
from models.peer_groups.frame_columns import number_column
from models.peer_groups.segments import ARR_FEATURE
from models.predictions.assessment import Assessment
from models.predictions.schema import ResponseModel, ScorePoints
from models.rules.early_warnings import RENEWAL
from serving.schemas.account_filter import PageFilter
from serving.schemas.divisions import Division
from serving.schemas.form_fields import SnapshotPageQuery, digits_to_int, empty_to_none
from serving.snapshots.scored_snapshot import ScoredSnapshot
from serving.snapshots.sidecars import ACCOUNTS, PRODUCTS, read_sidecar_or_none, sidecar_path
from serving.snapshots.snapshot_files import file_version

RowNumbers = npt.NDArray[np.int64]

#: The page sizes to choose from.
PAGE_SIZES = (25, 50, 100)

Order = Literal["account", "segment", "csm", "arr", "health", "change", "risk", "loss", "renewal", "step"]
_HOLDING = ("product", "held", "arr", "seats", "active_users", "active_users_before")

#: Columns that are sorted in descending order by default.
LARGEST_FIRST = frozenset({"arr", "risk", "loss"})


def _maybe(kind: Any) -> Any:
    return Annotated[kind | None, BeforeValidator(empty_to_none)]


class AccountListQuery(SnapshotPageQuery, PageFilter):
    """Filters and order of the account list. Filters that are left out do not apply."""

    q: Annotated[str, Field(max_length=200)] = ""
    group: _maybe(Division) = None  # type: ignore[valid-type]
    only: _maybe(Literal["ready", "differs", "play", "alerted"]) = None  # type: ignore[valid-type]
    sort: _maybe(Order) = None  # type: ignore[valid-type]
    way: _maybe(Literal["up", "down"]) = None  # type: ignore[valid-type]
    page: Annotated[int, BeforeValidator(digits_to_int), Field(ge=1, le=1_000_000)] = 1
    size: Annotated[Literal[25, 50, 100], BeforeValidator(digits_to_int)] = 25

    @property
    def order(self) -> Order:
        """The column to sort by: the ARR at risk by default."""
        column: Order = self.sort or "loss"
        return column

    @property
    def descending(self) -> bool:
        """Whether to sort in descending order."""
        return self.order in LARGEST_FIRST if self.way is None else self.way == "down"


class HealthOfParent(ResponseModel):
    """The health of a parent: of its account and all accounts below it, by the rule of the rubric."""

    rule: ParentHealthRule = Field(
        description="The rubric's parent_health. own: the parent's own score. worst_child: the lowest score of it and "
        "all accounts below it. arr_weighted_mean: their mean, weighted by ARR."
    )
    score: ScorePoints | None
    band: Literal["green", "yellow", "red", "insufficient_data"]
    worst: str | None = Field(description="The account with the lowest score.")
    scored: Annotated[int, Field(ge=0)] = Field(description="Active accounts with a score.")
    unscored: Annotated[int, Field(ge=0)] = Field(description="Active accounts without a score.")


@dataclass(frozen=True)
class MatchingAccounts:
    """The accounts of the list that match a query.

    Parameters
    ----------
    rows : their row numbers in the assessment, in the order of the query.
    arr : their ARR.
    """

    rows: list[int]
    arr: float


class AccountList:
    """The accounts of one assessment, with their companies and products.

    Parameters
    ----------
    assessment : the assessment.
    accounts : the sidecar `serving.snapshots.sidecars.accounts_document`; empty if it is unknown.
    products : the sidecar `serving.snapshots.sidecars.products_document`; empty if it is unknown.
    """

    def __init__(
        self,
        assessment: Assessment,
        accounts: Mapping[str, Any] | None = None,
        products: Mapping[str, Any] | None = None,
    ) -> None:
        self.assessment = assessment
        self._document, self._products = accounts or {}, products or {}
        self._orders: dict[str, RowNumbers] = {}

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row per account, in the order of the assessment.

        The columns are account_id, name, csm, region, segment, stage (text, None unknown), parent (the top account of
        its company, None for an account without parent and child), arr, health, change (points in a week), risk, low,
        high (0 to 1), growth (expansion probability), loss (risk times arr), renewal (days until; below 0 is past),
        step (when the play is due, an ISO date), health_band, risk_band, ready, differs, play, alerted (bool).
        """
        assessment, judged = self.assessment, self.assessment.rule_results
        churn = assessment.target_scores["churn"]
        arr = number_column(assessment.frame, ARR_FEATURE)
        details: Mapping[str, Mapping[str, Any]] = self._document.get("accounts", {})
        people = [details.get(account, {}) for account in assessment.account_ids]
        return pd.DataFrame(
            {
                "account_id": pd.Series(assessment.account_ids, dtype=object),
                "name": pd.Series([each.get("name") for each in people], dtype=object),
                "csm": pd.Series([each.get("csm") for each in people], dtype=object),
                "region": pd.Series([each.get("region") for each in people], dtype=object),
                "segment": pd.Series(judged.segments, dtype=object),
                "stage": pd.Series(judged.stages, dtype=object),
                "parent": pd.Series([self._tops.get(account) for account in assessment.account_ids], dtype=object),
                "arr": arr,
                "health": assessment.health.score.to_numpy(dtype=np.float64),
                "change": judged.change_7d,
                "risk": churn.probability,
                "low": churn.low,
                "high": churn.high,
                "growth": assessment.target_scores["expansion"].probability,
                "loss": churn.probability * arr,
                "renewal": number_column(assessment.frame, RENEWAL),
                "step": pd.Series([None if play is None else play.due for play in judged.plays], dtype=object),
                "health_band": pd.Series(assessment.health.band.to_numpy(dtype=object), dtype=object),
                "risk_band": pd.Series(churn.band, dtype=object),
                "ready": assessment.ready,
                "differs": [word not in (None, "agree") for word in assessment.agreement],
                "play": [play is not None for play in judged.plays],
                "alerted": [any(alert.raised for alert in each) for each in judged.alerts],
            }
        )

    @cached_property
    def csms(self) -> list[str]:
        """The CSMs, sorted by name."""
        return sorted({csm for csm in self.frame["csm"] if csm is not None}, key=str.casefold)

    @cached_property
    def segments(self) -> list[str]:
        """The segments that have accounts."""
        return sorted({segment for segment in self.frame["segment"] if segment is not None}, key=str.casefold)

    @cached_property
    def regions(self) -> list[str]:
        """The regions, sorted by name."""
        return sorted({region for region in self.frame["region"] if region is not None}, key=str.casefold)

    @cached_property
    def companies(self) -> dict[str, str | None]:
        """The top accounts of the companies with active accounts, largest ARR first, and their names."""
        names = self._document.get("names", {})
        arr = self.frame["arr"].fillna(0.0).groupby(self.frame["parent"]).sum()
        return {str(top): names.get(top) for top in sorted(arr.index, key=lambda top: (-arr[top], top))}

    @cached_property
    def products(self) -> list[str]:
        """The products that accounts hold, largest ARR first."""
        held = self.holdings[self.holdings["held"]]
        arr = held["arr"].fillna(0.0).groupby(held["product"]).sum()
        return sorted(map(str, arr.index), key=lambda product: (-arr[product], product))

    @cached_property
    def holdings(self) -> pd.DataFrame:
        """One row per account and product.

        The columns are row (the row number of the account) and those of
        `features.revenue.product_holdings.product_holdings`: product (None unknown), held (bool), arr, seats,
        active_users, active_users_before (float64, NaN unknown). Empty if the source names no product.
        """
        stored = self._products.get("products", {})
        rows = [
            (row, *(each[name] for name in _HOLDING))
            for row, account in enumerate(self.assessment.account_ids)
            for each in stored.get(account, ())
        ]
        frame = pd.DataFrame(rows, columns=["row", *_HOLDING], dtype=object)
        return frame.astype({"row": "int64", "held": "bool", **dict.fromkeys(_HOLDING[2:], "float64")})

    @cached_property
    def divisions(self) -> list[Division]:
        """What the accounts can be grouped by: the segment, and what the source knows of them."""
        choices: tuple[tuple[Division, Collection[str]], ...] = (
            ("csm", self.csms), ("region", self.regions), ("parent", self.companies), ("product", self.products)
        )  # fmt: skip
        return ["segment", *(name for name, found in choices if found)]

    @cached_property
    def parent_health(self) -> Mapping[str, ParentHealth]:
        """The health of each parent, active or not, by the rule of the rubric."""
        rules, parents = self.assessment.champion.rubric.rules, self._document.get("parents", {})
        arr = self.frame["arr"].to_numpy(dtype=np.float64)
        return parent_health(rules, parents, self.assessment.account_ids, self.assessment.health_score, arr)

    @cached_property
    def _tops(self) -> Mapping[str, str]:
        return top_accounts(self._document.get("parents", {}))

    @cached_property
    def named(self) -> bool:
        """Whether any account has a name besides its id."""
        return bool(self.frame["name"].notna().any())

    @cached_property
    def _search_texts(self) -> pd.Series[str]:
        texts = [
            f"{i}\n{n or ''}".casefold() for i, n in zip(self.frame["account_id"], self.frame["name"], strict=True)
        ]
        return pd.Series(texts, dtype="str")

    def find(
        self, query: AccountListQuery, off: Collection[str] = (), selected: Bools | None = None
    ) -> MatchingAccounts:
        """Return the matching accounts.

        Accounts with an unknown sort value come last in both directions; ties are sorted by id.

        Parameters
        ----------
        query : search and order.
        off : accounts that have no play to run.
        selected : True for the accounts that match the filter of the query; None for all. Shape (n,).

        Returns
        -------
        MatchingAccounts
        """
        matches = np.ones(len(self.frame), dtype=bool) if selected is None else selected.copy()
        if query.only is not None:
            matches &= self.frame[query.only].to_numpy(dtype=bool)
            if query.only == "play" and off:
                matches &= ~self.frame["account_id"].isin(off).to_numpy(dtype=bool)
        if text := query.q.strip().casefold():
            matches &= self._search_texts.str.contains(text, regex=False).to_numpy(dtype=bool)
        order = self._in_order(query.order, query.descending)
        if query.order == "step" and off:
            none = self.frame["account_id"].isin(off).to_numpy(dtype=bool)[order]
            order = np.concatenate([order[~none], order[none]])
        rows = order[matches[order]]
        arr = float(np.nansum(self.frame["arr"].to_numpy()[rows]))
        return MatchingAccounts(rows.tolist(), arr)

    def _in_order(self, by: Order, descending: bool) -> RowNumbers:
        name = f"{by} {'down' if descending else 'up'}"
        if name not in self._orders:
            self._orders[name] = self._sorted(by, descending)
        return self._orders[name]

    def _sorted(self, by: Order, descending: bool) -> RowNumbers:
        if by in ("account", "segment", "csm", "step"):
            texts = self.frame["name"].fillna(self.frame["account_id"]) if by == "account" else self.frame[by]
            values = texts.map(lambda text: None if text is None else str(text).casefold())
        else:
            values = self.frame[by]
        # A stable sort: the frame is already sorted by id.
        return values.sort_values(ascending=not descending, kind="stable", na_position="last").index.to_numpy()


def health_of_parent(roster: AccountList, account: str | None) -> dict[str, Any] | None:
    """Return the health of a parent (`HealthOfParent`); None for an account that is none."""
    health = None if account is None else roster.parent_health.get(account)
    return None if health is None else asdict(health)


def published_account_list(scored: ScoredSnapshot) -> AccountList:
    """Return the accounts of a published snapshot, cached for each version of their details.

    What a missing or broken sidecar would add is unknown.

    Parameters
    ----------
    scored : the snapshot.
    """
    names = ACCOUNTS, PRODUCTS
    versions = tuple(file_version(sidecar_path(scored.snapshots, scored.as_of, name)) for name in names)

    def make() -> AccountList:
        documents = (read_sidecar_or_none(scored.snapshots, scored.as_of, name) for name in names)
        return AccountList(scored.assessment, *documents)

    return scored.cache.get(("roster", *versions), make)
