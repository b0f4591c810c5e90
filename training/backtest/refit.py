"""Refitting models as of a past date."""

from __future__ import annotations

import contextlib
import json
from datetime import datetime

from features.catalogue.catalogue import Catalogue
from features.errors import BundleError, InsufficientData
from models.artifacts.bundle import bundle_schema
from models.artifacts.champion import load_champion
from models.home import Home
from models.peer_groups.peers import Peers
from models.scorer.scorer import Scorer
from models.targets import TARGETS, Target
from training.config import TrainConfig
from training.dataset.design_matrix import Design
from training.dataset.labelled_snapshots import LabelledSnapshots
from training.dataset.target_rows import TargetRows
from training.dataset.time_split import split_dates
from training.estimators.blend import Blend, fit_blend, refit_blend
from training.evaluation.interval_width import true_probability_spread
from training.pipeline.final_model import fit_final_model


def load_champion_scorers(home: Home, catalogue: Catalogue) -> dict[Target, tuple[Scorer, datetime]]:
    """Load the champions.

    Parameters
    ----------
    home : the home.
    catalogue : the features.

    Returns
    -------
    dict
        By target, the scorer and the end of its training data.
    """
    try:
        bundles = load_champion(home, catalogue).bundles
    except BundleError:
        return {}
    return {target: (bundle.scorer, bundle.manifest.trained_through) for target, bundle in bundles.items()}


def models_as_of(
    prepared: LabelledSnapshots,
    start: datetime,
    config: TrainConfig,
    champions: dict[Target, tuple[Scorer, datetime]],
    recipes: dict[Target, Blend],
) -> tuple[dict[Target, Scorer], str]:
    """Return the models for a past quarter.

    These are the champions if they were trained before it, else models refitted on the data known by then. Without
    enough outcomes for expansion, only churn has a model.

    Parameters
    ----------
    prepared : labeled snapshots of the whole history.
    start : the first day of the quarter.
    config : the training settings.
    champions : from `load_champion_scorers`.
    recipes : fitted blends by target, whose settings the refits use.

    Returns
    -------
    dict of str to Scorer, str
        The models by target, and champion or refit.
    """
    if "churn" in champions and all(through <= start for _, through in champions.values()):
        return {target: scorer for target, (scorer, _) in champions.items()}, "champion"
    models = {"churn": refit_model(prepared, "churn", start, config, recipes)}
    with contextlib.suppress(InsufficientData):
        models["expansion"] = refit_model(prepared, "expansion", start, config, recipes)
    return {target: models[target] for target in TARGETS if target in models}, "refit"


def refit_model(
    prepared: LabelledSnapshots, target: Target, start: datetime, config: TrainConfig, recipes: dict[Target, Blend]
) -> Scorer:
    """Refit the recipe of a champion on labels whose windows had ended at ``start``.

    Parameters
    ----------
    recipes : by target, the model whose settings are reused. If a target has none, its settings are searched and the
        model is added.

    Raises
    ------
    InsufficientData
        If the history before ``start`` is too short or has too few outcomes.
    """
    main, grace, catalogue = config.horizon_days, prepared.grace_days, prepared.catalogue
    parts = split_dates([at for at in prepared.grid.as_ofs if at < start], main, grace, start).final()
    rows = TargetRows(prepared, target, {}, main)

    def fit(design: Design) -> Blend:
        if target in recipes:
            return refit_blend(recipes[target], design, catalogue, target)
        return fit_blend(design, catalogue, target, config.trials, config.seed, config.threads)

    final = fit_final_model(rows, parts, start, fit, config.seed)
    model = final.blend
    # Stored only after everything else has succeeded.
    recipes.setdefault(target, model)
    numbers = [name for name, feature in catalogue.items() if feature.kind == "number"]
    encoding = model.encoding
    schema = bundle_schema(
        encoding.features,
        encoding.levels,
        Peers.of(final.latest.frame.head(1), numbers),
        catalogue,
        model.scorer_parameters(),
    )
    plain = json.loads(json.dumps([schema, final.calibrator | {"spread": true_probability_spread(None)}]))
    return Scorer.from_texts(model.trees.text, *plain)
