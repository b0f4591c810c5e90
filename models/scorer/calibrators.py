"""Calibrators of a scorer: sigmoid, beta and isotonic, with their resamples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from .base import MINIMUM_RESAMPLES, Floats, logistic
from .errors import ScorerError

PARAMETERS = {"sigmoid": ("a", "b"), "beta": ("a", "b", "c"), "isotonic": ("x", "y")}


_Calibrators = Callable[[Floats], Floats]
"""Maps log-odds (n,) to the probabilities of k calibrators, (k, n)."""


def read_calibrators(stored: Mapping[str, Any]) -> tuple[_Calibrators, _Calibrators]:
    """Return the calibrator alone, and the calibrator (first) together with its resamples."""
    kind, resamples = stored.get("kind"), stored.get("resamples")
    if kind not in PARAMETERS:
        raise ScorerError(f"calibrator.json: its kind is not one of {', '.join(PARAMETERS)}")
    if not isinstance(resamples, list) or len(resamples) < MINIMUM_RESAMPLES:
        raise ScorerError(f"calibrator.json: an interval needs at least {MINIMUM_RESAMPLES} resamples")
    every = [_parameters(kind, values, where) for where, values in _named(stored.get("parameters"), resamples)]
    return _build(kind, every[:1]), _build(kind, every)


def _build(kind: str, every: Sequence[Mapping[str, Floats]]) -> _Calibrators:
    if kind == "isotonic":
        return _isotonic([(values["x"], values["y"]) for values in every])
    columns = [np.array([values[name] for values in every])[:, None] for name in PARAMETERS[kind]]
    return _sigmoid(*columns) if kind == "sigmoid" else _beta(*columns)


def _named(parameters: Any, resamples: list[Any]) -> list[tuple[str, Any]]:
    return [("parameters", parameters), *((f"resamples[{i}]", values) for i, values in enumerate(resamples))]


def _parameters(kind: str, values: Any, where: str) -> dict[str, Floats]:
    """Return the parameters as arrays, after checking that the calibrator is monotonic in the log-odds."""
    wanted = PARAMETERS[kind]
    if not isinstance(values, dict) or set(values) != set(wanted):
        raise ScorerError(f"calibrator.json: {where} of kind {kind} must hold exactly {', '.join(wanted)}")
    if kind == "isotonic" and not all(isinstance(value, list) for value in values.values()):
        raise ScorerError(f"calibrator.json: {where} of kind isotonic must hold lists")
    listed = [v for name in wanted for v in (values[name] if kind == "isotonic" else [values[name]])]
    if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in listed):
        raise ScorerError(f"calibrator.json: {where} contains a value that is not a number")
    arrays = {name: np.asarray(values[name], dtype=np.float64) for name in wanted}
    if not all(np.isfinite(value).all() for value in arrays.values()):
        raise ScorerError(f"calibrator.json: {where} contains a number that is not finite")
    if kind == "isotonic":
        x, y = arrays["x"], arrays["y"]
        if x.shape != y.shape or x.size == 0:
            raise ScorerError(f"calibrator.json: {where} needs x and y of equal length")
        if (np.diff(x) <= 0).any() or (np.diff(y) < 0).any() or y[0] < 0 or y[-1] > 1:
            raise ScorerError(f"calibrator.json: {where} needs ascending x, and y that never decreases within 0 to 1")
    elif any(arrays[name] < 0 for name in wanted[:-1]):
        raise ScorerError(f"calibrator.json: {where} would reverse the ranking: {wanted[:-1]} must not be negative")
    return arrays


def _sigmoid(a: Floats, b: Floats) -> Callable[[Floats], Floats]:
    """Platt 1999: 1 / (1 + exp(-(a z + b))) with z the log-odds and a >= 0."""
    return partial(_sigmoid_at, a, b)


def _sigmoid_at(a: Floats, b: Floats, z: Floats) -> Floats:
    return logistic(a * z + b)


def _beta(a: Floats, b: Floats, c: Floats) -> Callable[[Floats], Floats]:
    """Kull, Silva Filho and Flach 2017: log-odds c + a log p - b log(1 - p), p the raw probability, a and b >= 0."""
    return partial(_beta_at, a, b, c)


def _beta_at(a: Floats, b: Floats, c: Floats, z: Floats) -> Floats:
    return logistic(c - a * np.logaddexp(0.0, -z) + b * np.logaddexp(0.0, z))


def _isotonic(points: Sequence[tuple[Floats, Floats]]) -> Callable[[Floats], Floats]:
    """Zadrozny and Elkan 2002: linear between points (x log-odds, y probability), constant beyond the outer ones."""
    return partial(_isotonic_at, points)


def _isotonic_at(points: Sequence[tuple[Floats, Floats]], z: Floats) -> Floats:
    return np.stack([np.interp(z, x, y) for x, y in points])
