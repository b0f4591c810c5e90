"""A weight that moves against another finding of the page says why."""

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
    """The proposal, with what the later rows lose without each dimension."""
    dimensions = []
    for each in proposed.dimensions:
        assert each.without is not None
        without = replace(each.without, log_loss_change=Estimate(losses.get(each.name, 0.002), -1.0, 1.0))
        dimensions.append(replace(each, without=without))
    return (WeightSetProposal((), 10, "", replace(proposed, dimensions=tuple(dimensions))),)


def test_a_rising_weight_that_nothing_is_lost_without_is_explained(proposed: WeightProposal) -> None:
    up = next(d.name for d in proposed.dimensions if d.new > d.old)
    (said,) = [each for each in contradictions(sets(proposed, {up: -0.001}), {}) if each.startswith(up)]
    assert said.startswith(f"{up} rises although the later dates lose nothing when it is left out")


def test_a_falling_weight_that_most_is_lost_without_is_explained(proposed: WeightProposal) -> None:
    down = next(d.name for d in proposed.dimensions if d.new < d.old)
    others = {d.name: 0.001 + 0.001 * (d.new >= d.old) for d in proposed.dimensions}
    same = {d.name: 0.0005 for d in proposed.dimensions if d.new == d.old}
    (said,) = [each for each in contradictions(sets(proposed, others | same | {down: 0.005}), {}) if each.startswith(down)]
    assert f"{down} falls although the later dates lose most when it is left out" in said


def test_a_rising_weight_that_training_found_weakest_is_explained(proposed: WeightProposal) -> None:
    up = next(d.name for d in proposed.dimensions if d.new > d.old)
    strength = {d.name: 0.3 for d in proposed.dimensions} | {up: 0.1}
    assert any("separates accounts that left least" in said for said in contradictions(sets(proposed, {}), strength) if said.startswith(up))


def test_what_stays_needs_no_explanation(proposed: WeightProposal) -> None:
    kept = replace(proposed, dimensions=tuple(replace(d, new=d.old) for d in proposed.dimensions))
    assert contradictions(sets(kept, {"usage": -1.0}), {"usage": 0.0, "support": 1.0}) == ()


def test_the_box_says_what_changes_from_what_to_what_and_the_evidence(proposed: WeightProposal, bands_kept: object) -> None:
    assert proposed.decision == "change", proposed.reasons
    found = Proposals((WeightSetProposal((), 10, "", proposed),), bands_kept, None, None)  # type: ignore[arg-type]
    box = decision_box(found, "2026-10-01", "0 of 12 had been red.", {})
    for each in proposed.dimensions:
        assert (f"{each.name} {each.old:g} → {each.new:g}" in box.changes) is (each.new != each.old)
    assert box.evidence.startswith(f"{proposed.earlier.churned} accounts that left earlier say so")
    assert "confirm it: their log loss changes by -" in box.evidence
    assert box.hindsight == "0 of 12 had been red."
    nothing = replace(proposed, decision="keep", reasons=("the evidence points to usage 30 → 20, but no",))
    kept = Proposals((WeightSetProposal((), 10, "", nothing),), bands_kept, None, None)  # type: ignore[arg-type]
    assert describe_changes(kept) == "Nothing changes."
    assert decision_box(kept, "2026-10-01").evidence == "The evidence points to usage 30 → 20, but no."


@pytest.fixture(scope="module")
def bands_kept(few: SyntheticHistory) -> object:
    from models.health.rubric_schema import Bands
    from training.review.recalibration.band_decision import propose_bands

    return propose_bands(few.rows, Bands(green=70, yellow=40, red=0), capacity=5, resamples=20)
