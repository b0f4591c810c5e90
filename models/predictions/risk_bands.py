"""The risk score and its bands: a probability compared with that of the average account."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

#: Risk scores from this value up to HIGH_ABOVE are medium, lower ones are low. 50 is the average account.
MEDIUM_FROM = 50
#: Risk scores above this value are high. The early warning is "churn risk above 70 of 100".
HIGH_ABOVE = 70

BANDS: tuple[str, ...] = ("low", "medium", "high")


def risk_score(probability: npt.ArrayLike, base_rate: float) -> npt.NDArray[np.float64]:
    """Compute the risk score from 0 to 100: the odds compared with those of the average account.

    ``100 * odds(p) / (odds(p) + odds(base_rate))``: 50 has the odds of the average account, 75 three times its
    odds, 100 is certain. It is a monotone function of the probability, so the ranking is unchanged.

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
        raise ValueError(f"the base rate must be greater than 0 and less than 1, not {base_rate!r}")
    p = np.asarray(probability, dtype=np.float64)
    account = p * (1.0 - base_rate)
    average = base_rate * (1.0 - p)
    return np.asarray(100.0 * account / (account + average), dtype=np.float64)


def whole_points(score: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Round a score to whole points, halves upward, as it is displayed. NaN stays NaN. The shape is unchanged."""
    return np.floor(np.asarray(score, dtype=np.float64) + 0.5)


def risk_band(points: npt.ArrayLike) -> npt.NDArray[np.object_]:
    """Return the band of whole risk points: "low", "medium" or "high"; None where they are NaN. Same shape.

    The points are rounded, so that the displayed number never contradicts the band.
    """
    values = np.asarray(points, dtype=np.float64)
    bands = np.full(values.shape, None, dtype=object)
    bands[values < MEDIUM_FROM] = "low"
    bands[(values >= MEDIUM_FROM) & (values <= HIGH_ABOVE)] = "medium"
    bands[values > HIGH_ABOVE] = "high"
    return bands
