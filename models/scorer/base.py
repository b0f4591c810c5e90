"""Types, errors and small functions shared by the modules of the scorer."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
#: Minimum number of resamples for a 10th percentile.
MINIMUM_RESAMPLES = 10
RENEWAL_FEATURE = "contract.days_to_renewal"
TERM_FEATURE = "contract.term_days"
#: Terms of fewer days count as monthly: they end too often for the end to matter.
SHORT_TERM_DAYS = 45


class Calibrated(NamedTuple):
    """Probabilities with their 80% interval, float64 of shape (n,) each, low <= probability <= high."""

    probability: Floats
    low: Floats
    high: Floats


def log_odds(p: Floats) -> Floats:
    """Return the log-odds of probabilities."""
    return np.log(p) - np.log1p(-p)


def logistic(z: Floats) -> Floats:
    """Return the probabilities of log-odds."""
    return np.exp(-np.logaddexp(0.0, -z))
