"""A feature: a named number or category of an account at an instant, with the description that readers need."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from features.definitions.aggregations import Measure, Term
from features.definitions.feature_function import FeatureFunction
from features.definitions.windows import WINDOWS

Dimension = Literal["usage", "engagement", "support", "outcomes", "relationship", "commercial"]
Direction = Literal["raises_risk", "lowers_risk"] | None
Chance = Literal["raises_chance", "lowers_chance"] | None


@dataclass(frozen=True)
class Feature:
    """One column of a snapshot.

    Parameters
    ----------
    name : ``table.what_window``; unique.
    table : the signals table that it is computed from; without that table it is unknown.
    dimension : one of the health score's five dimensions, or commercial.
    concept : features of one concept (the same thing over several windows) are explained together.
    kind : ``number`` (float64, NaN for unknown) or ``category`` (text, None for unknown).
    unit : unit of the value: users, days, share (0 to 1), ratio (1 is unchanged), currency, …
    direction : whether a higher value raises or lowers churn risk, if that is known.
    expansion_direction : whether a higher value raises or lowers the chance of expansion, if that is known.
    words : a noun phrase for texts and pages.
    own_past : the ratio feature that compares this one with the account's own past.
    monotone : whether the directions are certain, so that a model may be constrained to them.
    term : how it is computed; None for a category, which is read from ``column``.
    column : the panel's column of a category.
    definition : the definition of a custom feature, which distinguishes it from another of the same name and words;
        empty for built-in features.
    shared : whether accounts share the value at a date (a rate of the portfolio or of a group), so that it changes from
        date to date for many accounts together. Monitoring does not report its drift.
    function : the function that computes it, if it is declared in Python; ``term`` then reads its result.
    """

    name: str
    table: str
    dimension: Dimension
    concept: str
    kind: Literal["number", "category"]
    unit: str
    direction: Direction
    expansion_direction: Chance
    words: str
    own_past: str | None = None
    monotone: bool = False
    term: Term | None = field(default=None, compare=False, repr=False)
    column: str | None = None
    definition: str = ""
    shared: bool = False
    function: FeatureFunction | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Family:
    """The common properties of a table's features; call it to declare a feature. Names start with ``label``."""

    table: str
    dimension: Dimension
    label: str = ""

    def __call__(
        self,
        name: str,
        term: Term,
        concept: str,
        unit: str,
        words: str,
        *,
        direction: Direction = None,
        chance: Chance = None,
        own_past: str | None = None,
        monotone: bool = False,
        dimension: Dimension | None = None,
        shared: bool = False,
    ) -> Feature:
        """Declare the number ``{label}.{name}``."""
        return Feature(
            self._name(name),
            self.table,
            dimension or self.dimension,
            concept,
            "number",
            unit,
            direction,
            chance,
            words,
            self._name(own_past) if own_past else None,
            monotone,
            term,
            shared=shared,
        )

    def category(self, name: str, column: str, concept: str, words: str) -> Feature:
        """Declare the category ``{label}.{name}``, read from a column of the panel.

        Parameters
        ----------
        name : the name after the label.
        column : the column of the panel.
        concept : the concept that the feature describes.
        words : what the value is, in words.

        Returns
        -------
        Feature
        """
        full = self._name(name)
        return Feature(full, self.table, self.dimension, concept, "category", "", None, None, words, column=column)

    def _name(self, name: str) -> str:
        return f"{self.label or self.table}.{name}"

    def over(
        self,
        name: str,
        measure: Measure,
        concept: str,
        unit: str,
        words: str,
        *,
        windows: Iterable[int] = WINDOWS,
        **more: Any,
    ) -> tuple[Feature, ...]:
        """Declare ``measure`` over each of ``windows``; ``{w}`` in the name and the words is replaced by the days.

        Parameters
        ----------
        name : the name after the label, with ``{w}``.
        measure : the aggregation.
        concept : the concept that the features describe.
        unit : the unit of the values.
        words : what the value is, in words, with ``{w}``.
        windows : the days of each window.
        more : further arguments of `Family.__call__`.

        Returns
        -------
        tuple of Feature
        """
        return tuple(self(name.format(w=w), measure.over(w), concept, unit, words.format(w=w), **more) for w in windows)
