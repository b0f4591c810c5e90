"""The gates between a candidate and the title of champion. It has to pass every one of them.

A gate that cannot be looked at is not passed: a check that was not run protects nobody. One of them a person may answer
for: a comparison with the champion that could not be made (`training.evaluation.promotion_gates.blocking_gates`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from training.dataset.sufficiency import Sufficiency
from training.evaluation.baselines import BASE_RATE, HEALTH_SCORE, LOGISTIC_REGRESSION
from training.evaluation.champion_comparison import ChampionComparison
from training.evaluation.comparison import Comparison
from training.leakage.report import MAXIMUM_NAMED

# With 30 accounts that have the outcome in the test, the slope's standard error is about 0.2: a model whose
# probabilities are right falls outside once in a hundred times or so.
SLOPE_BOUNDS = (0.6, 1.6)


def evaluate_gates(
    judgement: Comparison,
    enough: Sufficiency,
    leaks: Sequence[str] | None,
    against: ChampionComparison | None = None,
    feeds: Sequence[str] | None = None,
) -> tuple[Gate, ...]:
    """All gates of a judged candidate.

    Parameters
    ----------
    judgement : of the candidate, with the base rate, the health score and the linear model beside it.
    enough : the facts that it was trained on.
    leaks : what the leak check found, a line each; empty: none; None: it could not be run as a
        whole.
    against : the comparison with the champion; None where there is none.
    feeds : what is wrong with the feed that the labels stand on, a line each; empty: nothing; None: it was not looked
        at.
    """
    rivals = [LOGISTIC_REGRESSION, HEALTH_SCORE]
    return (
        _no_leak(leaks),
        _feeds_sound(feeds),
        _enough(enough),
        _beats_the_average(judgement),
        *(_no_loss(judgement, rival) for rival in rivals),
        *([] if against is None else [_no_loss_to_champion(against)]),
        _slope(judgement),
    )


def _no_leak(leaks: Sequence[str] | None) -> Gate:
    if leaks is None:
        return Gate("no_leak", False, None, 0.0, "the leak check was not run, or not to its end")
    more = f"; and {len(leaks) - MAXIMUM_NAMED} more" if len(leaks) > MAXIMUM_NAMED else ""
    words = "; ".join(leaks[:MAXIMUM_NAMED]) + more if leaks else "no feature sees the future"
    return Gate("no_leak", not leaks, float(len(leaks)), 0.0, words)


def _feeds_sound(feeds: Sequence[str] | None) -> Gate:
    if feeds is None:
        return Gate("feeds_sound", False, None, 0.0, "the feed that the labels stand on was not looked at")
    words = "; ".join(feeds) or "the feed that the labels stand on is up to date and has kept its units"
    return Gate("feeds_sound", not feeds, float(len(feeds)), 0.0, words)


def _enough(enough: Sufficiency) -> Gate:
    words = "lacking: " + "; ".join(enough.missing) if enough.missing else "enough accounts and outcomes in every slice"
    return Gate("enough_data", not enough.missing, float(len(enough.missing)), 0.0, words)


def _beats_the_average(judgement: Comparison) -> Gate:
    # By log loss, as all comparisons here: where the outcome is rare, it sees differences that Brier does not.
    found = judgement.difference(BASE_RATE)
    if found is None:
        return Gate("beats_base_rate", False, None, 0.0, "it was not compared with the base rate")
    words = "by log loss it is " + ("clearly better" if found.better else "not clearly better") + " than the base rate"
    return Gate("beats_base_rate", found.better, found.high, 0.0, words)


def _no_loss(judgement: Comparison, rival: str) -> Gate:
    found = judgement.difference(rival, "log_loss")
    name, against = f"no_loss_to_{rival}", rival.replace("_", " ")
    if found is None:
        return Gate(name, False, None, 0.0, f"it was not compared with the {against}")
    relation = "worse than" if found.worse else "better than" if found.better else "not measurably different from"
    return Gate(name, not found.worse, found.low, 0.0, f"by log loss it is {relation} the {against}")


def _no_loss_to_champion(against: ChampionComparison) -> Gate:
    if against.unreadable:
        return Gate(NO_LOSS_TO_CHAMPION, True, None, 0.0, f"no rival: {against.reason}")
    if against.difference is None:
        words = f"it could not be compared with the champion, version {against.version}: {against.reason}"
        return Gate(NO_LOSS_TO_CHAMPION, False, None, 0.0, words)
    _, low, high = against.difference
    relation = "worse than" if low > 0 else "better than" if high < 0 else "not measurably different from"
    words = f"by log loss it is {relation} the champion, version {against.version}"
    return Gate(NO_LOSS_TO_CHAMPION, not low > 0, low, 0.0, words)


def _slope(judgement: Comparison) -> Gate:
    slope = judgement[judgement.subject]["calibration_slope"].value
    low, high = SLOPE_BOUNDS
    limit = low if slope < 1 else high
    if low <= slope <= high:
        return Gate("calibration_slope", True, slope, limit, "its probabilities spread about as the outcomes do")
    way = "too extreme" if slope < low else "too timid" if slope > high else "all the same"
    figure = None if np.isnan(slope) else slope
    return Gate("calibration_slope", False, figure, limit, f"its probabilities are {way}")


NO_LOSS_TO_CHAMPION = "no_loss_to_champion"


@dataclass(frozen=True)
class Gate:
    """One condition: whether it holds, the figure that decided it and its limit (None where it is not a number), and
    a sentence for people."""

    name: str
    passed: bool
    figure: float | None
    limit: float | None
    words: str

    @property
    def undecided(self) -> bool:
        """Whether there was nothing to compare with the champion on: no fault of the candidate, and no proof."""
        return undecided(vars(self))


def all_passed(found: Sequence[Gate]) -> bool:
    """Whether every gate is passed; False for none at all."""
    return bool(found) and all(gate.passed for gate in found)


def undecided(told: Mapping[str, Any]) -> bool:
    """Whether the gate ``told`` is the comparison with the champion, and could not be made."""
    return told["name"] == NO_LOSS_TO_CHAMPION and not told["passed"] and told.get("figure") is None


def blocking_gates(gates: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The gates that forbid even a person to promote: those not passed. A comparison with the champion that could not
    be made forbids nothing by itself: somebody may answer for it, and is kept with the change."""
    return [told for told in gates if not told["passed"] and not undecided(told)]


def gate_text(told: Mapping[str, Any]) -> str:
    """A gate in words, with the figure that decided it and its limit where both are numbers."""
    figure, limit = told.get("figure"), told.get("limit")
    known = isinstance(figure, float | int) and isinstance(limit, float | int)
    numbers = f" ({figure:.3g} against a limit of {limit:.3g})" if known else ""
    return f"{str(told['name']).replace('_', ' ')}: {told['words']}{numbers}"
