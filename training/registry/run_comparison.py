"""Compare two trained models of each target: metrics with intervals, settings, and the dates of the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from features.errors import BadRequest
from features.utils.dates import to_iso
from models.home import Home
from models.targets import TARGETS, Target
from training.evaluation.baselines import BLEND
from training.evaluation.comparison import json_safe
from training.evaluation.headline_metrics import HEADLINE
from training.evaluation.paired_predictions import PairedDifference, paired_difference
from training.evaluation.test_predictions import UNDEFINED, MetricEstimate
from training.registry.nested_settings import flatten
from training.registry.stored_models import REFERENCES, StoredModel, Trainings
from training.registry.stored_predictions import PREDICTIONS

#: Metrics of which less is better; a slope is best near 1, so it has no direction.
LOSSES = ("brier", "log_loss")
DECIDING = "log_loss"
"""The metric by which a difference is called measurable."""
#: What a comparison needs to be paired.
SAME_OUTCOME = ("horizon_days", "grace_days")


@dataclass(frozen=True)
class TargetComparison:
    """Two models of one target.

    Parameters
    ----------
    a, b : the models.
    paired : the differences on the rows that both backtests predicted; None if the comparison is not paired.
    unpaired_reason : why it is not paired; empty if it is.
    """

    a: StoredModel
    b: StoredModel
    paired: PairedDifference | None
    unpaired_reason: str

    def figure(self, model: StoredModel, name: str) -> MetricEstimate:
        """Return a metric of one model in its own backtest, with its interval.

        Parameters
        ----------
        model : ``a`` or ``b``.
        name : of the metric.
        """
        judgement = model.report.get("judgement", {})
        subject = judged_candidate(model)
        for row in judgement.get("rows", ()):
            for metric in row["metrics"] if row["candidate"] == subject else ():
                if metric["name"] == name:
                    value, low, high = (metric[key] for key in ("value", "low", "high"))
                    return tuple(float("nan") if each is None else float(each) for each in (value, low, high))  # type: ignore[return-value]
        return UNDEFINED

    def difference(self, name: str) -> MetricEstimate:
        """Return a metric of B minus that of A: paired with an interval, or of their own backtests without one.

        Parameters
        ----------
        name : of the metric.
        """
        if self.paired is not None:
            return self.paired.differences[name]
        return (self.figure(self.b, name)[0] - self.figure(self.a, name)[0], float("nan"), float("nan"))

    @property
    def settings(self) -> dict[str, tuple[Any, Any]]:
        """The settings that differ, A's and B's value by name; None where one has no such setting."""
        first, second = _settings(self.a), _settings(self.b)
        names = dict.fromkeys([*first, *second])
        return {n: (first.get(n), second.get(n)) for n in names if first.get(n) != second.get(n)}

    @property
    def words(self) -> str:
        """The result in one sentence."""
        if self.paired is None:
            return f"not paired: {self.unpaired_reason}; the difference has no interval"
        rows = (
            f"{self.paired.rows:,} snapshots of {self.paired.accounts:,} accounts that both backtests predicted, "
            f"{self.paired.accounts_with_outcome:,} accounts with {self.a.target}"
        )
        _, low, high = self.paired.differences[DECIDING]
        if high < 0:
            return f"B is better by {HEADLINE[DECIDING]}, on {rows}"
        if low > 0:
            return f"A is better by {HEADLINE[DECIDING]}, on {rows}"
        return f"no measurable difference by {HEADLINE[DECIDING]}, on {rows}"

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        paired = self.paired
        counts = ("rows", "accounts", "accounts_with_outcome")
        return {
            "a": _model(self.a),
            "b": _model(self.b),
            "words": self.words,
            "paired": None if paired is None else {name: getattr(paired, name) for name in counts},
            "unpaired_reason": self.unpaired_reason,
            "figures": {
                name: {
                    "a": _estimate(self.figure(self.a, name)),
                    "b": _estimate(self.figure(self.b, name)),
                    "difference": _estimate(self.difference(name)),
                }
                for name in HEADLINE
            },
            "settings": {name: {"a": first, "b": second} for name, (first, second) in self.settings.items()},
        }


@dataclass(frozen=True)
class RunComparison:
    """A comparison of two references, for each target that both have a model of."""

    a: str
    b: str
    targets: Mapping[Target, TargetComparison]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        targets = {target: comparison.as_dict() for target, comparison in self.targets.items()}
        return {"a": self.a, "b": self.b, "targets": targets, "notes": list(self.notes)}


def compare_runs(home: Home, a: str, b: str) -> RunComparison:
    """Compare two trained models of each target.

    Parameters
    ----------
    home : the home.
    a, b : references (`training.registry.stored_models.Trainings.find`).

    Returns
    -------
    RunComparison

    Raises
    ------
    BadRequest
        If a reference is unknown, or the two have no target in common, are the same, or belong to different portfolios.
    HomeError, BundleError
        If the tracking store or its files cannot be read, or the champion's pointer is broken.
    """
    trainings = Trainings.of(home)
    first, second = trainings.find(a), trainings.find(b)
    common = [target for target in TARGETS if target in first and target in second]
    if not common:
        raise BadRequest(
            f"{a} has {' and '.join(first)} only, {b} has {' and '.join(second)} only",
            "two models of the same target",
            "`renewcast runs` lists runs and versions",
        )
    different = [target for target in common if first[target].model_run_id != second[target].model_run_id]
    if not different:
        raise BadRequest(f"{a} and {b} are the same model", f"two models; each is {REFERENCES}")
    if (
        len({model.portfolio for target in different for model in (first[target], second[target]) if model.portfolio})
        > 1
    ):
        raise BadRequest(f"{a} and {b} are models of different portfolios", "two models of one portfolio")
    notes = [f"{target}: {a} and {b} are the same model" for target in common if target not in different]
    notes += [
        f"{target}: only {a if target in first else b} has a model"
        for target in TARGETS
        if (target in first) != (target in second)
    ]
    compared = {target: _compare(trainings, first[target], second[target]) for target in different}
    return RunComparison(a, b, compared, tuple(notes))


def _compare(trainings: Trainings, a: StoredModel, b: StoredModel) -> TargetComparison:
    result = _paired(trainings, a, b)
    return TargetComparison(a, b, None, result) if isinstance(result, str) else TargetComparison(a, b, result, "")


def _paired(trainings: Trainings, a: StoredModel, b: StoredModel) -> PairedDifference | str:
    for name in SAME_OUTCOME:
        if a.config.get(name) != b.config.get(name):
            return f"their {name} differ"
    first, second = (trainings.predictions(model) for model in (a, b))
    if first is None or second is None:
        lacking = a if first is None else b
        return f"version {lacking.version} for {lacking.target} has no {PREDICTIONS} in its run"
    return paired_difference(first, second)


def _settings(model: StoredModel) -> dict[str, Any]:
    report = model.report
    chosen = {"weight": report.get("weights", {}), "calibrator": report.get("calibrator")}
    code = {"catalogue_version": report.get("catalogue_version"), "code": model.code}
    return flatten({**model.config, **report.get("settings", {}), **chosen, **code})


def _model(model: StoredModel) -> dict[str, Any]:
    return {
        "version": model.version,
        "champion": model.champion,
        "run_id": model.run_id,
        "model_run_id": model.model_run_id,
        "candidate": judged_candidate(model),
        "trained_at": to_iso(model.began),
        "data_through": model.data_through,
        "horizon_days": model.config.get("horizon_days"),
        "newest_snapshot": newest_snapshot(model),
        "first_origin": next(iter(model.report.get("origins", ())), None),
        "backtest": model.report.get("judgement", {}).get("size"),
        "grade": model.report.get("judgement", {}).get("grade"),
        "failed_gates": list(model.failed),
    }


def judged_candidate(model: StoredModel) -> str:
    """Return the candidate that a model's backtest judged: the ensemble, or a registered estimator by its name."""
    return str(model.report.get("judgement", {}).get("subject", BLEND))


def newest_snapshot(model: StoredModel) -> str | None:
    """Return the date of the newest snapshot that a model was fitted on; None if it was not recorded."""
    newest = model.report.get("newest_snapshots", {})
    value = newest.get(str(model.config.get("horizon_days")))
    return str(value) if value else None


def _estimate(figure: MetricEstimate) -> dict[str, float | None]:
    return dict(json_safe(dict(zip(("value", "low", "high"), figure, strict=True))))
