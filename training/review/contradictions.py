"""What else the review says that seems to speak against a proposed weight, with the sentence that explains it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from training.review.recalibration.profile_weights import WeightSetProposal
from training.review.recalibration.schemas import DimensionFinding


def contradictions(sets: Sequence[WeightSetProposal], strength: Mapping[str, float]) -> tuple[str, ...]:
    """A sentence for each dimension whose weight is to change against another finding of the same page.

    Parameters
    ----------
    sets : what is proposed.
    strength : by dimension, how strongly its points go with staying by themselves, as the training of the model found;
        empty where it is not known.
    """
    return tuple(
        f"{each.name}: {said}" if len(sets) > 1 else said
        for each in sets
        for one in each.proposal.dimensions
        if one.new != one.old
        for said in _of(one, each.proposal.dimensions, strength)
    )


def _of(one: DimensionFinding, others: Sequence[DimensionFinding], strength: Mapping[str, float]) -> list[str]:
    found = []
    losses = {each.name: each.without.log_loss_change.value for each in others if each.without is not None}
    loss, up = losses.get(one.name), one.new > one.old
    if up and loss is not None and (loss <= 0 or loss == min(losses.values())):
        what = "the later dates lose nothing" if loss <= 0 else "the later dates lose least"
        found.append(
            f"{one.name} rises although {what} when it is left out: at {one.old:g} of 100 points it can hardly show."
            " The proposal rests on what more weight on it would do, which the later dates confirm."
        )
    if not up and loss is not None and loss > 0 and loss == max(losses.values()):
        found.append(
            f"{one.name} falls although the later dates lose most when it is left out: it stays important, and gives"
            " points to a dimension that tells more for each point."
        )
    known = {each.name: strength[each.name] for each in others if each.name in strength}
    if up and len(known) > 1 and one.name in known and known[one.name] == min(known.values()):
        found.append(
            f"{one.name} rises although the training of the model found that it separates accounts that left least when"
            " taken alone: beside the other dimensions it tells more than they do."
        )
    return found
