"""What a training run learns from: labelled snapshots, the facts about them, and the health of the feeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from features.errors import InsufficientData
from features.feed_health.feed_health import Feeds
from models.targets import TARGETS, Target
from training.config import TrainConfig
from training.dataset.label_feed_faults import label_feed_faults
from training.dataset.labelled_snapshots import LabelledSnapshots
from training.dataset.sufficiency import Sufficiency, missing_share, sufficiency


@dataclass(frozen=True)
class TrainingData:
    """The data of one training run.

    Parameters
    ----------
    config : the settings of the run.
    prepared : the labelled snapshots.
    feeds : the health of every feed at the end of the data.
    facts : per target, how much data there is and what is lacking.
    """

    config: TrainConfig
    prepared: LabelledSnapshots
    feeds: Feeds
    facts: Mapping[Target, Sufficiency]

    @classmethod
    def of(cls, prepared: LabelledSnapshots, config: TrainConfig, feeds: Feeds) -> TrainingData:
        """Collect the facts about labelled snapshots.

        Parameters
        ----------
        feeds : as they were found before the signals were read.
        """
        signals, labels, as_ofs = prepared.signals, prepared.labels, prepared.grid.as_ofs
        unknown = missing_share(prepared.frame, prepared.catalogue)
        facts = {
            target: sufficiency(signals, labels, as_ofs, target, unknown, config.horizon_days, prepared.grace_days)
            for target in TARGETS
        }
        return cls(config, prepared, feeds.with_distinct_rows(prepared.signals.rows), facts)

    @property
    def lacking(self) -> list[str]:
        """What is lacking, a line each."""
        return [f"{target}: {line}" for target, fact in self.facts.items() for line in fact.missing]

    @property
    def label_feed_faults(self) -> list[str] | None:
        """What is wrong with the feed that the labels are made from, a line each; None if it was not checked."""
        return label_feed_faults(self.feeds, self.prepared.signals.contractual, self.prepared.grid.first)

    def trainable(self) -> list[Target]:
        """The targets with enough data.

        Raises
        ------
        InsufficientData
            There is none.
        """
        found = [target for target, fact in self.facts.items() if not fact.missing]
        if not found:
            cure = "load more accounts or a longer history; `renewcast check` shows the facts"
            raise InsufficientData(self.lacking, cure)
        return found
