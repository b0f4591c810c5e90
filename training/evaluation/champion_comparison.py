"""Comparison of a candidate with the champion, on outcomes that were unknown when the champion was trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd

from features.catalogue.catalogue import Catalogue
from features.errors import BundleError
from features.utils.arrays import Floats
from models.artifacts.bundle import Bundle, load_bundle
from models.artifacts.champion import ChampionEntry, read_pointer
from models.home import Home
from models.targets import TARGETS, Target
from training.config import TrainConfig
from training.dataset.sufficiency import MINIMUM_OUTCOMES
from training.statistics.account_bootstrap import AccountBootstrap, interval
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
    p: Floats,
    frame: pd.DataFrame,
    y: Floats,
    grace_days: int,
    config: TrainConfig,
) -> ChampionComparison:
    """Compare a candidate with the champion on test rows whose label window was open when the champion was trained.

    A champion trained on the same data has no such rows: the model that ships is fitted on the test outcomes too.

    Parameters
    ----------
    champion : the champion.
    p : probabilities of the candidate on the test rows, shape (n,).
    frame, y : the test rows and their labels, 0 or 1.
    grace_days : G.
    config : the settings of the training.

    Returns
    -------
    ChampionComparison
    """
    if isinstance(champion, UnreadableChampion):
        reason = f"the champion, version {champion.version}, can no longer be read"
        return ChampionComparison(champion.version, None, reason, unreadable=True)
    manifest, horizon = champion.manifest, config.horizon_days
    if (manifest.horizon_days, manifest.grace_days) != (horizon, grace_days):
        theirs = f"{manifest.horizon_days} days ahead (grace {manifest.grace_days})"
        ours = f"{horizon} (grace {grace_days})"
        return ChampionComparison(manifest.version, None, f"it predicts {theirs}, not {ours}")
    open_then = (frame["as_of"] + timedelta(days=horizon + grace_days) > manifest.trained_through).to_numpy()
    accounts = frame["account_id"].to_numpy(dtype=object)
    trained = f"it was trained through {manifest.trained_through:%Y-%m-%d}"
    if not open_then.any():
        return ChampionComparison(manifest.version, None, f"{trained} and has used every outcome of the test")
    minimum, rows = MINIMUM_OUTCOMES["test"], np.flatnonzero(open_then)
    if (happened := len(set(accounts[open_then & (y == 1)]))) < minimum:
        words = f"{trained}, and only {happened} accounts have test outcomes that it has not used"
        return ChampionComparison(manifest.version, None, f"{words}; at least {minimum} are needed")
    probability = champion.scorer.predict(frame.iloc[rows]).probability
    losses = [row_log_loss(log_odds(of), y[rows]) for of in (p[rows], probability)]
    difference = losses[0] - losses[1]
    means = AccountBootstrap(accounts[rows], config.resamples, config.seed).means(difference)
    return ChampionComparison(manifest.version, (float(difference.mean()), *interval(means)))
