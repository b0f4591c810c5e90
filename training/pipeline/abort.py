"""A leak stops a training before anything is fitted, and what was found is kept in a run that counts as failed.

A snapshot that changes with what comes later stops both targets: the pipeline itself looks ahead; and so do contracts
that the source overwrites. A feature that tells one target's outcome alone stops that target.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NoReturn

from features.errors import RenewcastError
from features.signals.overwritten_contracts import EXPORT
from features.utils.dates import to_iso
from models.home import Home
from models.targets import Target
from training.config import TrainConfig
from training.leakage.report import MAXIMUM_NAMED, Check, LeakReport
from training.registry import mlflow_tracking

STOPPED = "renewcast.stopped"
"""The tag of a run that ended before anything was fitted; it says by what."""
REBUILT = "mend the feature, which looks past its as_of, or let the source say when its rows arrived (loaded_at)"
CURE: Mapping[Check, str] = {
    "separation": (
        "leave what feeds that feature out of the source (or of its mapping), unless it was known at the time"
    ),
    "due dates": EXPORT,
}
"""What to do about a leak, by what has found it; of the others `REBUILT`."""
AGAIN = "`renewcast leakcheck SIGNALS` shows whether it is gone"


class LeakFound(RenewcastError):
    """A feature that has seen what it is to predict: whatever is fitted on it could not be believed."""


def without_leaks(targets: Sequence[Target], leaks: LeakReport) -> list[Target]:
    """Those of ``targets`` that no leak concerns."""
    return [target for target in targets if not leaks.leak_lines(target)]


def cure(leaks: LeakReport, target: Target | None = None) -> str:
    """What to do about the leaks, of one target or all."""
    found = [f for f in leaks.failures if target is None or f.target in (None, target)]
    ways = dict.fromkeys(CURE.get(finding.check, REBUILT) for finding in found)
    return "; ".join([*ways, AGAIN])


def stop(home: Home, leaks: LeakReport, config: TrainConfig, lacking: Sequence[str] = ()) -> NoReturn:
    """Keep what the leak check found in a run that does not count, and end the training.

    Parameters
    ----------
    lacking : what forbids to train on the targets without a leak, a line each.

    Raises
    ------
    LeakFound
        Always: which features, and what to do.
    HomeError
        If the tracking store cannot be reached or written.
    """
    through = to_iso(leaks.data_through)
    with mlflow_tracking.run(home, f"train through {through}: stopped by a leak") as run:
        run.params({**config.model_dump(), "data_through": through})
        run.document("config.json", config.model_dump())
        run.document("leakcheck.json", leaks.as_dict())
        run.tags({STOPPED: "leak"})
        found = list(dict.fromkeys(finding.words for finding in leaks.failures))
        more = [f"and {len(found) - MAXIMUM_NAMED} more"] if len(found) > MAXIMUM_NAMED else []
        words = "; ".join([*found[:MAXIMUM_NAMED], *more, *lacking])
        raise LeakFound(
            f"nothing was trained: {words} (run {run.run_id[:8]} keeps the whole report, leakcheck.json)",
            "features that are the same whatever comes later, and none that tells the outcome alone",
            cure(leaks),
        )
