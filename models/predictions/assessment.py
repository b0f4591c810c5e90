"""The assessment of a portfolio at one snapshot: both targets, health score, rules and reasons."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.errors import BadRequest
from models.artifacts.champion import Champion
from models.artifacts.unknown_inputs import UnknownInputs, unknown_in_frame, unknown_inputs
from models.explain.reasons import ConceptReason
from models.health.rubric import HealthScores
from models.peer_groups.frame_columns import number_column
from models.peer_groups.peers import Peers
from models.peer_groups.segments import ARR_FEATURE, segment_of
from models.predictions.target_predictions import (
    OUT_OF_SCOPE,
    SCORED,
    STALE_INPUTS,
    TargetScores,
    Texts,
    WithheldStatus,
    score_target,
    unscored_target,
)
from models.rules.evaluate import RuleResults, apply_rules
from models.rules.history import PortfolioHistory
from models.rules.playbook import ExecutiveAssignments, ModelView, OpenPlays
from models.targets import TARGETS, Target

if TYPE_CHECKING:
    from features.definitions.feature import Feature

KEYS = ("account_id", "as_of")

Floats = npt.NDArray[np.float64]

#: The bands of model and health score, side by side from good to bad, to see where they disagree.
CHURN_ORDER: dict[str, int] = {"low": 0, "medium": 1, "high": 2}
HEALTH_ORDER: dict[str, int] = {"green": 0, "yellow": 1, "red": 2}

#: A feed whose newest event is older than this many days at as_of is named in a warning.
STALE_AFTER_DAYS = 14
#: If no feed has had an event for longer, no numbers are given: twice the rhythm of the slowest usual feed, a month.
SILENT_AFTER_DAYS = 60


@dataclass(frozen=True)
class Assessment:
    """The assessment of n accounts at one as_of, in the order of their account_id.

    Parameters
    ----------
    frame : the snapshot's rows, sorted by account_id.
    as_of : the instant of the snapshot, UTC.
    target_scores : one per target.
    judged : what the rules say: health and its history, alerts, warnings, onboarding, expansion, plays.
    stale : days since the newest event of each stale feed, by table.
    jumped : the columns (``table.column``) whose unit seems to have changed; what rests on them cannot be trusted.
    unusable : what the models lack that are not used, because most of their gain lies in unknown features.
    """

    champion: Champion
    frame: pd.DataFrame
    as_of: pd.Timestamp
    target_scores: Mapping[Target, TargetScores]
    judged: RuleResults
    stale: Mapping[str, int]
    jumped: tuple[str, ...] = ()
    unusable: Mapping[Target, UnknownInputs] = field(default_factory=dict)

    @cached_property
    def account_ids(self) -> list[str]:
        """The accounts, sorted."""
        return [str(account) for account in self.frame["account_id"]]

    @cached_property
    def places(self) -> dict[str, int]:
        """Each account's place, from 0."""
        return {account: row for row, account in enumerate(self.account_ids)}

    @cached_property
    def cells(self) -> tuple[tuple[str, npt.NDArray[Any]], ...]:
        """Every column but as_of, sorted by name, each of shape (n,)."""
        return tuple((name, self.frame[name].to_numpy()) for name in sorted(self.frame.columns) if name != KEYS[1])

    @property
    def health(self) -> HealthScores:
        """The health scores."""
        return self.judged.health

    @cached_property
    def health_score(self) -> Floats:
        """The health scores, NaN where unknown. Shape (n,)."""
        return np.asarray(self.health.score, dtype=np.float64)

    @cached_property
    def health_band(self) -> Texts:
        """The bands of the health scores. Shape (n,)."""
        return self.health.band.to_numpy(dtype=object)

    @cached_property
    def health_coverage(self) -> Floats:
        """The share of the rubric's weight that had data. Shape (n,)."""
        return np.asarray(self.health.coverage, dtype=np.float64)

    @cached_property
    def ready(self) -> npt.NDArray[np.bool_]:
        """Whether an expansion is proposed: every item of the gate met, the model's band high, and nothing that
        withdraws it (`models.rules.playbook`). Shape (n,)."""
        return self.judged.playbook.proposed

    @cached_property
    def agreement(self) -> Texts:
        """Whether model and health score fall into the same of three bands: agree, model_worse or model_better (the
        model's view of the account is the worse or the better one); None where either says nothing. Shape (n,)."""
        out = np.full(len(self.frame), None, dtype=object)
        for row, (risk, health) in enumerate(zip(self.target_scores["churn"].band, self.health.band, strict=True)):
            if risk in CHURN_ORDER and health in HEALTH_ORDER:
                further = CHURN_ORDER[risk] - HEALTH_ORDER[health]
                out[row] = "agree" if further == 0 else "model_worse" if further > 0 else "model_better"
        return out

    @cached_property
    def meant(self) -> tuple[Floats, Floats, Floats]:
        """The churn rate that has followed health scores like these, and its 80% interval; NaN where it is not known.
        Shape (n,) each."""
        meaning = self.champion.meaning
        if meaning is None:
            unknown = np.full(len(self.frame), np.nan)
            return unknown, unknown, unknown
        return meaning.at(self.health.score.to_numpy())

    @cached_property
    def gap(self) -> Floats:
        """The model's churn probability less the rate that has followed such a health score: above 0 the model sees
        more risk. NaN where either is not known, shape (n,)."""
        gap: Floats = self.target_scores["churn"].probability - self.meant[0]
        return gap

    def explained_by(self, row: int, pulls: Mapping[str, float]) -> str | None:
        """The dimension that does most to explain why the model sees the account at this place otherwise than its
        health score: the one that pulls the model's log-odds furthest the gap's way. None without a gap.

        Parameters
        ----------
        pulls : what each dimension adds to the model's log-odds.
        """
        way = float(np.sign(np.nan_to_num(self.gap[row])))
        towards = {name: way * pull for name, pull in pulls.items()}
        furthest = max(towards, key=towards.__getitem__, default=None)
        return furthest if furthest is not None and towards[furthest] > 0 else None

    def churn_reasons(self) -> list[tuple[ConceptReason, ...]]:
        """Each account's reasons for the churn probability, largest first; none where there is no probability."""
        out: list[tuple[ConceptReason, ...]] = [()] * len(self.frame)
        churn = self.target_scores["churn"]
        if churn.explanation is not None:
            rows = np.flatnonzero(churn.status == SCORED)
            for row, explained in zip(rows, churn.explanation.explain(rows), strict=True):
                out[row] = explained.reasons
        return out


