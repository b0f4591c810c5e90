"""One stream of random numbers per purpose, so that adding a table does not change the others."""

from __future__ import annotations

from zlib import crc32

import numpy as np

from features.utils.arrays import Floats


def random_stream(seed: int, purpose: str) -> np.random.Generator:
    """Return the random generator for a purpose, independent of those for other purposes.

    Parameters
    ----------
    seed : of the simulation.
    purpose : name of the stream.
    """
    return np.random.default_rng(np.random.SeedSequence([seed, crc32(purpose.encode())]))


def sigmoid(log_odds: Floats) -> Floats:
    """Convert log-odds to probabilities, elementwise."""
    return np.asarray(1.0 / (1.0 + np.exp(-log_odds)), dtype=np.float64)


def log_odds(probability: Floats) -> Floats:
    """Convert probabilities to log-odds, elementwise. Probabilities below a billionth count as a billionth."""
    p = np.clip(probability, 1e-9, 1.0 - 1e-9)
    return np.asarray(np.log(p / (1.0 - p)), dtype=np.float64)


def mean_reverting_step(
    value: Floats, mean: Floats | float, half_life: float, spread: float, rng: np.random.Generator
) -> Floats:
    """Compute one weekly step of a mean-reverting state.

    This is the exact step of an Ornstein-Uhlenbeck process (Gillespie, Physical Review E 54, 1996).

    Parameters
    ----------
    value : the current state.
    mean : its long-run mean.
    half_life : in weeks.
    spread : long-run standard deviation around ``mean``.
    rng : random numbers.
    """
    persistence = 0.5 ** (1.0 / half_life)
    noise = rng.standard_normal(value.shape)
    return np.asarray(
        mean + persistence * (value - mean) + spread * np.sqrt(1.0 - persistence * persistence) * noise,
        dtype=np.float64,
    )
