"""What commands have at hand: the store, the champion, the signals, and the portfolio that follows from them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from features.utils.progress import Progress, subprogress

if TYPE_CHECKING:
    import pandas as pd

    from features.signals.signals import Signals as Opened
    from models.artifacts.champion import Champion
    from models.home import Home
    from models.predictions.assessment import Assessment
    from serving.store.database import Store


def store_at_hand(home: Home | None = None) -> Store:
    """The store of the ``home`` (by default the one that the environment names), or the store that the environment
    names.

    Raises
    ------
    HomeError : the home cannot be written.
    BadRequest : the address is none of a store that is supported.
    """
    from models.home import current_home
    from serving.common.settings import current_settings
    from serving.store.database import Store

    return Store.of((home or current_home()).ensure(), current_settings().store_address)


def champion_at_hand(rubric: str | None = None) -> Champion:
    """The champion of the home, beside the rubric that was asked for, if any.

    Raises
    ------
    BundleError : the champion is broken.
    RubricError : there is no rubric of that name, or it breaks the rules.
    """
    from models.artifacts.champion import load_champion
    from models.home import current_home

    champion = load_champion(current_home())
    return champion if rubric is None else champion.with_rubric(rubric)


def signals_at_hand(signals: str, until: datetime, engine: str, tell: Progress) -> Opened:
    """The signals as known before ``until``; what large feeds were rolled up to is kept in the home.

    Raises
    ------
    BadRequest : there is no such engine.
    SignalsError : they cannot be read, break the contract, or are of another portfolio than the home's.
    """
    from features.signals.signals import open_signals
    from models.artifacts.home_portfolio import require_portfolio
    from models.home import current_home

    opened = open_signals(signals, until, tell, engine, current_home().rollups)
    require_portfolio(current_home(), opened)
    return opened


def portfolio_at_hand(
    signals: str,
    as_of: datetime,
    engine: str,
    champion: Champion,
    tell: Progress,
) -> tuple[Opened, Assessment]:
    """The signals, and the portfolio at ``as_of`` as the rules (and the champion, if there is one) see it.

    Raises
    ------
    SignalsError : the signals cannot be read, or break the contract.
    BadRequest : there is no such engine, or no account is active.
    RulesError : a file of rules is broken.
    """
    from models.home import current_home
    from serving.scoring.score_portfolio import look

    opened = signals_at_hand(signals, as_of, engine, subprogress(tell, 0.0, 0.4))
    found, _, _ = look(opened, as_of, current_home(), champion, subprogress(tell, 0.4, 1.0))
    return opened, found


def frame_file(frame: pd.DataFrame) -> Callable[[Path], str]:
    """Writes every row to a file, for `features.utils.cli.write_result`.

    Raises
    ------
    BadRequest, HomeError : by what is returned: the ending is unknown, or the place cannot be written.
    """

    def write(out: Path) -> str:
        from models.predictions.table_export import formula_note, write_frame

        write_frame(frame, out)
        note = formula_note(frame, out.suffix)
        return f"{len(frame):,} rows in {out}" + (f"\nnote: {note}" if note else "")

    return write
