"""A changed weight that seems to contradict another finding is explained."""

from __future__ import annotations

from dataclasses import replace

import pytest

from training.review.contradictions import contradictions
from training.review.recalibration.profile_weights import WeightSetProposal
from training.review.recalibration.proposals import Proposals
from training.review.recalibration.schemas import Estimate, WeightProposal
from training.review.recalibration.synthetic_histories import SyntheticHistory
from training.review.recalibration.weight_decision import propose_weights
from training.review.sections.decision import decision_box, describe_changes

IN_FORCE = {"usage": 30.0, "engagement": 25.0, "support": 15.0, "outcomes": 20.0, "relationship": 10.0}


@pytest.fixture(scope="module")
def proposed(wrong: SyntheticHistory) -> WeightProposal:
    return propose_weights(wrong.rows, IN_FORCE, resamples=50)


def sets(proposed: WeightProposal, losses: dict[str, float]) -> tuple[WeightSetProposal, ...]:
    """The proposal, with the given loss on later rows without each dimension."""
    dimensions = []
    for each in proposed.dimensions:
        assert each.without is not None
        without = replace(each.without, log_loss_change=Estimate(losses.get(each.name, 0.002), -1.0, 1.0))
        dimensions.append(replace(each, without=without))
    return (WeightSetProposal((), 10, "", replace(proposed, dimensions=tuple(dimensions))),)


def notes_about(dimension: str, notes: tuple[str, ...]) -> list[str]:
    return [note for note in notes if note.startswith(f"The weight of {dimension} ")]


def test_a_rising_weight_of_a_dispensable_dimension_is_explained(proposed: WeightProposal) -> None:
    up = next(d.name for d in proposed.dimensions if d.new > d.old)
    (note,) = notes_about(up, contradictions(sets(proposed, {up: -0.001}), {}))
    assert note.startswith(f"The weight of {up} rises although leaving it out costs nothing on the later dates")


def test_a_falling_weight_of_an_important_dimension_is_explained(proposed: WeightProposal) -> None:
    down = next(d.name for d in proposed.dimensions if d.new < d.old)
    others = {d.name: 0.001 + 0.001 * (d.new >= d.old) for d in proposed.dimensions}
    same = {d.name: 0.0005 for d in proposed.dimensions if d.new == d.old}
    (note,) = notes_about(down, contradictions(sets(proposed, others | same | {down: 0.005}), {}))
    assert note.startswith(f"The weight of {down} falls although leaving it out costs most on the later dates")


def test_a_rising_weight_of_the_weakest_dimension_in_training_is_explained(proposed: WeightProposal) -> None:
    up = next(d.name for d in proposed.dimensions if d.new > d.old)
    strength = {d.name: 0.3 for d in proposed.dimensions} | {up: 0.1}
    assert any("separated churned accounts least" in note for note in notes_about(up, contradictions(sets(proposed, {}), strength)))


def test_an_unchanged_weight_is_not_explained(proposed: WeightProposal) -> None:
    unchanged = replace(proposed, dimensions=tuple(replace(d, new=d.old) for d in proposed.dimensions))
    assert contradictions(sets(unchanged, {"usage": -1.0}), {"usage": 0.0, "support": 1.0}) == ()


def test_the_decision_lists_old_and_new_values_and_the_evidence(proposed: WeightProposal, unchanged_bands: object) -> None:
    assert proposed.decision == "change", proposed.reasons
    proposals = Proposals((WeightSetProposal((), 10, "", proposed),), unchanged_bands, None, None)  # type: ignore[arg-type]
    box = decision_box(proposals, "2026-10-01", "0 of 12 were red.", {})
    for each in proposed.dimensions:
        assert (f"{each.name} {each.old:g} → {each.new:g}" in box.changes) is (each.new != each.old)
    assert box.evidence.startswith(f"The change is based on {proposed.earlier.churned} churned accounts and confirmed by {proposed.later.churned} ")
    assert "churned later: the prediction error (log loss) changes by −" in box.evidence
    assert box.hindsight == "0 of 12 were red."
    without_change = replace(proposed, decision="keep", reasons=("the data suggest usage 30 → 20, but no",))
    unchanged = Proposals((WeightSetProposal((), 10, "", without_change),), unchanged_bands, None, None)  # type: ignore[arg-type]
    assert describe_changes(unchanged) == "Nothing changes."
    assert decision_box(unchanged, "2026-10-01").evidence == "The data suggest usage 30 → 20, but no."


@pytest.fixture(scope="module")
def unchanged_bands(few: SyntheticHistory) -> object:
    from models.health.rubric_schema import Bands
    from training.review.recalibration.band_decision import propose_bands

    return propose_bands(few.rows, Bands(green=70, yellow=40, red=0), capacity=5, resamples=20)
