"""The schema of a rubric file, and the checks for people who edit one."""

from __future__ import annotations

from collections.abc import Collection
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field

from models.peer_groups.rule_files import RulePart, RulesError, parse_rules
from models.peer_groups.segments import segment_names

GradeName = Literal["green", "yellow", "red"]
ParentHealthRule = Literal["own", "worst_child", "arr_weighted_mean"]
ScorePoints = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
PositiveWeight = Annotated[float, Field(gt=0, allow_inf_nan=False)]
DimensionWeight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
FiniteNumber = Annotated[float, Field(allow_inf_nan=False)]

#: Tolerance of the sum of the dimensions' weights, which is 100.
WEIGHT_TOLERANCE = 1e-6


class RubricError(RulesError):
    """A rubric file cannot be read or is invalid."""


class GradeStep(RulePart):
    """Points for values of at least ``from`` (if higher is better) or at most ``up_to`` (if lower is better)."""

    grade: GradeName
    points: ScorePoints
    at_least: float | None = Field(default=None, alias="from", allow_inf_nan=False)
    up_to: float | None = Field(default=None, allow_inf_nan=False)


class _Signal(RulePart):
    feature: str
    weight: PositiveWeight
    better: Literal["higher", "lower"]


class PercentileSignal(_Signal):
    """A feature graded by its percentile among comparable accounts.

    It is green above one percentile and yellow from another; without these, it is graded 0 to 10, rounded.
    """

    grade: Literal["percentile"]
    green_above: ScorePoints | None = None
    yellow_from: ScorePoints | None = None


class ScaleSignal(_Signal):
    """A feature graded from 0 (at ``worst`` or beyond) to 10 (at ``best`` or beyond), rounded."""

    grade: Literal["scale"]
    worst: FiniteNumber
    best: FiniteNumber


class StepsSignal(_Signal):
    """A feature graded by the first step whose bound its value meets, best first; the last step has no bound."""

    grade: Literal["steps"]
    steps: Annotated[tuple[GradeStep, ...], Field(strict=False, min_length=1)]


RubricSignal = PercentileSignal | StepsSignal | ScaleSignal


class RubricDimension(RulePart):
    """A dimension: its weight out of 100 and its signals. With a weight of 0 it is shown but does not count."""

    name: str
    weight: DimensionWeight
    signals: Annotated[
        tuple[Annotated[RubricSignal, Field(discriminator="grade")], ...], Field(strict=False, min_length=1)
    ]


class Bands(RulePart):
    """The score at which each band begins. A band ends where the next higher one begins, green at 100."""

    green: ScorePoints
    yellow: ScorePoints
    red: ScorePoints


class WeightProfile(RulePart):
    """Alternative weights of the dimensions, for some segments."""

    segments: Annotated[tuple[str, ...], Field(strict=False, min_length=1)]
    weights: dict[str, DimensionWeight]


class RubricFile(RulePart):
    """The content of a rubric file.

    If ``weights`` is learned, the weights of the dimensions apply until there is evidence of how strongly each one is
    associated with retention.

    ``parent_health`` says what the health of a parent company is: the score of its own account, the lowest score of the
    account and all accounts below it (``worst_child``), or their mean weighted by ARR. Accounts keep their own scores.
    """

    name: str
    version: str
    weights: Literal["fixed", "learned"] = "fixed"
    minimum_coverage: Annotated[float, Field(ge=0, le=1)]
    parent_health: ParentHealthRule = "own"
    profiles: Annotated[tuple[WeightProfile, ...], Field(strict=False)] = ()
    bands: Bands
    dimensions: Annotated[tuple[RubricDimension, ...], Field(strict=False, min_length=1)]


def parse_rubric(text: str, file: str, features: Collection[str]) -> RubricFile:
    """Parse and validate a rubric.

    Parameters
    ----------
    text : the TOML text.
    file : the name of the file, for messages.
    features : the numeric features of the catalogue, which signals may use.

    Raises
    ------
    RubricError : the message names the file and the key.
    """
    # pydantic adds the kind of a signal to its path, after dimensions.<n>.signals.<n>.
    rubric = parse_rules(text, file, RubricFile, RubricError, tag_at=4)
    _check_weights(rubric, file)
    bands = rubric.bands
    if not (bands.green > bands.yellow > bands.red == 0):
        raise RubricError(
            f"{file}: key bands: green begins at {bands.green:g}, yellow at {bands.yellow:g}, red at {bands.red:g}",
            "green > yellow > red, and red = 0, so that every score from 0 to 100 has a band",
            "correct bands",
        )
    for d, dimension in enumerate(rubric.dimensions):
        for s, signal in enumerate(dimension.signals):
            _check_signal(signal, file, f"dimensions.{d}.signals.{s}", features)
    _check_profiles(rubric, file)
    return rubric


