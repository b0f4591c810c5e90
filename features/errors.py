"""The errors that a person can mend: what was found, what was expected, the cure.

They form one small tree. The edges map it in one table each: the command line to exit code 2, HTTP to a status.
A message never holds a customer's values.
"""

from __future__ import annotations


class RenewcastError(Exception):
    """A mistake in what was given, told so that it can be mended.

    Parameters
    ----------
    found : what is the matter, with the place (file, table, column, row positions).
    expected : what would have been right.
    cure : what to do about it.
    """

    def __init__(self, found: str, expected: str = "", cure: str = "") -> None:
        self.found = found
        self.expected = expected
        self.cure = cure
        super().__init__(found)

    def __str__(self) -> str:
        parts = [self.found]
        if self.expected:
            parts.append(f"Expected: {self.expected}")
        if self.cure:
            parts.append(f"Cure: {self.cure}")
        return "\n".join(parts)


class BadRequest(RenewcastError):
    """An argument, a date or a body that cannot be understood."""


class SignalsError(RenewcastError):
    """A signals source that cannot be read or breaks the data contract."""


class BundleError(RenewcastError):
    """A bundle that is missing, broken, changed since it was written, or made for another catalogue."""


class HomeError(RenewcastError):
    """A RENEWCAST_HOME, or an output path, that cannot be written or read."""


class UnknownAccount(RenewcastError):
    """An account that the snapshot does not hold."""


class UnknownSnapshot(RenewcastError):
    """A date for which no snapshot has been scored."""


class InsufficientData(RenewcastError):
    """Too little data to train anything that deserves the name of a model, or for another ``purpose``.

    ``missing`` says, a line each, what is lacking and by how much.
    """

    def __init__(
        self,
        missing: list[str],
        cure: str = "",
        purpose: str = "train a model",
        expected: str = "a portfolio above the sufficiency limits",
    ) -> None:
        self.missing = list(missing)
        super().__init__(f"not enough data to {purpose}: " + "; ".join(missing), expected, cure)
