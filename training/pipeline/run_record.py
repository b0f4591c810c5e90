"""What a training logs about each candidate in its MLflow run: params, datasets, metrics and a description."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from features.utils.dates import to_iso
from features.utils.formatting import interval_text, number, percent
from models.targets import Target
from training.dataset.training_data import TrainingData
from training.estimators.estimator_ensemble import EstimatorRecipe
from training.evaluation.comparison import Comparison, ComparisonRow, Metric
from training.evaluation.headline_metrics import HEADLINE, with_bounds
from training.evaluation.promotion_gates import blocking_gates
from training.evaluation.test_predictions import PartMetrics
from training.pipeline.candidate import Candidate
from training.registry.code_version import package_version
from training.registry.dataset_input import DatasetRows
from training.registry.nested_settings import flatten
from training.renewals.candidate import RenewalCandidate

MODEL_DESCRIPTION = (
    "The probability of {target} within the horizon, for each account of the portfolio, with an interval. Each version "
    "is one training of Renewcast. The alias `champion` marks the version in use; `renewcast promote` and `renewcast "
    "rollback` change it."
)


def data_params(data: TrainingData) -> dict[str, Any]:
    """Return the params that all targets of a training share: the settings, and the data that they were used with."""
    prepared = data.prepared
    return {
        **data.config.model_dump(),
        "data_through": to_iso(prepared.signals.data_through),
        "catalogue_version": prepared.catalogue.version,
        "grid_step_days": prepared.grid.every_days,
    }


def recipe_params(recipe: EstimatorRecipe | None) -> dict[str, Any]:
    """Return the params of a recipe: its name and its settings; none for the built-in one."""
    if recipe is None:
        return {}
    return {"recipe": recipe.name, **{f"recipe.{name}": value for name, value in recipe.as_dict().items()}}


def model_params(candidate: Candidate) -> dict[str, Any]:
    """Return what the search and the fit of a candidate chose, with one param per value.

    Parameters
    ----------
    candidate : the candidate.

    Returns
    -------
    dict
        ``ridge``, ``small_trees.*`` and ``large_trees.*``, ``weight.*`` of each model, ``trees_share``, the calibrator,
        the number of features, the first snapshot, ``newest_snapshot.DAYS`` of each horizon, and the origins.
    """
    final, ensemble = candidate.final, candidate.final.ensemble
    return {
        "target": candidate.target,
        **flatten(ensemble.settings.as_dict()),
        **{f"weight.{name}": value for name, value in zip(ensemble.models, ensemble.weights.tolist(), strict=True)},
        "trees_share": ensemble.trees_share,
        "calibrator": candidate.calibrator["kind"],
        "features": len(ensemble.encoding.features),
        "fitted_share": ensemble.fitted_share,
        "first_snapshot": to_iso(final.dates[0]),
        **{f"newest_snapshot.{days}": newest for days, newest in candidate.newest_snapshots.items()},
        "first_origin": to_iso(candidate.origins.first),
        "origins": len(candidate.origins.dates),
    }


def datasets(candidate: Candidate, data: TrainingData, portfolio: str) -> tuple[DatasetRows, DatasetRows]:
    """Return the training rows of a candidate, and the rows that its backtest predicts.

    Parameters
    ----------
    candidate : the candidate.
    data : the training data.
    portfolio : the name of the portfolio.
    """
    origin, design, tested = data.prepared.signals.origin, candidate.final.design, candidate.tested
    columns = {name: data.prepared.catalogue[name].kind for name in candidate.final.ensemble.encoding.features}
    columns |= {candidate.target: "number"}
    name = f"{portfolio}: {candidate.target}"
    return (
        DatasetRows.of(
            f"{name} training rows", "training", origin, columns, design.accounts, design.as_of, design.y, design.matrix
        ),
        DatasetRows.of(f"{name} backtest rows", "backtest", origin, columns, tested.accounts, tested.as_of, tested.y),
    )


def headline(comparison: Comparison) -> dict[str, float]:
    """Return the first metrics of the evaluated candidate, each with the bounds of its interval."""
    return _with_bounds(comparison[comparison.subject], tuple(HEADLINE))


def further_metrics(candidate: Candidate) -> dict[str, dict[str, float]]:
    """Return all other metrics of a candidate's run, by prefix.

    Parameters
    ----------
    candidate : the candidate.

    Returns
    -------
    dict of str to dict
        ``blend`` and the name of each rival; ``due`` among accounts with a renewal within the horizon; and
        ``horizon_DAYS`` for each further horizon. Rivals have intervals of the first metrics only.
    """
    judgement = candidate.judgement
    subject = judgement.subject
    parts = {row.candidate: _values(row) | _with_bounds(row, tuple(HEADLINE)) for row in judgement.rows}
    parts[subject] = _with_bounds(judgement[subject])
    if candidate.due is not None:
        parts["due"] = _with_bounds(candidate.due[subject], tuple(HEADLINE))
    return parts | {f"horizon_{_words(part.name)}": _part(part) for part in candidate.by_horizon}


def renewal_metrics(renewals: RenewalCandidate) -> dict[str, dict[str, float]]:
    """Return the metrics of the renewal model and its rivals, by prefix: ``renewals/STAGE/CANDIDATE``."""
    return {
        f"renewals/{stage.stage}/{row.candidate}": _with_bounds(row)
        for stage in renewals.stages
        for row in (stage.judgement.rows if stage.judgement else ())
    }


def _words(name: str) -> str:
    return name.removesuffix(" days").replace(" ", "_")


def _part(part: PartMetrics) -> dict[str, float]:
    figures = {"roc_auc": part.roc_auc, "brier": part.brier, "ratio": part.ratio}
    return {key: value for name, figure in figures.items() for key, value in with_bounds(name, *figure).items()}


def _values(row: ComparisonRow) -> dict[str, float]:
    return {m.name: m.value for m in row.metrics}


def _with_bounds(row: ComparisonRow, names: tuple[str, ...] | None = None) -> dict[str, float]:
    chosen = row.metrics if names is None else tuple(row[name] for name in names)
    return {key: value for m in chosen for key, value in with_bounds(m.name, m.value, m.low, m.high).items()}


def describe(candidate: Candidate, data: TrainingData, version: str) -> str:
    """Describe a registered candidate in Markdown: its grade, its first metrics, its gates and its data.

    Parameters
    ----------
    candidate : the candidate.
    data : the training data.
    version : its registered version.
    """
    comparison, final = candidate.judgement, candidate.final
    size, (first, newest) = comparison.size, final.dates
    row = comparison[comparison.subject]
    table = "\n".join(_line(HEADLINE[name], row[name]) for name in HEADLINE)
    origins = candidate.origins.dates
    refitted = f"{len(origins)} times" if len(origins) > 1 else "once"
    return (
        f"### {candidate.target.capitalize()} within {data.config.horizon_days} days, version {version}\n\n"
        f"**{comparison.grade}**: {comparison.words}. {_gates(candidate)}\n\n"
        f"| metric | value | 95% interval | good values |\n|---|---|---|---|\n{table}\n\n"
        f"Backtest: refitted {refitted}, from {to_iso(origins[0])} on, it predicted {size['rows']:,} snapshots of "
        f"{size['accounts']:,} accounts, {size['accounts_with_outcome']:,} of them with {candidate.target}. Rate "
        f"{percent(comparison.window_rate)}; known before: {percent(comparison.known_rate)}.\n\n"
        f"Trained on snapshots of {to_iso(first)} to {to_iso(newest)}, with data through "
        f"{to_iso(data.prepared.signals.data_through)} and {len(final.ensemble.encoding.features)} features, by "
        f"Renewcast {package_version()}.{_thinned(final.ensemble.fitted_share)}\n"
    )


def _thinned(share: float) -> str:
    """Say how many of the rows a large portfolio's models are fitted on; nothing if on all."""
    if share == 1:
        return ""
    return f" Rows are thinned: each member of the ensemble is fitted on at least {percent(share)} of its rows."


def model_description(target: Target) -> str:
    """Describe the registered model of a target."""
    return MODEL_DESCRIPTION.format(target=target)


def _gates(candidate: Candidate) -> str:
    if candidate.promotable:
        return "It passed every gate."
    failed = blocking_gates([asdict(gate) for gate in candidate.gates])
    if failed:
        return f"Not promoted; failed gates: {', '.join(str(gate['name']) for gate in failed)}."
    return next(f"Not promoted; {gate.words}." for gate in candidate.gates if gate.undecided)


def _line(heading: str, metric: Metric) -> str:
    interval = interval_text(metric.low, metric.high, 3) if math.isfinite(metric.low) else ""
    value = number(metric.value, 3) if math.isfinite(metric.value) else "undefined"
    return f"| {heading} | {value} | {interval} | {metric.good} |"
