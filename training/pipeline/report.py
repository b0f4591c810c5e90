"""What a training run did, as typed facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from features.feed_health.feed_health import Feeds
from features.utils.dates import to_iso
from models.targets import Target
from training.config import TrainConfig
from training.dataset.sufficiency import Sufficiency
from training.evaluation.by_segment import SegmentMetrics
from training.evaluation.capacity_value import CapacityValue
from training.leakage.report import LeakReport
from training.pipeline.candidate import Candidate


@dataclass(frozen=True)
class TrainReport:
    """What a training run did.

    Parameters
    ----------
    origin : the signals source.
    data_through : nothing at or after this instant was read.
    facts : per target, how much data there was and what was lacking.
    feeds : the health of every feed at the end of the data.
    leaks : what the leak check looked at and found; a target that a leak concerns was not trained.
    candidates : per target that could be trained.
    versions, folders : of the registered models.
    promoted : the targets whose candidate is now champion.
    run_id : of the MLflow run.
    catalogue_version : of the features, a company's own among them.
    every_days : the step of the grid of snapshots; wider than the settings say where there are many accounts.
    segments, work : per target, the judgement by segment, and what each candidate's ranking is worth to a team.
    """

    origin: str
    data_through: datetime
    config: TrainConfig
    facts: Mapping[Target, Sufficiency]
    feeds: Feeds
    leaks: LeakReport
    candidates: Mapping[Target, Candidate]
    versions: Mapping[Target, str]
    folders: Mapping[Target, Path]
    promoted: tuple[Target, ...]
    run_id: str
    catalogue_version: str
    every_days: int
    segments: Mapping[Target, tuple[SegmentMetrics, ...]]
    work: Mapping[Target, tuple[CapacityValue, ...]]

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "origin": self.origin,
            "data_through": to_iso(self.data_through),
            "horizon_days": self.config.horizon_days,
            "run_id": self.run_id,
            "catalogue_version": self.catalogue_version,
            "every_days": self.every_days,
            "feeds": self.feeds.as_dict() | {"troubles": self.feeds.troubles()},
            "leakcheck": self.leaks.as_dict(),
            "targets": {target: self._target(target) for target in self.facts},
        }

    def worked(self, target: Target) -> tuple[CapacityValue, ...]:
        """What each candidate's ranking is worth to a team."""
        return self.work[target]

    def _target(self, target: Target) -> dict[str, Any]:
        told: dict[str, Any] = {"data": self.facts[target].as_dict(), "promoted": target in self.promoted}
        told["leaks"] = self.leaks.leak_lines(target)
        if candidate := self.candidates.get(target):
            told |= {
                "version": self.versions[target],
                "bundle": str(self.folders[target]),
                "split": {n: [to_iso(d[0]), to_iso(d[-1])] for n, d in candidate.split.slices().items() if d},
                "judgement": candidate.judgement.as_dict(),
                "stability": candidate.stability.as_dict() if candidate.stability else None,
                "involuntary": candidate.involuntary.as_dict() if candidate.involuntary else None,
                "by_horizon": [part.as_dict() for part in candidate.by_horizon],
                "by_segment": [part.as_dict() for part in self.segments[target]],
                "worked": [work.as_dict() for work in self.worked(target)],
                "gates": [asdict(gate) for gate in candidate.gates],
                "calibrator": candidate.calibrator["kind"],
                "horizons": list(candidate.shipped.encoding.horizons),
                "trees_share": candidate.shipped.share,
                "settings": candidate.shipped.trees.settings,
            }
        return told
