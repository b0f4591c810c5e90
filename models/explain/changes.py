"""What changed a prediction of one account between two dates.

Both predictions are by the same model. Its contributions add up to its raw log-odds at each date, so the differences of
the contributions add up to the change: drivers + rest = change of the raw log-odds. Contributions are compared as they
are, not relative to comparable accounts, because an account can move to another segment.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from features.utils.arrays import Floats
from models.explain.reason_text import TIME_UNITS, number_words, value_words
from models.explain.reasons import MAX_REASONS, MINIMUM_STABILITY, TargetExplainer, stability
from models.targets import DOWN, UP

if TYPE_CHECKING:
    from features.definitions.feature import Feature

#: Smaller changes (log-odds) are not named. On a probability of 30%, this is 0.2 percentage points.
MINIMUM_CHANGE = 0.01


@dataclass(frozen=True)
class ConceptChange:
    """The change of one concept's contribution to the log-odds.

    ``code`` is the feature of the concept whose contribution changed most, with its value ``before`` and ``now`` in
    words; ``text`` describes both. ``stability`` is the share of the ensemble's members, 0 to 1, that agree on the
    change, and None for a single model.
    """

    code: str
    concept: str
    dimension: str
    direction: str
    text: str
    before: str
    now: str
    contribution_log_odds: float
    stability: float | None = None


@dataclass(frozen=True)
class PredictionChange:
    """The change of one account's prediction: ``raw_before`` + the drivers + ``rest`` = ``raw_now``, in log-odds.

    ``drivers`` holds at most MAX_REASONS concepts, the largest change first, in both directions. The contribution of a
    concept without a changed value can change too, because the model combines features; it is part of ``rest``.
    """

    raw_before: float
    raw_now: float
    drivers: tuple[ConceptChange, ...]
    rest: float

    @property
    def log_odds(self) -> float:
        """The change of the raw log-odds."""
        return self.raw_now - self.raw_before

    @property
    def in_direction(self) -> tuple[ConceptChange, ...]:
        """The drivers that moved the prediction in the direction of its change, the largest first."""
        return tuple(each for each in self.drivers if each.contribution_log_odds * self.log_odds > 0)


def explain_change(before: TargetExplainer, row_before: int, now: TargetExplainer, row_now: int) -> PredictionChange:
    """Explain the change of one account's prediction between two dates.

    Parameters
    ----------
    before, now : the explainers of the same model at both dates.
    row_before, row_now : the account's position in each.

    Returns
    -------
    PredictionChange

    Raises
    ------
    ValueError : the two models have other targets or features.
    """
    if (before.target, before.names) != (now.target, now.names):
        raise ValueError("the change between two predictions is explained only if one model made both")
    parts_before, parts_now = (
        explainer.contribute(np.array([row], dtype=np.int64))
        for explainer, row in ((before, row_before), (now, row_now))
    )
    by_member = now.concept_sums(parts_now) - before.concept_sums(parts_before)
    moved, parts = by_member.mean(axis=0)[0], (parts_now - parts_before).mean(axis=0)[0]
    agreed = stability(by_member)[0]
    concepts, known = tuple(now.concept_features), len(by_member) > 1
    changed = [_changed_features(before, row_before, now, row_now, concept) for concept in concepts]
    largest = [i for i in np.argsort(-np.abs(moved), kind="stable") if changed[i]][:MAX_REASONS]
    named = [i for i in largest if abs(moved[i]) >= MINIMUM_CHANGE and agreed[i] >= MINIMUM_STABILITY]
    drivers = tuple(
        _driver(
            before, row_before, now, row_now, changed[i], parts, float(moved[i]), float(agreed[i]) if known else None
        )
        for i in named
    )
    raw_before, raw_now = float(before.raw[row_before]), float(now.raw[row_now])
    rest = raw_now - raw_before - math.fsum(driver.contribution_log_odds for driver in drivers)
    return PredictionChange(raw_before, raw_now, drivers, rest)


def _changed_features(
    before: TargetExplainer, row_before: int, now: TargetExplainer, row_now: int, concept: str
) -> list[int]:
    """Return the positions of the concept's features whose value changed."""
    return [
        place
        for place in now.concept_features[concept]
        if not _same(before.value(now.names[place], row_before), now.value(now.names[place], row_now))
    ]


