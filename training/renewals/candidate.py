"""The candidate renewal model: each stage is judged by the backtest's origins, then fitted on every known outcome.

Rivals are the base rate and the derivation: the probabilities of the churn and expansion models of the same origins,
interpolated to the end of the renewal's grace period, and the segment's past rate of contractions. Judged is what a
forecast uses: the mean of model and derivation in log-odds for lost and expanded renewals, and the model alone for
contracted ones. A stage that does not pass its gates is derived. Without a model of lost renewals there is no renewal
model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np

from features.errors import InsufficientData
from features.utils.arrays import Floats, Ints, Objects
from features.utils.formatting import count_of
from features.utils.progress import Progress, no_progress, subprogress
from models.peer_groups.segments import ARR_FEATURE, segment_of
from models.renewals.forecast import growth_if_staying
from models.renewals.historical_rates import historical_rates
from models.renewals.renewal_model import STAGES, Stage, pool_probabilities
from training.config import TrainConfig
from training.dataset.labelled_snapshots import LabelledSnapshots
from training.dataset.origins import Origins
from training.dataset.sufficiency import MINIMUM_OUTCOMES
from training.estimators.ensemble import Settings
from training.estimators.fitted_model import FittedModel, fit_model
from training.evaluation.baselines import BASE_RATE, BLEND, DERIVATION, RENEWALS_ONLY
from training.evaluation.comparison import Comparison, compare_candidates
from training.evaluation.promotion_gates import Gate, all_passed, evaluate_renewal_gates
from training.renewals.contracts import ContractBook
from training.renewals.rows import RenewalRows, StageRows

NO_DATES = "there are no contracts with a renewal date and a term longer than a month"
_EDGE = 1e-6


@dataclass(frozen=True)
class TestedRenewals:
    """The r predicted rows of a stage, with the probabilities of each candidate.

    Parameters
    ----------
    index : position of each row in the labelled snapshots, shape (r,).
    accounts, y, arr : account, label and ARR of each row, shape (r,).
    origin : the number of the origin that predicts each row, shape (r,).
    p : probabilities by candidate, shape (r,) each.
    """

    index: Ints
    accounts: Objects
    y: Floats
    arr: Floats
    origin: Ints
    p: Mapping[str, Floats]


@dataclass(frozen=True)
class StageCandidate:
    """One stage: its judgement, and the model to release.

    Parameters
    ----------
    stage : the stage.
    renewals : the number of renewals with a known outcome.
    outcomes : those of them in which the stage occurred.
    reason : why there is no model; empty if it is released.
    judgement : the comparison with the derivation and the base rate; None if there is too little data.
    gates : the gates; empty if there is too little data.
    final : the model; None if it is not released.
    tested : the predicted rows; None if there is too little data.
    """

    stage: Stage
    renewals: int
    outcomes: int
    reason: str
    judgement: Comparison | None = None
    gates: tuple[Gate, ...] = ()
    final: FittedModel | None = None
    tested: TestedRenewals | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "stage": self.stage,
            "renewals": self.renewals,
            "outcomes": self.outcomes,
            "used": self.final is not None,
            "reason": self.reason,
            "judgement": None if self.judgement is None else self.judgement.as_dict(),
            "gates": [asdict(gate) for gate in self.gates],
        }


@dataclass(frozen=True)
class RenewalCandidate:
    """The candidate renewal model.

    Parameters
    ----------
    stages : every stage; empty if nothing could be tried.
    reason : why there is no renewal model; empty if there is one.
    """

    stages: tuple[StageCandidate, ...]
    reason: str

    def models(self) -> dict[Stage, FittedModel]:
        """Return the models to release, by stage; empty without a renewal model."""
        if self.reason:
            return {}
        return {each.stage: each.final for each in self.stages if each.final is not None}

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {"used": not self.reason, "reason": self.reason, "stages": [each.as_dict() for each in self.stages]}


def fit_renewals(
    prepared: LabelledSnapshots,
    origins: Origins,
    churn: Floats,
    expansion: Floats | None,
    config: TrainConfig,
    progress: Progress = no_progress,
) -> RenewalCandidate:
    """Judge and fit the renewal model.

    Parameters
    ----------
    prepared : the labelled snapshots, n rows.
    origins : the origins of the backtest of churn.
    churn, expansion : probabilities by the renewal and its grace period, predicted by the models of the backtest, NaN
        where not predicted, shape (n,); None without an expansion model.
    config : the settings of the training.
    progress : receives the share done and the current step.

    Returns
    -------
    RenewalCandidate
    """
    if not prepared.signals.contractual:
        return RenewalCandidate((), "signals without subscriptions have no renewals")
    book = ContractBook.of(prepared.signals, prepared.grace_days)
    renewals = RenewalRows.of(prepared, book)
    if not len(renewals.index):
        return RenewalCandidate((), NO_DATES)
    stages: list[StageCandidate] = []
    for number, stage in enumerate(STAGES):
        rows = StageRows.stage_of(prepared, renewals, stage)
        part = subprogress(progress, number / len(STAGES), (number + 1) / len(STAGES))
        derived = _derivation(prepared, book, renewals, stage, origins, churn, expansion)
        pooled = stage == "lost" or (stage == "expanded" and expansion is not None)
        stages.append(_fit_stage(rows, origins, derived, pooled, config, part))
        if stage == "lost" and stages[0].reason:
            return RenewalCandidate(tuple(stages), stages[0].reason)
    return RenewalCandidate(tuple(stages), "")


def _fit_stage(
    rows: StageRows, origins: Origins, derived: Floats, pooled: bool, config: TrainConfig, progress: Progress
) -> StageCandidate:
    through = rows.prepared.signals.data_through
    renewals, outcomes = rows.renewal_counts(through)
    try:
        tested, settings = _predict_origins(rows, origins, derived, pooled, config, subprogress(progress, 0.0, 0.8))
        judgement = compare_candidates(
            tested.y,
            tested.p,
            tested.accounts,
            tested.arr,
            tested.p[BASE_RATE],
            BLEND,
            config.resamples,
            config.seed,
        )
    except InsufficientData as error:
        return StageCandidate(rows.stage, renewals, outcomes, "; ".join(error.missing))
    gates = evaluate_renewal_gates(judgement)
    if not all_passed(gates):
        reason = "; ".join(gate.words for gate in gates if not gate.passed)
        return StageCandidate(rows.stage, renewals, outcomes, reason, judgement, gates, tested=tested)
    final = fit_model(rows, through, config, settings, progress=subprogress(progress, 0.8, 1.0))
    return StageCandidate(rows.stage, renewals, outcomes, "", judgement, gates, final, tested)


def _predict_origins(
    rows: StageRows, origins: Origins, derived: Floats, pooled: bool, config: TrainConfig, progress: Progress
) -> tuple[TestedRenewals, Settings]:
    """Fit the stage at every origin that has enough outcomes, and predict the renewals that follow.

    Raises
    ------
    InsufficientData
        If no origin has enough outcomes, or too few occur after them.
    """
    settings: Settings | None = None
    parts: list[tuple[Ints, Floats, Floats, Ints]] = []
    usable = [at for at in origins.dates if rows.accounts_by_outcome(rows.known(at))[0] >= MINIMUM_OUTCOMES["train"]]
    usable = [at for at in usable if rows.accounts_by_outcome(rows.known(at))[1] >= MINIMUM_OUTCOMES["train"]]
    predicted = {at: rows.predicted(origins.predicted(at)) for at in usable}
    _require_enough(rows, origins, predicted)
    for number, origin in enumerate(usable):
        part = subprogress(progress, number / len(usable), (number + 1) / len(usable))
        if not len(predicted[origin]):
            continue
        model = fit_model(rows, origin, config, settings, resamples=0, progress=part)
        settings = model.ensemble.settings
        frame = rows.prepared.frame.iloc[rows.renewals.index[predicted[origin]]]
        count = len(frame)
        place = np.full(count, number, dtype=np.int64)
        parts.append((predicted[origin], np.full(count, model.rate), model.probability(frame), place))
    assert settings is not None
    position, rate, p, place = (np.concatenate(each) for each in zip(*parts, strict=True))
    index = rows.renewals.index[position]
    rival = derived[position]
    candidates = {BASE_RATE: rate, DERIVATION: np.clip(np.where(np.isfinite(rival), rival, rate), _EDGE, 1 - _EDGE)}
    candidates |= {RENEWALS_ONLY: p, BLEND: pool_probabilities(p, rival)} if pooled else {BLEND: p}
    accounts = rows.prepared.frame["account_id"].to_numpy(dtype=object)[index]
    y = rows.renewals.labels[rows.stage][position]
    return TestedRenewals(index, accounts, y, rows.renewals.arr[position], place, candidates), settings


def _require_enough(rows: StageRows, origins: Origins, predicted: Mapping[datetime, Ints]) -> None:
    if not predicted:
        known = rows.accounts_by_outcome(rows.known(origins.dates[-1]))
        raise InsufficientData([_too_few(rows.stage, known, "before the last date of the backtest", "train")])
    after = rows.accounts_by_outcome(np.concatenate(list(predicted.values())))
    if min(after) < MINIMUM_OUTCOMES["backtest"]:
        raise InsufficientData([_too_few(rows.stage, after, "among the predicted ones", "backtest")])


def _too_few(stage: Stage, accounts: tuple[int, int], where: str, purpose: str) -> str:
    """Return why a stage has too little data: how many accounts have each outcome, and how many are needed."""
    least, other = MINIMUM_OUTCOMES[purpose], f"with a renewal that was not {stage}"
    return (
        f"too few renewals {where}: {count_of(accounts[0], 'account')} with a renewal that was {stage}, "
        f"{accounts[1]:,} {other}; at least {least} of each are needed"
    )


def _derivation(
    prepared: LabelledSnapshots,
    book: ContractBook,
    renewals: RenewalRows,
    stage: Stage,
    origins: Origins,
    churn: Floats,
    expansion: Floats | None,
) -> Floats:
    """Return the derived probability of a stage for each renewal row; NaN where it is not known, shape (r,)."""
    leaves = churn[renewals.index]
    if stage == "lost":
        return leaves
    habits = [historical_rates(book.contracts, at, prepared.grace_days) for at in origins.dates]
    as_of = prepared.frame["as_of"].iloc[renewals.index].reset_index(drop=True)
    segment = segment_of(prepared.frame[ARR_FEATURE].iloc[renewals.index])
    shrinks, grows = np.full(len(leaves), np.nan), np.full(len(leaves), np.nan)
    for origin, rates in zip(origins.dates, habits, strict=True):
        inside = (as_of >= origin).to_numpy()
        for name in dict.fromkeys(segment.tolist()):
            chosen = inside & (segment == name)
            shrinks[chosen], grows[chosen] = _mean(rates.contraction(name)), _mean(rates.expansion(name))
    if expansion is not None:
        grows = growth_if_staying(expansion[renewals.index], leaves)
    if stage == "expanded":
        return grows
    return np.asarray(np.minimum(shrinks / np.maximum(1 - grows, _EDGE), 1.0), dtype=np.float64)


def _mean(beta: Sequence[float]) -> float:
    return beta[0] / (beta[0] + beta[1])
