"""One stream of random numbers per purpose, so that adding a table never changes another."""

from __future__ import annotations

from zlib import crc32

import numpy as np

from training.simulation.calendar import Floats


def random_stream(seed: int, purpose: str) -> np.random.Generator:
    """The generator of a purpose: the same for the same seed and name, independent of every other name."""
    return np.random.default_rng(np.random.SeedSequence([seed, crc32(purpose.encode())]))


def sigmoid(log_odds: Floats) -> Floats:
    """Log-odds to probability, elementwise."""
    return np.asarray(1.0 / (1.0 + np.exp(-log_odds)), dtype=np.float64)


def mean_reverting_step(
    value: Floats, mean: Floats | float, half_life: float, spread: float, rng: np.random.Generator
) -> Floats:
    """One weekly step of a mean-reverting state (the exact step of an Ornstein-Uhlenbeck process; Gillespie,
    Physical Review E 54, 1996).

    ``half_life`` is in weeks; ``spread`` is the standard deviation around ``mean`` in the long run.
    """
    keep = 0.5 ** (1.0 / half_life)
    noise = rng.standard_normal(value.shape)
    return np.asarray(mean + keep * (value - mean) + spread * np.sqrt(1.0 - keep * keep) * noise, dtype=np.float64)
