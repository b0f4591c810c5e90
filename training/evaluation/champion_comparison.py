"""Comparison of a candidate with the champion, on labels that were not known when the champion was trained.

Neither model was trained on these labels. Their windows may overlap earlier ones of the same account that both were
trained on, by up to H + G days. A comparison without such overlap would have to wait another H + G days, and with a
training each quarter there would be none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from features.catalogue.catalogue import Catalogue
from features.errors import BundleError, InsufficientData
from features.utils.progress import Progress, no_progress
from models.artifacts.bundle import Bundle, load_bundle
from models.artifacts.champion_pointer import ChampionEntry, read_pointer
from models.home import Home
from models.targets import TARGETS, Target
from training.config import TrainConfig
from training.dataset.sufficiency import MINIMUM_OUTCOMES
from training.dataset.target_rows import TargetRows
from training.estimators.ensemble import Settings
from training.estimators.estimator_ensemble import EstimatorRecipe
from training.estimators.fitted_model import fit_model
from training.statistics.account_bootstrap import AccountBootstrap
from training.statistics.metrics import log_odds
from training.statistics.newton_logistic import row_log_loss


@dataclass(frozen=True)
class ChampionComparison:
    """Comparison of a candidate with the champion.

    Parameters
    ----------
    version : version of the champion.
    difference : log loss of the candidate minus that of the champion, with its 95% interval (positive: the candidate is
        worse); None if the two cannot be compared.
    reason : why they cannot be compared.
    unreadable : whether the champion can no longer be read, so that there is nothing to compare with.
    """

    version: str
    difference: tuple[float, float, float] | None
    reason: str = ""
    unreadable: bool = False


@dataclass(frozen=True)
class UnreadableChampion:
    """A champion that can no longer be read."""

    version: str


def load_champions(home: Home, catalogue: Catalogue) -> Mapping[Target, Bundle | UnreadableChampion]:
    """Load the champion of each target that has one. An unreadable champion does not affect the other target.

    Parameters
    ----------
    home : the home folder.
    catalogue : the features of the training; a champion that needs other features cannot be used.

    Returns
    -------
    mapping of Target to Bundle or UnreadableChampion

    Raises
    ------
    BundleError
        If the file that points to the champions is broken; then nothing could be promoted either.
    """
    pointer, champions = read_pointer(home), dict[Target, Bundle | UnreadableChampion]()
    for target in TARGETS:
        if pointer is not None and (pointed := pointer.of(target)) is not None:
            champions[target] = _read(home, target, pointed, catalogue)
    return champions


def _read(home: Home, target: Target, pointed: ChampionEntry, catalogue: Catalogue) -> Bundle | UnreadableChampion:
    try:
        bundle = load_bundle(home.root / pointed.folder, target, catalogue)
    except BundleError:
        return UnreadableChampion(pointed.version)
    return bundle if bundle.manifest.version == pointed.version else UnreadableChampion(pointed.version)


def compare_with_champion(
    champion: Bundle | UnreadableChampion,
    rows: TargetRows,
    config: TrainConfig,
    settings: Settings | None,
    first_origin: datetime,
    progress: Progress = no_progress,
    recipe: EstimatorRecipe | None = None,
) -> ChampionComparison:
    """Compare the recipe of a candidate with the champion, on labels that neither was trained on.

    The recipe is fitted once more on the labels that were known when the champion was trained. Both then predict the
    snapshots whose label window was still open. The windows may overlap earlier ones of the same account, whose labels
    both were trained on.

    Parameters
    ----------
    champion : the champion.
    rows : labelled snapshots of the target.
    config : the settings of the training.
    settings : the settings of the ensemble that the backtest chose at its first origin.
    first_origin : that origin. For an older champion, the settings are searched again on what was known then.
    progress : receives the share done.
    recipe : the recipe of a user; None for the product's own.

    Returns
    -------
    ChampionComparison
    """
    if isinstance(champion, UnreadableChampion):
        reason = f"the champion, version {champion.version}, can no longer be read"
        return ChampionComparison(champion.version, None, reason, unreadable=True)
    manifest, horizon, grace = champion.manifest, config.horizon_days, rows.prepared.grace_days
    if (manifest.horizon_days, manifest.grace_days) != (horizon, grace):
        theirs = f"{manifest.horizon_days} days ahead (grace {manifest.grace_days})"
        ours = f"{horizon} (grace {grace})"
        return ChampionComparison(manifest.version, None, f"it predicts {theirs}, not {ours}")
    gap, through = timedelta(days=horizon + grace), manifest.trained_through
    test = rows.rows_at([at for at in rows.prepared.grid.as_ofs if at + gap > through])
    trained = f"it was trained through {through:%Y-%m-%d}"
    if not len(test.y):
        return ChampionComparison(manifest.version, None, f"{trained} and has used every known outcome")
    minimum = MINIMUM_OUTCOMES["backtest"]
    if (happened := len(set(test.accounts[test.y == 1]))) < minimum:
        words = f"{trained}, and only {happened} accounts have outcomes that it has not used"
        return ChampionComparison(manifest.version, None, f"{words}; at least {minimum} are needed")
    try:
        known = settings if first_origin <= through else None
        refit = fit_model(rows, through, config, known, resamples=0, progress=progress, recipe=recipe)
    except InsufficientData as error:
        words = f"{trained}, and the data of that time do not suffice to fit the candidate ({'; '.join(error.missing)})"
        return ChampionComparison(manifest.version, None, words)
    p, champion_p = refit.probability(test.frame), champion.scorer.predict(test.frame).probability
    losses = [row_log_loss(log_odds(of), test.y) for of in (p, champion_p)]
    bootstrap = AccountBootstrap(test.accounts, config.resamples, config.seed)
    return ChampionComparison(manifest.version, bootstrap.mean_interval(losses[0] - losses[1]))
