"""One target's candidate: fitted on the past, calibrated later, judged later still, then fitted anew up to the last
label."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from models.bundle import Bundle, BundleParts, schema_of, write_bundle
from models.meaning import HealthFacts
from models.peers import Peers
from models.rubric import Rubric
from models.segments import ARR_FEATURE, segment_of
from models.targets import Target
from training.against import against_champion
from training.blend import Blend, blended
from training.boosted import fit_boosted, from_start, refit_boosted
from training.calibrate import SPREAD, calibrate, calibrated, halfway
from training.config import TrainConfig
from training.contenders import (
    BASE_RATE,
    BLEND,
    HEALTH_SCORE,
    LIGHTGBM,
    LIGHTGBM_FROM_HEALTH,
    LOGISTIC_REGRESSION,
    base_rate,
    by_raw,
    expected_rate,
    health_prior,
    health_raw,
    known_rate,
)
from training.design import Design, designed
from training.gates import Gate, gates, passed
from training.involuntary import fit_involuntary
from training.judge import Judgement, judge
from training.linear import Linear, fit_linear, refit_linear
from training.prepare import Prepared
from training.split import Split
from training.stability import Stability, stability
from training.steps import Floats
from training.sufficiency import Sufficiency
from training.tested import JudgedRows, Part, part

Tell = Callable[[float, str], None]
OUTCOMES = "outcome_accounts"
"""The manifest's figure of how many accounts with the outcome a model was fitted on."""


@dataclass(frozen=True)
class Candidate:
    """A judged model and the one that would ship.

    Parameters
    ----------
    target : what it predicts.
    split : the dates of each slice of the judgement.
    judgement : on the test dates, beside base rate, health scores, logistic regression and trees alone.
    gates : between it and the title of champion.
    enough : the facts about the data.
    shipped : the model fitted anew with the judged one's settings on every outcome known before the test, and
    calibrator : fitted on the test dates, which nothing else of the shipped model has seen.
    rate : what the average account has: the level of the calibrated probabilities, 0 to 1.
    outcomes : accounts with the outcome among the rows that it was fitted on.
    tested : the test rows and what each candidate said of them.
    by_horizon : the judged model at the horizons beside the main one, on the test dates whose outcome is known.
    stability : how alike the reasons of two trainings are; None where it was not looked at.
    involuntary : tells how a churn comes about; None for other targets, or where too few were by nonpayment.
    """

    target: Target
    split: Split
    judgement: Judgement
    gates: tuple[Gate, ...]
    enough: Sufficiency
    shipped: Blend
    calibrator: dict[str, Any]
    rate: float
    outcomes: int
    tested: JudgedRows
    by_horizon: tuple[Part, ...]
    stability: Stability | None
    involuntary: Linear | None = None

    @property
    def promotable(self) -> bool:
        """Whether every gate is passed."""
        return passed(self.gates)

    def write(
        self,
        folder: Path,
        version: str,
        prepared: Prepared,
        config: TrainConfig,
        rubric: Rubric,
        health: HealthFacts,
    ) -> Bundle:
        """Write the bundle that ships."""
        numbers = [name for name, feature in prepared.catalogue.items() if feature.kind == "number"]
        encoding = self.shipped.encoding
        parts = BundleParts(
            target=self.target,
            version=version,
            horizon_days=config.horizon_days,
            grace_days=prepared.grace_days,
            trained_through=prepared.signals.data_through,
            created_at=datetime.now(UTC),
            catalogue_version=prepared.catalogue.version,
            base_rate=self.rate,
            metrics={m.name: _number(m.value) for m in self.judgement[BLEND].metrics} | {OUTCOMES: self.outcomes},
            gates={gate.name: asdict(gate) for gate in self.gates},
            model_text=self.shipped.trees.text,
            calibrator=self.calibrator,
            schema=schema_of(
                encoding.features,
                encoding.levels,
                Peers.of(prepared.latest, numbers),
                prepared.catalogue,
                self.shipped.plain() | ({"involuntary": self.involuntary.plain()} if self.involuntary else {}),
            ),
            rubric=rubric,
            health=health,
        )
        return write_bundle(folder, parts, prepared.catalogue)


