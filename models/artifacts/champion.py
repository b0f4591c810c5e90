"""The champion: the bundles in use, which `models.artifacts.champion_pointer` names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from pydantic import ValidationError

from features.errors import HomeError
from models.artifacts.bundle import Bundle, load_bundle
from models.artifacts.champion_bundles import pointed_bundles
from models.artifacts.champion_pointer import ChampionEntry, read_pointer
from models.health.rubric import Rubric, load_rubric
from models.health.rubric_names import DEFAULT_RUBRIC, SPREADSHEET_RUBRIC
from models.health.rubric_versions import RubricHistory, load_rubric_history
from models.health.score_calibration import RubricFacts, ScoreCalibration
from models.home import Home
from models.peer_groups.peers import Peers
from models.targets import TARGETS, Target

if TYPE_CHECKING:
    from features.definitions.feature import Feature
    from features.signals.signals import OpenSignals


@dataclass(frozen=True)
class Champion:
    """The bundles in use, by target (one may be missing), and the rubric of the health score.

    ``rubric`` is the one of the churn bundle, or the one that was selected. Reviews may have created other versions
    since, which ``history`` knows; `at` selects the version in force at a time. ``selected`` is whether the rubric was
    selected.
    """

    bundles: Mapping[Target, Bundle]
    rubric: Rubric
    history: RubricHistory = field(default_factory=RubricHistory)
    selected: bool = False

    def __repr__(self) -> str:
        models = ", ".join(f"{target} {version}" for target, version in self.versions.items()) or "no model"
        return f"<Champion: {models}; rubric {self.rubric.name}>"

    @property
    def versions(self) -> dict[Target, str]:
        """The version of each target's model."""
        return {target: self.bundles[target].manifest.version for target in TARGETS if target in self.bundles}

    @property
    def peers(self) -> Peers | None:
        """The accounts that a single account is compared with; None without any model.

        This is the training portfolio of the churn model, or else of the expansion model.
        """
        return next((self.bundles[target].peers for target in TARGETS if target in self.bundles), None)

    def at(self, as_of: datetime) -> Champion:
        """Return the champion with the version of the rubric in force at ``as_of``."""
        in_force = self.history.at(self.rubric, as_of)
        return self if in_force.text == self.rubric.text else replace(self, rubric=self._with_learned(in_force))

    def rubric_at(self, as_of: datetime) -> Rubric:
        """Return the version of the rubric in force at ``as_of``."""
        return self.at(as_of).rubric

    def with_rubric(self, rubric: str) -> Champion:
        """Return the champion with another rubric.

        Parameters
        ----------
        rubric : the name of a shipped rubric or of one of the deployment, in the version in force; or a file, which is
            used as it is.

        Raises
        ------
        RubricError : there is no rubric of that name, or it is invalid.
        """
        chosen = self._with_learned(load_rubric(rubric))
        history = RubricHistory() if Path(rubric).suffix == ".toml" else self.history
        return replace(self, rubric=chosen, history=history, selected=True)

    def for_signals(self, signals: OpenSignals) -> Champion:
        """Return the champion for these signals.

        Spreadsheets are scored by the rubric for spreadsheets, unless another was selected. A single one is assessed by
        rules alone, because it shows the accounts at one date.
        """
        if signals.states is None:
            return self
        champion = replace(self, bundles={}) if signals.states.sole else self
        return champion if self.selected else replace(champion.with_rubric(SPREADSHEET_RUBRIC), selected=False)

    @property
    def meaning(self) -> ScoreCalibration | None:
        """The churn rates that followed the scores of the rubric in use; None if unknown.

        They come from training, or, for a version that is newer than the model, from the review that created it.
        """
        facts = self._facts(self.rubric)
        return facts.meaning if facts else self.history.meaning(self.rubric)

    def _with_learned(self, rubric: Rubric) -> Rubric:
        facts = self._facts(rubric) if rubric.rules.weights == "learned" else None
        return replace(rubric, learned=facts.learned.weights if facts and facts.learned else None)

    def _facts(self, rubric: Rubric) -> RubricFacts | None:
        bundle = self.bundles.get("churn") or self.bundles.get("expansion")
        return bundle.health.of(rubric.name, rubric.version) if bundle else None


def champion_entry(home: Home, bundle: Bundle) -> ChampionEntry:
    """Return the entry for a bundle of the home.

    Raises
    ------
    HomeError : the bundle is outside the home.
    """
    try:
        folder = PurePosixPath(bundle.folder.absolute().relative_to(home.root))
        return ChampionEntry(version=bundle.manifest.version, folder=str(folder))
    except (ValueError, ValidationError) as error:
        raise HomeError(
            f"the bundle {bundle.folder} is not in the home",
            f"a folder {home.bundles}/<target>/<version>",
            "move the bundle there",
        ) from error


def load_champion(home: Home, catalogue: Mapping[str, Feature] | None = None) -> Champion:
    """Load the bundles that ``champion.json`` points to, and the rubric with its history.

    Without the file there is no model, only the default rubric. The rubric comes from a bundle that has one of the
    pointer's name, so that predictions stay reproducible after the shipped file was edited. Without such a bundle, the
    shipped rubric is used.

    Raises
    ------
    BundleError : the pointer or a bundle is broken, or a bundle has another version than the pointer says, or belongs
        to another portfolio than the home.
    HomeError, RubricError : the history of rubrics, or a version of one, is broken.
    """
    pointer = read_pointer(home)
    history = load_rubric_history(home, catalogue)
    if pointer is None:
        return Champion({}, load_rubric(DEFAULT_RUBRIC, catalogue), history)
    bundles = pointed_bundles(home, pointer, lambda folder, target: load_bundle(folder, target, catalogue))
    from_bundle = next((bundle.rubric for bundle in bundles.values() if bundle.rubric.name == pointer.rubric), None)
    if from_bundle is not None:
        return Champion(bundles, from_bundle, history)
    champion = Champion(bundles, load_rubric(pointer.rubric, catalogue), history).with_rubric(pointer.rubric)
    return replace(champion, selected=False)
