"""The decision box: keep, change, or not enough evidence, for the weights and for the band limits."""

from __future__ import annotations

from typing import Literal

from training.review.figure import Fact
from training.review.proposals import Proposals

Answer = Literal["keep", "change", "not_enough_evidence"]
WORDS: dict[Answer, str] = {
    "keep": "do not change",
    "change": "change",
    "not_enough_evidence": "not enough evidence: do not change",
}


class Decided(Fact):
    """One answer, in words, and its reasons, the weightiest first."""

    answer: Answer
    words: str
    reasons: tuple[str, ...]


class DecisionBox(Fact):
    """``headline`` is the whole in one sentence; ``effective`` the first date on which a change could take effect. The
    owner is named when it is signed."""

    headline: str
    weights: Decided
    bands: Decided
    effective: str
    owner: str | None = None


def decision_box(found: Proposals, effective: str) -> DecisionBox:
    """The decision that the evidence leads to; people may still reject it."""
    weights, bands = _decided(found.weights, found.reasons), _decided(found.bands.decision, found.bands.reasons)
    return DecisionBox(
        headline=_headline(weights.answer, bands.answer), weights=weights, bands=bands, effective=effective
    )


def _decided(answer: Answer, reasons: tuple[str, ...]) -> Decided:
    return Decided(answer=answer, words=WORDS[answer], reasons=tuple(reasons))


def _headline(weights: Answer, bands: Answer) -> str:
    if weights == "change" and bands == "change":
        return "Change the weights and the band limits."
    if weights == "change":
        return "Change the weights; keep the band limits."
    if bands == "change":
        return "Keep the weights; change the band limits."
    if "not_enough_evidence" in (weights, bands):
        return "Do not change: there is not enough evidence."
    return "Do not change: the weights and band limits in force stand."
