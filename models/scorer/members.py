"""Members of an ensemble: the models whose mean log-odds is the score, and the standard error that they give it.

Each member was fitted without one fold of the accounts, so the spread between members shows how much the score depends
on the sample of accounts (the delete-a-group jackknife, Kott 2001). A bundle without members holds a single model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from .base import Floats
from .errors import ScorerError
from .linear_terms import LinearTerms
from .onnx_model import OnnxModel

#: Maximum number of members.
MAX_MEMBERS = 50


class Member(NamedTuple):
    """One model: its trees in the booster, from ``first`` on, its linear terms, and its model in the ONNX format."""

    first: int
    trees: int
    start: LinearTerms | None
    onnx: OnnxModel | None = None


class LogOdds(NamedTuple):
    """Log-odds before calibration and their standard error, float64 of shape (n,) each."""

    raw: Floats
    error: Floats


def read_members(
    schema: Mapping[str, Any],
    columns: tuple[str, ...],
    categories: Mapping[str, Mapping[str, int]],
    trees: int,
    onnx: Mapping[str, bytes] | None = None,
) -> tuple[Member, ...]:
    """Read the members from ``schema.json``: a list of {"trees": count, "start": linear terms, "onnx": file name}.

    The last two are optional. ``onnx`` holds the ONNX models by file name; each belongs to one member.

    The booster holds the trees of all members, one member after another. Without the key "members", the booster and
    the key "start" are the only member.

    Raises
    ------
    ScorerError : the list is malformed, its trees are not those of the booster, or an ONNX model is missing, unused or
        unreadable.
    """
    files = dict(onnx or {})
    if "members" not in schema and not files:
        return (Member(0, trees, LinearTerms.of(schema, "start", columns, categories)),)
    listed = schema.get("members")
    if not isinstance(listed, list) or not 1 <= len(listed) <= MAX_MEMBERS:
        raise ScorerError(f"schema.json: members must be a list of 1 to {MAX_MEMBERS} models")
    members, first = [], 0
    for content in listed:
        count = content.get("trees") if isinstance(content, dict) else None
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise ScorerError("schema.json: every member needs its number of trees")
        start = LinearTerms.of(content, "start", columns, categories)
        model, name = None, content.get("onnx")
        if name is not None:
            if (model_bytes := files.pop(name, None) if isinstance(name, str) else None) is None:
                raise ScorerError("schema.json: a member names an ONNX model that is not there, or that another has")
            model = OnnxModel(model_bytes, name, len(columns))
        members.append(Member(first, count, start, model))
        first += count
    if first != trees:
        raise ScorerError(f"schema.json: the members have {first} trees, and model.txt has {trees}")
    if files:
        raise ScorerError(f"schema.json: no member has the model {', '.join(sorted(files))}")
    return tuple(members)


class ErrorModel:
    """The standard error of a score from its members, in log-odds.

    The jackknife variance of a single row has as few degrees of freedom as there are other members, so it is averaged
    with the mean variance of the training rows (as in Smyth 2004): ``calibrator.json`` has both in ``error`` as
    {"variance": mean variance, "weight": its degrees of freedom}. Bundles of format versions 3 and 4 have a constant
    ``spread`` instead.
    """

    def __init__(self, variance: float, weight: float, constant: float) -> None:
        self._variance, self._weight, self._constant = variance, weight, constant

    @classmethod
    def of(cls, calibrator: Mapping[str, Any]) -> ErrorModel:
        """Read the model from ``calibrator.json``.

        Raises
        ------
        ScorerError : a number is missing or out of range.
        """
        constant = _number(calibrator.get("spread", 0.0), "spread", 10.0)
        stored = calibrator.get("error", {"variance": 0.0, "weight": 0.0})
        if not isinstance(stored, dict) or set(stored) != {"variance", "weight"}:
            raise ScorerError("calibrator.json: error must have the keys variance and weight")
        return cls(
            _number(stored["variance"], "error.variance", 100.0),
            _number(stored["weight"], "error.weight", 1e6),
            constant,
        )

    def errors(self, members: Floats) -> Floats:
        """Return the standard error of the mean of k members, (k, n) -> (n,)."""
        degrees = len(members) - 1
        if not degrees:
            return np.full(members.shape[1], self._constant)
        variance = jackknife_variance(members)
        pooled = (self._weight * self._variance + degrees * variance) / (self._weight + degrees)
        return np.asarray(np.sqrt(pooled + self._constant**2), dtype=np.float64)


def jackknife_variance(members: Floats) -> Floats:
    """Return the delete-a-group jackknife variance of the mean of k members, (k, n) -> (n,)."""
    k = len(members)
    return np.asarray(((members - members.mean(axis=0)) ** 2).sum(axis=0) * ((k - 1) / k), dtype=np.float64)


def _number(value: Any, name: str, largest: float) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= largest:
        raise ScorerError(f"calibrator.json: {name} must be a number from 0 to {largest:g}")
    return float(value)
