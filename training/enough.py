"""Whether a source has enough to train on, before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from features.catalogue import CATALOGUE
from features.errors import InsufficientData
from features.signals import Progress, silent
from models.targets import TARGETS, Target
from training.config import TrainConfig
from training.prepare import prepare
from training.sufficiency import Sufficiency, sufficiency


def how_much(
    address: str | Path, progress: Progress = silent, config: TrainConfig | None = None
) -> dict[Target, Sufficiency]:
    """The facts per target; nothing where the history is too short for a single labelled snapshot.

    The grid is coarser than in training: whole months give the same accounts and outcomes, sooner.
    """
    settings = config or TrainConfig(every_days=28)
    try:
        prepared = prepare(address, None, settings, progress)
    except InsufficientData:
        return {}
    try:
        return {
            target: sufficiency(
                prepared.signals,
                prepared.frame,
                prepared.labels,
                prepared.grid.as_ofs,
                target,
                settings.horizon_days,
                prepared.grace_days,
                CATALOGUE,
            )
            for target in TARGETS
        }
    finally:
        prepared.signals.close()


def enough_words(facts: Mapping[Target, Sufficiency]) -> list[str]:
    """The facts as lines for people."""
    if not facts:
        return ["too little history for a single snapshot with a known outcome: nothing can be trained"]
    lines = []
    for target, fact in facts.items():
        verdict = "not enough to train on" if fact.missing else "enough to train on"
        lines.append(
            f"{target}: {verdict} ({fact.accounts:,} accounts with a label, {fact.history_days:,.0f} days of history)"
        )
        lines += [f"  lacking: {line}" for line in fact.missing]
    any_fact = next(iter(facts.values()))
    lines += [f"  {note}" for note in any_fact.notes]
    empty = [family for family, share in any_fact.missing_share.items() if share == 1.0]
    if empty:
        lines.append(f"  no signals of: {', '.join(empty)}")
    return lines
