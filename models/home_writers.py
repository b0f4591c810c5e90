"""Which commands write data of accounts to a home at the moment, so that an erasure never runs next to one.

Several commands may write at the same time. Each holds a lock file of its own in the folder `WRITERS`. An erasure holds
`ERASING` and refuses to begin while any of these files is locked; a command that starts meanwhile waits for its end. A
process that ends for any reason releases its lock, and the next erasure deletes its file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from typing import Literal

from features.errors import HomeError
from features.utils.file_lock import exclusive_lock, is_locked
from models.home import Home

WRITERS = ".writers"
"""The folder in the home with the lock files of the commands that write."""
ERASING = ".erasing.lock"
"""The file in the home that is locked while an account is erased."""
Work = Literal["training", "scoring", "review", "job"]
_WORDS: dict[str, str] = {
    "training": "a training",
    "scoring": "a scoring",
    "review": "a quarterly review",
    "job": "a scoring job of the service",
}
_numbers = count(1)


@contextmanager
def writing(home: Home, work: Work) -> Iterator[None]:
    """Hold off erasures while the block writes data of accounts. A block that starts during an erasure waits for it.

    Parameters
    ----------
    home : the home that is written to.
    work : what writes, which the message of a refused erasure names.

    Raises
    ------
    HomeError : the home cannot be written, or an erasure takes longer than any should.
    """
    own = home.root / WRITERS / f"{work}-{os.getpid()}-{next(_numbers)}.lock"
    with ExitStack() as stack:
        stack.callback(own.unlink, missing_ok=True)
        with exclusive_lock(home.root / ERASING):
            stack.enter_context(exclusive_lock(own))
        yield


@contextmanager
def no_other_writer(home: Home) -> Iterator[None]:
    """Run the block while no command writes data of accounts.

    Parameters
    ----------
    home : the home.

    Raises
    ------
    HomeError : a command writes to the home, another erasure is running, or the home cannot be written.
    """
    with exclusive_lock(home.root / ERASING):
        for each in sorted((home.root / WRITERS).glob("*.lock")):
            if is_locked(each):
                work, process, _ = each.stem.split("-")
                raise HomeError(
                    f"{_WORDS.get(work, work)} (process {process}) is writing to {home.root}",
                    "no training, scoring or review that runs on the home during an erasure",
                    "run the command again when it has finished",
                )
            # Left by a process that was stopped.
            each.unlink(missing_ok=True)
        yield
