"""Types, errors and small functions that the modules of the scorer share."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
#: A 10th percentile over fewer resamples than this would be made up.
MINIMUM_RESAMPLES = 10
RENEWAL_FEATURE = "contract.days_to_renewal"
TERM_FEATURE = "contract.term_days"
#: Terms of fewer days are monthly ones: they end too often for their end to be an occasion.
SHORT_TERM_DAYS = 45


class ScorerError(ValueError):
    """A model, calibrator, schema or table that cannot be scored with; the message says which and why."""


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
