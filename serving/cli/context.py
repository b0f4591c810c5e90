"""Objects that several commands need: the store, the champion, the signals and the assessed portfolio."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from features.utils.cli import mark_uncertain, print_note
from features.utils.progress import Progress, subprogress

if TYPE_CHECKING:
    import pandas as pd

    from features.signals.signals import OpenSignals
    from models.artifacts.champion import Champion
    from models.home import Home
    from models.predictions.assessment import Assessment
    from serving.snapshots.live_state import LiveState
    from serving.store.database import Store


def open_store(home: Home | None = None) -> Store:
    """Open the store: the one at RENEWCAST_STORE, else the one in the home.

    Parameters
    ----------
    home : the home folder; by default RENEWCAST_HOME.

    Raises
    ------
    HomeError : the home cannot be written.
    BadRequest : the address is not that of a supported store.
    """
    from models.home import current_home
    from serving.common.settings import current_settings
    from serving.store.database import Store

    return Store.of((home or current_home()).ensure(), current_settings().store_address)


def published_state() -> LiveState:
    """Load the champion and the published snapshots of the home, as the service does.

    Raises
    ------
    HomeError : the home is a folder of other files.
    """
    from models.home import current_home
    from serving.common.settings import current_settings
    from serving.snapshots.live_state import LiveStateManager

    return LiveStateManager(current_home().require_own(), current_settings()).current()


def selected_champion(rubric: str | None = None) -> Champion:
    """Load the champion of the home, with another rubric if one is named.

    Raises
    ------
    BundleError : the champion is broken.
    RubricError : there is no rubric of that name, or it is invalid.
    """
    from models.artifacts.champion import load_champion
    from models.home import current_home

    champion = load_champion(current_home())
    return champion if rubric is None else champion.with_rubric(rubric)


def open_home_signals(signals: str, until: datetime, engine: str, tell: Progress) -> OpenSignals:
    """Open signals of the home's portfolio. Roll-ups of large feeds are stored in the home.

    Parameters
    ----------
    signals : the address of the signals.
    until : only what was known before this instant is read.
    engine : the query engine.
    tell : called with the share done.

    Returns
    -------
    OpenSignals

    Raises
    ------
    BadRequest : there is no such engine.
    SignalsError : the signals cannot be read, break the contract, or belong to another portfolio than the home.
    """
    from features.signals.signals import open_signals
    from models.artifacts.home_portfolio import require_portfolio
    from models.home import current_home

    opened = open_signals(signals, until, tell, engine, current_home().require_own().rollups)
    require_portfolio(current_home(), opened)
    mark_uncertain(opened.open_questions)
    if opened.states is not None:
        # What a sheet is read as decides every result, so it is shown with each of them.
        for note in opened.notes:
            print_note(note)
    return opened


def assess_signals(
    signals: str,
    as_of: datetime,
    engine: str,
    champion: Champion,
    tell: Progress,
) -> tuple[OpenSignals, Assessment]:
    """Open signals and assess the portfolio by the rules and, if there is one, the champion.

    Parameters
    ----------
    signals : the address of the signals.
    as_of : the instant; only what was known before counts.
    engine : the query engine.
    champion : the bundles and the rubric in use.
    tell : called with the share done.

    Returns
    -------
    OpenSignals, Assessment

    Raises
    ------
    SignalsError : the signals cannot be read, or break the contract.
    BadRequest : there is no such engine, or no account is active.
    RulesError : a rules file is invalid.
    """
    from models.home import current_home
    from serving.scoring.score_portfolio import assess_portfolio

    opened = open_home_signals(signals, as_of, engine, subprogress(tell, 0.0, 0.4))
    found, _, _ = assess_portfolio(opened, as_of, current_home(), champion, subprogress(tell, 0.4, 1.0))
    return opened, found


def frame_writer(frame: pd.DataFrame) -> Callable[[Path], str]:
    """Return a function that writes every row to a file, for `features.utils.cli.write_result`.

    It raises `BadRequest` if the file type is unknown and `HomeError` if the file cannot be written.
    """

    def write(out: Path) -> str:
        from features.utils.formatting import count_of
        from models.predictions.table_export import formula_note, write_frame

        write_frame(frame, out)
        note = formula_note(frame, out.suffix)
        return f"{count_of(len(frame), 'row')} in {out}" + (f"\nnote: {note}" if note else "")

    return write
