"""Files under the home are private; files elsewhere follow the user's umask."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
WRITES = """
import os, sys
from pathlib import Path

os.umask(0)
from features.utils.atomic_files import new_folder, write_file
from features.utils.private_files import restrict_umask, make_folder

home, elsewhere = Path(sys.argv[1]), Path(sys.argv[2])
os.umask(0o022)
restrict_umask(home)
restrict_umask(home)
write_file(home / "deep" / "file", "x")
write_file(elsewhere / "deep" / "file", "x")
for place in (home, elsewhere):
    with new_folder(place / "whole") as folder:
        (folder / "inner").mkdir()
        (folder / "inner" / "file").write_text("x")
with (home / "by another library").open("w") as file:
    file.write("x")
"""


def modes(root: Path) -> set[tuple[str, int]]:
    """Return the type and the mode of each path under ``root``."""
    result = set()
    for path in (root, *root.rglob("*")):
        facts = path.lstat()
        result.add(("folder" if stat.S_ISDIR(facts.st_mode) else "file", stat.S_IMODE(facts.st_mode)))
    return result


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such modes")
def test_the_home_is_private_and_other_places_follow_the_umask(tmp_path: Path) -> None:
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    subprocess.run([sys.executable, "-c", WRITES, str(home), str(elsewhere)], cwd=ROOT, check=True, timeout=60)
    assert modes(home) == {("folder", 0o700), ("file", 0o600)}
    assert modes(elsewhere) == {("folder", 0o755), ("file", 0o644)}


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such modes")
def test_an_existing_home_becomes_private_on_the_next_write(tmp_path: Path) -> None:
    from models.home import Home

    home = tmp_path / "home"
    (home / "snapshots").mkdir(parents=True)
    (home / "snapshots" / "old.parquet").write_text("x")
    outside = tmp_path / "outside"
    outside.write_text("x")
    outside.chmod(0o644)
    (home / "snapshots" / "link").symlink_to(outside)
    for path in (home, home / "snapshots"):
        path.chmod(0o755)
    (home / "snapshots" / "old.parquet").chmod(0o644)
    Home(home).ensure()
    (home / "snapshots" / "link").unlink()
    assert modes(home) == {("folder", 0o700), ("file", 0o600)}
    assert stat.S_IMODE(outside.stat().st_mode) == 0o644
