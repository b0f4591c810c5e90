"""Progress callbacks of long-running work."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[float, str], None]
"""Called with the share done (0 to 1) and a description of the current step."""


def no_progress(_share: float, _what: str) -> None:
    """Ignore progress reports."""


def subprogress(whole: Progress, start: float, end: float) -> Progress:
    """Return a progress callback for the part of the work from share ``start`` to ``end`` of the whole.

    Parameters
    ----------
    whole : the callback for the whole work.
    start, end : the shares of the whole at which the part starts and ends.

    Returns
    -------
    Progress
    """
    return lambda share, what: whole(start + (end - start) * share, what)
