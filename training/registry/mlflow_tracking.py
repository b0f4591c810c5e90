"""MLflow tracking and registry: one run per training with metrics and files, and the registered versions.

No other module writes to MLflow.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from features.definitions.feature import Feature
from features.errors import HomeError
from models.artifacts.identity_file import read_identity_file
from models.home import Home
from models.scorer import __path__ as scorer_package
from models.targets import Target
from training import __path__ as training_path
from training.registry import run_completion

EXPERIMENT = "renewcast"
COMPLETED = "renewcast.completed"
"""Only runs with this tag count as completed."""
ALIAS = "champion"
REQUIREMENTS = ("mlflow", "lightgbm", "numpy", "pandas", "scipy")
ATTEMPTS = 3


def registered_model_name(target: Target) -> str:
    """Return the registered model's name, for example ``renewcast-churn``. The prefix matters on a shared server."""
    return f"renewcast-{target}"


def version_tag(target: Target) -> str:
    """Return the name of the run's tag that holds the registered version."""
    return f"renewcast.{target}.version"


def failed_gates_tag(target: Target) -> str:
    """Return the name of the run's tag that lists the failed gates, separated by commas."""
    return f"renewcast.{target}.failed_gates"


@dataclass(frozen=True)
class Run:
    """An open MLflow run of a home."""

    home: Home
    mlflow: Any
    run_id: str

    def params(self, values: Mapping[str, Any]) -> None:
        """Log the settings."""
        self.mlflow.log_params(dict(values))

    def metrics(self, prefix: str, values: Mapping[str, float]) -> None:
        """Log metrics; undefined ones are left out.

        Parameters
        ----------
        prefix : the part of their names before the slash.
        values : the metrics by name.
        """
        finite = {f"{prefix}/{k}": float(v) for k, v in values.items() if v is not None and v == v}
        self.mlflow.log_metrics(finite)

    def tags(self, values: Mapping[str, str]) -> None:
        """Tag the run."""
        self.mlflow.set_tags(dict(values))

    def tag_version(self, target: Target, version: str, values: Mapping[str, str]) -> None:
        """Tag a registered version.

        Parameters
        ----------
        target, version : the registered version.
        values : the tags by name.
        """
        client = self.mlflow.MlflowClient()
        for key, value in values.items():
            client.set_model_version_tag(registered_model_name(target), version, key, value)

    def document(self, name: str, content: Mapping[str, Any] | str) -> None:
        """Log a JSON document, or a text.

        Parameters
        ----------
        name : the file name.
        content : the content.
        """
        if isinstance(content, str):
            self.mlflow.log_text(content, name)
        else:
            self.mlflow.log_dict(dict(content), name)

    def figures(self, drawn: Mapping[str, Any]) -> None:
        """Log Matplotlib figures as PNG, by path without suffix."""
        for name, figure in drawn.items():
            self.mlflow.log_figure(figure, f"{name}.png", save_kwargs={"dpi": 120})

    def register(
        self, target: Target, features: Mapping[str, Feature], used: list[str], write: Callable[[str], Path]
    ) -> tuple[str, Path]:
        """Log the bundle as a model and register it.

        Parameters
        ----------
        target : the predicted target.
        features, used : the catalogue, and the names of the features that the model uses.
        write : writes the bundle of a given version and returns its folder.

        Returns
        -------
        tuple of str and Path
            The registered version, and the folder of its bundle. The bundle's manifest contains the version, so the
            version must be predicted; if another training registers in between, the step is repeated.
        """
        run_completion.mark_started(self.home, self.run_id)
        for _ in range(ATTEMPTS):
            expected = self._next_version(target)
            bundle = write(expected)
            with _silenced(), _scorer_copy() as scorer:
                info = self.mlflow.pyfunc.log_model(
                    name=target,
                    python_model=str(Path(training_path[0]) / "registry" / "pyfunc_model.py"),
                    artifacts={"bundle": str(bundle), "scorer": str(scorer)},
                    signature=_signature(features, used),
                    pip_requirements=[f"{name}=={importlib.metadata.version(name)}" for name in REQUIREMENTS],
                    registered_model_name=registered_model_name(target),
                )
            if str(info.registered_model_version) == expected:
                return expected, bundle
            shutil.rmtree(bundle)
        raise HomeError(
            "the model registry assigned unexpected version numbers",
            "no other training at the same time",
            "train again",
        )

    def _next_version(self, target: Target) -> str:
        versions = self.mlflow.MlflowClient().search_model_versions(f"name='{registered_model_name(target)}'")
        return str(max((int(v.version) for v in versions), default=0) + 1)


