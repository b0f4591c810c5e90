"""The filter of the portfolio's KPIs.

The KPIs of a period include accounts that have left. So they can be filtered by what is known for these: CSM, region,
parent company, and the segment by the ARR that decides the segment of each KPI. Product, health, risk and stage are
known only for the present accounts, and so are the KPIs of an instant.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from features.kpi.definitions import KPIS
from features.utils.arrays import Bools, Texts, equal_to
from models.rules.kpi_targets import meets_target
from serving.portfolio.contribution_rows import ContributionRows
from serving.schemas.account_filter import WITHOUT, AccountFilter
from serving.snapshots.account_attributes import TIMELESS, AccountAttributes


@dataclass(frozen=True)
class KpiFilter:
    """The contributions to KPIs that count.

    Parameters
    ----------
    ids : the accounts, present and past, that match CSM, region and parent; None for all.
    segment : the segment, as in `serving.schemas.account_filter.AccountFilter`.
    present : the present accounts that match the whole filter.
    lacking : the first field that is unknown for accounts that have left; None if there is none.
    """

    ids: Collection[str] | None
    segment: str | None
    present: Collection[str]
    lacking: str | None

    @classmethod
    def of(cls, attributes: AccountAttributes, account_filter: AccountFilter) -> KpiFilter:
        """Return the filter.

        Parameters
        ----------
        attributes : what the accounts are filtered by.
        account_filter : the filter.
        """
        chosen = account_filter.chosen
        timeless = {name: chosen[name] for name in TIMELESS if name in chosen}
        rows = np.flatnonzero(attributes.select(account_filter).rows)
        return cls(
            attributes.select(AccountFilter.model_validate(timeless)).ids,
            account_filter.segment,
            frozenset(attributes.account_ids[row] for row in rows.tolist()),
            next((name for name in chosen if name not in (*TIMELESS, "segment")), None),
        )

    def matches(self, accounts: Texts, segments: Texts) -> Bools:
        """Return which accounts match.

        Parameters
        ----------
        accounts : their ids. Shape (n,).
        segments : the segment of each, None if unknown. Shape (n,).
        """
        matching = self._matching_ids(accounts)
        if self.segment is None or self.lacking is not None:
            return matching
        return matching & equal_to(segments, self._segment)

    def select(self, rows: ContributionRows) -> ContributionRows:
        """Return the contributions that count."""
        chosen = self._matching_ids(rows.account.names)[rows.account.codes]
        if self.segment is not None and self.lacking is None:
            places = np.flatnonzero(equal_to(rows.segment.names, self._segment))
            chosen &= rows.segment.codes == (places[0] if len(places) else -1 if self._segment is None else -2)
        return rows.take(chosen)

    @property
    def _segment(self) -> str | None:
        """The segment; None for accounts without one."""
        return None if self.segment == WITHOUT else self.segment

    def _matching_ids(self, accounts: Texts) -> Bools:
        ids = self.ids if self.lacking is None else self.present
        if ids is None:
            return np.ones(len(accounts), dtype=np.bool_)
        return np.fromiter(map(ids.__contains__, accounts), np.bool_, len(accounts))

    def unknown(self, past: bool) -> dict[str, str]:
        """Return the KPIs that are unknown because of the filter, each with the reason.

        Parameters
        ----------
        past : whether the KPIs are those of an earlier period, all of which need accounts that have left.
        """
        if self.lacking is None:
            return {}
        why = f"{self.lacking} is unknown for accounts that have left"
        return {kpi.code: why for kpi in KPIS if past or kpi.over != "instant"}


def stored_measures(kpis: Mapping[str, Any], account_filter: AccountFilter) -> list[dict[str, Any]] | None:
    """Return the KPIs of the accounts that match a filter, if they are those of a stored group.

    Snapshots of earlier releases have no contributions of accounts, from which the KPIs of any filter are computed.

    Parameters
    ----------
    kpis : the stored KPIs, `serving.portfolio.kpi_schemas.PortfolioKpis`.
    account_filter : the filter.

    Returns
    -------
    list of dict or None
        Measures as in ``kpis``, without the last quarter. None if the filter is not one group by segment, CSM, region
        or parent company.
    """
    if len(account_filter.chosen) != 1:
        return None
    ((name, value),) = account_filter.chosen.items()
    if name not in (*TIMELESS, "segment"):
        return None
    wanted = None if value == WITHOUT else value
    group = next((each for each in kpis["by"][name] if each["group"] == wanted), None)
    if group is None:
        return None
    own = {each["measure"]: each for each in group["measures"]}
    return [
        {
            **measure,
            **{key: each for key, each in own[measure["measure"]].items() if key != "last"},
            "last": {**measure["last"], "value": own[measure["measure"]]["last"]},
            "quarter": None,
            "met": meets_target(measure["target"], own[measure["measure"]]["value"]),
        }
        for measure in kpis["measures"]
    ]
