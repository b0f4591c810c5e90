"""The verdict on the weights as a table: clear errors, evaluation on later rows, and the result."""

from __future__ import annotations

import numpy as np
import pytest

from training.review.recalibration.schemas import Estimate, EvidenceCount, ScoringEvaluation
from training.review.recalibration.weight_estimates import WeightEstimates
from training.review.recalibration.weight_verdict import changes_text, data_alone_text, decide_weights

OLD = np.array([60.0, 40.0])
NONE = Estimate(np.nan, np.nan, np.nan)
PLENTY = EvidenceCount(10_000, 1_000, 200)


def estimates(clear: int, reach: float, moved: float) -> WeightEstimates:
    fitted = np.array([50.0, 50.0])
    change = np.array([moved, -moved])
    return WeightEstimates(("", ""), fitted, fitted - reach, fitted + reach, fitted, OLD + change, np.zeros((2, 2)), np.array([clear, -clear]), (NONE, NONE), 200.0)


def later(step: tuple[float, float], target: tuple[float, float]) -> list[ScoringEvaluation]:
    """Evaluations of the target, with an interval for its change of log loss, and of the step with both changes."""
    figure, zero = Estimate(0.1, 0.0, 0.2), Estimate(0.0, 0.0, 0.0)
    brier, log_loss = (Estimate(value, value - 1, value + 1) for value in step)
    wide = Estimate(sum(target) / 2, *target)
    return [
        ScoringEvaluation("target", figure, figure, figure, zero, wide, figure, PLENTY),
        ScoringEvaluation("proposed", figure, figure, figure, brier, log_loss, figure, PLENTY),
    ]


GOOD, BETTER = (-0.1, -0.1), (-0.5, -0.1)


@pytest.mark.parametrize(
    ("clear", "reach", "moved", "step", "target", "earlier", "later_churned", "decision", "word"),
    [
        (-1, 5, -5, GOOD, BETTER, 200, 100, "change", "clearly too high"),
        # The interval of the target decides, not the point estimates.
        (-1, 5, -5, GOOD, (-0.5, 0.1), 200, 100, "keep", "the later data do not confirm this"),
        (-1, 5, -5, GOOD, (-0.5, 0.0), 200, 100, "keep", "which includes zero"),
        (-1, 5, -5, GOOD, (0.1, 0.5), 200, 100, "keep", "the later data contradict this"),
        (-1, 5, -5, (0.1, -0.1), BETTER, 200, 100, "keep", "the Brier score on the later data would rise"),
        (-1, 5, -5, (-0.1, 0.1), BETTER, 200, 100, "keep", "the log loss on the later data would rise"),
        (-1, 5, -5, GOOD, (np.nan, np.nan), 200, 100, "keep", "is unknown"),
        (-1, 5, 0, None, None, 200, 100, "keep", "no change of a whole point"),
        (0, 5, -5, GOOD, BETTER, 200, 100, "keep", "do not clearly contradict"),
        (0, 11, -5, GOOD, BETTER, 200, 100, "not_enough_evidence", "±11 points"),
        (-1, 5, -5, GOOD, BETTER, 19, 100, "not_enough_evidence", "19 accounts churned in the earlier"),
        (-1, 5, -5, GOOD, BETTER, 200, 19, "not_enough_evidence", "19 accounts churned in the later"),
    ],
)
def test_verdicts(clear, reach, moved, step, target, earlier, later_churned, decision, word) -> None:  # type: ignore[no-untyped-def]
    evaluations = [] if step is None else later(step, target)
    verdict, reasons = decide_weights(("usage", "support"), OLD, estimates(clear, reach, moved), evaluations, PLENTY._replace(churned=earlier), PLENTY._replace(churned=later_churned), 20.0, 5.0)
    assert verdict == decision
    assert word in reasons[0]


def test_an_unchanged_weight_states_what_the_data_suggest() -> None:
    _, reasons = decide_weights(("usage", "support"), OLD, estimates(-1, 5, -5), later(GOOD, (-0.5, 0.1)), PLENTY, PLENTY, 20.0, 5.0)
    assert reasons[0].startswith("the data suggest usage 60 → 50, support 40 → 50, but the later data do not confirm this")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ((15, 10, 75), (10, 15, 75), "support 15 → 10, relationship 10 → 15"),
        ((15, 10, 75), (14, 12.5, 73.5), "relationship 10 → 12.5, usage 75 → 73.5, support 15 → 14"),
        ((15, 10, 75), (15.0001, 10, 75), "no change"),
        ((15, 10, 75), (7.61, 29.83, 62.56), "relationship 10 → 30, usage 75 → 63, support 15 → 8"),
    ],
)
def test_text_of_changes(old: tuple[float, ...], new: tuple[float, ...], words: str) -> None:
    assert changes_text(("support", "relationship", "usage"), old, new) == words


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (54.0, 69.4, "90% interval 54 to 69"),
        (0.0, 1.0, "90% interval 0 to 1"),
        (0.0, 0.0, "the data alone suggest 0 in at least 90% of the resamples"),
        (-0.0, 0.3, "the data alone suggest 0 in at least 90% of the resamples"),
    ],
)
def test_text_of_what_the_data_alone_suggest(low: float, high: float, words: str) -> None:
    assert data_alone_text(low, high) == words
