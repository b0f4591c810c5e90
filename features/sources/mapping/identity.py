"""One company, many ids: which account ids of several sources are the same account.

Each link says that ids of different sources are the same company. Companies are the connected components of all links.
A company's account id is that of the first source that has one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

SourceId: TypeAlias = tuple[str, str]
"""A source and an account id of it."""


@dataclass(frozen=True)
class SourceMatches:
    """How the accounts of one source match those of the others.

    Parameters
    ----------
    source : the source.
    accounts : the number of its accounts.
    matched : how many of them have a partner in another source.
    absent : ids in links that are not among its accounts.
    merged : how many accounts were merged into another one of this source, because another source joins them.
    """

    source: str
    accounts: int
    matched: int
    absent: int
    merged: int


@dataclass(frozen=True)
class Companies:
    """The companies of all sources.

    Parameters
    ----------
    account_ids : the account id of each id of a source.
    matches : the counts of each source.
    renamed : how many companies have the id of another company, and therefore the source as a prefix.
    spine_ids : the account ids of companies that the first source has.
    """

    account_ids: Mapping[SourceId, str]
    matches: tuple[SourceMatches, ...]
    renamed: int
    spine_ids: frozenset[str]


def join_companies(
    accounts: Mapping[str, Iterable[str]], links: Iterable[Sequence[str | None]], linked: Sequence[str]
) -> Companies:
    """Join the accounts of several sources. The result does not depend on the order of accounts or links.

    Parameters
    ----------
    accounts : the account ids of each source, the source whose ids are preferred first.
    links : rows of ids that are the same company.
    linked : the source of each position in a row.
    """
    universe = {source: set(ids) for source, ids in accounts.items()}
    parent: dict[SourceId, SourceId] = {}

    def root(node: SourceId) -> SourceId:
        parent.setdefault(node, node)
        while parent[node] != node:
            parent[node] = node = parent[parent[node]]
        return node

    for source, ids in universe.items():
        for each in ids:
            root((source, each))
    absent: defaultdict[str, set[str]] = defaultdict(set)
    for row in links:
        nodes = [(source, each) for source, each in zip(linked, row, strict=True) if each is not None]
        for source, each in nodes:
            root((source, each))
            if each not in universe.get(source, ()):
                absent[source].add(each)
        for one, other in pairwise(nodes):
            parent[root(one)] = root(other)
    companies: defaultdict[SourceId, list[SourceId]] = defaultdict(list)
    for node in parent:
        companies[root(node)].append(node)
    return _named(universe, list(companies.values()), absent)


def _named(
    universe: Mapping[str, set[str]], companies: Sequence[Sequence[SourceId]], absent: Mapping[str, set[str]]
) -> Companies:
    """Choose the account id of each company, and count."""
    order = {source: i for i, source in enumerate(universe)}
    account_ids: dict[SourceId, str] = {}
    matched: defaultdict[str, int] = defaultdict(int)
    merged: defaultdict[str, int] = defaultdict(int)
    taken: set[str] = set()
    spine: set[str] = set()
    renamed = 0
    # Ids that no source lists as an account only connect; they name a company if it has no other id.
    chosen = sorted((_key(company, universe, order), company) for company in companies)
    for (*_, name, _), company in chosen:
        listed = [(source, each) for source, each in company if each in universe.get(source, ())]
        source = min(listed or company, key=lambda node: (order.get(node[0], len(order)), node[1]))[0]
        renamed += name in taken
        while name in taken:
            name = f"{source}:{name}"
        taken.add(name)
        by_source: defaultdict[str, int] = defaultdict(int)
        for each in listed:
            by_source[each[0]] += 1
        for owner, n in by_source.items():
            merged[owner] += n - 1
            matched[owner] += n if len(by_source) > 1 else 0
        if next(iter(universe), None) in by_source:
            spine.add(name)
        account_ids.update(dict.fromkeys(company, name))
    counts = tuple(
        SourceMatches(source, len(ids), matched[source], len(absent.get(source, ())), merged[source])
        for source, ids in universe.items()
    )
    return Companies(account_ids, counts, renamed, frozenset(spine))


def _key(
    company: Sequence[SourceId], universe: Mapping[str, set[str]], order: Mapping[str, int]
) -> tuple[int, int, str, str]:
    """Return the rank of a company's id, and the id: of the first source that has it, and there the first by text."""
    return min(
        (int(each not in universe.get(source, ())), order.get(source, len(order)), each, source)
        for source, each in company
    )