@contextlib.contextmanager
def _scorer_copy() -> Iterator[Path]:
    """Create a temporary folder with the scorer's source files, which are logged with the model."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "scorer"
        shutil.copytree(Path(scorer_package[0]), copy, ignore=shutil.ignore_patterns("__pycache__"))
        yield copy


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    """Silence MLflow's progress messages and its warning about missing input examples."""
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def _signature(features: Mapping[str, Feature], used: list[str]) -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, Schema

    inputs: list[Any] = [
        ColSpec("double" if features[n].kind == "number" else "string", n, required=False) for n in used
    ]
    outputs: list[Any] = [ColSpec("double", name) for name in ("probability", "low", "high")]
    return ModelSignature(Schema(inputs), Schema(outputs))


@contextlib.contextmanager
def run(home: Home, name: str) -> Iterator[Run]:
    """Open a run, tagged with the home's portfolio.

    It is tagged as completed only if the block succeeds; otherwise MLflow marks it as failed or killed.

    Raises
    ------
    HomeError
        If the tracking store cannot be reached or written.
    """
    mlflow = connect(home)
    identity = read_identity_file(home)
    with mlflow.start_run(run_name=name, tags=identity.origin if identity else None) as opened:
        yield Run(home, mlflow, opened.info.run_id)
        mlflow.set_tag(COMPLETED, "true")
        run_completion.mark_completed(home, opened.info.run_id)


def connect(home: Home) -> Any:
    """Import MLflow and connect it to the home's store (or MLFLOW_TRACKING_URI) and the experiment.

    Raises
    ------
    HomeError
        If the store cannot be opened.
    """
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_DISABLE_ENV_CREATION", "true")
    # Standard output is reserved for the command's own output.
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    with _silenced():
        import mlflow
        import mlflow.pyfunc
    for noisy in ("mlflow", "alembic"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    try:
        mlflow.set_tracking_uri(home.tracking_uri)
        mlflow.set_registry_uri(home.tracking_uri)
        if mlflow.get_experiment_by_name(EXPERIMENT) is None:
            mlflow.create_experiment(EXPERIMENT, None if home.mlflow_uri else home.artifacts.as_uri())
        mlflow.set_experiment(EXPERIMENT)
    except Exception as error:  # noqa: BLE001  SQLAlchemy, requests and MLflow each have their own tree of errors.
        raise HomeError(
            f"the MLflow store cannot be opened ({type(error).__name__})",
            "a reachable server or a writable file",
            "check MLFLOW_TRACKING_URI and RENEWCAST_HOME",
        ) from None
    return mlflow


def set_champion_alias(client: Any, target: Target, version: str, run: str = "") -> str:
    """Set the registry's champion alias to a version, unless it is already set.

    Parameters
    ----------
    client : an ``MlflowClient``.
    run : the beginning of the ID of the run that registered the version. Every registry starts at version 1, so the
        same version number from another run is another model.

    Returns
    -------
    str
        Empty, or the reason why the alias could not be set.
    """
    name = registered_model_name(target)
    try:
        registered = client.get_model_version(name, version)
    except Exception as error:
        if getattr(error, "error_code", "") != "RESOURCE_DOES_NOT_EXIST":
            raise
        return f"this registry has no version {version} of {name}; it was registered in another registry"
    if not str(registered.run_id or "").startswith(run):
        return f"version {version} of {name} in this registry is another model; it was registered in another registry"
    if ALIAS not in registered.aliases:
        client.set_registered_model_alias(name, ALIAS, version)
    return ""
