"""Python environments for the peers, created from pinned requirements and stored in a work folder."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

PEERS = Path(__file__).resolve().parent


def python_of(environment: str, place: Path, say: Callable[[str], None]) -> str | None:
    """Return the interpreter of ``requirements-{environment}.txt``, created in ``place`` if missing; None if that
    fails."""
    pins = PEERS / f"requirements-{environment}.txt"
    folder = place / f"environment-{environment}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    ready, mark = folder / ".ready", hashlib.sha256(pins.read_bytes()).hexdigest()
    if not ready.exists() or ready.read_text(encoding="ascii") != mark:
        say(f"installing {pins.name}")
        install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r"]
        try:
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
            subprocess.run([str(python), *install, str(pins)], check=True, capture_output=True, text=True)
        except (subprocess.CalledProcessError, OSError) as error:
            why = (getattr(error, "stderr", "") or str(error)).strip().splitlines()[-1:]
            say(f"{pins.name} cannot be installed here: {' '.join(why)}")
            return None
        ready.write_text(mark, encoding="ascii")
    return str(python)
