"""The assessment of a portfolio at one snapshot: both targets, health score, rules and reasons."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.errors import BadRequest
from features.utils.arrays import Bools, Floats, Texts
from models.artifacts.champion import Champion
from models.artifacts.unknown_inputs import UnknownInputs, unknown_in_frame, unknown_inputs
from models.explain.reason_text import value_words
from models.explain.reasons import ConceptReason
from models.health.rubric import HealthScores
from models.peer_groups.frame_columns import number_column
from models.peer_groups.peers import Peers
from models.peer_groups.segments import ARR_FEATURE, segment_of
from models.predictions.account_lookup import AccountNames
from models.predictions.instants import format_instant
from models.predictions.prediction_ids import PredictionIds
from models.predictions.target_predictions import (
    OUT_OF_SCOPE,
    SCORED,
    SILENT_AFTER_DAYS,
    STALE_INPUTS,
    TargetScores,
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

#: The bands of model and health score, from good to bad. A disagreement is a difference between these numbers.
CHURN_ORDER: dict[str, int] = {"low": 0, "medium": 1, "high": 2}
HEALTH_ORDER: dict[str, int] = {"green": 0, "yellow": 1, "red": 2}

#: How many signals are named as what lowers the health score.
LOWERING_SIGNALS = 3

#: If the newest event of a feed is older than this many days at as_of, a warning names the feed.
STALE_AFTER_DAYS = 14


@dataclass(frozen=True)
class Assessment:
    """The assessment of n accounts at one as_of, in the order of their account_id.

    Parameters
    ----------
    champion : the models and the rubric in force at ``as_of``.
    frame : the rows of the snapshot, sorted by account_id.
    as_of : the instant of the snapshot, UTC.
    target_scores : the scores of each target.
    rule_results : the results of the rules: health and its history, alerts, warnings, onboarding, expansion, plays.
    stale : days since the newest event of each stale feed, by table.
    jumped : the columns (``table.column``) whose unit seems to have changed. Values derived from them are unreliable.
    unusable : the unknown inputs of each model that is not used, because most of its gain lies in unknown features.
    names : the name of each known account by its id, active or not; None if it has none. Empty if names are unknown.
    catalogue : the features by name, for their descriptions.
    open_questions : what the mapping of the signals has not answered, so that figures are uncertain.
    """

    champion: Champion
    frame: pd.DataFrame
    as_of: pd.Timestamp
    target_scores: Mapping[Target, TargetScores]
    rule_results: RuleResults
    stale: Mapping[str, int]
    jumped: tuple[str, ...] = ()
    unusable: Mapping[Target, UnknownInputs] = field(default_factory=dict)
    names: AccountNames = field(default_factory=dict)
    catalogue: Mapping[str, Feature] = field(default_factory=dict)
    open_questions: tuple[str, ...] = ()

    @cached_property
    def account_ids(self) -> list[str]:
        """The account ids, sorted."""
        return [str(account) for account in self.frame["account_id"]]

    @cached_property
    def account_names(self) -> list[str | None]:
        """The name of each account; None without one."""
        return [self.names.get(account) for account in self.account_ids]

    @cached_property
    def known_names(self) -> AccountNames:
        """The name of each account by its id: of the accounts of the assessment, and of those in ``names``."""
        return {**dict.fromkeys(self.account_ids), **self.names}

    @cached_property
    def places(self) -> dict[str, int]:
        """The row of each account, from 0."""
        return {account: row for row, account in enumerate(self.account_ids)}

    @cached_property
    def cells(self) -> tuple[tuple[str, npt.NDArray[Any]], ...]:
        """Every column except as_of, sorted by name. Shape (n,) each."""
        return tuple((name, self.frame[name].to_numpy()) for name in sorted(self.frame.columns) if name != KEYS[1])

    @cached_property
    def as_of_text(self) -> str:
        """``as_of`` as in answers."""
        return format_instant(self.as_of)

    @cached_property
    def history_dates(self) -> tuple[str, ...]:
        """The dates of the rules' history, as in answers."""
        return tuple(format_instant(date.to_pydatetime()) for date in self.rule_results.dates)

    @cached_property
    def prediction_ids(self) -> PredictionIds:
        """The ids of the predictions."""
        bundles = self.champion.bundles
        fingerprints = [bundles[target].fingerprint for target in TARGETS if target in bundles]
        return PredictionIds(self.as_of_text, self.cells, fingerprints, self.champion.rubric.text)

    @cached_property
    def pulse(self) -> tuple[Floats, Floats, Floats]:
        """Sentiment, renewal call and age in days of the newest pulse of each account; NaN if unknown. Shape (n,)."""
        sentiment, call, age = (
            number_column(self.frame, f"pulse.{name}") for name in ("sentiment", "renewal_call", "age_days")
        )
        return sentiment, call, age

    @property
    def health(self) -> HealthScores:
        """The health scores."""
        return self.rule_results.health

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
        """The share of the rubric's weight that has data. Shape (n,)."""
        return np.asarray(self.health.coverage, dtype=np.float64)

    @cached_property
    def ready(self) -> Bools:
        """True where an expansion is proposed. Shape (n,).

        Every item of the gate is met, the model's band is high, and no reason withdraws the proposal
        (`models.rules.playbook`).
        """
        return self.rule_results.playbook.proposed

    @cached_property
    def agreement(self) -> Texts:
        """Agreement between the bands of model and health score. Shape (n,).

        ``agree``, ``model_worse`` (the model rates the account worse than the health score) or ``model_better``. None
        where either is unknown.
        """
        out = np.full(len(self.frame), None, dtype=object)
        for row, (risk, health) in enumerate(zip(self.target_scores["churn"].band, self.health.band, strict=True)):
            if risk in CHURN_ORDER and health in HEALTH_ORDER:
                difference = CHURN_ORDER[risk] - HEALTH_ORDER[health]
                out[row] = "agree" if difference == 0 else "model_worse" if difference > 0 else "model_better"
        return out

    @cached_property
    def meant(self) -> tuple[Floats, Floats, Floats]:
        """The observed churn rate after similar health scores, and its 80% interval. Shape (n,) each.

        NaN where it is unknown.
        """
        meaning = self.champion.meaning
        if meaning is None:
            unknown = np.full(len(self.frame), np.nan)
            return unknown, unknown, unknown
        return meaning.at(self.health.score.to_numpy())

    @cached_property
    def gap(self) -> Floats:
        """The model's churn probability minus the observed churn rate after similar health scores. Shape (n,).

        Positive values mean that the model rates the risk higher. NaN where either is unknown.
        """
        gap: Floats = self.target_scores["churn"].probability - self.meant[0]
        return gap

    def explained_by(self, row: int, contributions: Mapping[str, float]) -> str | None:
        """Return the dimension that explains most of the difference between model and health score.

        It is the dimension with the largest contribution in the direction of the gap.

        Parameters
        ----------
        row : the row of the account.
        contributions : the contribution of each dimension to the model's log-odds.

        Returns
        -------
        The name of the dimension; None without a gap, or if no dimension contributes in its direction.
        """
        gap = float(self.gap[row])
        direction = 0.0 if math.isnan(gap) else float(np.sign(gap))
        towards_gap = {name: direction * contribution for name, contribution in contributions.items()}
        largest = max(towards_gap, key=towards_gap.__getitem__, default=None)
        return largest if largest is not None and towards_gap[largest] > 0 else None

    def health_lowered_by(self, row: int, without: Collection[str] = ()) -> list[str]:
        """Return what lowers the health score of an account most, in words; empty if it has no score, or is green.

        Parameters
        ----------
        row : the row of the account.
        without : features to leave out, such as those that a warning names already.
        """
        if self.health_band[row] not in ("red", "yellow"):
            return []
        texts = []
        for name, value in self.health.lowering(row, LOWERING_SIGNALS, without):
            about = self.catalogue.get(name)
            words, unit = (name, "") if about is None else (about.words, about.unit)
            texts.append(f"{words}: {value_words(value, unit, words)}")
        return texts

    def churn_reasons(self) -> list[tuple[ConceptReason, ...] | None]:
        """Return the reasons for the churn probability of each account, largest first; None without a probability."""
        out: list[tuple[ConceptReason, ...] | None] = [None] * len(self.frame)
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
    names: AccountNames | None = None,
    open_questions: Sequence[str] = (),
) -> Assessment:
    """Assess every account of one snapshot.

    Parameters
    ----------
    frame : account_id, as_of (the same in every row) and the features, one row per account, in any order.
    champion : the bundles and the rubric. The version of the rubric in force at the frame's as_of is applied. A target
        without a bundle has status no_model.
    peers : the comparison group, for accounts that are scored alone (`Champion.peers`). Without it the rows are the
        whole portfolio and are compared with each other.
    past : rows of earlier dates, with the same columns or some of them, and `models.rules.evaluate.RISK_COLUMN`. The
        rules use them as history. Without it, changes are unknown.
    feeds : the newest known event of each table, UTC. If it is more than 14 days old, there is a warning. If those of
        all tables are more than 60 days old, the status is stale_inputs, because the feeds stopped, not the accounts.
    jumped : columns, as ``table.column``, whose unit seems to have changed (`features.feed_health`). There is a warning
        for each.
    catalogue : the features. Default: those of the deployment (`features.custom.current_catalogue.current_catalogue`).
    withheld : the reason to report no probabilities, as in `models.predictions.target_predictions.score_target`.
    executives_from : for accounts that are scored alone, the ARR at risk from which executives act, as in the
        assessment of the portfolio (``rule_results.playbook.executives_from``). Without it the CSM acts.
    open_plays : plays that were published before and have not been done, and when they were first due.
    assignments : plays that were assigned to executives before, and when. They use capacity for a week.
    is_unknown : returns True if a feature is unknown for every account. Default for a whole portfolio: computed from
        the frame. A model is not used if most of its gain lies in such features; its status is out_of_scope.
    names : the name of each known account by its id. They change no result.
    open_questions : what the mapping of the signals has not answered. There is a warning.

    Returns
    -------
    The assessment, with the accounts in the order of their account_id.

    Raises
    ------
    BadRequest : there are no rows, several dates or repeated accounts, or a column cannot be read.
    """
    if catalogue is None:
        # Imported late, because the catalogue imports the query engine.
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
    rule_results = apply_rules(
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
    return Assessment(
        champion,
        frame,
        as_of,
        target_scores,
        rule_results,
        stale,
        tuple(jumped),
        unusable,
        names or {},
        catalogue,
        tuple(open_questions),
    )


def _check(frame: pd.DataFrame) -> None:
    if missing := [key for key in KEYS if key not in frame]:
        raise BadRequest(f"the table lacks {', '.join(missing)}", "a snapshot", "build it with `renewcast snapshot`")
    if frame.empty:
        raise BadRequest(
            "no account is active at this date",
            "at least one account",
            "choose a later date: what happens on a day is known from the next one on",
        )
    if frame["as_of"].nunique(dropna=False) != 1 or frame["as_of"].isna().any():
        raise BadRequest("the table has several dates, or none", "one as_of for all rows", "pass one date at a time")
    if not isinstance(frame["as_of"].dtype, pd.DatetimeTZDtype):
        raise BadRequest("as_of is not a datetime column with a time zone", "datetimes in UTC", "convert it to UTC")
    if repeated := int(frame["account_id"].duplicated().sum()):
        raise BadRequest(
            f"{repeated} rows have a duplicate account", "each account only once", "remove the duplicate rows"
        )


def _ages(as_of: pd.Timestamp, feeds: Mapping[str, datetime | None]) -> dict[str, int]:
    """Return the days since the newest event of each feed that has events."""
    return {table: (as_of - pd.Timestamp(newest)).days for table, newest in sorted(feeds.items()) if newest is not None}
