"""Notes on findings of a review that seem to contradict a proposed weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from training.review.recalibration.profile_weights import WeightSetProposal
from training.review.recalibration.schemas import DimensionFinding


def contradictions(sets: Sequence[WeightSetProposal], strength: Mapping[str, float]) -> tuple[str, ...]:
    """Explain each changed weight that seems to contradict another finding of the review.

    Parameters
    ----------
    sets : the proposals for each set of weights.
    strength : by dimension, the association of its points alone with staying, from the training of the model; empty if
        unknown.

    Returns
    -------
    One sentence or more for each contradiction.
    """
    return tuple(
        f"{each.name}: {note}" if len(sets) > 1 else note
        for each in sets
        for dimension in each.proposal.dimensions
        if dimension.new != dimension.old
        for note in _notes(dimension, each.proposal.dimensions, strength)
    )


def _notes(dimension: DimensionFinding, others: Sequence[DimensionFinding], strength: Mapping[str, float]) -> list[str]:
    notes = []
    losses = {each.name: each.without.log_loss_change.value for each in others if each.without is not None}
    loss, up = losses.get(dimension.name), dimension.new > dimension.old
    if up and loss is not None and (loss <= 0 or loss == min(losses.values())):
        effect = "costs nothing on the later dates" if loss <= 0 else "costs least on the later dates"
        notes.append(
            f"The weight of {dimension.name} rises although leaving it out {effect}. With only {dimension.old:g} of 100"
            " points it has little effect so far. The proposal rests on the effect of more weight, which the later"
            " dates confirm."
        )
    if not up and loss is not None and loss > 0 and loss == max(losses.values()):
        notes.append(
            f"The weight of {dimension.name} falls although leaving it out costs most on the later dates. It stays"
            " important, but other dimensions predict more per point."
        )
    strengths = {each.name: strength[each.name] for each in others if each.name in strength}
    weakest = len(strengths) > 1 and strengths.get(dimension.name) == min(strengths.values())
    if up and weakest:
        notes.append(
            f"The weight of {dimension.name} rises although in training it was the dimension that, taken alone,"
            " separated churned accounts least. Combined with the other dimensions it adds more information."
        )
    return notes
