"""Sorts the lines of a Binance recording by what they tell, and decodes them in bulk."""

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from sweep.readers.audit import Audit, Rule, numbered
from sweep.readers.exact_numbers import integers
from sweep.readers.json_lines import JSON_RULES, block_lines, decode, explain
from sweep.readers.text_lines import Block

if TYPE_CHECKING:
    import polars as pl

LINE_RULES: Final[dict[str, Rule]] = JSON_RULES | {
    "other_stream": Rule(
        doc="Lines are depth updates, best quotes, trades or snapshots of the book. drop: leave "
        "lines of other streams out",
        actions=("drop", "error"),
    ),
    "other_symbol": Rule(
        doc="The file holds one symbol, or data.source.options.symbol says which to read. drop: "
        "leave all out but the first one's",
        actions=("error", "drop"),
    ),
}

# Whole numbers are decoded as texts, so that a fraction is seen.
_COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "depth": ("E", "T", "s", "U", "u", "pu"),
    "ticker": ("E", "T", "s", "u", "b", "B", "a", "A"),
    "trade": ("E", "T", "s", "t", "p", "q", "X", "m"),
    "aggregate": ("E", "T", "s", "a", "p", "q", "X", "m"),
}
_INTEGERS: Final = {"E": "event", "T": "at", "U": "first_id", "u": "last_id", "pu": "before_id"}
_REQUIRED: Final[dict[str, tuple[str, ...]]] = {
    "depth": ("E", "s", "U", "u", "b", "a"),
    "ticker": ("s", "u", "b", "B", "a", "A"),
    "trade": ("s", "t", "p", "q", "m", "T"),
    "aggregate": ("s", "a", "p", "q", "m", "T"),
}
_MS_NS: Final = 1_000_000
_US_NS: Final = 1_000
# Times are milliseconds of 13 digits, or microseconds of 16 where a recorder asked for them.
_TIME_MIN: Final = 10**12
_US_MIN: Final = 10**15
_TIME_MAX: Final = 4 * 10**15
_LOCAL_FORM: Final = r"^[0-9]{18,19} "


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A whole picture of the book, as asked for by the recorder.

    Attributes:
        number: Its line.
        exch_ns: Exchange time, 0 where it is not told.
        last_id: The last update that it holds.
        bids: [price, quantity] each.
        asks: [price, quantity] each.
    """

    number: int
    local_ns: int
    exch_ns: int
    last_id: int
    symbol: str
    bids: list[list[str]]
    asks: list[list[str]]


@dataclass(slots=True)
class Messages:
    """What the lines of one block tell; all frames hold `number` (of the line) and `local_ns`.

    Attributes:
        depth: event_ns, exch_ns, s, first_id, last_id, before_id, b, a; 0 for a time and -1 for
            an id that is not told.
        tickers: exch_ns, s, last_id, b, B, a, A.
        trades: exch_ns, s, id, p, q, X, m, by the name of the stream (`trade`, `aggregate`).
        others: Lines of other streams, by name.
    """

    depth: "pl.DataFrame"
    tickers: "pl.DataFrame"
    trades: dict[str, "pl.DataFrame"]
    snapshots: list[Snapshot] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True, kw_only=True)
class LineDecoder:
    """Decodes the blocks of one file.

    Attributes:
        source: Named in messages about damage.
    """

    source: str
    audit: Audit

    def decode(self, block: Block) -> Messages:
        """Return what a block tells.

        Raises:
            DataError: A line is bad and the rule is an error.
        """
        import polars as pl

        frame, odd = self._split(block)
        others: Counter[str] = Counter()
        snapshots: list[Snapshot] = []
        rest = [frame]
        for number, local_ns, text in odd.iter_rows():
            told = self._odd(number, local_ns, text, others)
            if isinstance(told, Snapshot):
                snapshots.append(told)
            elif told:
                kind, compact = told
                row = {"number": number, "local_ns": local_ns, "text": compact, "kind": kind}
                rest.append(pl.DataFrame([row], schema=frame.schema))
        if len(rest) > 1:
            frame = pl.concat(rest).sort("number")
        found = {
            kind: self._decode(kind, frame.filter(pl.col("kind") == kind)) for kind in _COLUMNS
        }
        return Messages(
            depth=found["depth"],
            tickers=found["ticker"],
            trades={name: found[name] for name in ("trade", "aggregate")},
            snapshots=snapshots,
            others=others,
        )

    def _split(self, block: Block) -> tuple["pl.DataFrame", "pl.DataFrame"]:
        """Return the lines of known streams with their kind, and the other ones."""
        import polars as pl

        lines = block_lines(block, self.source)
        number = np.arange(block.first_line, block.first_line + len(lines))
        is_good = lines.str.contains(_LOCAL_FORM).fill_null(value=False)
        self.audit.hit_rows(
            "bad_line",
            ~is_good.to_numpy(),
            numbered("line", number),
            lambda row: f"expected a local time in ns, a space and JSON, found {lines[row]!r:.60}",
        )
        frame = pl.DataFrame({"number": number, "line": lines}).filter(is_good)
        at = pl.col("line").str.find(" ", literal=True)
        text = pl.col("text").str
        is_quote = text.contains('"B":', literal=True) & ~text.contains('"e":', literal=True)
        frame = frame.select(
            "number",
            local_ns=pl.col("line").str.head(at).cast(pl.Int64, strict=False).fill_null(0),
            text=pl.col("line").str.slice(at + 1),
        ).with_columns(
            kind=pl.when(text.contains('"lastUpdateId":', literal=True))
            .then(None)
            .when(text.contains('"e":"depthUpdate"', literal=True))
            .then(pl.lit("depth"))
            .when(text.contains('"e":"bookTicker"', literal=True) | is_quote)
            .then(pl.lit("ticker"))
            .when(text.contains('"e":"trade"', literal=True))
            .then(pl.lit("trade"))
            .when(text.contains('"e":"aggTrade"', literal=True))
            .then(pl.lit("aggregate"))
            .otherwise(None)
        )
        is_known = pl.col("kind").is_not_null()
        return frame.filter(is_known), frame.filter(~is_known).select("number", "local_ns", "text")

    def _odd(
        self, number: int, local_ns: int, text: str, others: Counter[str]
    ) -> Snapshot | tuple[str, str] | None:
        """Return a snapshot, or kind and compact text of a known stream, or None."""
        where = f"line {number}"
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            self.audit.hit("bad_line", where, explain(text))
            return None
        data = document.get("data", document) if isinstance(document, dict) else None
        if not isinstance(data, dict):
            self.audit.hit("bad_line", where, f"expected an object, found {text[:60]}")
            return None
        stream = str(document.get("stream", ""))
        kinds = {"depthUpdate": "depth", "aggTrade": "aggregate", "bookTicker": "ticker"}
        event = str(data.get("e", ""))
        kind = kinds.get(event, event)
        if kind in _COLUMNS:
            return kind, json.dumps(document, separators=(",", ":"))
        if "lastUpdateId" in data and not stream:
            try:
                return _snapshot(number, local_ns, data)
            except (KeyError, TypeError, ValueError) as error:
                self.audit.hit("bad_line", where, f"a snapshot of another form: {error!r}")
                return None
        name = event or stream.partition("@")[2] or "reply"
        others[name] += 1
        self.audit.hit("other_stream", where, f"found {name}")
        return None

    def _decode(self, kind: str, frame: "pl.DataFrame") -> "pl.DataFrame":
        import polars as pl

        levels = pl.List(pl.List(pl.String))
        form: dict[str, Any] = dict.fromkeys(_COLUMNS[kind], pl.String)
        if kind == "depth":
            form |= {"b": levels, "a": levels}
        if "m" in form:
            form["m"] = pl.Boolean
        is_wrapped = pl.col("text").str.starts_with('{"stream":')
        bare = pl.concat_str(pl.lit('{"data":'), pl.col("text"), pl.lit("}"))
        texts = frame.select(pl.when(is_wrapped).then(pl.col("text")).otherwise(bare))["text"]
        numbers = frame["number"].to_numpy()
        whole = pl.Struct({"data": pl.Struct(form)})
        decoded = decode(texts, whole, numbers, self.audit)
        values = decoded.values.struct.field("data").struct.unnest()
        kept = frame.select("number", "local_ns").filter(pl.Series(decoded.is_good))
        return self._settle(kind, kept.hstack(values))

    def _settle(self, kind: str, frame: "pl.DataFrame") -> "pl.DataFrame":
        """Check what must be there, and turn whole numbers and times into integers."""
        import polars as pl

        bad = np.zeros(frame.height, bool)
        found: dict[str, npt.NDArray[np.int64]] = {}
        for name in _REQUIRED[kind]:
            bad |= frame[name].is_null().to_numpy()
        wanted = {name: _INTEGERS[name] for name in _COLUMNS[kind] if name in _INTEGERS}
        if kind in ("trade", "aggregate"):
            wanted["t" if kind == "trade" else "a"] = "id"
        for name, title in wanted.items():
            values, wrong = integers(frame[name])
            is_missing = frame[name].is_null().to_numpy()
            found[title] = np.where(is_missing, -1, values)
            bad |= wrong & ~is_missing
        for title in ("event", "at"):
            if title in found:
                is_missing = found[title] < 0
                good = (found[title] >= _TIME_MIN) & (found[title] <= _TIME_MAX)
                bad |= ~good & ~is_missing
                scale = np.where(found[title] >= _US_MIN, _US_NS, _MS_NS)
                found[title] = np.where(is_missing | ~good, 0, found[title] * scale)
        if kind == "depth":
            bad |= found["first_id"] > found["last_id"]
        self.audit.hit_rows(
            "bad_line",
            bad,
            numbered("line", frame["number"]),
            lambda row: f"a {kind} message of another form: {frame.row(row, named=True)!r:.160}",
        )
        kept = frame.drop([*wanted]).with_columns(
            **{f"{t}_ns" if t in ("event", "at") else t: pl.Series(v) for t, v in found.items()}
        )
        return kept.rename({"at_ns": "exch_ns"}).filter(pl.Series(~bad))


def _snapshot(number: int, local_ns: int, data: dict[str, Any]) -> Snapshot:
    bids, asks = data["bids"], data["asks"]
    for price, quantity in (*bids, *asks):
        if not isinstance(price, str) or not isinstance(quantity, str):
            raise TypeError("levels are pairs of texts")
    at = data.get("T", data.get("E", 0))
    last_id = data["lastUpdateId"]
    if not isinstance(at, int) or not isinstance(last_id, int):
        raise TypeError("T and lastUpdateId are whole numbers")
    scale = _US_NS if at >= _US_MIN else _MS_NS
    return Snapshot(
        number=number,
        local_ns=local_ns,
        exch_ns=at * scale,
        last_id=last_id,
        symbol=str(data.get("symbol", "")),
        bids=bids,
        asks=asks,
    )
