"""The decision box: keep, change, or not enough evidence, for the weights and for the band limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from training.review.contradictions import contradictions
from training.review.figure import ReviewModel
from training.review.recalibration.proposals import Proposals
from training.review.recalibration.schemas import BandProposal, WeightProposal
from training.review.recalibration.score_comparison import TARGET
from training.review.recalibration.weight_verdict import changes_text, log_loss_text

Answer = Literal["keep", "change", "not_enough_evidence"]
VERDICT_TEXT: dict[Answer, str] = {
    "keep": "do not change",
    "change": "change",
    "not_enough_evidence": "not enough evidence: do not change",
}


class VerdictSummary(ReviewModel):
    """One answer, in words, and its reasons, the weightiest first."""

    answer: Answer
    words: str
    reasons: tuple[str, ...]


class DecisionBox(ReviewModel):
    """``headline`` is the whole in one sentence; ``effective`` the first date on which a change could take effect, when
    the review was held. The owner is named when it is signed.

    ``changes`` says what changes from what to what, ``hindsight`` what it would have changed in the quarter,
    ``evidence`` in one sentence what it rests on; ``notes`` explain what on the page seems to speak against it.
    """

    headline: str
    changes: str
    hindsight: str
    evidence: str
    notes: tuple[str, ...] = ()
    weights: VerdictSummary
    bands: VerdictSummary
    effective: str
    owner: str | None = None


def decision_box(
    found: Proposals, effective: str, hindsight: str = "", strength: Mapping[str, float] | None = None
) -> DecisionBox:
    """The decision that the evidence leads to; people may still reject it.

    Parameters
    ----------
    effective : ISO date. hindsight : the sentences of `training.review.hindsight`.
    strength : as in `contradictions`.
    """
    weights, bands = _decided(found.weights, found.reasons), _decided(found.bands.decision, found.bands.reasons)
    return DecisionBox(
        headline=_headline(weights.answer, bands.answer),
        changes=describe_changes(found),
        hindsight=hindsight,
        evidence=_evidence(found),
        notes=contradictions(found.sets, strength or {}),
        weights=weights,
        bands=bands,
        effective=effective,
    )


def describe_changes(found: Proposals) -> str:
    """What changes, from what to what."""
    parts = []
    for each in found.sets:
        if each.proposal.decision == "change":
            old, new = each.proposal.old, each.proposal.new
            of = "Weights" if len(found.sets) == 1 else f"Weights of {each.name}"
            parts.append(f"{of}: {changes_text(list(old), list(old.values()), [new[name] for name in old])}.")
    if found.bands.decision == "change":
        limits = found.bands.limits
        words = changes_text(
            [each.band for each in limits], [each.old for each in limits], [each.new for each in limits]
        )
        parts.append(f"Band limits: {words}.")
    return " ".join(parts) or "Nothing changes."


def _evidence(found: Proposals) -> str:
    """What the decision rests on, in one sentence: of the weights, or of the limits where those alone change."""
    sets = [each.proposal for each in found.sets if each.proposal.decision == found.weights]
    of: WeightProposal | BandProposal = sets[0]
    if found.weights != "change" and found.bands.decision == "change":
        of = found.bands
    target = next((each for each in of.judged if each.name == TARGET), None)
    if of.decision == "change" and target is not None:
        return (
            f"{of.earlier.churned} accounts that left earlier say so, and {of.later.churned} that left later confirm"
            f" it: {log_loss_text(target.log_loss_change)}."
        )
    return f"{of.reasons[0][0].upper()}{of.reasons[0][1:]}." if of.reasons else ""


def _decided(answer: Answer, reasons: tuple[str, ...]) -> VerdictSummary:
    return VerdictSummary(answer=answer, words=VERDICT_TEXT[answer], reasons=tuple(reasons))


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
