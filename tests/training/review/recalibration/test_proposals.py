"""From proposals to sign-off and to the resulting scores, with a profile for some segments."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from models.artifacts.champion import Champion, load_champion
from models.health.rubric import Rubric, rubric_from_text
from models.health.rubric_versions import sha256
from models.home import Home
from models.reviews.sign_off import Signer, SignOffRequest, sign
from training.review.document import SignOffSection
from training.review.recalibration import proposals as proposing
from training.review.recalibration.profile_weights import propose_for_rubric
from training.review.recalibration.proposals import Proposals, propose_changes
from training.review.recalibration.synthetic_histories import simulate_synthetic_history
from training.review.sections.decision import decision_box

NAMES = ("usage", "engagement", "support")
FEATURES = dict(
    zip(NAMES, ("usage.stickiness_28d", "engagement.meetings_kept_91d", "usage.active_days_28d"), strict=True)
)
EVEN, TRUE = {"usage": 40.0, "engagement": 30.0, "support": 30.0}, {"usage": 70.0, "engagement": 27.0, "support": 3.0}
OWN = {"usage": 20.0, "engagement": 20.0, "support": 60.0}

HEAD = """name = "own"
version = "2026Q3"
minimum_coverage = 0.5
"""
REST = """
[bands]
green = 70
yellow = 40
red = 0
"""


def rubric_of(weights: dict[str, float], *profiles: str) -> Rubric:
    dimensions = "".join(
        f"""
