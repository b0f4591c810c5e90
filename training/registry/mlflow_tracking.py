"""MLflow tracking and registry: a parent run per training, a child run per target, and the registered versions.

The runs of a training follow MLflow's conventions: settings are params, rows are dataset inputs, and the version of the
code and a description are tags. No other module writes to MLflow.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import logging
import math
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from features.errors import HomeError
from models.home import Home
from models.scorer import __path__ as scorer_package
from models.targets import Target
from training import __path__ as training_path
from training.registry import run_completion
from training.registry.code_version import code_tags

if TYPE_CHECKING:
    import pandas as pd

    from features.definitions.feature import Feature
    from training.registry.dataset_input import DatasetRows

EXPERIMENT = "renewcast"
COMPLETED = "renewcast.completed"
"""Only runs with this tag count as completed."""
ALIAS = "champion"
DESCRIPTION = "mlflow.note.content"
"""Tag that MLflow's pages show as the description of a run, in Markdown."""
PARENT = "mlflow.parentRunId"
"""Tag of a child run: the ID of its parent."""
REQUIREMENTS = ("mlflow", "lightgbm", "numpy", "pandas", "scipy")
ATTEMPTS = 3


def registered_model_name(target: Target) -> str:
    """Return the registered model's name, for example ``renewcast-churn``. The prefix matters on a shared server."""
    return f"renewcast-{target}"


def version_tag(target: Target) -> str:
    """Return the name of the run's tag that holds the registered version."""
    return f"renewcast.{target}.version"


def child_run_tag(target: Target) -> str:
    """Return the name of the tag of a training's run that holds the ID of the target's own run.

    Trainings of earlier versions of Renewcast have no such tag: they logged all targets in one run.
    """
    return f"renewcast.{target}.run_id"


def failed_gates_tag(target: Target) -> str:
    """Return the name of the run's tag that lists the failed gates, separated by commas."""
    return f"renewcast.{target}.failed_gates"


def subject_tag(target: Target) -> str:
    """Return the name of the run's tag that holds the candidate that was registered; absent in old runs: blend."""
    return f"renewcast.{target}.subject"


@dataclass(frozen=True)
class RegisteredVersion:
    """A registered version.

    Parameters
    ----------
    version : its number.
    folder : the folder of its bundle.
    model_id : MLflow's ID of the logged model.
    """

    version: str
    folder: Path
    model_id: str


