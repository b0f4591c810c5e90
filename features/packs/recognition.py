"""Recognize which packs fit the tables of a source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from features.packs.inputs import BoundInput, Relation, bind_input
from features.packs.options import option_values
from features.packs.pack import Pack, shipped_packs

LEAST_SCORE = 0.35
"""Packs with a lower score are not reported."""
CLOSE = 0.1
"""Two packs whose scores differ by less are ambiguous."""


@dataclass(frozen=True)
class Recognition:
    """A pack that may fit the tables of a source.

    Parameters
    ----------
    pack : the pack.
    score : the share of the pack's columns that exist (0 to 1), in its required tables and the optional ones that are
        there. A column counts less the more packs have it.
    inputs : the table of each input that has one.
    missing : what the pack requires and the source lacks; the pack can only be used if this is empty.
    ambiguous : other packs that fit the same tables about as well.
    """

    pack: Pack
    score: float
    inputs: Mapping[str, str]
    missing: tuple[str, ...]
    ambiguous: tuple[str, ...] = ()


def recognize(
    relations: Sequence[Relation], packs: Iterable[Pack] | None = None, least: float = LEAST_SCORE
) -> list[Recognition]:
    """Return the packs that fit ``relations``, the best first.

    Two packs that read the same tables are rivals: only the better one is returned, and it is ambiguous if the other is
    close. Packs that cannot be used because something is missing come last.

    Parameters
    ----------
    relations : the tables of one schema or folder.
    packs : the packs to consider; default: the shipped ones.
    least : packs with a lower score are left out.
    """
    candidates = list(shipped_packs().values() if packs is None else packs)
    rarity = _rarity(candidates)
    found = [each for pack in candidates if (each := _recognize(pack, relations, rarity)).score >= least]
    found.sort(key=lambda each: (bool(each.missing), -each.score, each.pack.name))
    result: list[Recognition] = []
    for each in found:
        rivals = [i for i, other in enumerate(result) if _same_tables(each, other)]
        if not rivals:
            result.append(each)
        for i in rivals:
            other = result[i]
            if not each.missing and other.score - each.score < CLOSE:
                result[i] = Recognition(
                    other.pack, other.score, other.inputs, other.missing, (*other.ambiguous, each.pack.name)
                )
    return result


def _same_tables(one: Recognition, other: Recognition) -> bool:
    return bool({*one.inputs.values()} & {*other.inputs.values()})


def _rarity(packs: Sequence[Pack]) -> dict[str, float]:
    """Return the weight of each column name: one divided by the number of packs that read it."""
    uses = Counter(name for pack in packs for name in {n for names in _names(pack).values() for n in names})
    return {name: 1 / count for name, count in uses.items()}


def _names(pack: Pack) -> dict[tuple[str, str], tuple[str, ...]]:
    return {
        (name, column): about.names or (column,)
        for name, each in pack.file.inputs.items()
        for column, about in each.columns.items()
    }


def _recognize(pack: Pack, relations: Sequence[Relation], rarity: Mapping[str, float]) -> Recognition:
    values, names = option_values(pack, {}), _names(pack)
    bound = {name: bind_input(pack, name, relations, values) for name in pack.file.inputs}
    weight = {key: min(rarity[name] for name in each) for key, each in names.items()}
    counted = [key for key in weight if bound[key[0]].relation is not None or _is_essential(bound[key[0]])]
    total = sum(weight[key] for key in counted)
    there = sum(weight[key] for key in counted if key[1] in bound[key[0]].expressions)
    inputs = {name: each.relation.name for name, each in bound.items() if each.relation is not None}
    missing = tuple(text for name, each in bound.items() if (text := _missing(name, each)))
    return Recognition(pack, there / total if total else 0.0, inputs, missing)


def _is_essential(bound: BoundInput) -> bool:
    """Return whether the pack needs the input's table, because no query replaces it."""
    return bound.input.required and bound.input.otherwise is None


def _missing(name: str, bound: BoundInput) -> str:
    if bound.relation is not None or not _is_essential(bound):
        return ""
    if bound.lacking:
        table, columns = bound.lacking[0]
        return f"the table {table} has no column {', '.join(columns)}"
    return f"there is no table {name}"
