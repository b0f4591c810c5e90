"""Tools that have no contracts, such as a support desk: they are connected together with a tool that has."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from features.utils.formatting import and_list

OTHER = "BILLING_OR_CRM"
"""Stands in a command for the address of the tool that has the contracts."""


@dataclass(frozen=True)
class MissingContracts:
    """What the tools of a mapping lack.

    Parameters
    ----------
    titles : the names of the tools.
    addresses : the addresses of their sources, without passwords.
    accounts : whether the tools give accounts.
    """

    titles: Sequence[str]
    addresses: Sequence[str]
    accounts: bool

    @property
    def problem(self) -> str:
        """What is missing: "Mixpanel alone has no accounts and no contracts"."""
        have = "alone has" if len(self.titles) == 1 else "together have"
        return f"{and_list(self.titles)} {have} {'' if self.accounts else 'no accounts and '}no contracts"

    @property
    def command(self) -> str:
        """The command that connects the tools together with one that has contracts."""
        given = " ".join(map(shlex.quote, self.addresses))
        return f"renewcast connect {given} {OTHER} --out mapping.toml"

    @property
    def cure(self) -> str:
        """What to do about it."""
        return f"connect {'it' if len(self.titles) == 1 else 'them'} together with the billing system or the CRM"

    @property
    def expected(self) -> str:
        """What a check expects."""
        return f"the billing system or the CRM in the same mapping: {self.command}"
