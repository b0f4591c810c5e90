"""What accounts are filtered by: CSM, segment, region, product, company, health band, churn risk and stage.

Segment, health, risk and stage are those of the snapshot. CSM, region and parents have no date: the source's present
values count. They are also known for accounts that have left, so figures about the past can be filtered by them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from features.errors import BadRequest
from features.utils.account_hierarchies import descendants, top_accounts
from features.utils.arrays import Bools, Texts, equal_to
from models.peer_groups.segments import segment_names
from models.predictions.account_lookup import AccountNames, find_account
from models.predictions.assessment import Assessment
from models.rules.lifecycle import STAGES
from serving.schemas.account_filter import EVERYONE, FILTER_FIELDS, WITHOUT, AccountFilter
from serving.snapshots.compute_once_cache import ComputeOnceCache
from serving.snapshots.live_state import LiveStateManager
from serving.snapshots.scored_snapshot import ScoredSnapshot
from serving.snapshots.sidecars import ACCOUNTS, PRODUCTS, read_sidecar, sidecar_path
from serving.snapshots.snapshot_files import file_version

#: The fields that are also known for accounts that have left.
TIMELESS = frozenset({"csm", "region", "parent"})
#: How many filters of one snapshot are cached.
CACHED_FILTERS = 64
_WORDS = {"csm": "this CSM", "segment": "this segment", "region": "this region", "product": "this product"}


@dataclass(frozen=True)
class AccountSelection:
    """The accounts that a filter selects.

    Parameters
    ----------
    account_filter : the filter.
    rows : True for the selected accounts, in the order of the assessment. Shape (n,).
    ids : the selected accounts with the selected ones of those that have left; None selects every account.
    timeless : whether the filter is also known for accounts that have left. If not, ``ids`` has none of them.
    """

    account_filter: AccountFilter
    rows: Bools
    ids: Collection[str] | None
    timeless: bool

    @classmethod
    def everyone(cls, assessment: Assessment) -> AccountSelection:
        """Return the selection of all accounts."""
        return cls(EVERYONE, np.ones(len(assessment.frame), dtype=bool), None, True)

    @property
    def whole(self) -> bool:
        """Whether there is no filter."""
        return self.ids is None

    def includes(self, account_id: str) -> bool:
        """Return whether the account is selected."""
        return self.ids is None or account_id in self.ids


@dataclass(frozen=True)
class AccountAttributes:
    """The attributes of the n accounts of an assessment, and of those that have left.

    Parameters
    ----------
    account_ids : the accounts, in the order of the assessment.
    texts : csm, segment, region, health, risk and stage of each; None if there is none. Shape (n,) each.
    products : the rows of the accounts that hold each product.
    parents : the parent of each account that has one.
    names : the names of accounts.
    former : csm and region of the accounts that have left, by id.
    """

    account_ids: Sequence[str]
    texts: Mapping[str, Texts]
    products: Mapping[str, Sequence[int]]
    parents: Mapping[str, str]
    names: Mapping[str, str]
    former: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def of(
        cls, assessment: Assessment, accounts: Mapping[str, Any], products: Mapping[str, Any] | None = None
    ) -> AccountAttributes:
        """Collect the attributes.

        Parameters
        ----------
        assessment : the assessed portfolio.
        accounts : the document `serving.snapshots.sidecars.accounts_document`; empty if it is unavailable.
        products : the document `serving.snapshots.sidecars.products_document`; None if it is unavailable.
        """
        people = accounts.get("accounts", {})
        own = [people.get(account, {}) for account in assessment.account_ids]
        texts = {
            "csm": _texts(each.get("csm") for each in own),
            "segment": assessment.rule_results.segments,
            "region": _texts(each.get("region") for each in own),
            "health": assessment.health_band,
            "risk": assessment.target_scores["churn"].band,
            "stage": assessment.rule_results.stages,
        }
        held = defaultdict(list)
        holdings = {} if products is None else products["products"]
        for row, account in enumerate(assessment.account_ids):
            for each in holdings.get(account, ()):
                if each["held"] and each["product"]:
                    held[each["product"]].append(row)
        names = {**accounts.get("names", {}), **{a: each["name"] for a, each in people.items() if each.get("name")}}
        return cls(
            assessment.account_ids,
            texts,
            {name: held[name] for name in sorted(held, key=str.casefold)},
            accounts.get("parents", {}),
            names,
            accounts.get("former", {}),
        )

    def select(self, account_filter: AccountFilter) -> AccountSelection:
        """Return the accounts that match every field of a filter.

        Parameters
        ----------
        account_filter : the filter. A value that no account has selects none.
        """
        chosen = account_filter.chosen
        rows = np.ones(len(self.account_ids), dtype=bool)
        if not chosen:
            return AccountSelection(EVERYONE, rows, None, True)
        for name, value in chosen.items():
            rows &= self._rows(name, value)
        ids = {self.account_ids[row] for row in np.flatnonzero(rows).tolist()}
        timeless = TIMELESS.issuperset(chosen)
        if timeless:
            ids |= self._former(chosen)
        return AccountSelection(account_filter.account_filter, rows, ids, timeless)

    def require(self, account_filter: AccountFilter) -> AccountSelection:
        """Return the accounts that match a filter, as `select` does.

        Raises
        ------
        BadRequest : no account has one of the values, so that it is probably misspelled.
        """
        for name, value in account_filter.chosen.items():
            if value == WITHOUT or name in ("health", "risk", "stage") or self._rows(name, value).any():
                continue
            if name == "segment" and value in segment_names():
                continue
            if name == "parent" and value in {*self.parents, *self.parents.values()}:
                continue
            raise BadRequest(
                f"no account in the snapshot {'is or is below' if name == 'parent' else 'has'} "
                f"{_WORDS.get(name, 'this account')}",
                f"a value of {'account_id' if name == 'parent' else name} in the signals, or {WITHOUT}"
                if name != "segment"
                else "one of " + ", ".join(segment_names()),
                "check the spelling",
            )
        return self.select(account_filter)

    def with_parent_id(self, account_filter: AccountFilter) -> AccountFilter:
        """Return a filter with the id of its parent company, which may be given by name.

        Parameters
        ----------
        account_filter : the filter. `models.predictions.account_lookup.find_account` reads its parent.

        Raises
        ------
        UnknownAccount : no account, or more than one, is meant.
        """
        parent = account_filter.parent
        if parent is None or parent == WITHOUT:
            return account_filter.account_filter
        account = find_account(parent, self._known_names, {*self.account_ids, *self.parents.values()})
        return account_filter.account_filter.model_copy(update={"parent": account})

    @cached_property
    def choices(self) -> Mapping[str, Sequence[tuple[str, str]]]:
        """The values to choose from for each field, with their words. Fields without values are empty."""
        texts = {
            name: [(text, text) for text in sorted({t for t in self.texts[name] if t is not None}, key=str.casefold)]
            for name in ("csm", "region")
        }
        found = set(self.texts["segment"].tolist())
        companies = [(top, self.names.get(top, top)) for top in sorted(set(self._tops.values()))]
        choices = {
            **texts,
            "segment": [(name, name) for name in segment_names() if name in found],
            "product": [(name, name) for name in self.products],
            "parent": sorted(companies, key=lambda each: each[1].casefold()),
        }
        words = {"csm": "No CSM", "segment": "ARR unknown", "region": "No region", "product": "No product"}
        for name, none in {**words, "parent": "No parent or child"}.items():
            if choices[name] and self._rows(name, WITHOUT).any():
                choices[name].append((WITHOUT, none))
        choices["health"] = [(band, band.replace("_", " ")) for band in ("red", "yellow", "green", "insufficient_data")]
        choices["risk"] = [(band, band) for band in ("high", "medium", "low")]
        if self._rows("risk", WITHOUT).any():
            choices["risk"].append((WITHOUT, "not scored"))
        choices["stage"] = [(stage, stage) for stage in STAGES]
        if self._rows("stage", WITHOUT).any():
            choices["stage"].append((WITHOUT, "unknown"))
        return {name: choices[name] for name in FILTER_FIELDS}

    def words(self, name: str, value: str) -> str:
        """Return a value of a field in words: the name of a company instead of its id."""
        return dict(self.choices[name]).get(value) or (self.names.get(value, value) if name == "parent" else value)

    @cached_property
    def _known_names(self) -> AccountNames:
        known = (*self.account_ids, *self.former, *self.parents, *self.parents.values())
        return {**dict.fromkeys(known), **self.names}

    @cached_property
    def _places(self) -> Mapping[str, int]:
        return {account: row for row, account in enumerate(self.account_ids)}

    @cached_property
    def _tops(self) -> Mapping[str, str]:
        return top_accounts(self.parents)

    @cached_property
    def _children(self) -> Mapping[str, Sequence[str]]:
        children = defaultdict(list)
        for child, parent in self.parents.items():
            children[parent].append(child)
        return dict(children)

    def _rows(self, name: str, value: str) -> Bools:
        if name == "product":
            return self._holders(value)
        if name == "parent":
            return self._mask(self._company(value)) if value != WITHOUT else ~self._mask(self._tops)
        return equal_to(self.texts[name], None if value == WITHOUT else value)

    def _holders(self, product: str) -> Bools:
        rows = np.zeros(len(self.account_ids), dtype=bool)
        if product != WITHOUT:
            rows[list(self.products.get(product, ()))] = True
            return rows
        for held in self.products.values():
            rows[list(held)] = True
        return ~rows

    def _company(self, account: str) -> Collection[str]:
        return {account, *descendants(account, self._children)}

    def _mask(self, accounts: Collection[str]) -> Bools:
        rows = np.zeros(len(self.account_ids), dtype=bool)
        rows[[self._places[account] for account in accounts if account in self._places]] = True
        return rows

    def _former(self, chosen: Mapping[str, str]) -> set[str]:
        """Return the accounts that have left and match."""
        company = self._company(chosen["parent"]) if chosen.get("parent", WITHOUT) != WITHOUT else ()
        wanted = {
            name: None if chosen[name] == WITHOUT else chosen[name] for name in ("csm", "region") if name in chosen
        }
        found = set()
        for account, details in self.former.items():
            if any(details.get(name) != value for name, value in wanted.items()):
                continue
            if "parent" in chosen and (
                account in self._tops if chosen["parent"] == WITHOUT else account not in company
            ):
                continue
            found.add(account)
        return found


def account_attributes(scored: ScoredSnapshot) -> AccountAttributes:
    """Return what the accounts of a snapshot are filtered by, cached for each version of its sidecars.

    Raises
    ------
    HomeError : a sidecar is not valid.
    """

    def make() -> AccountAttributes:
        accounts, products = (read_sidecar(scored.snapshots, scored.as_of, name) for name in (ACCOUNTS, PRODUCTS))
        return AccountAttributes.of(scored.assessment, accounts or {}, products)

    return scored.cache.get(("attributes", *attribute_versions(scored)), make)


def select_accounts(scored: ScoredSnapshot, account_filter: AccountFilter, strict: bool = False) -> AccountSelection:
    """Return the accounts of a snapshot that match a filter, cached.

    Parameters
    ----------
    scored : the snapshot.
    account_filter : the filter.
    strict : refuse a value that no account has.

    Raises
    ------
    BadRequest : no account has one of the values, if ``strict``.
    HomeError : a sidecar is not valid.
    """
    if not account_filter.chosen:
        return AccountSelection.everyone(scored.assessment)
    attributes = account_attributes(scored)
    if strict:
        attributes.require(account_filter)
    return filtered_cache(scored, account_filter).get(
        ("selection", *attribute_versions(scored)), lambda: attributes.select(account_filter)
    )


def filtered_accounts(live: LiveStateManager, account_filter: AccountFilter) -> Collection[str] | None:
    """Return the ids of the accounts that match a filter at the latest snapshot, with those that have left.

    Parameters
    ----------
    live : the state of the service, which is only read if there is a filter.
    account_filter : the filter.

    Returns
    -------
    collection of str, or None without a filter

    Raises
    ------
    NotReady : there is no snapshot.
    BadRequest : no account has one of the values.
    HomeError : a sidecar is not valid.
    """
    if not account_filter.chosen:
        return None
    return select_accounts(live.current().scored(None), account_filter, strict=True).ids


def filtered_cache(scored: ScoredSnapshot, account_filter: AccountFilter) -> ComputeOnceCache:
    """Return the cache of what was computed for one filter. The filters that were used last are cached."""
    if not account_filter.chosen:
        return scored.cache
    caches: ComputeOnceCache = scored.cache.get("filters", lambda: ComputeOnceCache(CACHED_FILTERS))
    return caches.get(tuple(account_filter.chosen.items()), ComputeOnceCache)


def portfolio_of(scored: ScoredSnapshot, selection: AccountSelection) -> dict[str, Any]:
    """Return the summary of the selected accounts, `serving.snapshots.portfolio_summary.Portfolio`, cached.

    Parameters
    ----------
    scored : the snapshot.
    selection : the accounts that count.
    """
    if selection.whole:
        return scored.portfolio
    chosen = selection.account_filter
    return filtered_cache(scored, chosen).get(
        ("portfolio", *attribute_versions(scored)), lambda: scored.filtered_portfolio(selection.rows, chosen.applied)
    )


def attribute_versions(scored: ScoredSnapshot) -> tuple[Any, ...]:
    """Return the versions of the sidecars that decide which accounts a filter selects."""
    return tuple(file_version(sidecar_path(scored.snapshots, scored.as_of, name)) for name in (ACCOUNTS, PRODUCTS))


def _texts(values: Any) -> Texts:
    found = list(values)
    texts = np.empty(len(found), dtype=object)
    texts[:] = found
    return texts
