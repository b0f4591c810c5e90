"""Effects per account: refused without enough data, stored as plain data, and close to the truth with enough."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from features.errors import HomeError
from models.rules.intervention_effects import InterventionRecord
from models.uplift.account_effects import AccountEffectModel, EffectsFile, read_effects, write_effects
from models.uplift.average_effect import TrialOutcomes
from training.uplift.account_effects import fit_effects, fit_model

AS_OF = datetime(2026, 7, 1, tzinfo=UTC)


def model(**changes: object) -> AccountEffectModel:
    fields: dict[str, object] = {
        "play": None, "accounts": 500, "held_out_accounts": 100, "average": 0.1, "average_interval": (0.05, 0.15),
        "means": (0.3, 8.0), "coefficients": (0.5, 0.0), "lows": (0.1, 6.0), "highs": (0.6, 10.0), "slope": 0.8,
        "slope_interval": (0.2, 1.4), "qini": 0.01, "qini_interval": (0.0, 0.02), "groups": (), "supported": True,
        "shrinkage": 0.8, "words": "accounts differ measurably",
    }  # fmt: skip
    return AccountEffectModel.model_validate(fields | changes)


def test_reductions_are_linear_within_the_range_of_the_trial_and_never_above_the_probability() -> None:
    churn = np.array([0.3, 0.4, 0.9, 0.02, np.nan])
    found = model().reduction(churn, np.full(5, 3000.0))
    assert found[:3] == pytest.approx([0.1, 0.1 + 0.8 * 0.5 * 0.1, 0.1 + 0.8 * 0.5 * 0.3])
    assert found[3] == pytest.approx(0.02)
    assert np.isnan(found[4])
    assert (model(average=-0.2).reduction(churn[:2], np.ones(2)) == 0).all()


def test_effects_are_stored_and_read_and_a_broken_file_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "effects.json"
    assert read_effects(path) is None
    stored = EffectsFile(as_of=AS_OF, models=(model(), model(play="call", supported=False)))
    write_effects(path, stored)
    assert read_effects(path) == stored
    assert stored.model_of("call") is None
    for text in ("{", "[]", '{"format": 2}', stored.model_dump_json().replace("0.15", "1e999")):
        path.write_text(text)
        with pytest.raises(HomeError, match="holdout effect"):
            read_effects(path)


def test_too_few_accounts_have_no_effects_and_a_reason() -> None:
    records = [
        InterventionRecord(f"a{n}", AS_OF - timedelta(days=200), n % 3 == 0, stayed=n % 4 != 0, play="call",
                           churn_probability=0.2 + n / 1000, arr=1000.0 + n)
        for n in range(150)
    ]  # fmt: skip
    effects, notes = fit_effects(records, AS_OF)
    assert effects.models == ()
    assert any("all plays" in note and "are needed" in note for note in notes)


@pytest.mark.slow
def test_effects_of_a_trial_are_close_to_the_truth_and_not_supported_without_differences() -> None:
    rng = np.random.default_rng(1)
    churn, arr, held_out = rng.beta(2, 6, 1500), rng.normal(9, 1, 1500), rng.random(1500) < 0.3
    uniform = rng.random(1500)

    def trial(reduction: np.ndarray) -> TrialOutcomes:
        stayed = uniform > np.where(held_out, churn, churn - reduction)
        covariates = np.column_stack([churn, arr])
        return TrialOutcomes(stayed, held_out, np.full(1500, 0.3), covariates, ("churn_probability", "log_arr"))

    truth = np.where(churn > 0.25, 0.7 * churn, 0.0)
    fitted = fit_model(trial(truth))
    assert fitted.supported
    found = fitted.reduction(churn, np.expm1(arr))
    assert np.corrcoef(found, truth)[0, 1] > 0.8
    assert fitted.qini_interval[0] > 0
    assert fitted.average_interval[0] < truth.mean() < fitted.average_interval[1]
    for group in fitted.groups:
        assert group.interval[0] - 0.05 < group.predicted < group.interval[1] + 0.05
    nothing = fit_model(trial(np.zeros(1500)))
    assert not nothing.supported
    assert nothing.shrinkage == 0
