"""A run names the code that wrote it, without paths of the machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from training.registry.code_version import COMMIT, PACKAGE_VERSION, SOURCE_NAME, checkout_commit, code_tags


@pytest.mark.parametrize(
    ("arguments", "source"),
    [
        (["/opt/venv/bin/renewcast", "train", "signals"], "renewcast train"),
        (["/home/x/renewcast.py", "review", "signals"], "renewcast review"),
        (["/home/x/experiment.py"], None),
    ],
)
def test_commands_are_the_source_of_their_runs(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], source: str | None
) -> None:
    monkeypatch.setattr(sys, "argv", arguments)
    tags = code_tags()
    assert tags.get(SOURCE_NAME) == source, "MLflow names a user's own script itself"
    assert tags[PACKAGE_VERSION]


def test_only_a_checkout_of_its_own_has_a_commit(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        command = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.com", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "--quiet")
    git("commit", "--quiet", "--allow-empty", "--message", "first")
    installed = tmp_path / "venv" / "site-packages"
    installed.mkdir(parents=True)
    assert checkout_commit(tmp_path) == git("rev-parse", "HEAD")
    assert checkout_commit(installed) == "", "the commit of the user's own project is not that of the package"
    assert COMMIT == "mlflow.source.git.commit"
