"""One gate, and what is said of it: the same words where a model is trained and where a person promotes one.

Gates are read as they are kept in a bundle's manifest (plain mappings) as well as fresh from a training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NO_LOSS_TO_CHAMPION = "no_loss_to_champion"


@dataclass(frozen=True)
class Gate:
    """One condition: whether it holds, the figure that decided it and its limit (None where it is not a number), and
    a sentence for people."""

    name: str
    passed: bool
    figure: float | None
    limit: float | None
    words: str

    @property
    def undecided(self) -> bool:
        """Whether there was nothing to compare with the champion on: no fault of the candidate, and no proof."""
        return undecided(vars(self))


def passed(found: Sequence[Gate]) -> bool:
    """Whether every gate is passed; False for none at all."""
    return bool(found) and all(gate.passed for gate in found)


def undecided(told: Mapping[str, Any]) -> bool:
    """Whether the gate ``told`` is the comparison with the champion, and could not be made."""
    return told["name"] == NO_LOSS_TO_CHAMPION and not told["passed"] and told.get("figure") is None


def refused(gates: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The gates that forbid even a person to promote: those not passed. A comparison with the champion that could not
    be made forbids nothing by itself: somebody may answer for it, and is kept with the change."""
    return [told for told in gates if not told["passed"] and not undecided(told)]


def by_how_much(told: Mapping[str, Any]) -> str:
    """A gate in words, with the figure that decided it and its limit where both are numbers."""
    figure, limit = told.get("figure"), told.get("limit")
    known = isinstance(figure, float | int) and isinstance(limit, float | int)
    numbers = f" ({figure:.3g} against a limit of {limit:.3g})" if known else ""
    return f"{str(told['name']).replace('_', ' ')}: {told['words']}{numbers}"