[[dimensions]]
name = "{name}"
weight = {weight:g}
[[dimensions.signals]]
feature = "{FEATURES[name]}"
weight = 1
grade = "scale"
better = "higher"
worst = 0
best = 100
"""
        for name, weight in weights.items()
    )
    return rubric_from_text(HEAD + "".join(profiles) + REST + dimensions, "own.toml")


IN_A_LINE = """
[[profiles]]
segments = ["enterprise", "mid-market"]   # looked after by name
weights = { usage = 20, engagement = 20, support = 60 }
"""
IN_LINES = """
[[profiles]]
segments = ["self-serve"]
[profiles.weights]
usage = 20   # of 100
engagement = 20
support = 60
"""


def review_data(rubric: Rubric, churned: int = 600) -> Any:
    """Review data of a portfolio with one true set of weights, half of it with a profile."""
    rows = simulate_synthetic_history(TRUE, EVEN, churned, 5, every_weeks=26).rows
    frame = rows.points.rename(columns=FEATURES).assign(account_id=rows.accounts, as_of=rows.as_of)
    frame["contract.arr"] = np.where(pd.Series(rows.accounts).str[-1].isin(list("02468")), 250_000.0, 9_000.0)
    health = rubric.score(frame)
    return SimpleNamespace(
        champion=Champion({}, rubric),
        frame=frame,
        health=health,
        score=health.score.to_numpy(dtype=float),
        band=health.band.to_numpy(dtype=object),
        churn=rows.churned,
        accounts=rows.accounts,
        as_of=rows.as_of,
        segment=np.where(frame["contract.arr"] > 100_000, "enterprise", "smb").astype(object),
        window=SimpleNamespace(horizon_days=90, grace_days=30),
    )


@pytest.fixture(scope="module")
def review_proposals() -> Proposals:
    return propose_changes(review_data(rubric_of(TRUE, IN_A_LINE, IN_LINES)), capacity=10_000)


def test_each_profile_is_decided_on_its_own_accounts(review_proposals: Proposals) -> None:
    own, enterprise, self_serve = review_proposals.sets
    assert own.proposal.decision != "change", "its current weights are the true ones"
    assert enterprise.proposal.decision == "change"
    assert enterprise.proposal.new["support"] == OWN["support"] - 5
    assert (self_serve.rows, self_serve.proposal.decision, self_serve.proposal.new) == (0, "not_enough_evidence", OWN)
    box = decision_box(review_proposals, "2026-10-01").weights
    assert box.answer == "change"
    assert box.reasons[0].startswith("enterprise, mid-market: ")
    assert any(reason.startswith("self-serve: 0 accounts churned") for reason in box.reasons)
    assert any(reason.startswith("accounts without a profile: ") for reason in box.reasons)


def test_an_approval_changes_the_weights_of_the_profile_only(
    review_proposals: Proposals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = rubric_of(TRUE, IN_A_LINE, IN_LINES)
    after = signed(review_proposals, old, tmp_path, monkeypatch)
    assert after.version == "2026Q4"
    assert after.rules.profiles[0].weights == review_proposals.sets[1].proposal.new
    assert after.rules.profiles[1].weights == OWN
    assert "# looked after by name" in after.text
    frame = review_data(old, 60).frame
    before, then = (rubric.score(frame).score for rubric in (old, after))
    own = (frame["contract.arr"] > 100_000).to_numpy()
    assert (before[own] != then[own]).mean() > 0.5
    pd.testing.assert_series_equal(before[~own], then[~own])
    # Computed by hand: points taken from one dimension go to the others.
    row = frame[own].iloc[[0]]
    scores = after.score(row)
    by_hand = sum(review_proposals.sets[1].proposal.new[name] * scores.dimensions[name].iloc[0] / 100 for name in NAMES)
    assert scores.score.iloc[0] == pytest.approx(by_hand, abs=0.05)


def test_a_weight_of_zero_can_be_approved_and_reviewed_again(
    review_proposals: Proposals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The signers drop a dimension for the accounts without a profile, regardless of the evidence.
    without, old = {"usage": 97.0, "engagement": 0.0, "support": 3.0}, rubric_of(TRUE, IN_A_LINE, IN_LINES)
    first, *others = review_proposals.sets
    dimensions = tuple(replace(each, new=without[each.name]) for each in first.proposal.dimensions)
    sets = (replace(first, proposal=replace(first.proposal, dimensions=dimensions)), *others)
    proposed = proposing.changed_rubric(old, [each.proposal.new for each in sets], review_proposals.bands.new)
    after = signed(replace(review_proposals, sets=sets, proposed=proposed), old, tmp_path, monkeypatch)
    assert {d.name: d.weight for d in after.rules.dimensions} == without
    data = review_data(after)
    pd.testing.assert_frame_equal(data.health.dimensions, review_data(old).health.dimensions)
    points = data.health.dimensions
    complete = points.notna().all(axis=1).to_numpy() & (data.segment == "smb")
    np.testing.assert_allclose(data.score[complete], (0.97 * points.usage + 0.03 * points.support)[complete], atol=0.0501)
    again = propose_for_rubric(proposing.review_rows(data), after)[0].proposal
    risen = next(each for each in again.dimensions if each.name == "engagement")
    assert (risen.old, risen.clear, risen.new) == (0.0, "up", 5.0)


def signed(review_proposals: Proposals, old: Rubric, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rubric:
    """Write and approve a review with these proposals, and return the resulting rubric."""
    assert review_proposals.proposed is not None
    (tmp_path / "rules" / "rubrics").mkdir(parents=True)
    (tmp_path / "rules" / "rubrics" / "own.toml").write_text(old.text)
    monkeypatch.setenv("RENEWCAST_RULES", str(tmp_path / "rules"))
    home, name = Home(tmp_path / "home"), "2026Q3-own-0000abcd"
    to_sign = SignOffSection.model_validate(
        {
            "rubric": "own", "version": old.version, "model": None, "signals": "signals",
            "data_through": "2026-10-01T00:00:00+00:00",
            "hashes": {"data": "duckdb-1:abc", "rubric": sha256(old.text), "model": None},
            "weights": review_proposals.sets[0].proposal.old, "bands": {"green": 70.0, "yellow": 40.0, "red": 0.0},
            "profiles": old.rules.profiles, "proposed_weights": review_proposals.sets[0].proposal.new,
            "proposed_bands": review_proposals.bands.new, "proposed_profiles": review_proposals.proposed.rules.profiles, "meaning": None,
            "earliest_effective": "2026-10-01",
        }
    )  # fmt: skip
    document = {
        "schema_version": 1, "id": name, "quarter": "2026Q3", "created_at": "2026-10-02T08:00:00Z",
        "decision": decision_box(review_proposals, "2026-10-01").model_dump(mode="json"),
        "sign_off": to_sign.model_dump(mode="json"),
    }  # fmt: skip
    (home.reviews / name).mkdir(parents=True)
    (home.reviews / name / "review.json").write_text(json.dumps(document))
    sign(home, name, Signer("key_a", "author"), SignOffRequest(owner="owner", effective="2026-10-15"), data_fingerprint="duckdb-1:abc")
    sign(home, name, Signer("key_b", "reviewer"), SignOffRequest(), data_fingerprint="duckdb-1:abc")
    champion = load_champion(home).with_rubric("own")
    assert champion.rubric_at(datetime(2026, 10, 14, tzinfo=UTC)).text == old.text
    return champion.rubric_at(datetime(2026, 10, 15, tzinfo=UTC))
