"""Keep the registry's champion alias in step with the pointer. The pointer decides: serving reads it.

The alias is updated in a separate step after the pointer, which can fail or be interrupted. Every command that opens
the registry therefore checks the alias and corrects it. Repeating the step changes nothing.
"""

from __future__ import annotations

import logging
from typing import Any

from features.errors import HomeError
from models.artifacts.champion_pointer import ChampionEntry, read_pointer
from models.home import Home
from models.targets import TARGETS, Target
from training.registry import mlflow_tracking
from training.registry.run_completion import run_id_prefix

log = logging.getLogger(__name__)


def sync_alias(home: Home, mlflow: Any = None) -> bool:
    """Set the alias of every target to the version that the pointer names.

    A failure is a warning and not an error, because the champion has changed anyway.

    Parameters
    ----------
    mlflow : the result of `training.registry.mlflow_tracking.connect`, if the registry is already open.

    Returns
    -------
    bool
        Whether every alias is now correct.

    Raises
    ------
    BundleError
        If the pointer is broken.
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
    updated = [_update_alias(client, target, champion) for target, champion in champions.items()]
    return all(updated)


def _update_alias(client: Any, target: Target, champion: ChampionEntry) -> bool:
    try:
        why = mlflow_tracking.set_champion_alias(client, target, champion.version, run_id_prefix(champion.folder))
    except Exception as error:  # noqa: BLE001  SQLAlchemy, requests and MLflow each have their own tree of errors.
        why = f"the registry refused the request ({type(error).__name__})"
    if why:
        _warn([f"version {champion.version} for {target}"], why)
    return not why


def _warn(champions: list[str], why: str) -> None:
    log.warning(
        "The champion is %s; the alias in the model registry could not be updated: %s. The next successful `renewcast "
        "runs`, promote, rollback or train updates it.",
        " and ".join(champions),
        why,
    )
