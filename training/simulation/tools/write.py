"""Write a simulated portfolio as the exports of a company's tools."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd

from features.errors import BadRequest
from features.utils.atomic_files import new_folder
from training.simulation.tools.identifiers import account_ids
from training.simulation.tools.salesforce import salesforce_tables
from training.simulation.tools.segment import segment_tables
from training.simulation.tools.stripe import stripe_tables
from training.simulation.tools.zendesk import zendesk_tables

TOOLS = ("stripe", "salesforce", "zendesk", "segment")
"""The folders that are written."""
MOST_CSV_ROWS = 200_000
"""Larger tables are written as Parquet."""


def write_tools(tables: Path, out: Path, end: date) -> dict[str, int]:
    """Write one folder per tool, with tables as an extract-load service lands them.

    The portfolio has one id per tool and account. Some accounts have two customers in Stripe, or a duplicate that was
    merged in Salesforce. Large tables are Parquet files, the others are CSV files.

    Parameters
    ----------
    tables : the folder of the simulated portfolio, in the tables of the data contract.
    out : the folder to write to.
    end : the end of the data (midnight UTC).

    Returns
    -------
    The number of rows by ``tool/table``.

    Raises
    ------
    BadRequest
        The portfolio has no contracts.
    HomeError
        The folder cannot be written.
    """
    if not (tables / "subscriptions.parquet").is_file():
        raise BadRequest("the portfolio has orders instead of subscriptions", "a preset with contracts")
    names = ("accounts", "subscriptions", "billing", "engagement", "support", "usage")
    read = {name: pd.read_parquet(tables / f"{name}.parquet") for name in names}
    ids = account_ids(read["accounts"]["account_id"])
    written = {
        "stripe": stripe_tables(read["subscriptions"], read["billing"], read["accounts"], ids),
        "salesforce": salesforce_tables(read["accounts"], read["engagement"], ids),
        "zendesk": zendesk_tables(read["accounts"], read["support"], ids, pd.Timestamp(end, tz="UTC")),
        "segment": segment_tables(read["usage"], ids),
    }
    rows = {}
    with new_folder(out) as folder:
        for tool, frames in written.items():
            (folder / tool).mkdir()
            for name, frame in frames.items():
                if len(frame) > MOST_CSV_ROWS:
                    frame.to_parquet(folder / tool / f"{name}.parquet", index=False)
                else:
                    frame.to_csv(folder / tool / f"{name}.csv", index=False)
                rows[f"{tool}/{name}"] = len(frame)
    return rows


def require_new(out: Path) -> None:
    """Raise `BadRequest` if ``out`` exists."""
    if out.exists():
        raise BadRequest(f"{out} already exists", "a folder that does not exist yet", "choose another folder")
