"""The renewal model: whether a renewal will be lost, contracted, kept or expanded.

It is trained on one row per renewal at each of some fixed leads (days before the renewal), so it covers renewals that
are between the shortest and the longest lead away. For others, and without a renewal model, probabilities are derived
from the horizons of the churn and expansion models (`models.renewals.hazard_interpolation`).

The two make different errors: the derivation learns from all snapshots, this model only from renewals. So a forecast is
the mean of both in log-odds, where both are known (`pool_probabilities`).

The outcomes are nested, so that the four probabilities always add up to 1: a renewal is lost or not; one that is not
lost is expanded or not; one that is neither is contracted or kept. Each of these stages has its own binary model, with
the scorer of the churn and expansion models. A stage without a model is derived.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from features.utils.arrays import Bools, Floats
from models.peer_groups.frame_columns import number_column
from models.renewals.forecast_bias import clipped_log_odds
from models.renewals.renewal_file import FILE
from models.scorer.base import RENEWAL_FEATURE, SHORT_TERM_DAYS, TERM_FEATURE, logistic
from models.scorer.errors import ScorerError
from models.scorer.scorer import Scorer
from models.scorer.strict_files import read_json

Stage = Literal["lost", "expanded", "contracted"]
STAGES: tuple[Stage, ...] = ("lost", "expanded", "contracted")
"""Each stage is conditional on none of the earlier ones."""
LEADS = (30, 60, 90, 120)
"""Days before a renewal for which the model is trained, shortest first."""


def covered_renewals(frame: pd.DataFrame) -> Bools:
    """Return which snapshots have a renewal that the model covers, shape (n,).

    Monthly contracts are not covered: they renew too often for one renewal to matter.
    """
    until, term = (number_column(frame, name) for name in (RENEWAL_FEATURE, TERM_FEATURE))
    return (until >= LEADS[0]) & (until <= LEADS[-1]) & ~(term < SHORT_TERM_DAYS)


def pool_probabilities(model: Floats, derived: Floats) -> Floats:
    """Return the mean of two probabilities in log-odds; that of the model where the derived one is NaN, shape (n,)."""
    answer, both = model.copy(), np.isfinite(model) & np.isfinite(derived)
    answer[both] = logistic((clipped_log_odds(model[both]) + clipped_log_odds(derived[both])) / 2)
    return answer


@dataclass(frozen=True)
class StagePrediction:
    """The probability of a stage for n accounts and its 80% interval, (n,) each; NaN where it is to be derived."""

    probability: Floats
    low: Floats
    high: Floats

    @classmethod
    def none(cls, n: int) -> StagePrediction:
        """Return the prediction of no account."""
        return cls(*(np.full(n, np.nan) for _ in range(3)))


@dataclass(frozen=True)
class RenewalModel:
    """The model of each stage; ``lost`` is always there.

    Parameters
    ----------
    scorers : by stage, its scorer.
    features : by stage, the features as stored: name, kind and unit, and the definition of custom features.
    """

    scorers: Mapping[Stage, Scorer]
    features: Mapping[Stage, Sequence[Mapping[str, Any]]] = field(default_factory=dict)

    def predict(self, frame: pd.DataFrame) -> dict[Stage, StagePrediction]:
        """Return the prediction of every stage.

        Parameters
        ----------
        frame : n snapshots.

        Returns
        -------
        dict
            By stage, the probability given that none of the earlier stages occurs. NaN for renewals that are not
            covered, and for stages without a model.
        """
        rows = np.flatnonzero(covered_renewals(frame))
        return {stage: self._stage(stage, frame, rows) for stage in STAGES}

    def _stage(self, stage: Stage, frame: pd.DataFrame, rows: np.ndarray[Any, np.dtype[np.int64]]) -> StagePrediction:
        answer = StagePrediction.none(len(frame))
        if stage in self.scorers and len(rows):
            calibrated = self.scorers[stage].predict(frame.iloc[rows])
            answer.probability[rows], answer.low[rows], answer.high[rows] = calibrated
        return answer

    @classmethod
    def from_json(cls, content: bytes) -> RenewalModel:
        """Read the file `FILE`.

        Raises
        ------
        ScorerError : the content is not valid.
        """
        stored = read_json(content, FILE)
        stages = stored.get("stages")
        if stored.get("leads") != list(LEADS) or not isinstance(stages, dict) or "lost" not in stages:
            raise ScorerError(f"{FILE}: it must have the leads {LEADS} and the stage lost")
        if unknown := sorted(set(stages) - set(STAGES)):
            raise ScorerError(f"{FILE}: unknown stages: {len(unknown)}")
        scorers: dict[Stage, Scorer] = {stage: _scorer(stages[stage], stage) for stage in STAGES if stage in stages}
        return cls(scorers, {stage: stages[stage]["schema"]["features"] for stage in scorers})


def renewal_model_json(stages: Mapping[Stage, tuple[str, Mapping[str, Any], Mapping[str, Any]]]) -> bytes:
    """Return the content of the file `FILE`.

    Parameters
    ----------
    stages : by stage, the text of the booster, the schema and the calibrator (`models.scorer.scorer.Scorer`).
    """
    parts = {
        stage: {"model": model, "schema": schema, "calibrator": calibrator}
        for stage, (model, schema, calibrator) in stages.items()
    }
    return json.dumps({"leads": list(LEADS), "stages": parts}, allow_nan=False).encode()


def _scorer(content: Any, stage: Stage) -> Scorer:
    if not isinstance(content, dict) or set(content) != {"model", "schema", "calibrator"}:
        raise ScorerError(f"{FILE}: {stage} must have the keys model, schema and calibrator")
    model, schema, calibrator = (content[name] for name in ("model", "schema", "calibrator"))
    if not isinstance(model, str) or not isinstance(schema, dict) or not isinstance(calibrator, dict):
        raise ScorerError(f"{FILE}: {stage}: model must be a text, schema and calibrator objects")
    try:
        return Scorer.from_texts(model, schema, calibrator)
    except ScorerError as error:
        raise ScorerError(f"{FILE}: {stage}: {error}") from error
