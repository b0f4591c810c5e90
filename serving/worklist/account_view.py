"""The data of a worklist that follows from the snapshot alone, without recorded actions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from features.errors import BadRequest
from features.utils.arrays import Bools, Floats, Ints, Texts
from models.peer_groups.frame_columns import number_column
from models.peer_groups.rule_files import read_rules
from models.peer_groups.segments import ARR_FEATURE
from models.predictions.assessment import Assessment
from models.rules.playbook import confirmed_warnings
from models.rules.plays import AUTOMATED, AccountPlay, PlaysFile
from models.scorer.base import RENEWAL_FEATURE
from models.targets import DEFAULT_HORIZON_DAYS

PlayReason = Literal["warning", "health", "model", "onboarding", "renewal"]
AccountPeople = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class WorklistAccounts:
    """Columns of n accounts.

    Parameters
    ----------
    days : the horizon of the churn probability.
    probability : the churn probability within ``days``; NaN is unknown, as in all numbers.
    value : the ARR at risk.
    until : days to the renewal.
    score : the health score.
    plays : the play of each account, or None.
    because : what triggered each play.
    overdue : whether the play was due before.
    too_late : whether the renewal is too soon for the play.
    """

    days: int
    probability: Floats
    value: Floats
    arr: Floats
    until: Floats
    score: Floats
    plays: Sequence[AccountPlay | None]
    because: Sequence[PlayReason | None]
    overdue: Bools
    too_late: Bools
    csm: Texts
    name: Texts

    @classmethod
    def of(cls, assessment: Assessment, people: AccountPeople) -> WorklistAccounts:
        """Compute the columns for all accounts.

        Parameters
        ----------
        people : name and csm of each account by its id, if known.
        """
        churn = assessment.target_scores["churn"]
        arr, until = (number_column(assessment.frame, name) for name in (ARR_FEATURE, RENEWAL_FEATURE))
        days = DEFAULT_HORIZON_DAYS if churn.bundle is None else churn.bundle.manifest.horizon_days
        probability = churn.probability
        rules = read_rules("plays", PlaysFile)
        plays = assessment.rule_results.plays
        takes = {tier.who: tier.within_days for tier in rules.tiers}
        within = np.array([0 if p is None else takes.get(p.who, 0) for p in plays], dtype=np.float64)
        person_rows = [people.get(account, {}) for account in assessment.account_ids]
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
            np.array([person.get("csm") for person in person_rows], dtype=object),
            np.array([person.get("name") for person in person_rows], dtype=object),
        )

    def of_csm(self, csm: str | None) -> Bools:
        """Return a mask of a CSM's accounts, or of all accounts."""
        if csm is None:
            return np.ones(len(self.csm), dtype=bool)
        mask = np.array([each == csm for each in self.csm], dtype=bool)
        if not mask.any():
            raise BadRequest(
                "no account in the snapshot has this CSM",
                "a value of the csm column in the accounts table",
                "check the spelling",
            )
        return mask

    @property
    def called_for(self) -> Bools:
        """Accounts with a play."""
        return np.array([play is not None for play in self.plays], dtype=bool)

    @property
    def automated(self) -> Bools:
        """Accounts whose play is automated and takes no capacity."""
        return np.array([play is not None and play.who == AUTOMATED for play in self.plays], dtype=bool)

    @property
    def talks(self) -> Bools:
        """Accounts with a renewal talk and no other reason to act."""
        return np.array([play is not None and play.kind == "renewal" for play in self.plays], dtype=bool)

    def order(self, rows: Ints, by: Floats) -> Ints:
        """Sort rows by an amount, largest first; then rows with an unknown amount by health score, lowest first.

        Rows with equal amounts are sorted by ARR at risk.

        Parameters
        ----------
        rows : the rows.
        by : the amount of all accounts; NaN is unknown.
        """
        unknown = np.isnan(by[rows])
        worth = np.where(unknown, 0.0, by[rows])
        risk = np.nan_to_num(self.value[rows])
        health = lowest_health_key(self.score[rows])
        return rows[np.lexsort((rows, -np.nan_to_num(self.arr[rows]), health, -risk, -worth, unknown))]


def lowest_health_key(score: Floats) -> Floats:
    """Return a sort key of health scores: the lowest first, unknown scores last."""
    return np.where(np.isnan(score), np.inf, score)


def _because(assessment: Assessment, row: int) -> PlayReason | None:
    """Return what triggered an account's play."""
    play = assessment.rule_results.plays[row]
    if play is None:
        return None
    if play.kind == "onboarding" or play.kind == "renewal":
        return play.kind
    if confirmed_warnings(assessment.rule_results.warnings[row]):
        return "warning"
    return "health" if any(code.startswith("health_") for code in play.because) else "model"
