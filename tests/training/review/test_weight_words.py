"""The decision about the weights, as a table: what is clear, what later rows say, and what follows."""

from __future__ import annotations

import numpy as np
import pytest

from training.review.proposal import Behind, Estimate, Judged
from training.review.weight_fits import Fits
from training.review.weight_words import decide

OLD = np.array([60.0, 40.0])
NONE = Estimate(np.nan, np.nan, np.nan)
PLENTY = Behind(10_000, 1_000, 200)


def fits(clear: int, reach: float, moved: float) -> Fits:
    fitted = np.array([50.0, 50.0])
    change = np.array([moved, -moved])
    return Fits(("", ""), fitted, fitted - reach, fitted + reach, fitted, OLD + change, np.zeros((2, 2)), np.array([clear, -clear]), (NONE, NONE), 200.0)


def later(brier: float, log_loss: float) -> list[Judged]:
    figure = Estimate(0.1, 0.0, 0.2)
    changes = [Estimate(value, value - 1, value + 1) for value in (brier, log_loss)]
    return [Judged("proposed", figure, figure, figure, changes[0], changes[1], figure, PLENTY)]


@pytest.mark.parametrize(
    ("clear", "reach", "moved", "brier", "log_loss", "earlier", "court", "decision", "word"),
    [
        (-1, 5, -5, -0.1, -0.1, 200, 100, "change", "clearly too high"),
        (-1, 5, -5, 0.1, -0.1, 200, 100, "keep", "Brier score of the later rows would get worse"),
        (-1, 5, -5, -0.1, 0.1, 200, 100, "keep", "log loss of the later rows would get worse"),
        (-1, 5, -5, np.nan, np.nan, 200, 100, "keep", "worse"),
        (-1, 5, 0, None, None, 200, 100, "keep", "none"),
        (0, 5, -5, -0.1, -0.1, 200, 100, "keep", "no interval clears"),
        (0, 11, -5, -0.1, -0.1, 200, 100, "not_enough_evidence", "within 11 points"),
        (-1, 5, -5, -0.1, -0.1, 19, 100, "not_enough_evidence", "19 accounts churned in the earlier"),
        (-1, 5, -5, -0.1, -0.1, 200, 19, "not_enough_evidence", "19 accounts churned in the later"),
    ],
)
def test_a_table(clear, reach, moved, brier, log_loss, earlier, court, decision, word) -> None:  # type: ignore[no-untyped-def]
    judged = [] if brier is None else later(brier, log_loss)
    told, reasons = decide(("usage", "support"), OLD, fits(clear, reach, moved), judged, PLENTY._replace(churned=earlier), PLENTY._replace(churned=court), 20.0, 5.0)
    assert told == decision
    assert word in reasons[0]
