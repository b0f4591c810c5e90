"""What accounts can be grouped by. Without other imports, since every command loads it."""

from __future__ import annotations

from typing import Literal, get_args

Division = Literal["segment", "csm", "region", "parent", "product"]
DIVISIONS: tuple[Division, ...] = get_args(Division)
ExclusiveDivision = Literal["segment", "csm", "region", "parent"]
"""A division in which each account belongs to one group at most, so that the groups add up to the whole."""
