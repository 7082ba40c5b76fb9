"""Turns decimal texts into whole ticks, lots and times, exactly: no float comes near them."""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import polars as pl

# Texts of this form, as feeds write them, are read in bulk: up to 9 digits on either side of the
# point make at most 18 digits, which a signed 64-bit integer holds.
_DECIMAL_FORM: Final = r"^[0-9]{1,9}(\.[0-9]{1,9})?$"
_ANY_FORM: Final = re.compile(r"(?=.{1,64}$)[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,6})?", re.ASCII)
_POWERS: Final = 10 ** np.arange(19, dtype=np.int64)
_SECONDS_FORM: Final = r"^[0-9]{10}(\.[0-9]{1,9})?$"
_NANO: Final = 10**9
_UNITS_MAX: Final = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """Whole multiples of a step, one per text.

    Attributes:
        values: The multiples; those below where a number is off, 0 for a bad or large one.
        is_bad: The text is missing or is no number of 0 or more.
        is_off: The number is no whole multiple.
        is_large: The multiple does not fit 31 bits.
    """

    values: npt.NDArray[np.int64]
    is_bad: npt.NDArray[np.bool_]
    is_off: npt.NDArray[np.bool_]
    is_large: npt.NDArray[np.bool_]


def units(texts: "pl.Series", step: Decimal) -> Units:
    """Return decimal texts as multiples of a step.

    "61800.20" by steps of 0.1 is 618002; by steps of 0.5 it is off.
    """
    import polars as pl

    count = len(texts)
    is_common = texts.str.contains(_DECIMAL_FORM).fill_null(value=False)
    step_nano = step * _NANO
    if step_nano != int(step_nano):
        is_common = pl.Series(np.zeros(count, bool))
    common = texts if is_common.all() else texts.set(~is_common, "0")
    nano = common.cast(pl.Decimal(18, 9)).to_physical().cast(pl.Int64).to_numpy()
    values, rest = np.divmod(nano, max(1, int(step_nano)))
    is_off = rest != 0
    is_bad = np.zeros(count, bool)
    is_large = values > _UNITS_MAX
    for row in np.flatnonzero(~is_common.to_numpy()).tolist():
        exact = _whole(texts[row])
        is_bad[row] = exact is None
        if exact is not None:
            # An exponent may name a number of any length: compare before dividing.
            is_large[row] = exact > step * _UNITS_MAX
            is_off[row] = not is_large[row] and exact % step != 0
            values[row] = 0 if is_large[row] else int(exact // step)
    values = np.where(is_bad | is_large, 0, values)
    return Units(values=values, is_bad=is_bad, is_off=is_off & ~is_large, is_large=is_large)


def _whole(text: str | None) -> Decimal | None:
    """Return a number of 0 or more, None for anything else."""
    if text is None or not _ANY_FORM.fullmatch(text):
        return None
    return Decimal(text)


def integers(texts: "pl.Series") -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return whole numbers of up to 18 digits, and which texts are something else (0 there).

    Signs and leading zeros are something else.
    """
    import polars as pl

    digits = texts.str.len_bytes().fill_null(0).to_numpy()
    values = texts.cast(pl.Int64, strict=False).fill_null(-1).to_numpy()
    # A number has as many digits as its text has characters, or the text holds something else.
    least = _POWERS[digits.clip(1, 19) - 1]
    good = (digits <= 18) & ((values >= least) | ((values == 0) & (digits == 1)))
    return np.where(good, values, 0), ~good


def nanoseconds(texts: "pl.Series") -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return seconds since 1970, with up to 9 decimals, in ns; and which texts are something else.

    "1733011200.5" is 1733011200500000000; times are of the years 2001 to 2262.
    """
    import polars as pl

    is_good = texts.str.contains(_SECONDS_FORM).fill_null(value=False)
    good = texts if is_good.all() else texts.set(~is_good, "0")
    exact = good.cast(pl.Decimal(19, 9)).to_physical().cast(pl.Int64)
    return exact.to_numpy(), ~is_good.to_numpy()
