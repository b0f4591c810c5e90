"""What a worklist knows of each account, whatever was recorded since: it follows from the snapshot alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from features.errors import BadRequest
from models.assess import Assessment
from models.columns import number_column
from models.rules.plays import Play, PlaysFile, Severity, play_for
from models.rules.reading import read_rules
from models.scorer import RENEWAL_FEATURE
from models.segments import ARR_FEATURE
from models.targets import DEFAULT_HORIZON_DAYS

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Because = Literal["warning", "health", "model"]
People = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Seen:
    """Each of n accounts: its churn probability within ``days``, the ARR at risk (NaN unknown), days to the renewal,
    the health score, the play with what called for it, and whether it is late or too late."""

    days: int
    probability: Floats
    value: Floats
    arr: Floats
    until: Floats
    score: Floats
    plays: Sequence[Play | None]
    because: Sequence[Because | None]
    late: Bools
    too_late: Bools
    csm: npt.NDArray[np.object_]
    name: npt.NDArray[np.object_]

    @classmethod
    def of(cls, assessment: Assessment, people: People) -> Seen:
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
        plays, because = _plays(assessment, until, probability, rules)
        tiers = {tier.severity: tier for tier in rules.tiers}
        before = np.array([0 if p is None else tiers[p.severity].before_renewal_days for p in plays], dtype=np.float64)
        within = np.array([0 if p is None else tiers[p.severity].within_days for p in plays], dtype=np.float64)
        persons = [people.get(account, {}) for account in assessment.account_ids]
        return cls(
            days,
            probability,
            probability * arr,
            arr,
            until,
            np.asarray(assessment.health.score, dtype=np.float64),
            plays,
            because,
            until < before,
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

    def order(self, rows: Ints) -> Ints:
        """Rows, the largest ARR at risk first; those of which nothing is known by health, the poorest first."""
        unknown = np.isnan(self.value[rows])
        worth = np.where(unknown, 0.0, self.value[rows])
        return rows[np.lexsort((rows, -np.nan_to_num(self.arr[rows]), poor(self.score[rows]), -worth, unknown))]


def poor(score: Floats) -> Floats:
    """Health scores by which the poorest come first and those without one last."""
    return np.where(np.isnan(score), np.inf, score)


def _plays(
    assessment: Assessment, until: Floats, probability: Floats, rules: PlaysFile
) -> tuple[list[Play | None], list[Because | None]]:
    """The rules' play; where they call for none, one for the dimension that raises the model's risk most."""
    judged = assessment.judged
    plays: list[Play | None] = list(judged.plays)
    because: list[Because | None] = []
    for row, play in enumerate(plays):
        warned = any(sign.standing == "risk" for sign in judged.warnings[row])
        because.append(None if play is None else "warning" if warned else "health")
    churn = assessment.outlooks["churn"]
    explanation = churn.explanation
    silent = np.flatnonzero(np.array([play is None for play in plays], dtype=bool) & np.isfinite(probability))
    if explanation is not None and len(silent):
        as_of = assessment.as_of.to_pydatetime()
        for row, pulls in zip(silent.tolist(), explanation.by_dimension(silent), strict=True):
            causes = {name: pull for name, pull in pulls.items() if name in rules.cause_of}
            if causes:
                worst = max(causes, key=causes.__getitem__)
                left = None if np.isnan(until[row]) else float(until[row])
                severity: Severity = "medium" if churn.band[row] == "high" else "early"
                plays[row] = play_for(rules.cause_of[worst], severity, as_of, left, rules)
                because[row] = "model"
    return plays, because
