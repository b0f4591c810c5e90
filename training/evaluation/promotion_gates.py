"""Promotion gates: a candidate must pass all of them to become the champion.

A gate that applies and cannot be checked is not passed, except that of a champion that can no longer be read. A person
may override one of them: a comparison with the champion that could not be made
(`training.evaluation.promotion_gates.blocking_gates`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from features.utils.formatting import interval_text, significant
from models.artifacts.model_card import candidate_name
from training.dataset.sufficiency import Sufficiency
from training.evaluation.baselines import (
    BASE_RATE,
    DERIVATION,
    HEALTH_SCORE,
    LOGISTIC_REGRESSION,
    RENEWAL_DUE,
)
from training.evaluation.champion_comparison import ChampionComparison
from training.evaluation.comparison import Comparison, beats_rate
from training.leakage.report import MAXIMUM_NAMED

# A slope within these bounds does not matter. With 30 predicted accounts that have the outcome, the standard error of
# the slope is about 0.2 for an AUC of 0.8. The log-odds of a weak model vary less, so its slope is less certain. It is
# not refused for a slope that may be 1, nor for one above the bounds: probabilities that are too close to the average
# understate differences between accounts, but they are better than the average alone.
SLOPE_BOUNDS = (0.6, 1.6)
# A loss of less than this share of the base rate's log loss is no reason to keep a simpler model: the ensemble gives
# intervals and stable reasons, and a long backtest measures differences that do not matter.
MARGIN = 0.02
# Normal quantiles: of a two-sided interval of 95%, and of a probability of 80%.
NORMAL_95 = 1.96
NORMAL_80 = 0.84


def evaluate_gates(
    judgement: Comparison,
    sufficiency: Sufficiency,
    leaks: Sequence[str] | None,
    against: ChampionComparison | None = None,
    feeds: Sequence[str] | None = None,
) -> tuple[Gate, ...]:
    """Evaluate all gates of a candidate.

    Parameters
    ----------
    judgement : comparison of the candidate with the base rate, the renewal date, the health score and the linear model.
        The gates of the renewal date and the health score apply only where the data have them.
    sufficiency : the sufficiency facts of its training data.
    leaks : findings of the leak check, one line each; empty: none; None: the check could not run completely.
    against : comparison with the champion; None if there is no champion.
    feeds : faults of the label feed, one line each; empty: none; None: the feed was not checked.

    Returns
    -------
    tuple of Gate
    """
    rivals = [LOGISTIC_REGRESSION, HEALTH_SCORE, *([RENEWAL_DUE] if judgement.difference(RENEWAL_DUE) else [])]
    return (
        _no_leak(leaks),
        _feeds_sound(feeds),
        _enough(sufficiency),
        _beats_the_average(judgement),
        *(_no_loss(judgement, rival) for rival in rivals),
        *([] if against is None else [_no_loss_to_champion(against, _margin(judgement))]),
        _slope(judgement),
    )


def evaluate_renewal_gates(judgement: Comparison) -> tuple[Gate, ...]:
    """Evaluate the gates of one stage of a renewal model.

    Parameters
    ----------
    judgement : comparison with the base rate and the derivation from the churn and expansion models.

    Returns
    -------
    tuple of Gate
    """
    return (_beats_the_average(judgement), _not_inferior_to_derivation(judgement), _slope(judgement))


def _no_leak(leaks: Sequence[str] | None) -> Gate:
    if leaks is None:
        return Gate("no_leak", False, None, 0.0, "the leak check did not run completely")
    more = f"; and {len(leaks) - MAXIMUM_NAMED} more" if len(leaks) > MAXIMUM_NAMED else ""
    words = "; ".join(leaks[:MAXIMUM_NAMED]) + more if leaks else "no feature uses the future"
    return Gate("no_leak", not leaks, float(len(leaks)), 0.0, words)


def _feeds_sound(feeds: Sequence[str] | None) -> Gate:
    if feeds is None:
        return Gate("feeds_sound", False, None, 0.0, "the label feed was not checked")
    words = "; ".join(feeds) or "the label feed is up to date, and its units did not change"
    return Gate("feeds_sound", not feeds, float(len(feeds)), 0.0, words)


def _enough(enough: Sufficiency) -> Gate:
    words = "missing: " + "; ".join(enough.missing) if enough.missing else "enough accounts and outcomes"
    return Gate("enough_data", not enough.missing, float(len(enough.missing)), 0.0, words)


def _beats_the_average(judgement: Comparison) -> Gate:
    # By log loss, like all comparisons here: for rare outcomes it shows differences that Brier does not.
    difference = judgement.difference(BASE_RATE)
    if difference is None:
        return Gate("beats_base_rate", False, None, 0.0, "it was not compared with the base rate")
    ranking, rival = judgement.ranking, "that of the base rate"
    if difference.better:
        return Gate("beats_base_rate", True, difference.high, 0.0, f"log loss better than {rival}")
    if ranking is not None and beats_rate(difference, ranking):
        words = (
            f"log loss lower than {rival}, though not measurably; it ranks accounts measurably better than chance "
            f"(ROC AUC within dates at least {ranking.low:.2f})"
        )
        return Gate("beats_base_rate", True, ranking.low, 0.5, words)
    words = f"log loss not measurably better than {rival}"
    if ranking is not None and ranking.low > 0.5:
        words = f"log loss not better than {rival}, though it ranks accounts measurably better than chance"
    elif ranking is not None:
        words += ", and ranking not measurably better than chance"
    return Gate("beats_base_rate", False, difference.high, 0.0, words)


def _no_loss(judgement: Comparison, rival: str) -> Gate:
    difference = judgement.difference(rival, "log_loss")
    name, against = f"no_loss_to_{rival}", candidate_name(rival)
    if difference is None and rival == HEALTH_SCORE:
        # Without any value, the health score is not a candidate.
        return Gate(name, True, None, None, f"not applicable: no account has a {against}")
    if difference is None:
        return Gate(name, False, None, 0.0, f"it was not compared with the {against}")
    return _compared(name, (difference.value, difference.low, difference.high), _margin(judgement), f"the {against}")


def _not_inferior_to_derivation(judgement: Comparison) -> Gate:
    """Return the gate of a renewal model against the derivation: the whole interval is below the margin.

    Unlike the rivals of the other gates, the derivation costs nothing and explains itself, so a model that could be
    measurably worse does not replace it.
    """
    name, margin = f"not_inferior_to_{DERIVATION}", _margin(judgement)
    difference = judgement.difference(DERIVATION)
    if difference is None:
        return Gate(name, False, None, margin, "it was not compared with the derivation from churn and expansion")
    rival = "that of the derivation from churn and expansion"
    if difference.better:
        words = f"log loss better than {rival}"
    elif difference.high < margin:
        words = f"log loss not worse than {rival} by more than the margin"
    else:
        words = f"log loss may be worse than {rival} by more than the margin"
    return Gate(name, difference.high < margin, difference.high, margin, words)


def _no_loss_to_champion(against: ChampionComparison, margin: float) -> Gate:
    if against.unreadable:
        return Gate(NO_LOSS_TO_CHAMPION, True, None, 0.0, f"no champion to compare with: {against.reason}")
    if against.difference is None:
        words = f"not compared with the champion, version {against.version}: {against.reason}"
        return Gate(NO_LOSS_TO_CHAMPION, False, None, 0.0, words)
    gate = _compared(NO_LOSS_TO_CHAMPION, against.difference, margin, f"the champion, version {against.version}")
    return replace(gate, words=f"{gate.words}; {LABELS_COMPARED}")


def _margin(judgement: Comparison) -> float:
    """Return the loss that does not matter: a share of the log loss of the base rate."""
    return MARGIN * judgement[BASE_RATE]["log_loss"].value


def _compared(name: str, difference: tuple[float, float, float], margin: float, rival: str) -> Gate:
    """Return the gate of a comparison: failed if a loss is proven and its estimate is larger than the margin.

    No proven loss beyond the margin is not a proof that there is none. So the words name the loss that fails the gate
    with a probability of 80%: the estimate must exceed both the margin and 1.96 standard errors.
    """
    value, low, high = difference
    passed = not (low > 0 and value > margin)
    if high < 0:
        words = f"log loss better than that of {rival}"
    elif low > 0:
        words = f"log loss worse than that of {rival}" + (" by less than the margin" if passed else "")
    elif high < margin:
        words = f"log loss not worse than that of {rival} by more than the margin"
    else:
        error = (high - low) / (2 * NORMAL_95)
        found = max(margin, NORMAL_95 * error) + NORMAL_80 * error
        words = (
            f"log loss not measurably different from that of {rival}; a loss of {found:.2g} or more would be found "
            "with a probability of at least 80%"
        )
    return Gate(name, passed, value, margin, words)


def _slope(judgement: Comparison) -> Gate:
    """Return the gate of the slope: failed if it is measurably below 1 and below the bounds, or not defined."""
    metric = judgement[judgement.subject]["calibration_slope"]
    slope, (low, high) = metric.value, SLOPE_BOUNDS
    limit = low if slope < 1 else high
    if low <= slope <= high:
        return Gate("calibration_slope", True, slope, limit, "its probabilities vary about as much as the outcomes")
    way = "too extreme" if slope < low else "too close to the average" if slope > high else "all equal"
    if metric.low <= 1 <= metric.high:
        words = f"its probabilities may be {way}, but the slope is not measurably different from 1"
        return Gate("calibration_slope", True, slope, limit, f"{words} ({interval_text(metric.low, metric.high)})")
    if slope > high:
        words = f"its probabilities are {way}: they understate differences between accounts"
        return Gate("calibration_slope", True, slope, limit, f"{words} ({interval_text(metric.low, metric.high)})")
    figure = None if np.isnan(slope) else slope
    return Gate("calibration_slope", False, figure, limit, f"its probabilities are {way}")


NO_LOSS_TO_CHAMPION = "no_loss_to_champion"
LABELS_COMPARED = (
    "compared on labels that neither was trained on; their windows may overlap earlier ones of the same account"
)


@dataclass(frozen=True)
class Gate:
    """One gate: whether it is passed, the deciding figure and its limit (None if not a number), and a sentence."""

    name: str
    passed: bool
    figure: float | None
    limit: float | None
    words: str

    @property
    def undecided(self) -> bool:
        """Whether this is the comparison with the champion and could not be made."""
        return undecided(vars(self))


def all_passed(gates: Sequence[Gate]) -> bool:
    """Return whether every gate is passed; False without gates."""
    return bool(gates) and all(gate.passed for gate in gates)


def undecided(gate: Mapping[str, Any]) -> bool:
    """Return whether a gate, as JSON values, is the comparison with the champion and could not be made."""
    return gate["name"] == NO_LOSS_TO_CHAMPION and not gate["passed"] and gate.get("figure") is None


def blocking_gates(gates: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the gates that even a person cannot override: all that are not passed, except an undecided one.

    A person may override a comparison with the champion that could not be made, and is recorded with the change.
    """
    return [gate for gate in gates if not gate["passed"] and not undecided(gate)]


def gate_text(gate: Mapping[str, Any]) -> str:
    """Return a gate in words, with the deciding figure and its limit if both are numbers."""
    figure, limit = gate.get("figure"), gate.get("limit")
    numeric = isinstance(figure, float | int) and isinstance(limit, float | int)
    numbers = f" ({significant(figure, 3)}, limit {significant(limit, 3)})" if numeric else ""
    return f"{str(gate['name']).replace('_', ' ')}: {gate['words']}{numbers}"