def fit_candidate(
    prepared: Prepared,
    enough: Sufficiency,
    health: Mapping[str, Floats],
    leaks: Sequence[str] | None,
    config: TrainConfig,
    tell: Tell,
    champion: Bundle | None = None,
) -> Candidate:
    """Fit, calibrate, judge, and fit anew.

    Parameters
    ----------
    prepared : labelled snapshots, n rows.
    enough : the facts about this target, which name it; with too little data there is no candidate.
    health : the health score of each row by every rubric to be judged, 0 to 100, NaN for unknown, shape (n,) each; that
        of the training's own rubric bears the name `training.contenders.HEALTH_SCORE`.
    leaks : what the leak check has found for this target, a line each; None if it could not be run.
    config : the settings.
    tell : told the share done and what is being done.
    champion : the bundle that answers now, to be compared with where it has not seen the test's outcomes.

    Raises
    ------
    InsufficientData
        If the data does not suffice for a model.
    """
    target, parts, catalogue = enough.target, enough.require(), prepared.catalogue
    rows = _Rows(prepared, target, health, config.horizon_days)
    calibration, test = (rows.of(parts, name) for name in ("calibration", "test"))

    def searching(done: int, of: int, _best: float) -> None:
        tell(0.1 + 0.45 * done / of, f"{target}: searching settings, {done} of {of}")

    tell(0.0, f"{target}: logistic regression")
    design = rows.designed(parts.calibration[0])
    linear = fit_linear(design, catalogue, target)
    trees = fit_boosted(design, catalogue, target, config.trials, config.seed, config.threads, searching)
    model = blended(linear, trees, design)
    tell(0.6, f"{target}: trees that start from the health score")
    own = health[HEALTH_SCORE]
    prior = health_prior(own[design.place], design, target)
    from_health = from_start(trees, design, prior.raw(own[design.place]))
    tell(0.7, f"{target}: judging")

    expected = expected_rate(linear.raw(calibration.frame), model.raw(calibration.frame))

    def judged(raw: Callable[[_Slice], Floats]) -> Floats:
        return by_raw(raw(calibration), calibration.y, *calibration.keys, raw(test), expected)

    rate = known_rate(design.y[design.main], calibration.y)
    candidates = {
        BASE_RATE: base_rate(rate, len(test.y)),
        **{name: judged(partial(_by_health, name, target)) for name in health},
        LOGISTIC_REGRESSION: judged(lambda s: linear.raw(s.frame)),
        LIGHTGBM: judged(lambda s: trees.raw(s.frame)),
        LIGHTGBM_FROM_HEALTH: judged(lambda s: from_health.raw(s.frame) + prior.raw(s.health[HEALTH_SCORE])),
        BLEND: judged(lambda s: model.raw(s.frame)),
    }
    arr = test.frame[ARR_FEATURE].fillna(0.0).to_numpy(dtype=np.float64)
    judgement = judge(
        test.y,
        candidates,
        test.accounts,
        arr,
        rate,
        BLEND,
        config.resamples,
        config.seed,
    )
    tested = JudgedRows(
        test.accounts,
        test.frame["as_of"],
        segment_of(test.frame[ARR_FEATURE]),
        test.y,
        arr,
        candidates,
    )
    by_horizon = _by_horizon(rows, parts, model, calibration, expected, config.seed)
    against = None
    if champion is not None:
        against = against_champion(champion, candidates[BLEND], test.frame, test.y, prepared.grace_days, config)
    tell(0.8, f"{target}: fitting anew up to the last known outcome")
    final = parts.final()
    latest = rows.of(final, "calibration")
    everything = rows.designed(final.calibration[0])
    shipped = Blend(
        refit_linear(linear, everything, catalogue, target),
        refit_boosted(trees, everything, catalogue, target),
        model.share,
    )
    raw = shipped.raw(latest.frame)
    calibrator = calibrate(raw, latest.y, *latest.keys, seed=config.seed) | {"spread": SPREAD[target]}

    def refitting(share: float) -> None:
        tell(0.9 + 0.1 * share, f"{target}: are the reasons stable?")

    alike = stability(shipped, everything, prepared.latest, catalogue, target, config.refits, config.seed, refitting)
    kind = prepared.labels["churn_kind"].to_numpy(dtype=object)[everything.place]
    involuntary = fit_involuntary(everything, kind, catalogue) if target == "churn" else None
    tell(1.0, f"{target}: done")
    return Candidate(
        target,
        parts,
        judgement,
        gates(judgement, enough, leaks, against),
        enough,
        shipped,
        calibrator,
        halfway(expected_rate(raw), float(latest.y.mean())),
        len(set(everything.accounts[everything.main & (everything.y == 1)])),
        tested,
        by_horizon,
        alike,
        involuntary,
    )


@dataclass(frozen=True)
class _Slice:
    frame: pd.DataFrame
    y: Floats
    health: Mapping[str, Floats]

    @property
    def accounts(self) -> Any:
        return self.frame["account_id"].to_numpy(dtype=object)

    @property
    def keys(self) -> tuple[Any, pd.Series[pd.Timestamp]]:
        return self.accounts, self.frame["as_of"]


@dataclass(frozen=True)
class _Rows:
    prepared: Prepared
    target: Target
    health: Mapping[str, Floats]
    main: int

    def designed(self, before: datetime) -> Design:
        """The training rows whose label windows have ended by then."""
        known = {self.main: self.prepared.labels} | dict(self.prepared.beside)
        labels = {days: found[self.target].to_numpy(dtype=np.float64) for days, found in known.items()}
        prepared = self.prepared
        return designed(prepared.frame, labels, self.main, prepared.grace_days, prepared.catalogue, before)

    def of(self, parts: Split, name: str, days: int | None = None) -> _Slice:
        """The rows of one slice whose label is known at a horizon, the main one if None."""
        labels = self.prepared.labels if days is None else self.prepared.beside[days]
        y = labels[self.target].to_numpy(dtype=np.float64)
        mask = parts.mask(name, self.prepared.frame["as_of"]) & np.isfinite(y)
        return _Slice(
            self.prepared.frame[mask].reset_index(drop=True), y[mask], {n: h[mask] for n, h in self.health.items()}
        )


def _by_horizon(
    rows: _Rows, parts: Split, model: Blend, calibration: _Slice, expected: float, seed: int
) -> tuple[Part, ...]:
    raw = model.raw(calibration.frame)
    fitted = calibrate(raw, calibration.y, *calibration.keys, expected, resamples=0)
    found = []
    for days in model.encoding.horizons:
        if days != rows.main:
            at = rows.of(parts, "test", days)
            if len(at.y):
                found.append(
                    part(f"{days} days", at.y, calibrated(fitted, model.raw(at.frame, days)), at.accounts, seed)
                )
    return tuple(found)


def _by_health(name: str, target: Target, rows: _Slice) -> Floats:
    return health_raw(rows.health[name], target)


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
