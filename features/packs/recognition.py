"""Recognize which packs fit the tables of a source.

A pack fits if all that it requires is there. Columns that it can do without say nothing when they are absent, since
few exports have all of them. How surely it is this tool is the evidence of the columns that are there. A column that no
other pack reads counts 1, one that n packs read 1/n, and one of the data contract, such as ``account_id``, counts
nothing, because tables of any origin have it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from features.contract.schema import TABLES
from features.packs.inputs import BoundInput, Relation, bind_input
from features.packs.options import option_values, with_names
from features.packs.pack import Pack, shipped_packs
from features.packs.schema import OptionValue

LEAST_EVIDENCE = 1.0
"""Packs with less evidence are not reported: as much as one column that belongs to this tool alone."""
CLOSE = 0.8
"""A rival with at least this share of the evidence makes a pack ambiguous."""


@dataclass(frozen=True)
class Recognition:
    """A pack that may fit the tables of a source.

    Parameters
    ----------
    pack : the pack.
    evidence : the weights of the columns that are there and that the pack reads, added up.
    inputs : the table of each input that has one.
    missing : what the pack requires and the source lacks; the pack can only be used if this is empty.
    ambiguous : other packs that fit the same tables about as well.
    """

    pack: Pack
    evidence: float
    inputs: Mapping[str, str]
    missing: tuple[str, ...]
    ambiguous: tuple[str, ...] = ()


def recognize(
    relations: Sequence[Relation], packs: Iterable[Pack] | None = None, least: float = LEAST_EVIDENCE
) -> list[Recognition]:
    """Return the packs that fit ``relations``, the best first.

    Two packs that read the same tables are rivals: only the better one is returned, and it is ambiguous if the other is
    close. Packs that cannot be used because something is missing come last.

    Parameters
    ----------
    relations : the tables of one schema or folder.
    packs : the packs to consider; default: the shipped ones.
    least : packs with less evidence are left out.
    """
    candidates = list(shipped_packs().values() if packs is None else packs)
    weights = _weights(candidates)
    found = [each for pack in candidates if (each := _recognize(pack, relations, weights)).evidence >= least]
    found.sort(key=lambda each: (bool(each.missing), -each.evidence, each.pack.name))
    result: list[Recognition] = []
    for each in found:
        rivals = [i for i, other in enumerate(result) if _same_tables(each, other)]
        if not rivals:
            result.append(each)
        for i in rivals:
            if not each.missing and each.evidence >= CLOSE * result[i].evidence:
                result[i] = replace(result[i], ambiguous=(*result[i].ambiguous, each.pack.name))
    return result


def _same_tables(one: Recognition, other: Recognition) -> bool:
    return bool({*one.inputs.values()} & {*other.inputs.values()})


def _weights(packs: Sequence[Pack]) -> dict[str, float]:
    """Return the weight of each column that a pack reads."""
    uses = Counter(name for pack in packs for name in {*_columns_of(pack)})
    common = {column for table in TABLES.values() for column in table.names}
    return {name: 0.0 if name in common else 1 / count for name, count in uses.items()}


def _columns_of(pack: Pack) -> Iterator[str]:
    """Yield the columns that a pack reads under their landed names; of a value inside a column, the column."""
    values = option_values(pack, {})
    for each in pack.file.inputs.values():
        for column, about in each.columns.items() if each.names else ():
            yield from _landed_names(column, about.names, values)


def _landed_names(column: str, names: Sequence[str], values: Mapping[str, OptionValue]) -> Iterator[str]:
    yield from (name.lower().partition(".")[0] for name in with_names(names or (column,), values))


def _recognize(pack: Pack, relations: Sequence[Relation], weights: Mapping[str, float]) -> Recognition:
    values = option_values(pack, {})
    bound = {name: bind_input(pack, name, relations, values) for name in pack.file.inputs}
    there = {column for each in bound.values() for column in _columns_there(each, values)}
    inputs = {name: each.relation.name for name, each in bound.items() if each.relation is not None}
    missing = tuple(text for name, each in bound.items() if (text := _missing(name, each)))
    return Recognition(pack, sum(weights[column] for _, column in there), inputs, missing)


def _columns_there(bound: BoundInput, values: Mapping[str, OptionValue]) -> Iterator[tuple[str, str]]:
    """Yield the table of an input with each of its columns that the input reads."""
    if bound.relation is not None:
        landed = {name.lower() for name in bound.relation.columns}
        for column in bound.expressions:
            for name in _landed_names(column, bound.input.columns[column].names, values):
                if name in landed:
                    yield bound.relation.name, name


def _missing(name: str, bound: BoundInput) -> str:
    if bound.relation is not None or not bound.input.required or bound.input.otherwise is not None:
        return ""
    if bound.lacking:
        table, columns = bound.lacking[0]
        return f"the table {table} has no column {', '.join(columns)}"
    return f"there is no table {name}"