def _check_profiles(rubric: RubricFile, file: str) -> None:
    names, segments = {dimension.name for dimension in rubric.dimensions}, segment_names()
    assigned: set[str] = set()
    for i, profile in enumerate(rubric.profiles):
        key = f"profiles.{i}"
        if unknown := sorted(set(profile.segments) - set(segments)):
            raise RubricError(
                f"{file}: key {key}.segments: unknown segment: {', '.join(unknown)}",
                f"one or more of {', '.join(segments)}",
                f"correct {key}.segments",
            )
        if twice := sorted(assigned & set(profile.segments)):
            raise RubricError(
                f"{file}: key {key}.segments: {', '.join(twice)} already has a profile",
                "one profile per segment",
                "remove one of them",
            )
        assigned |= set(profile.segments)
        total = sum(profile.weights.values())
        if set(profile.weights) != names or abs(total - 100.0) > WEIGHT_TOLERANCE:
            raise RubricError(
                f"{file}: key {key}.weights: {', '.join(sorted(profile.weights))}, which sum to {total:g}",
                f"a weight for each of {', '.join(sorted(names))}, with a sum of 100",
                f"correct {key}.weights",
            )
    if rubric.profiles and rubric.weights == "learned":
        raise RubricError(
            f"{file}: key profiles: the weights are learned",
            "either learned weights or profiles",
            "remove the profiles",
        )


def _check_weights(rubric: RubricFile, file: str) -> None:
    names = [dimension.name for dimension in rubric.dimensions]
    signals = [signal.feature for dimension in rubric.dimensions for signal in dimension.signals]
    for key, found in (("dimensions.name", names), ("dimensions.signals.feature", signals)):
        if twice := sorted({name for name in found if found.count(name) > 1}):
            raise RubricError(
                f"{file}: key {key}: {', '.join(twice)} occurs more than once", "each only once", "remove one of them"
            )
    total = sum(dimension.weight for dimension in rubric.dimensions)
    if abs(total - 100.0) > WEIGHT_TOLERANCE:
        raise RubricError(
            f"{file}: key dimensions.weight: the weights sum to {total:g}", "a sum of 100", "change the weights"
        )


def _check_signal(signal: RubricSignal, file: str, key: str, features: Collection[str]) -> None:
    if signal.feature not in features:
        raise RubricError(
            f"{file}: key {key}.feature: the catalogue has no numeric feature {signal.feature}",
            "a numeric feature of the catalogue",
            "use one of its names, or remove the signal",
        )
    if isinstance(signal, StepsSignal):
        _check_steps(signal, file, f"{key}.steps")
    elif isinstance(signal, ScaleSignal):
        if signal.worst == signal.best or (signal.best > signal.worst) is not (signal.better == "higher"):
            raise RubricError(
                f"{file}: key {key}.best: best is {signal.best:g} and worst is {signal.worst:g}, "
                f"but {signal.better} is better",
                "best above worst if higher is better, below worst if lower is better",
                f"correct {key}",
            )
    elif (signal.green_above is None) is not (signal.yellow_from is None):
        raise RubricError(
            f"{file}: key {key}: only one of green_above and yellow_from is set", "both or neither", f"correct {key}"
        )
    elif signal.green_above is not None and signal.green_above <= (signal.yellow_from or 0.0):
        raise RubricError(
            f"{file}: key {key}.green_above is not greater than yellow_from",
            "green_above greater than yellow_from",
            f"correct {key}",
        )


def _check_steps(signal: StepsSignal, file: str, key: str) -> None:
    higher = signal.better == "higher"
    bound, other = ("from", "up_to") if higher else ("up_to", "from")
    bounds = [step.at_least if higher else step.up_to for step in signal.steps]
    others = [step.up_to if higher else step.at_least for step in signal.steps]
    if any(value is not None for value in others):
        raise RubricError(f"{file}: key {key}: better = {signal.better} does not allow {other}", cure=f"use {bound}")
    if bounds[-1] is not None or any(value is None for value in bounds[:-1]):
        raise RubricError(
            f"{file}: key {key}: every step but the last needs {bound}",
            f"{bound} on every step but the last, which has none",
            f"correct {key}",
        )
    for one, two in pairwise(value for value in bounds if value is not None):
        if (one <= two) if higher else (one >= two):
            raise RubricError(f"{file}: key {key}: the bounds are not in order", "the best step first", f"sort {key}")
    if any(one.points < two.points for one, two in pairwise(signal.steps)):
        raise RubricError(
            f"{file}: key {key}: a better step earns fewer points",
            "at least as many points as the next step",
            f"correct {key}",
        )
