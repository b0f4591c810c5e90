"""The risk score and its bands: a probability seen against the average account."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

#: Risk scores from here up to HIGH_ABOVE are medium, lower ones low. 50 is the average account.
MEDIUM_FROM = 50
#: Risk scores above this are high: "churn risk above 70 of 100" is the early warning.
HIGH_ABOVE = 70

BANDS: tuple[str, ...] = ("low", "medium", "high")


def risk_score(probability: npt.ArrayLike, base_rate: float) -> npt.NDArray[np.float64]:
    """How the odds compare with those of the average account, from 0 to 100.

    ``100 * odds(p) / (odds(p) + odds(base_rate))``: 50 is as likely as the average account, 75 has three times its
    odds, 100 is certainty. It is a monotone function of the probability, so ranking is unchanged.

    Parameters
    ----------
    probability : shape (n,), 0 to 1; NaN where there is none.
    base_rate : share of accounts with the outcome in the period that the model was calibrated on; 0 < base_rate < 1.

    Returns
    -------
    float64, shape (n,), 0 to 100, not rounded; NaN where the probability is.

    Raises
    ------
    ValueError : the base rate is not between 0 and 1 (both excluded).
    """
    if not 0.0 < base_rate < 1.0:
        raise ValueError(f"the base rate must lie between 0 and 1, both excluded, not {base_rate!r}")
    p = np.asarray(probability, dtype=np.float64)
    for_it = p * (1.0 - base_rate)
    against = base_rate * (1.0 - p)
    return np.asarray(100.0 * for_it / (for_it + against), dtype=np.float64)


def whole_points(score: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The score as people see it: whole points, halves upwards; NaN stays NaN. Shape kept."""
    return np.floor(np.asarray(score, dtype=np.float64) + 0.5)


def risk_band(points: npt.ArrayLike) -> npt.NDArray[np.object_]:
    """The band of whole risk points: "low", "medium" or "high"; None where there are none. Shape kept.

    It reads the rounded points, so that the number a person sees never contradicts the band beside it.
    """
    values = np.asarray(points, dtype=np.float64)
    bands = np.full(values.shape, None, dtype=object)
    bands[values < MEDIUM_FROM] = "low"
    bands[(values >= MEDIUM_FROM) & (values <= HIGH_ABOVE)] = "medium"
    bands[values > HIGH_ABOVE] = "high"
    return bands
