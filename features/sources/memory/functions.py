"""Functions of the in-memory engine: one value per row, computed from other values of the row.

Each is named after the operation of Ibis that it evaluates, and follows the SQL that Ibis generates for DuckDB.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import ibis.expr.operations as ops
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.sources.memory.columns import Column, UnsupportedError, Values, rank_of, same_words
from features.utils.arrays import Bools, Objects

BLANKS = " \t\n\r\v\f"
LARGEST = 2.0**63
FUNCTIONS: dict[type[Any], Callable[..., Column]] = {}
"""The function of each operation. It gets the operands in order; optional operands that are not given are None."""

Function = Callable[..., Column]


def evaluates(*operations: type[Any]) -> Callable[[Function], Function]:
    """Register a function as the evaluation of operations."""

    def register(function: Function) -> Function:
        FUNCTIONS.update(dict.fromkeys(operations, function))
        return function

    return register


def both_known(*columns: Column) -> Bools | None:
    """Return where all columns are known; None if they are everywhere."""
    masks = [c.valid for c in columns if c.valid is not None]
    return reduce(np.logical_and, masks) if masks else None


def _compared(compare: Callable[[Any, Any], Any]) -> Function:
    def comparison(left: Column, right: Column) -> Column:
        if left.words is not None or right.words is not None:
            text = _one_text(right)
            if compare in (np.equal, np.not_equal) and text is not None and left.words is not None:
                equal: Bools = compare(left.words, text)
                return Column(equal.astype(np.bool_)[left.values], both_known(left, right))
            left, right = same_words([left, right])
            if compare not in (np.equal, np.not_equal):
                (ranks, _), (others, _) = rank_of(left), rank_of(right)
                return Column(compare(ranks, others), both_known(left, right))
        return Column(compare(left.values, right.values), both_known(left, right))

    return comparison


def _one_text(column: Column) -> Objects | None:
    """Return the text that a column has in every row; None if there is no such text."""
    return column.words if column.words is not None and len(column.words) == len(column.values) == 1 else None


FUNCTIONS |= {
    ops.Equals: _compared(np.equal),
    ops.NotEquals: _compared(np.not_equal),
    ops.Less: _compared(np.less),
    ops.LessEqual: _compared(np.less_equal),
    ops.Greater: _compared(np.greater),
    ops.GreaterEqual: _compared(np.greater_equal),
}


@evaluates(ops.IdenticalTo)
def _identical(left: Column, right: Column) -> Column:
    equal = FUNCTIONS[ops.Equals](left, right)
    if equal.valid is None:
        return equal
    return Column(equal.true() | (~left.known() & ~right.known()))


@evaluates(ops.And)
def _and(left: Column, right: Column) -> Column:
    values = left.values & right.values
    if left.valid is None and right.valid is None:
        return Column(values)
    a, b = left.known(), right.known()
    return Column(values, (a & b) | (a & ~left.values) | (b & ~right.values))


@evaluates(ops.Or)
def _or(left: Column, right: Column) -> Column:
    if left.valid is None and right.valid is None:
        return Column(left.values | right.values)
    a, b = left.true(), right.true()
    return Column(a | b, (left.known() & right.known()) | a | b)


@evaluates(ops.Not)
def _not(arg: Column) -> Column:
    return Column(~arg.values, arg.valid)


@evaluates(ops.NotNull)
def _not_null(arg: Column) -> Column:
    return Column(np.ones(1, dtype=np.bool_) if arg.valid is None else arg.valid)


@evaluates(ops.IsNull)
def _is_null(arg: Column) -> Column:
    return Column(np.zeros(1, dtype=np.bool_) if arg.valid is None else ~arg.valid)


@evaluates(ops.IsNan)
def _is_nan(arg: Column) -> Column:
    return Column(np.isnan(arg.values), arg.valid)


@evaluates(ops.IfElse)
def _if_else(condition: Column, yes: Column, no: Column) -> Column:
    if yes.words is not None or no.words is not None:
        yes, no = same_words([yes, no])
    where = condition.true()
    valid = None if yes.valid is None and no.valid is None else np.where(where, yes.known(), no.known())
    return Column(np.where(where, yes.values, no.values), valid, yes.words)


@evaluates(ops.Coalesce)
def _coalesce(*args: Column) -> Column:
    return reduce(_first_known, args)


def _first_known(first: Column, second: Column) -> Column:
    return first if first.valid is None else _if_else(Column(first.valid), first, second)


@evaluates(ops.NullIf)
def _null_if(arg: Column, other: Column) -> Column:
    equal = FUNCTIONS[ops.Equals](arg, other).true()
    return Column(arg.values, ~equal if arg.valid is None else arg.valid & ~equal, arg.words)


@evaluates(ops.Greatest)
def _greatest(*args: Column) -> Column:
    return reduce(_greater, args)


def _greater(left: Column, right: Column) -> Column:
    if left.words is not None or right.words is not None:
        raise UnsupportedError("the greatest of texts")
    if left.valid is None and right.valid is None:
        return Column(np.maximum(left.values, right.values))
    a, b = left.known(), right.known()
    use_left = a & (~b | (left.values >= right.values))
    return Column(np.where(use_left, left.values, right.values), a | b)


@evaluates(ops.Between)
def _between(arg: Column, low: Column, high: Column) -> Column:
    return _and(FUNCTIONS[ops.GreaterEqual](arg, low), FUNCTIONS[ops.LessEqual](arg, high))


@evaluates(ops.InValues)
def _in_values(value: Column, *options: Column) -> Column:
    # The options are literals that are not null.
    equal = [FUNCTIONS[ops.Equals](Column(value.values, None, value.words), option).values for option in options]
    return Column(reduce(np.logical_or, equal), value.valid)


def _arithmetic(compute: Callable[[Any, Any], Any]) -> Function:
    def arithmetic(left: Column, right: Column) -> Column:
        return Column(compute(left.values, right.values), both_known(left, right))

    return arithmetic


FUNCTIONS |= {
    ops.Add: _arithmetic(np.add),
    ops.Subtract: _arithmetic(np.subtract),
    ops.Multiply: _arithmetic(np.multiply),
    # SQL's remainder has the sign of the dividend.
    ops.Modulus: _arithmetic(np.fmod),
    ops.BitwiseLeftShift: _arithmetic(np.left_shift),
}


@evaluates(ops.Divide)
def _divide(left: Column, right: Column) -> Column:
    if not np.all(right.values):
        raise UnsupportedError("a division by zero")
    return Column(np.true_divide(left.values, right.values), both_known(left, right))


@evaluates(ops.Floor)
def _floor(arg: Column) -> Column:
    return Column(_whole(np.floor(arg.values)), arg.valid)


@evaluates(ops.Round)
def _round(arg: Column, digits: Column | None = None) -> Column:
    if digits is not None and (digits.values != 0).any():
        raise UnsupportedError("rounding to digits")
    # Halves are rounded away from zero. The remainder is exact.
    whole = np.trunc(arg.values)
    rest = arg.values - whole
    return Column(_whole(whole + (rest >= 0.5) - (rest <= -0.5)), arg.valid)


def _whole(values: Values) -> Values:
    if (np.abs(values) >= LARGEST).any() or np.isnan(values).any():
        raise UnsupportedError("a number too large for an integer")
    return values.astype(np.int64)


@evaluates(ops.Abs)
def _abs(arg: Column) -> Column:
    return Column(np.abs(arg.values), arg.valid)


@evaluates(ops.ExtractEpochSeconds)
def _epoch_seconds(arg: Column) -> Column:
    # DuckDB returns a fraction, although Ibis declares an integer.
    return Column(arg.values / 1e6, arg.valid)


def cast(kind: Any) -> Function:
    """Return the function that converts a column to the Ibis type ``kind``."""

    def converted(arg: Column) -> Column:
        numeric, of = arg.words is None, arg.values.dtype.kind
        if kind.is_string() and not numeric:
            return arg
        if kind.is_timestamp() and numeric and of == "i":
            return arg
        if kind.is_floating() and numeric:
            return Column(arg.values.astype(np.float64), arg.valid)
        if kind.is_integer() and numeric:
            return Column(_whole(np.rint(arg.values)) if of == "f" else arg.values.astype(np.int64), arg.valid)
        if kind.is_boolean() and of == "b":
            return arg
        if kind.is_string() and of == "i":
            distinct, codes = np.unique(arg.values, return_inverse=True)
            return Column(codes, arg.valid, np.array([str(value) for value in distinct.tolist()], dtype=object))
        raise UnsupportedError(f"a cast to {kind}")

    return converted


def _by_word(compute: Callable[[str], Any], kind: Any = None) -> Function:
    """Return the function that applies ``compute`` to each distinct text; its result is text without a ``kind``."""

    def applied(arg: Column) -> Column:
        if arg.words is None:
            raise UnsupportedError("a function of texts for other values")
        results = [compute(word) for word in arg.words]
        if kind is not None:
            return Column(np.array(results, dtype=kind)[arg.values], arg.valid)
        place: dict[str, int] = {}
        codes = np.array([place.setdefault(word, len(place)) for word in results], dtype=np.int64)
        return Column(codes[arg.values], arg.valid, np.array(list(place), dtype=object))

    return applied


def _case(ascii_case: Callable[[str], str], other: str) -> Callable[[str], str]:
    # Python and SQL differ in characters that have several letters in the other case.
    return lambda word: ascii_case(word) if word.isascii() else pc.call_function(other, [pa.scalar(word)]).as_py()


FUNCTIONS |= {
    ops.Strip: _by_word(lambda word: word.strip(BLANKS)),
    ops.Uppercase: _by_word(_case(str.upper, "utf8_upper")),
    ops.Lowercase: _by_word(_case(str.lower, "utf8_lower")),
    ops.StringLength: _by_word(len, np.int64),
}


def regex_search(pattern: str) -> Function:
    """Return the function that tests texts for a pattern; DuckDB and Arrow have the same syntax of patterns."""
    return _by_word(lambda word: pc.match_substring_regex(pa.scalar(word), pattern).as_py(), np.bool_)


@evaluates(ops.StringConcat)
def _concat(*args: Column) -> Column:
    return _joined(args, both_known(*args))


def join_texts(args: tuple[Column, ...]) -> Column:
    """Join texts without a separator; an unknown text adds nothing."""
    empty = np.array([""], dtype=object)
    return _joined([_first_known(arg, Column(np.zeros(1, dtype=np.int64), None, empty)) for arg in args], None)


def _joined(args: Any, valid: Bools | None) -> Column:
    lengths = [len(arg.values) for arg in args]
    rows = 0 if 0 in lengths else max(lengths)
    if any(arg.words is None for arg in args):
        if valid is not None and not valid.any():
            return Column(np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.bool_), np.array([""], dtype=object))
        raise UnsupportedError("joining other values than texts")
    texts = [arg.words[arg.full(rows).values].tolist() for arg in args]
    words, codes = np.unique(np.array(list(map("".join, zip(*texts, strict=True))), dtype=object), return_inverse=True)
    return Column(codes, valid, words if len(words) else np.array([""], dtype=object))


#: Functions of `features.sources.sql_functions` and `features.signals.casting`, by their name in SQL.
BUILTINS: Mapping[str, Function] = {"epoch_us": lambda instant: instant}
