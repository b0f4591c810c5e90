"""Each profile of a rubric is reviewed on the accounts that it scores."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.health.rubric import load_rubric, rubric_from_text
from training.review.recalibration.profile_weights import propose_for_rubric
from training.review.recalibration.synthetic_histories import SyntheticHistory

PROFILE = """
[[profiles]]
segments = ["enterprise"]
weights = { usage = 20, engagement = 20, support = 20, outcomes = 20, relationship = 20 }
"""


def test_a_profile_is_reviewed_separately(few: SyntheticHistory) -> None:
    plain = load_rubric()
    head, rest = plain.text.split("[bands]", 1)
    rubric = rubric_from_text(head + PROFILE + "\n[bands]" + rest, "own.toml")
    segment = np.where(np.char.endswith(few.rows.accounts.astype(str), ("1")), "enterprise", "smb").astype(object)
    own, enterprise = propose_for_rubric(replace(few.rows, segment=segment), rubric, resamples=50)
    assert own.segments == ()
    assert enterprise.segments == ("enterprise",)
    assert own.rows + enterprise.rows == len(few.rows)
    assert set(enterprise.proposal.old.values()) == {20.0}
    assert own.proposal.old == pytest.approx({d.name: d.weight for d in plain.rules.dimensions})
    assert own.proposal.chance == pytest.approx(enterprise.proposal.chance)
    assert own.proposal.chance < 0.05


def test_a_single_set_has_the_whole_false_alarm_rate(few: SyntheticHistory) -> None:
    (only,) = propose_for_rubric(few.rows, load_rubric(), resamples=50)
    assert only.proposal.chance == 0.05
    assert only.note == ""
