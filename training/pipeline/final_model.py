"""A model fitted on all outcomes known at an instant and calibrated on the newest ones.

A training releases it; a backtest fits it as of a past date.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from training.dataset.design_matrix import Design
from training.dataset.target_rows import LabelledSlice, TargetRows
from training.dataset.time_split import TimeSplit
from training.estimators.blend import Blend
from training.estimators.calibration import calibrate, halfway
from training.evaluation.baselines import expected_rate, level_move


@dataclass(frozen=True)
class FinalModel:
    """A fitted and calibrated model.

    Parameters
    ----------
    blend : the model.
    design : the training rows.
    latest : the rows of the calibration slice.
    calibrator : fitted on ``latest``, which the model was not trained on.
    rate : the mean calibrated probability, 0 to 1.
    """

    blend: Blend
    design: Design
    latest: LabelledSlice
    calibrator: dict[str, Any]
    rate: float

    @property
    def outcomes(self) -> int:
        """The number of accounts with the outcome among the training rows."""
        design = self.design
        return len(set(design.accounts[design.main & (design.y == 1)]))


def fit_final_model(
    rows: TargetRows, parts: TimeSplit, through: datetime, fit: Callable[[Design], Blend], seed: int = 0
) -> FinalModel:
    """Fit and calibrate a model.

    Parameters
    ----------
    rows : labelled snapshots of one target.
    parts : a split without a test slice (`training.dataset.time_split.TimeSplit.final`).
    through : the instant up to which outcomes are known, when the model comes into use.
    fit : fits the model on the training rows.
    seed : of the calibrator's resamples.

    Raises
    ------
    InsufficientData
        A slice holds too few outcomes.
    """
    design, latest = rows.training_design(parts.calibration[0]), rows.slice(parts, "calibration")
    blend = fit(design)
    expected = expected_rate(blend, design, latest)
    move = level_move(blend, rows, parts, through)
    raw = blend.raw(latest.frame)
    calibrator = calibrate(raw, latest.y, *latest.keys, expected, seed=seed, move=move)
    return FinalModel(blend, design, latest, calibrator, halfway(expected, float(latest.y.mean())))
