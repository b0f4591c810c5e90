"""The registry's champion alias follows the pointer. The pointer counts: it is what serving reads.

Following is a step of its own after the pointer's change, and may fail or be cut off. So whoever has the registry open
looks whether the alias is where the pointer is, and puts it right; doing so twice changes nothing.
"""

from __future__ import annotations

import logging
from typing import Any

from features.errors import HomeError
from models.artifacts.champion import ChampionEntry, read_pointer
from models.home import Home
from models.targets import TARGETS, Target
from training.registry import mlflow_tracking
from training.registry.run_completion import run_id_prefix

log = logging.getLogger(__name__)


def sync_alias(home: Home, mlflow: Any = None) -> bool:
    """Put the alias of every target where the pointer is; whether all of them are there now.

    What could not be done is a warning and no error, for the champion has changed all the same.

    Parameters
    ----------
    mlflow : as `training.registry.mlflow_tracking.connect` gives it, if it is open already.

    Raises
    ------
    BundleError
        The pointer is broken.
    """
    pointer = read_pointer(home)
    champions = {t: p for t in TARGETS if pointer and (p := pointer.of(t)) is not None}
    if not champions:
        return True
    try:
        client = (mlflow or mlflow_tracking.connect(home)).MlflowClient()
    except HomeError as error:
        _warn([f"version {champion.version} for {target}" for target, champion in champions.items()], error.found)
        return False
    marked = [_marked(client, target, champion) for target, champion in champions.items()]
    return all(marked)


def _marked(client: Any, target: Target, champion: ChampionEntry) -> bool:
    try:
        why = mlflow_tracking.set_champion_alias(client, target, champion.version, run_id_prefix(champion.folder))
    except Exception as error:  # noqa: BLE001  SQLAlchemy, requests and MLflow each have their own tree of errors.
        why = f"the registry did not do what it was asked ({type(error).__name__})"
    if why:
        _warn([f"version {champion.version} for {target}"], why)
    return not why


def _warn(champions: list[str], why: str) -> None:
    log.warning(
        "The champion is %s; the alias in the model registry could not follow: %s. The next `renewcast runs`, promote, "
        "rollback or train that finds it there sets it right.",
        " and ".join(champions),
        why,
    )
