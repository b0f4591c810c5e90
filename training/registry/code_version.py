"""The version of the code that writes a run: the package's version, its Git commit and the command."""

from __future__ import annotations

import sys
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from training import __path__ as training_path

PACKAGE_VERSION = "renewcast.package_version"
COMMIT = "mlflow.source.git.commit"
SOURCE_NAME = "mlflow.source.name"
PROGRAM = "renewcast"


def code_tags() -> dict[str, str]:
    """Return the tags of a run that name the code.

    MLflow itself tags a run with the script or notebook that started it. For a command of Renewcast that would be the
    path of the program on this machine, so they are named by their command.

    Returns
    -------
    dict of str to str
        Without the commit if the package was not run from a Git checkout.
    """
    tags = {PACKAGE_VERSION: package_version()}
    if commit := checkout_commit(Path(training_path[0]).resolve().parent):
        tags[COMMIT] = commit
    if command := _command(sys.argv):
        tags[SOURCE_NAME] = command
    return tags


def package_version() -> str:
    """Return the version of the installed package; "unknown" if it is not installed."""
    try:
        return version(PROGRAM)
    except PackageNotFoundError:
        return "unknown"


@lru_cache(maxsize=8)
def checkout_commit(root: Path) -> str:
    """Return the commit of a Git checkout; empty if the folder is none.

    A folder inside of another project's checkout, such as a virtual environment, has no commit of its own.
    """
    if not (root / ".git").exists():
        return ""
    from mlflow.utils.git_utils import get_git_commit

    return get_git_commit(str(root)) or ""


def _command(arguments: list[str]) -> str:
    program = Path(arguments[0]) if arguments else Path()
    name = program.parent.name if program.name == "__main__.py" else program.stem
    if name != PROGRAM:
        return ""
    return " ".join([PROGRAM, *arguments[1:2]])
