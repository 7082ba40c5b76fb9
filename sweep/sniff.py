"""Guesses which reader a file needs, and which product it holds, from its name and first bytes.

A guess is said aloud and can always be overruled with `--reader` and `--instrument`.
"""

import gzip
import re
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sweep.errors import InputError
from sweep.products import products
from sweep.readers import READERS

HEAD_BYTES: Final = 64 << 10
_CONTRACT: Final = r"(?:[0-9]*[A-Z][0-9]{1,2})?"  # D6, H4, 35000Q6 behind a product's name
_ZIP: Final = b"PK\x03\x04"
_GZIP: Final = b"\x1f\x8b"


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What is seen of a file.

    Attributes:
        name: Its name in lower case, compression left out.
        start: First bytes, decompressed where that is cheap (gzip and zip).
        footer: Last bytes, of a Parquet file only.
        members: Names in lower case, of a zip archive only.
    """

    name: str
    start: bytes
    footer: bytes = b""
    members: tuple[str, ...] = ()

    @property
    def first_line(self) -> str:
        """First line as text."""
        return self.start.split(b"\n", 1)[0].decode("latin-1").rstrip("\r")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """How a reader's files are recognised.

    Attributes:
        reader: Name of the reader.
        words: What was seen, for the user.
        fits: Whether a file has the sign.
    """

    reader: str
    words: str
    fits: Callable[[Head], bool]


def _has_columns(*names: str) -> Callable[[Head], bool]:
    return lambda head: bool(head.footer) and all(name.encode() in head.footer for name in names)


def _named(*endings: str) -> Callable[[Head], bool]:
    return lambda head: head.name.endswith(endings)


def _begins(pattern: str) -> Callable[[Head], bool]:
    return lambda head: re.match(pattern, head.first_line) is not None


def _is_fixed_width(head: Head) -> bool:
    lines = head.start.splitlines()
    return len(lines) > 1 and len(lines[0]) in TWSE_WIDTHS and len(lines[0]) == len(lines[1])


TWSE_WIDTHS: Final = (59, 63, 67, 186, 190)

# The first sign that fits decides.
SIGNS: Final[tuple[Sign, ...]] = (
    Sign(
        reader="shioaji_parquet",
        words="Parquet with the columns ev, exch_ts, px, qty",
        fits=_has_columns("ev", "exch_ts", "px", "qty"),
    ),
    Sign(
        reader="canonical_parquet",
        words="Parquet with the columns exch_ns, kind, side, price, qty",
        fits=_has_columns("exch_ns", "kind", "side", "price", "qty"),
    ),
    Sign(
        reader="shioaji_recording",
        words="a recording of the live feed",
        fits=_begins(r'\{"seq":0,.*"format":"sweep-recording"'),
    ),
    Sign(
        reader="shioaji_columns",
        words="columns with the names of the Shioaji feed",
        fits=lambda head: any(
            fits(head)
            for fits in (
                _has_columns("close", "volume", "tick_type"),
                _has_columns("bid_price", "ask_price", "bid_volume", "ask_volume"),
                _begins(r"(?=.*\bclose\b)(?=.*\bvolume\b)(?=.*\btick_type\b)"),
                _begins(r"(?=.*\bbid_price)(?=.*\bask_price)(?=.*\bbid_volume)"),
            )
        ),
    ),
    Sign(
        reader="databento",
        words="Databento's binary encoding",
        fits=lambda head: head.name.endswith(".dbn") or head.start.startswith(b"DBN"),
    ),
    Sign(
        reader="shioaji_recording",
        words="begins as recordings of `sweep.recorder` do",
        fits=lambda head: "sweep-recording" in head.first_line,
    ),
    Sign(
        reader="shioaji_columns",
        words="columns named as the Shioaji SDK names its fields",
        fits=lambda head: any(
            re.search(r"\b(tick_type|diff_bid_vol)\b", text)
            for text in (head.first_line, head.footer.decode("latin-1"))
        ),
    ),
    Sign(reader="hftbacktest", words="an array file of NumPy", fits=_named(".npy", ".npz")),
    Sign(
        reader="taifex_daily",
        words="named like a daily file of TAIFEX",
        fits=lambda head: any(
            re.search(r"(^|/)daily_\d{4}_\d\d_\d\d", name) for name in (head.name, *head.members)
        ),
    ),
    Sign(
        reader="lobster",
        words="named like a message file of LOBSTER",
        fits=lambda head: re.search(r"_message_\w+\.csv$", head.name) is not None,
    ),
    Sign(
        reader="binance_raw",
        words="lines of local time and Binance's JSON",
        fits=_begins(r"\d{16,19} \{"),
    ),
    Sign(
        reader="tardis_csv",
        words="the header of a CSV file of Tardis",
        fits=_begins("exchange,symbol,timestamp,local_timestamp,"),
    ),
    Sign(
        reader="bybit_ob",
        words="lines of Bybit's order book JSON",
        fits=_begins(r'\{"topic": ?"orderbook\.'),
    ),
    Sign(
        reader="twse_fixed",
        words="lines of the width that the TWSE data shop uses",
        fits=_is_fixed_width,
    ),
)


# Files that are read along with another one, by the form of their names.
COMPANIONS: Final = (
    (
        r"_orderbook_\w+\.csv$",
        "an orderbook file of LOBSTER: name the message file, this one is read along with it",
    ),
)


def guess_reader(path: Path) -> Sign:
    """Return the sign by which the reader of a file is known.

    Raises:
        InputError: No reader is known to read such a file, or it cannot be read at all.
    """
    head = _head(path)
    for pattern, hint in COMPANIONS:
        if re.search(pattern, head.name):
            raise InputError(f"{path}: {hint}")
    for sign in SIGNS:
        if sign.reader in READERS and sign.fits(head):
            return sign
    message = f"{path}: cannot tell which reader this file needs: give --reader"
    raise InputError(f"{message}; known: {', '.join(READERS)}")


def guess_instrument(path: Path) -> str:
    """Return the product of the catalogue that the name of a file begins with or contains.

    Raises:
        InputError: The name contains no product, or several.
    """
    text = path.name.upper()
    found: dict[str, tuple[int, int]] = {}
    for name in products():
        contract = "" if "_" in name or "-" in name else _CONTRACT
        form = rf"(?<![A-Z0-9]){re.escape(name.upper())}{contract}(?![A-Z0-9])"
        if match := re.search(form, text):
            found[name] = match.span()
    # BTCUSD_PERP rather than a product BTCUSD that its name contains.
    inner = {
        name
        for name, (start, stop) in found.items()
        for other, (first, last) in found.items()
        if other != name and first <= start and stop <= last and (start, stop) != (first, last)
    }
    found = {name: span for name, span in found.items() if name not in inner}
    # `spot_btcusdt` holds BTCUSDT_SPOT, not the perpetual BTCUSDT.
    words = re.split(r"[^A-Z0-9]+", text)
    venues = [
        f"{name}_{word}" for name in found for word in words if f"{name}_{word}" in products()
    ]
    found = dict.fromkeys(venues, (0, 0)) or found
    if len(found) != 1:
        several = f" (it may be {' or '.join(sorted(found))})" if found else ""
        message = f"{path}: the name does not tell the product{several}"
        raise InputError(f"{message}: give --instrument; `data products` lists those known")
    return next(iter(found))


def _head(path: Path) -> Head:
    name = re.sub(r"\.(gz|zst|zip)$", "", path.name.lower())
    try:
        with path.open("rb") as file:
            start = file.read(HEAD_BYTES)
            footer = b""
            if start.startswith(b"PAR1"):
                file.seek(-min(HEAD_BYTES, path.stat().st_size), 2)
                footer = file.read()
        if start.startswith(_GZIP):
            start = zlib.decompressobj(wbits=31).decompress(start, HEAD_BYTES)
        if start.startswith(_ZIP):
            with zipfile.ZipFile(path) as archive:
                members = tuple(member.lower() for member in archive.namelist())
                with archive.open(archive.infolist()[0]) as file:
                    return Head(name=name, start=file.read(HEAD_BYTES), members=members)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (zlib.error, zipfile.BadZipFile, gzip.BadGzipFile, IndexError, RuntimeError, EOFError):
        # Damage is the reader's to report, with its place; the name may still tell the reader.
        return Head(name=name, start=b"")
    return Head(name=name, start=start, footer=footer)