def _driver(
    before: TargetExplainer,
    row_before: int,
    now: TargetExplainer,
    row_now: int,
    changed: Sequence[int],
    parts: Floats,
    amount: float,
    agreed: float | None,
) -> ConceptChange:
    # The feature with the largest change of its contribution in the direction of the concept.
    leading = max(changed, key=lambda place: parts[place] * np.sign(amount))
    feature = now.catalogue[now.names[leading]]
    then, value = before.value(feature.name, row_before), now.value(feature.name, row_now)
    return ConceptChange(
        feature.name,
        feature.concept,
        feature.dimension,
        (UP if amount > 0 else DOWN)[now.target],
        change_words(feature, then, value),
        value_words(then, feature.unit, feature.words),
        value_words(value, feature.unit, feature.words),
        amount,
        agreed,
    )


def change_words(feature: Feature, before: float | str | None, now: float | str | None) -> str:
    """Describe a changed value of a feature, without a final period.

    Parameters
    ----------
    feature : the feature.
    before, now : its value at both dates; None or NaN for unknown.

    Returns
    -------
    str
        A change of a count is "2 fewer active users in the last 28 days"; any other change names both values.

    Examples
    --------
    >>> from features.custom.current_catalogue import current_catalogue
    >>> catalogue = current_catalogue()
    >>> change_words(catalogue["usage.active_users_28d"], 12.0, 10.0)
    '2 fewer active users in the last 28 days'
    >>> change_words(catalogue["billing.failed_91d"], 0.0, 1.0)
    '1 more failed payment in the last 91 days'
    >>> change_words(catalogue["usage.seats_used_share"], 0.8, 0.6)
    'share of the licensed seats in use: 80% → 60%'
    """
    shown_before, shown_now = (value_words(value, feature.unit, feature.words) for value in (before, now))
    if isinstance(before, float) and isinstance(now, float) and not (math.isnan(before) or math.isnan(now)):
        difference, one = now - before, _one_counted(feature)
        if one is not None and difference == round(difference):
            count = abs(difference)
            return (
                f"{number_words(count)} {'more' if difference > 0 else 'fewer'} {one if count == 1 else feature.words}"
            )
        if shown_before == shown_now:
            return f"{feature.words} {'rose' if difference > 0 else 'fell'} slightly ({shown_now})"
    return f"{feature.words}: {shown_before} → {shown_now}"


#: The description of a count: words for what is counted, ending with the unit, and then a window or a condition.
_COUNTED = re.compile(
    r"(?P<head>(?:[a-z]+ ){0,3}?)(?P<noun>[a-z]+)"
    r"(?P<tail>|(?: (?:in|so far|under|of|since|opened|escalated|run|used|met|missed|set|reached|held|canceled)\b.*))"
)
#: Descriptions that begin with these words do not name the counted things alone.
_NOT_COUNTED = frozenset({"share", "average", "change", "latest", "number", "different", "days", "consecutive"})


def _one_counted(feature: Feature) -> str | None:
    """Return the description of one unit of a count, "failed payment in the last 28 days"; None if it is no count."""
    unit = feature.unit
    if unit in TIME_UNITS or not unit.endswith("s") or feature.words.partition(" ")[0] in _NOT_COUNTED:
        return None
    match = _COUNTED.fullmatch(feature.words)
    return None if match is None or match["noun"] != unit else f"{match['head']}{_singular(unit)}{match['tail']}"


def _singular(noun: str) -> str:
    return noun.removesuffix("ies") + "y" if noun.endswith("ies") else noun.removesuffix("s")


def _same(before: float | str | None, now: float | str | None) -> bool:
    return (_unknown(before) and _unknown(now)) or before == now


def _unknown(value: float | str | None) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
