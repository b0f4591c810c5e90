"""The roster: the accounts of a snapshot as a list that can be searched, narrowed, put in order and cut into pages."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import BeforeValidator, Field

from models.peer_groups.frame_columns import number_column
from models.peer_groups.segments import ARR_FEATURE
from models.predictions.assessment import Assessment
from models.rules.early_warnings import RENEWAL
from serving.schemas.form_fields import AtDateOrLatest, nothing, whole

RowNumbers = npt.NDArray[np.int64]

#: How many accounts a page may hold.
PAGE_SIZES = (25, 50, 100)

Order = Literal["account", "segment", "csm", "arr", "health", "change", "risk", "loss", "renewal"]
#: Where the largest comes first unless the opposite is asked for.
LARGEST_FIRST = frozenset({"arr", "risk", "loss"})


def _maybe(kind: Any) -> Any:
    return Annotated[kind | None, BeforeValidator(nothing)]


class AccountListQuery(AtDateOrLatest):
    """Which accounts, in which order. What is left out narrows nothing."""

    q: Annotated[str, Field(max_length=200)] = ""
    health: _maybe(Literal["green", "yellow", "red", "insufficient_data"]) = None  # type: ignore[valid-type]
    risk: _maybe(Literal["high", "medium", "low"]) = None  # type: ignore[valid-type]
    segment: _maybe(Annotated[str, Field(max_length=200)]) = None  # type: ignore[valid-type]
    csm: _maybe(Annotated[str, Field(max_length=1000)]) = None  # type: ignore[valid-type]
    only: _maybe(Literal["ready", "differs", "play", "alerted"]) = None  # type: ignore[valid-type]
    sort: _maybe(Order) = None  # type: ignore[valid-type]
    way: _maybe(Literal["up", "down"]) = None  # type: ignore[valid-type]
    page: Annotated[int, BeforeValidator(whole), Field(ge=1, le=1_000_000)] = 1
    size: Annotated[Literal[25, 50, 100], BeforeValidator(whole)] = 25

    @property
    def order(self) -> Order:
        """What the list is in the order of: the ARR expected to be lost, unless something else is asked for."""
        found: Order = self.sort or "loss"
        return found

    @property
    def downwards(self) -> bool:
        """Whether the largest, or the last of the alphabet, comes first."""
        return self.order in LARGEST_FIRST if self.way is None else self.way == "down"


@dataclass(frozen=True)
class AccountPage:
    """One page of the roster.

    ``rows`` are places in the assessment; ``accounts`` and ``arr`` what was found on all pages; ``page`` the one that
    is shown, which is the last where a later one was asked for.
    """

    rows: list[int]
    accounts: int
    arr: float
    page: int
    pages: int


class AccountList:
    """The accounts of one assessment.

    Parameters
    ----------
    people : what the source says of accounts by their id, ``name`` and ``csm`` among it; empty where it says nothing.
    """

    def __init__(self, assessment: Assessment, people: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self._assessment = assessment
        self._people = people or {}
        self._orders: dict[str, RowNumbers] = {}

    @cached_property
    def frame(self) -> pd.DataFrame:
        """A row per account, in the assessment's order: account_id, name, csm, segment (text, None unknown), arr,
        health, change (points in a week), risk, low, high (0 to 1), loss (risk times arr), renewal (days until; below
        0 passed), health_band, risk_band, ready, differs, play, alerted (bool)."""
        seen, judged = self._assessment, self._assessment.judged
        churn = seen.outlooks["churn"]
        arr = number_column(seen.frame, ARR_FEATURE)
        people = [self._people.get(account, {}) for account in seen.account_ids]
        return pd.DataFrame(
            {
                "account_id": pd.Series(seen.account_ids, dtype=object),
                "name": pd.Series([each.get("name") for each in people], dtype=object),
                "csm": pd.Series([each.get("csm") for each in people], dtype=object),
                "segment": pd.Series(judged.segments, dtype=object),
                "arr": arr,
                "health": seen.health.score.to_numpy(dtype=np.float64),
                "change": judged.change_7d,
                "risk": churn.probability,
                "low": churn.low,
                "high": churn.high,
                "loss": churn.probability * arr,
                "renewal": number_column(seen.frame, RENEWAL),
                "health_band": pd.Series(seen.health.band.to_numpy(dtype=object), dtype=object),
                "risk_band": pd.Series(churn.band, dtype=object),
                "ready": seen.ready,
                "differs": [word not in (None, "agree") for word in seen.agreement],
                "play": [play is not None for play in judged.plays],
                "alerted": [any(alert.raised for alert in each) for each in judged.alerts],
            }
        )

    @cached_property
    def csms(self) -> list[str]:
        """Who looks after accounts, in order of name."""
        return sorted({csm for csm in self.frame["csm"] if csm is not None}, key=str.casefold)

    @cached_property
    def segments(self) -> list[str]:
        """The segments in which there are accounts."""
        return sorted({segment for segment in self.frame["segment"] if segment is not None}, key=str.casefold)

    @cached_property
    def named(self) -> bool:
        """Whether any account has a name beside its id."""
        return bool(self.frame["name"].notna().any())

    @cached_property
    def _searched(self) -> pd.Series[str]:
        texts = [
            f"{i}\n{n or ''}".casefold() for i, n in zip(self.frame["account_id"], self.frame["name"], strict=True)
        ]
        return pd.Series(texts, dtype="str")

    def find(self, asked: AccountListQuery, off: Collection[str] = ()) -> AccountPage:
        """The accounts that are asked for; those that are ``off`` the list have no play to run. Those of
        which the order's value is not known come last, whatever the way; equals stand in the order of their ids."""
        keep = np.ones(len(self.frame), dtype=bool)
        for column, wanted in (
            ("health_band", asked.health),
            ("risk_band", asked.risk),
            ("segment", asked.segment),
            ("csm", asked.csm),
        ):
            if wanted is not None:
                keep &= (self.frame[column] == wanted).to_numpy(dtype=bool)
        if asked.only is not None:
            keep &= self.frame[asked.only].to_numpy(dtype=bool)
            if asked.only == "play" and off:
                keep &= ~self.frame["account_id"].isin(off).to_numpy(dtype=bool)
        if word := asked.q.strip().casefold():
            keep &= self._searched.str.contains(word, regex=False).to_numpy(dtype=bool)
        order = self._in_order(asked.order, asked.downwards)
        rows = order[keep[order]]
        pages = max(1, -(-len(rows) // asked.size))
        page = min(asked.page, pages)
        shown = rows[(page - 1) * asked.size : page * asked.size]
        arr = float(np.nansum(self.frame["arr"].to_numpy()[rows]))
        return AccountPage([int(row) for row in shown], len(rows), arr, page, pages)

    def _in_order(self, by: Order, downwards: bool) -> RowNumbers:
        name = f"{by} {'down' if downwards else 'up'}"
        if name not in self._orders:
            self._orders[name] = self._sorted(by, downwards)
        return self._orders[name]

    def _sorted(self, by: Order, downwards: bool) -> RowNumbers:
        if by in ("account", "segment", "csm"):
            texts = self.frame["name"].fillna(self.frame["account_id"]) if by == "account" else self.frame[by]
            values = texts.map(lambda text: None if text is None else text.casefold())
        else:
            values = self.frame[by]
        # Two stable sorts: the frame stands in the order of the ids.
        return values.sort_values(ascending=not downwards, kind="stable", na_position="last").index.to_numpy()
