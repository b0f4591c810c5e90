"""Refitting models as of a past date.

A refit always uses Renewcast's own recipe, the ensemble, also if the champion is a registered estimator: a bundle does
not contain the classifier that could be fitted again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from datetime import datetime

from features.catalogue.catalogue import Catalogue
from features.errors import BundleError, InsufficientData
from features.utils.dates import to_iso
from models.artifacts.champion import load_champion
from models.home import Home
from models.renewals.renewal_model import RenewalModel, Stage
from models.scorer.scorer import Scorer
from models.targets import TARGETS, Target
from training.config import TrainConfig
from training.dataset.labelled_snapshots import LabelledSnapshots
from training.dataset.sufficiency import MINIMUM_OUTCOMES
from training.dataset.target_rows import TargetRows
from training.estimators.ensemble import Settings
from training.estimators.fitted_model import fit_model
from training.renewals.contracts import ContractBook
from training.renewals.rows import RenewalRows, StageRows


def load_champion_scorers(
    home: Home, catalogue: Catalogue
) -> tuple[dict[Target, tuple[Scorer, datetime]], RenewalModel | None]:
    """Load the champions, and the renewal model of that for churn.

    Parameters
    ----------
    home : the home.
    catalogue : the features.

    Returns
    -------
    dict
        By target, the scorer and the end of its training data.
    RenewalModel or None
        The renewal model.
    """
    try:
        bundles = load_champion(home, catalogue).bundles
    except BundleError:
        return {}, None
    scorers = {target: (bundle.scorer, bundle.manifest.trained_through) for target, bundle in bundles.items()}
    return scorers, bundles["churn"].renewals if "churn" in bundles else None


def models_as_of(
    prepared: LabelledSnapshots,
    start: datetime,
    config: TrainConfig,
    champions: dict[Target, tuple[Scorer, datetime]],
    settings: dict[Target, Settings],
) -> tuple[dict[Target, Scorer], str]:
    """Return the models for a past quarter.

    These are the champions if they were trained before it, else Renewcast's own recipe, refitted on the data known by
    then: it also stands in for a registered estimator. Without
    enough outcomes for expansion, only churn has a model.

    Parameters
    ----------
    prepared : labeled snapshots of the whole history.
    start : the first day of the quarter.
    config : the training settings.
    champions : from `load_champion_scorers`.
    settings : by target, the settings of the ensemble that the refits reuse (`refit_model`).

    Returns
    -------
    dict of str to Scorer, str
        The models by target, and champion or refit.
    """
    if "churn" in champions and all(through <= start for _, through in champions.values()):
        return {target: scorer for target, (scorer, _) in champions.items()}, "champion"
    models = {"churn": refit_model(prepared, "churn", start, config, settings)}
    with contextlib.suppress(InsufficientData):
        models["expansion"] = refit_model(prepared, "expansion", start, config, settings)
    return {target: models[target] for target in TARGETS if target in models}, "refit"


def refit_renewals(
    prepared: LabelledSnapshots,
    book: ContractBook,
    stages: Iterable[Stage],
    start: datetime,
    config: TrainConfig,
    settings: dict[Stage, Settings],
) -> RenewalModel | None:
    """Refit the renewal model on renewals whose outcome was certain by ``start``.

    Parameters
    ----------
    stages : the stages of the champion's renewal model.
    settings : by stage, the settings of the ensemble to reuse, as in `refit_model`.

    Returns
    -------
    RenewalModel or None
        Stages without enough outcomes are left out; None if there are too few lost renewals.
    """
    renewals = RenewalRows.of(prepared, book)
    scorers: dict[Stage, Scorer] = {}
    for stage in stages:
        rows = StageRows.stage_of(prepared, renewals, stage)
        if min(rows.accounts_by_outcome(rows.known(start))) < MINIMUM_OUTCOMES["train"]:
            continue
        model = fit_model(rows, start, config, settings.get(stage))
        settings.setdefault(stage, model.ensemble.settings)
        scorers[stage] = model.scorer()
    return RenewalModel(scorers) if "lost" in scorers else None


def refit_model(
    prepared: LabelledSnapshots,
    target: Target,
    start: datetime,
    config: TrainConfig,
    settings: dict[Target, Settings],
) -> Scorer:
    """Refit Renewcast's own recipe on labels whose windows had ended at ``start``.

    Parameters
    ----------
    settings : by target, the settings of the ensemble to reuse. If a target has none, they are searched and added.

    Raises
    ------
    InsufficientData
        If the history before ``start`` has too few outcomes.
    """
    model = fit_model(TargetRows(prepared, target, {}, config.horizon_days), start, config, settings.get(target))
    if model.outcomes < MINIMUM_OUTCOMES["train"]:
        missing = MINIMUM_OUTCOMES["train"] - model.outcomes
        raise InsufficientData([f"{missing} more accounts with {target} by {to_iso(start)}"])
    # Stored only after everything else has succeeded.
    settings.setdefault(target, model.ensemble.settings)
    return model.scorer()