def assess(
    frame: pd.DataFrame,
    champion: Champion,
    peers: Peers | None = None,
    *,
    past: pd.DataFrame | None = None,
    feeds: Mapping[str, datetime | None] | None = None,
    jumped: Sequence[str] = (),
    catalogue: Mapping[str, Feature] | None = None,
    withheld: WithheldStatus | None = None,
    executives_from: float | None = None,
    open_plays: OpenPlays | None = None,
    assignments: ExecutiveAssignments | None = None,
    is_unknown: Callable[[str], bool] | None = None,
) -> Assessment:
    """Judge every account of one snapshot.

    Parameters
    ----------
    frame : account_id, as_of (one and the same) and the features, one row per account, in any order.
    champion : the bundles and the rubric, of which the version in force at the frame's as_of is applied; a target
        without a bundle is answered with status no_model.
    peers : what to compare with, for accounts that come alone (`Champion.peers`). Without it the rows are taken for the
        whole portfolio and compared with each other.
    past : rows of earlier dates, in the same columns or some of them, and `models.rules.evaluate.RISK_COLUMN`: the
        rules look back on them. Without it nothing is known of changes.
    feeds : the newest event known of each table, UTC; a table whose newest is over 14 days old is warned of. Where that
        of every table is over 60 days old, the status is stale_inputs: the silence is the feeds', not the accounts'.
    jumped : columns, as ``table.column``, whose unit seems to have changed (`features.health`): they are warned of.
    catalogue : the features; the deployment's if not given (`features.custom.current_catalogue.current_catalogue`).
    withheld : as of `models.predictions.target_predictions.score_target`, where the caller knows why no number is to be
    told.
    executives_from : for accounts that come alone: the ARR at risk from which executives act, as the portfolio's own
        assessment has it (``judged.playbook.executives_from``). Without it the CSM acts.
    open_plays : plays that were published before and have not been done, and when they were first due.
    assignments : plays that were assigned to executives before, and when. They use capacity for a week.
    is_unknown : whether a feature is unknown for every account; for a whole portfolio that is seen from the frame. A
        model most of whose gain lies in such features is not used: its status is out_of_scope.

    Raises
    ------
    BadRequest : no rows, several as_ofs, an account twice, or a column that cannot be read.
    """
    if catalogue is None:
        # Not at import: the catalogue brings the query engine with it.
        from features.custom.current_catalogue import current_catalogue

        catalogue = current_catalogue()
    _check(frame)
    frame = frame.sort_values("account_id", kind="stable").reset_index(drop=True)
    as_of = pd.Timestamp(frame["as_of"].iloc[0])
    champion = champion.at(as_of)
    numbers = [name for name, feature in catalogue.items() if feature.kind == "number"]
    compared = peers if peers is not None else Peers.of(frame, numbers)
    segments = segment_of(number_column(frame, ARR_FEATURE))
    ages = _ages(as_of, feeds or {})
    if min(ages.values(), default=0) > SILENT_AFTER_DAYS:
        withheld = withheld or STALE_INPUTS
    if is_unknown is None and peers is None:
        is_unknown = unknown_in_frame(frame)
    lacking = {t: unknown_inputs(b, is_unknown, catalogue) for t, b in champion.bundles.items()} if is_unknown else {}
    unusable = {target: inputs for target, inputs in lacking.items() if inputs.exceeds_limit}
    target_scores: dict[Target, TargetScores] = {}
    for target in TARGETS:
        bundle = champion.bundles.get(target)
        why = withheld or (OUT_OF_SCOPE if target in unusable else None)
        target_scores[target] = (
            unscored_target(target, len(frame))
            if bundle is None
            else score_target(frame, bundle, compared, segments, peers is None, catalogue, why)
        )
    history = PortfolioHistory(frame if past is None else pd.concat([past, frame], ignore_index=True))
    churn = target_scores["churn"]
    view = ModelView(
        churn.band,
        target_scores["expansion"].band,
        churn.probability * number_column(frame, ARR_FEATURE),
        None if churn.explanation is None else churn.explanation.by_dimension,
    )
    judged = apply_rules(
        history,
        champion.rubric,
        peers,
        churn.points,
        champion.rubric_at,
        view,
        executives_from,
        open_plays,
        assignments,
    )
    stale = {table: days for table, days in ages.items() if days > STALE_AFTER_DAYS}
    return Assessment(champion, frame, as_of, target_scores, judged, stale, tuple(jumped), unusable)


def _check(frame: pd.DataFrame) -> None:
    if missing := [key for key in KEYS if key not in frame]:
        raise BadRequest(f"the table lacks {', '.join(missing)}", "a snapshot", "build it with `renewcast snapshot`")
    if frame.empty:
        raise BadRequest("no account is active at this date", "at least one account", "choose another date")
    if frame["as_of"].nunique(dropna=False) != 1 or frame["as_of"].isna().any():
        raise BadRequest("the table holds several dates, or none", "one as_of for all rows", "give one date at a time")
    if not isinstance(frame["as_of"].dtype, pd.DatetimeTZDtype):
        raise BadRequest("as_of is not a column of instants with a zone", "datetimes in UTC", "convert it to UTC")
    if repeated := int(frame["account_id"].duplicated().sum()):
        raise BadRequest(f"{repeated} rows repeat an account", "each account once", "remove the repeated rows")


def _ages(as_of: pd.Timestamp, feeds: Mapping[str, datetime | None]) -> dict[str, int]:
    """Days since the newest event of each feed that has any."""
    return {table: (as_of - pd.Timestamp(newest)).days for table, newest in sorted(feeds.items()) if newest is not None}
