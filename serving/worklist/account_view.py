"""What a worklist knows of each account, whatever was recorded since: it follows from the snapshot alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from features.errors import BadRequest
from models.peer_groups.frame_columns import number_column
from models.peer_groups.rule_files import read_rules
from models.peer_groups.segments import ARR_FEATURE
from models.predictions.assessment import Assessment
from models.rules.playbook import counting
from models.rules.plays import AUTOMATED, Play, PlaysFile
from models.scorer.base import RENEWAL_FEATURE
from models.targets import DEFAULT_HORIZON_DAYS

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Texts = npt.NDArray[np.object_]
Ints = npt.NDArray[np.int64]
PlayReason = Literal["warning", "health", "model", "onboarding", "renewal"]
AccountPeople = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class WorklistAccounts:
    """Each of n accounts: its churn probability within ``days``, the ARR at risk (NaN unknown), days to the renewal,
    the health score, the play with what called for it, whether it was due before (``overdue``), and whether the renewal
    is nearer than it takes (``too_late``)."""

    days: int
    probability: Floats
    value: Floats
    arr: Floats
    until: Floats
    score: Floats
    plays: Sequence[Play | None]
    because: Sequence[PlayReason | None]
    overdue: Bools
    too_late: Bools
    csm: npt.NDArray[np.object_]
    name: npt.NDArray[np.object_]

    @classmethod
    def of(cls, assessment: Assessment, people: AccountPeople) -> WorklistAccounts:
        """Work it out for all accounts.

        Parameters
        ----------
        people : name and csm of each account by its id, as far as known.
        """
        churn = assessment.outlooks["churn"]
        arr, until = (number_column(assessment.frame, name) for name in (ARR_FEATURE, RENEWAL_FEATURE))
        days = DEFAULT_HORIZON_DAYS if churn.bundle is None else churn.bundle.manifest.horizon_days
        probability = churn.probability
        rules = read_rules("plays", PlaysFile)
        plays = assessment.judged.plays
        takes = {tier.who: tier.within_days for tier in rules.tiers}
        within = np.array([0 if p is None else takes.get(p.who, 0) for p in plays], dtype=np.float64)
        persons = [people.get(account, {}) for account in assessment.account_ids]
        return cls(
            days,
            probability,
            probability * arr,
            arr,
            until,
            np.asarray(assessment.health.score, dtype=np.float64),
            plays,
            [_because(assessment, row) for row in range(len(plays))],
            np.array([play is not None and play.overdue for play in plays], dtype=bool),
            (until >= 0) & (until < within),
            np.array([person.get("csm") for person in persons], dtype=object),
            np.array([person.get("name") for person in persons], dtype=object),
        )

    def of_csm(self, csm: str | None) -> Bools:
        """The rows of a CSM, or all."""
        if csm is None:
            return np.ones(len(self.csm), dtype=bool)
        found = np.array([each == csm for each in self.csm], dtype=bool)
        if not found.any():
            raise BadRequest(
                "no account of the snapshot has this CSM", "a csm as in the signals' accounts", "check its spelling"
            )
        return found

    @property
    def called_for(self) -> Bools:
        """The rows with a play."""
        return np.array([play is not None for play in self.plays], dtype=bool)

    @property
    def automated(self) -> Bools:
        """The rows whose play runs by itself, and takes no capacity."""
        return np.array([play is not None and play.who == AUTOMATED for play in self.plays], dtype=bool)

    @property
    def talks(self) -> Bools:
        """The rows with a renewal talk: nothing else is wrong with these accounts."""
        return np.array([play is not None and play.kind == "renewal" for play in self.plays], dtype=bool)

    def order(self, rows: Ints) -> Ints:
        """Rows, the largest ARR at risk first; those of which nothing is known by health, the poorest first."""
        unknown = np.isnan(self.value[rows])
        worth = np.where(unknown, 0.0, self.value[rows])
        return rows[
            np.lexsort((rows, -np.nan_to_num(self.arr[rows]), lowest_health_key(self.score[rows]), -worth, unknown))
        ]


def lowest_health_key(score: Floats) -> Floats:
    """Health scores by which the poorest come first and those without one last."""
    return np.where(np.isnan(score), np.inf, score)


def _because(assessment: Assessment, row: int) -> PlayReason | None:
    """What called for an account's play."""
    play = assessment.judged.plays[row]
    if play is None:
        return None
    if play.kind == "onboarding" or play.kind == "renewal":
        return play.kind
    if counting(assessment.judged.warnings[row]):
        return "warning"
    return "health" if any(code.startswith("health_") for code in play.because) else "model"
