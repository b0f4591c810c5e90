"""Check whether a source has enough data to train on, without training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from features.custom.current_catalogue import current_catalogue
from features.signals.overwritten_contracts import contract_findings, leaking_contracts
from features.signals.signals import OpenSignals, read_signals
from features.signals.validation import Finding
from features.snapshots.snapshot import snapshot
from features.sources.base import Source
from features.utils.dates import Grid
from features.utils.progress import Progress, no_progress, subprogress
from models.targets import TARGETS, Target
from training.config import TrainConfig
from training.dataset.outcome_counts import HORIZONS, HorizonCounts, LabelledGrid, count_at_horizon
from training.dataset.overwritten_terms import mask_overwritten_terms
from training.dataset.sufficiency import Sufficiency, missing_share, sufficiency

# The share of unknown values per table is measured on monthly snapshots: as informative as weekly ones, and faster.
SHARES_EVERY_DAYS = 28


@dataclass(frozen=True)
class SufficiencyReport:
    """The data that a source offers for training.

    Parameters
    ----------
    facts : facts per target at the requested horizon; empty if no snapshot has a known outcome.
    horizons : outcome counts per horizon, ascending.
    requested : the counts at the requested horizon, one of ``horizons``.
    row_counts : rows by table, each event counted once.
    findings : contract data that is lost or looks overwritten.
    overwritten : whether contracts look overwritten, so that no model may be trained on them.
    """

    facts: Mapping[Target, Sufficiency]
    horizons: tuple[HorizonCounts, ...]
    requested: HorizonCounts
    row_counts: Mapping[str, int]
    findings: tuple[Finding, ...] = ()
    overwritten: bool = False


def check_sufficiency(
    source: Source,
    config: TrainConfig | None = None,
    progress: Progress = no_progress,
    data_through: datetime | None = None,
) -> SufficiencyReport:
    """Count the data for training in a source, at the horizon of the settings and at those of `HORIZONS`.

    The connection of the source is closed.

    Parameters
    ----------
    source : the source.
    config : the training settings; by default the default settings.
    progress : called with the share done.
    data_through : nothing at or after this instant is read; None for all.

    Returns
    -------
    SufficiencyReport

    Raises
    ------
    SignalsError
        If the source breaks the contract, or has no row with a date.
    """
    signals = read_signals(source, data_through, progress=subprogress(progress, 0.0, 0.3))
    try:
        return count_sufficiency(signals, config, subprogress(progress, 0.3, 1.0))
    finally:
        signals.close()


def count_sufficiency(
    signals: OpenSignals, config: TrainConfig | None = None, progress: Progress = no_progress
) -> SufficiencyReport:
    """Count the data for training in open signals; see `check_sufficiency`."""
    settings = config or TrainConfig()
    counts: dict[int, HorizonCounts] = {}
    facts: dict[Target, Sufficiency] = {}
    requested: LabelledGrid | None = None
    days = sorted({*HORIZONS, settings.horizon_days})
    for i, horizon in enumerate(days):
        progress(0.3 * i / len(days), f"counting outcomes within {horizon} days")
        at = settings.model_copy(update={"horizon_days": horizon})
        counts[horizon], labelled = count_at_horizon(signals, at)
        if horizon == settings.horizon_days and labelled is not None:
            requested = labelled
    if requested is not None:
        facts = _facts(signals, requested, counts[settings.horizon_days], subprogress(progress, 0.3, 1.0))
    progress(1.0, "counted")
    findings, leaks = tuple(contract_findings(signals)), bool(leaking_contracts(signals))
    horizons = tuple(counts.values())
    return SufficiencyReport(facts, horizons, counts[settings.horizon_days], dict(signals.rows), findings, leaks)


def _facts(
    signals: OpenSignals, labelled: LabelledGrid, horizon: HorizonCounts, progress: Progress
) -> dict[Target, Sufficiency]:
    catalogue = current_catalogue()
    monthly = Grid.ending(labelled.grid.last, labelled.grid.first, SHARES_EVERY_DAYS)
    frame = snapshot(
        signals,
        monthly,
        horizon_days=horizon.days,
        catalogue=catalogue,
        progress=progress,
    )
    if signals.contractual:
        frame = mask_overwritten_terms(frame, catalogue)
    unknown, as_ofs = missing_share(frame, catalogue), labelled.grid.as_ofs
    return {
        t: sufficiency(signals, labelled.labels, as_ofs, t, unknown, horizon.days, horizon.grace_days) for t in TARGETS
    }
