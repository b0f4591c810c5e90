"""The decision of a review: keep, change, or not enough evidence, for the weights and for the band limits."""

from __future__ import annotations

from collections.abc import Mapping

from training.review.contradictions import contradictions
from training.review.figure import ReviewModel
from training.review.recalibration.proposals import Proposals
from training.review.recalibration.schemas import BandProposal, ReviewVerdict, WeightProposal
from training.review.recalibration.score_comparison import TARGET
from training.review.recalibration.weight_verdict import changes_text, log_loss_text

VERDICT_TEXT: dict[ReviewVerdict, str] = {
    "keep": "no change",
    "change": "change",
    "not_enough_evidence": "no change: not enough evidence",
}


class VerdictSummary(ReviewModel):
    """A verdict, its text, and its reasons, the most important first."""

    answer: ReviewVerdict
    words: str
    reasons: tuple[str, ...]


class DecisionBox(ReviewModel):
    """The decision in sentences.

    ``headline`` is the decision in one sentence. ``changes`` lists old and new values, ``hindsight`` describes the
    effect on the churns of the quarter, and ``evidence`` states the evidence in one sentence. ``notes`` explain other
    findings that seem to contradict it. ``effective`` is the earliest effective date at the time of the review. The
    owner is named at sign-off.
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
    proposals: Proposals, effective: str, hindsight: str = "", strength: Mapping[str, float] | None = None
) -> DecisionBox:
    """Build the decision from the proposals; the signers may still reject it.

    Parameters
    ----------
    proposals : what is proposed.
    effective : earliest effective date, in ISO format.
    hindsight : the text of `training.review.hindsight`.
    strength : as in `contradictions`.
    """
    weights = _summarize(proposals.weights, proposals.reasons)
    bands = _summarize(proposals.bands.decision, proposals.bands.reasons)
    return DecisionBox(
        headline=_headline(weights.answer, bands.answer),
        changes=describe_changes(proposals),
        hindsight=hindsight,
        evidence=_evidence(proposals),
        notes=contradictions(proposals.sets, strength or {}),
        weights=weights,
        bands=bands,
        effective=effective,
    )


def describe_changes(proposals: Proposals) -> str:
    """Describe the changes with old and new values."""
    parts = []
    for each in proposals.sets:
        if each.proposal.decision == "change":
            old, new = each.proposal.old, each.proposal.new
            subject = "Weights" if len(proposals.sets) == 1 else f"Weights of {each.name}"
            parts.append(f"{subject}: {changes_text(list(old), list(old.values()), [new[name] for name in old])}.")
    if proposals.bands.decision == "change":
        limits = proposals.bands.limits
        words = changes_text(
            [each.band for each in limits], [each.old for each in limits], [each.new for each in limits]
        )
        parts.append(f"Band limits: {words}.")
    return " ".join(parts) or "Nothing changes."


def _evidence(proposals: Proposals) -> str:
    """The evidence in one sentence: for the weights, or for the band limits if only those change."""
    sets = [each.proposal for each in proposals.sets if each.proposal.decision == proposals.weights]
    proposal: WeightProposal | BandProposal = sets[0]
    if proposals.weights != "change" and proposals.bands.decision == "change":
        proposal = proposals.bands
    target = next((each for each in proposal.judged if each.name == TARGET), None)
    if proposal.decision == "change" and target is not None:
        return (
            f"The change is based on {proposal.earlier.churned} churned accounts and confirmed by"
            f" {proposal.later.churned} accounts that churned later: {log_loss_text(target.log_loss_change)}."
        )
    return f"{proposal.reasons[0][0].upper()}{proposal.reasons[0][1:]}." if proposal.reasons else ""


def _summarize(answer: ReviewVerdict, reasons: tuple[str, ...]) -> VerdictSummary:
    return VerdictSummary(answer=answer, words=VERDICT_TEXT[answer], reasons=tuple(reasons))


def _headline(weights: ReviewVerdict, bands: ReviewVerdict) -> str:
    if weights == "change" and bands == "change":
        return "Change the weights and the band limits."
    if weights == "change":
        return "Change the weights. Keep the band limits."
    if bands == "change":
        return "Keep the weights. Change the band limits."
    if "not_enough_evidence" in (weights, bands):
        return "No change: there is not enough evidence."
    return "No change: keep the current weights and band limits."
