"""Whether a source has enough to train on, before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from features.custom.current_catalogue import current_catalogue
from features.signals.overwritten_contracts import contract_findings, leaking_contracts
from features.signals.signals import Signals, read_signals
from features.signals.validation import Finding
from features.snapshots.snapshot import snapshot
from features.sources.base import Source
from features.utils.dates import Grid
from features.utils.progress import Progress, no_progress, subprogress
from models.targets import TARGETS, Target
from training.config import TrainConfig
from training.dataset.outcome_counts import HORIZONS, HorizonCounts, LabelledGrid, count_at_horizon
from training.dataset.overwritten_terms import mask_overwritten_terms
from training.dataset.sufficiency import Sufficiency, sufficiency

# The share of unknown values per table is taken from a snapshot so often: whole months tell as much, sooner.
SHARES_EVERY_DAYS = 28


@dataclass(frozen=True)
class SufficiencyReport:
    """What there is to train on.

    Parameters
    ----------
    facts : per target at the horizon asked for; empty where no snapshot has a known outcome.
    horizons : what there is at each horizon, ascending.
    asked : the horizon asked for, one of them.
    kept : rows by table, each event taken once.
    findings : what is lost or looks overwritten in the contracts.
    overwritten : whether no model may be made from them therefore.
    """

    facts: Mapping[Target, Sufficiency]
    horizons: tuple[HorizonCounts, ...]
    asked: HorizonCounts
    kept: Mapping[str, int]
    findings: tuple[Finding, ...] = ()
    overwritten: bool = False


def check_sufficiency(
    source: Source,
    config: TrainConfig | None = None,
    progress: Progress = no_progress,
    data_through: datetime | None = None,
) -> SufficiencyReport:
    """Count what ``source`` holds for training, at the horizon of ``config`` and at those of `HORIZONS`.

    Nothing at or after ``data_through`` is read. The source's connection is closed thereby.

    Raises
    ------
    SignalsError
        If the source breaks the contract, or has no row with a date.
    """
    settings = config or TrainConfig()
    signals = read_signals(source, data_through, progress=subprogress(progress, 0.0, 0.3))
    try:
        found: dict[int, HorizonCounts] = {}
        facts: dict[Target, Sufficiency] = {}
        asked: LabelledGrid | None = None
        days = sorted({*HORIZONS, settings.horizon_days})
        for i, horizon in enumerate(days):
            progress(0.3 + 0.2 * i / len(days), f"outcomes within {horizon} days")
            at = settings.model_copy(update={"horizon_days": horizon})
            found[horizon], labelled = count_at_horizon(signals, at)
            if horizon == settings.horizon_days and labelled is not None:
                asked = labelled
        if asked is not None:
            facts = _facts(signals, asked, found[settings.horizon_days], progress)
        progress(1.0, "counted")
        findings, leaks = tuple(contract_findings(signals)), bool(leaking_contracts(signals))
        horizons = tuple(found.values())
        return SufficiencyReport(facts, horizons, found[settings.horizon_days], dict(signals.rows), findings, leaks)
    finally:
        signals.close()


def _facts(
    signals: Signals, asked: LabelledGrid, horizon: HorizonCounts, progress: Progress
) -> dict[Target, Sufficiency]:
    catalogue = current_catalogue()
    monthly = Grid.ending(asked.grid.last, asked.grid.first, SHARES_EVERY_DAYS)
    frame = snapshot(
        signals,
        monthly,
        horizon_days=horizon.days,
        catalogue=catalogue,
        progress=subprogress(progress, 0.5, 1.0),
    )
    if signals.contractual:
        frame = mask_overwritten_terms(frame, catalogue)
    as_ofs, days, grace = asked.grid.as_ofs, horizon.days, horizon.grace_days
    return {t: sufficiency(signals, frame, asked.labels, as_ofs, t, days, grace, catalogue) for t in TARGETS}
