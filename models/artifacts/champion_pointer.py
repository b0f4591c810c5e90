"""The pointer to the champion: a small file that names the bundles in use, and is replaced atomically.

It is apart from the bundles, because reading the pointer does not need the libraries of the models.
"""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from features.errors import BundleError
from features.utils.atomic_files import write_file
from models.health.rubric_names import DEFAULT_RUBRIC
from models.home import Home
from models.json_files import read_json_file
from models.statements import Person, Reason
from models.targets import Target

#: Maximum size of the pointer file in bytes.
SIZE_LIMIT = 4 * 2**20
#: Number of champion changes that are stored; older ones are dropped.
HISTORY_LIMIT = 2000


class ChampionEntry(BaseModel):
    """The champion of one target: its version, and its folder relative to the home, with forward slashes."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: str
    folder: Annotated[str, Field(pattern=r"^bundles/[A-Za-z0-9_-]+/[A-Za-z0-9._-]+$")]


class ChampionChange(BaseModel):
    """One change of champion: time, target, author and reason; ``rolled_back`` reverts the last promotion."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    at: AwareDatetime
    what: Literal["promoted", "rolled_back"]
    target: Target
    champion: ChampionEntry
    who: Person
    why: Reason


class ChampionPointer(BaseModel):
    """The content of ``champion.json``; a target without an entry has no model.

    ``rubric`` names the health score in use; ``history`` lists every change of champion, oldest first. Champion and
    history are in one file, so that they always agree.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    churn: ChampionEntry | None = None
    expansion: ChampionEntry | None = None
    promoted_at: AwareDatetime
    rubric: str = DEFAULT_RUBRIC
    history: tuple[ChampionChange, ...] = Field(default=(), strict=False)

    def before(self, target: Target) -> ChampionEntry | None:
        """Return the previous champion; None if there was none."""
        champions: list[ChampionEntry] = []
        for change in self.history:
            if change.target == target and change.what == "promoted":
                champions.append(change.champion)
            elif change.target == target and champions:
                champions.pop()
        return champions[-2] if len(champions) > 1 else None

    def of(self, target: Target) -> ChampionEntry | None:
        """Return the entry of one target."""
        return {"churn": self.churn, "expansion": self.expansion}[target]


def write_pointer(home: Home, pointer: ChampionPointer) -> None:
    """Make these bundles the champion. The file is replaced atomically.

    Raises
    ------
    HomeError : the home cannot be written.
    """
    content = pointer.model_dump(mode="json")
    write_file(home.champion_file, json.dumps(content, indent=1, sort_keys=True) + "\n")


def read_pointer(home: Home) -> ChampionPointer | None:
    """Read ``champion.json``; None if nothing was promoted yet.

    Raises
    ------
    BundleError : the file is broken.
    """
    file = home.champion_file
    if not file.exists():
        return None
    expected, cure = "a file written by `renewcast promote`", "promote a model again"
    return read_json_file(file, ChampionPointer, expected, cure, error=BundleError, limit=SIZE_LIMIT, strict=True)