@dataclass(frozen=True)
class Run:
    """An open MLflow run of a home.

    Parameters
    ----------
    home : the home.
    mlflow : the connected library.
    run_id : the run.
    children : the IDs of its child runs.
    """

    home: Home
    mlflow: Any
    run_id: str
    children: list[str] = field(default_factory=list)

    @contextlib.contextmanager
    def child(self, name: str) -> Iterator[Run]:
        """Open a child run. It has the tags of its parent that name the portfolio and the code.

        Parameters
        ----------
        name : its name.
        """
        with self.mlflow.start_run(run_name=name, nested=True, parent_run_id=self.run_id, tags=_tags(self.home)) as run:
            self.children.append(run.info.run_id)
            yield Run(self.home, self.mlflow, run.info.run_id)

    def params(self, values: Mapping[str, Any]) -> None:
        """Log the settings."""
        self.mlflow.log_params(dict(values), run_id=self.run_id)

    def metrics(self, values: Mapping[str, float | None], prefix: str = "", model_id: str | None = None) -> None:
        """Log metrics; undefined ones are left out.

        Parameters
        ----------
        values : the metrics by name.
        prefix : the part of their names before the slash. MLflow's pages show metrics without a prefix first.
        model_id : the logged model that the metrics describe, if any.
        """
        start = f"{prefix}/" if prefix else ""
        finite = {f"{start}{k}": float(v) for k, v in values.items() if v is not None and math.isfinite(v)}
        self.mlflow.log_metrics(finite, run_id=self.run_id, model_id=model_id)

    def tags(self, values: Mapping[str, str]) -> None:
        """Tag the run."""
        client = self.mlflow.MlflowClient()
        for key, value in values.items():
            client.set_tag(self.run_id, key, value)

    def dataset(self, rows: DatasetRows) -> None:
        """Log rows as an input of the run: their name, source, columns and digest, not their values.

        The run must be the active one of its thread.
        """
        from training.registry.dataset_input import dataset_of

        with _silenced():
            self.mlflow.log_input(dataset_of(rows), rows.context)

    def tag_version(self, target: Target, version: str, values: Mapping[str, str], description: str = "") -> None:
        """Tag and describe a registered version.

        Parameters
        ----------
        target, version : the registered version.
        values : the tags by name.
        description : Markdown.
        """
        client = self.mlflow.MlflowClient()
        for key, value in values.items():
            client.set_model_version_tag(registered_model_name(target), version, key, value)
        if description:
            client.update_model_version(registered_model_name(target), version, description)

    def describe_model(self, target: Target, description: str) -> None:
        """Describe a registered model, unless a person has described it."""
        client, name = self.mlflow.MlflowClient(), registered_model_name(target)
        if not client.get_registered_model(name).description:
            client.update_registered_model(name, description)

    def document(self, name: str, content: Mapping[str, Any] | str) -> None:
        """Log a JSON document, or a text.

        Parameters
        ----------
        name : the file name.
        content : the content.
        """
        client = self.mlflow.MlflowClient()
        if isinstance(content, str):
            client.log_text(self.run_id, content, name)
        else:
            client.log_dict(self.run_id, dict(content), name)

    def table(self, name: str, frame: pd.DataFrame) -> None:
        """Log a table as a Parquet file.

        Parameters
        ----------
        name : the file name.
        frame : the table.
        """
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            frame.to_parquet(path, index=False)
            self.mlflow.MlflowClient().log_artifact(self.run_id, str(path))

    def figures(self, drawn: Mapping[str, Any]) -> None:
        """Log Matplotlib figures as PNG, by path without suffix."""
        client = self.mlflow.MlflowClient()
        for name, figure in drawn.items():
            client.log_figure(self.run_id, figure, f"{name}.png", save_kwargs={"dpi": 120})

    def register(
        self,
        target: Target,
        features: Mapping[str, Feature],
        used: list[str],
        write: Callable[[str], Path],
        requirements: Sequence[str] = (),
    ) -> RegisteredVersion:
        """Log the bundle as a model and register it. The run must be the active one of its thread.

        Parameters
        ----------
        target : the predicted target.
        features, used : the catalogue, and the names of the features that the model uses.
        write : writes the bundle of a given version and returns its folder.
        requirements : further packages that the model needs.

        Returns
        -------
        RegisteredVersion
            The bundle's manifest contains the version, so the version must be predicted; if another training registers
            in between, the step is repeated.
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
                    pip_requirements=[
                        f"{name}=={importlib.metadata.version(name)}" for name in (*REQUIREMENTS, *requirements)
                    ],
                    registered_model_name=registered_model_name(target),
                )
            if str(info.registered_model_version) == expected:
                return RegisteredVersion(expected, bundle, str(info.model_id))
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
    """Open a run, tagged with the home's portfolio and the version of the code.

    It is tagged as completed only if the block succeeds; otherwise MLflow marks it as failed or killed.

    Raises
    ------
    HomeError
        If the tracking store cannot be reached or written.
    """
    mlflow = connect(home)
    with mlflow.start_run(run_name=name, tags=_tags(home)) as opened:
        run = Run(home, mlflow, opened.info.run_id)
        yield run
        mlflow.set_tag(COMPLETED, "true")
        for run_id in (run.run_id, *run.children):
            run_completion.mark_completed(home, run_id)


def _tags(home: Home) -> dict[str, str]:
    from models.artifacts.identity_file import read_identity_file

    identity = read_identity_file(home)
    return code_tags() | (identity.origin if identity else {})


@contextlib.contextmanager
def restored_environment(prefix: str) -> Iterator[None]:
    """Restore the environment variables that begin with ``prefix``.

    MLflow writes the address of its store there. The next home, and every command started from this process, would take
    it for the user's choice.
    """
    before = {name: value for name, value in os.environ.items() if name.startswith(prefix)}
    try:
        yield
    finally:
        for name in [name for name in os.environ if name.startswith(prefix) and name not in before]:
            del os.environ[name]
        os.environ.update(before)


def connect(home: Home) -> Any:
    """Import MLflow and connect it to the home's store (or MLFLOW_TRACKING_URI) and the experiment.

    Raises
    ------
    HomeError
        If the store cannot be opened, or would be in a folder that is not a home.
    """
    if home.mlflow_uri is None:
        home.require_own()
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_DISABLE_ENV_CREATION", "true")
    # Standard output is reserved for the command's own output.
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    with _silenced():
        import mlflow
        import mlflow.pyfunc
    # MLflow uses a deprecated call of SQLAlchemy, and prints the warning of it.
    warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"mlflow\.store")
    for noisy in ("mlflow", "alembic"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    try:
        with restored_environment("MLFLOW_"):
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
