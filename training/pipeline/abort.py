"""Abort a training when a leak is found, before anything is fitted; the findings are stored in a failed MLflow run.

A snapshot that changes with later data aborts both targets, because the pipeline itself uses future data. Contracts
that the source overwrites also abort both. A feature that alone reveals the outcome of one target aborts only that
target.
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

ABORTED_TAG = "renewcast.stopped"
"""Tag of a run that was aborted before anything was fitted; its value is the cause."""
SNAPSHOT_FIX = (
    "fix the feature, which looks past its as_of, or add the arrival time of each row to the source (loaded_at)"
)
FUNCTION_FIX = "compute the value from the rows that the function gets and from as_of, separately for each account"
FIXES: Mapping[Check, str] = {
    "separation": (
        "remove the column behind that feature from the source (or its mapping), unless it was known at the time"
    ),
    "due dates": EXPORT,
    "other accounts": FUNCTION_FIX,
    "other ids": FUNCTION_FIX,
    "other dates": FUNCTION_FIX,
}
"""How to fix a leak, by the check that found it; `SNAPSHOT_FIX` for all other checks."""
RECHECK = "`renewcast leakcheck SIGNALS` shows whether the leak is fixed"


class LeakFound(RenewcastError):
    """A feature reveals the outcome that the model must predict, so no model fitted on it can be trusted."""


def leak_free_targets(targets: Sequence[Target], leaks: LeakReport) -> list[Target]:
    """Return the targets that are not affected by a leak.

    Parameters
    ----------
    targets : the targets to choose from.
    leaks : the result of the leakage checks.

    Returns
    -------
    list of str
    """
    return [target for target in targets if not leaks.leak_lines(target)]


def fix_for(leaks: LeakReport, target: Target | None = None) -> str:
    """Return how to fix leaks.

    Parameters
    ----------
    leaks : the result of the leakage checks.
    target : the target; None for all.

    Returns
    -------
    str
    """
    failures = [f for f in leaks.failures if target is None or f.target in (None, target)]
    fixes = dict.fromkeys(FIXES.get(finding.check, SNAPSHOT_FIX) for finding in failures)
    return "; ".join([*fixes, RECHECK])


def abort_training(home: Home, leaks: LeakReport, config: TrainConfig, lacking: Sequence[str] = ()) -> NoReturn:
    """Store the findings of the leak check in a failed run, and end the training.

    Parameters
    ----------
    lacking : why the targets without a leak cannot be trained, one line each.

    Raises
    ------
    LeakFound
        Always. The message names the features and the fix.
    HomeError
        If the tracking store cannot be reached or written.
    """
    through = to_iso(leaks.data_through)
    with mlflow_tracking.run(home, f"train through {through}: stopped by a leak") as run:
        run.params({**config.model_dump(), "data_through": through})
        run.document("config.json", config.model_dump())
        run.document("leakcheck.json", leaks.as_dict())
        run.tags({ABORTED_TAG: "leak"})
        findings = list(dict.fromkeys(finding.words for finding in leaks.failures))
        more = [f"and {len(findings) - MAXIMUM_NAMED} more"] if len(findings) > MAXIMUM_NAMED else []
        words = "; ".join([*findings[:MAXIMUM_NAMED], *more, *lacking])
        raise LeakFound(
            f"nothing was trained: {words} (the full report is leakcheck.json in run {run.run_id[:8]})",
            "features that do not change with later data, and no feature that alone reveals the outcome",
            fix_for(leaks),
        )
