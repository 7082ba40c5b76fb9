"""The page of `data inspect --html`: one file, readable without a network, in light and dark."""

import html
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from sweep.drawings import Column, bars, columns, lines, words
from sweep.survey import Histogram, Survey, flatten, time_text
from sweep.whole_files import whole_file

WIDE: Final = 1_160
MARKS: Final = {"yes": "✓", "partly": "~", "no": "✕"}
STYLE: Final = Path(__file__).with_name("data_page.css")
TRADES_MAX: Final = 12
DECADE_BINS: Final = 8
NS_UNITS: Final = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns"))


def write_page(surveys: Sequence[Survey], path: Path) -> None:
    """Write the page of some tapes.

    Raises:
        ResourceError: The file cannot be written.
    """
    title = _stem(surveys[0]) if len(surveys) == 1 else f"{len(surveys)} tapes"
    style = STYLE.read_text(encoding="utf-8")
    index = "".join(
        f'<a href="#tape{number}">{_text(_stem(survey))}</a>'
        for number, survey in enumerate(surveys)
    )
    navigation = f"<nav>{index}</nav>" if len(surveys) > 1 else ""
    content = "".join(_tape(survey, number) for number, survey in enumerate(surveys))
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{_text(title)}</title><style>{style}</style></head>"
        f"<body><main>{navigation}{content}</main></body></html>\n"
    )
    with whole_file(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _tape(survey: Survey, number: int) -> str:
    document = survey.document
    parts = [
        _head(document),
        _tiles(document),
        _section("What this data can and cannot support", _verdicts(document["support"])),
        _section("Over time", _over_time(survey)),
        _section("Distributions", f'<div class="figures">{"".join(_pictures(survey))}</div>'),
        _section("Sessions", _sessions(document["sessions"])),
        _section("Longest silences", _gaps(document["measured"]["longest_gaps"])),
        _section("Rules of the reader", _checks(document["facts"].get("checks", {}))),
        _section("All facts", _facts(document)),
    ]
    return f'<article id="tape{number}">{"".join(parts)}</article>'


def _text(value: Any) -> str:
    return html.escape(str(value))


def _stem(survey: Survey) -> str:
    source = survey.document["source"]
    return source[0]["name"] if source else Path(survey.document["path"]).stem


def _section(title: str, content: str) -> str:
    return f"<section><h2>{title}</h2>{content}</section>"


def _head(document: Mapping[str, Any]) -> str:
    source = document["source"]
    name = source[0]["name"] if source else Path(document["path"]).name
    product = document["facts"].get("product", {})
    venue = f" · {product['venue']}" if "venue" in product else ""
    first, last = (document[key][:19].replace("T", " ") for key in ("first", "last"))
    span = f"{first} to {last} UTC"
    return (
        f"<header><p class='eyebrow'>{_text(document['instrument'].get('name', ''))}{_text(venue)}"
        f" · read by {_text(document['reader'])}</p><h1>{_text(name)}</h1>"
        f"<p class='lead'>{_text(span)}</p></header>"
    )


def _tiles(document: Mapping[str, Any]) -> str:
    measured = document["measured"]
    spread, lots = measured["spread_ticks"], measured["best_lots"]
    peak, gaps = measured["peak"], measured["longest_gaps"]
    tiles = [
        ("rows", f"{document['rows']:,}", f"{document['bytes'] / 1e6:,.1f} MB, all checked"),
        ("trades", f"{document['kinds']['trade']:,}", f"{measured['prints']['lots']:,} lots"),
        ("sessions", f"{len(document['sessions']):,}", f"{document['span_seconds'] / 3600:,.1f} h"),
        ("mean spread", f"{spread.get('mean', 0):.2f}", "ticks, over time"),
        ("at a best price", f"{lots.get('mean', 0):.1f}", "lots on average"),
        ("busiest", words(peak.get("rows_per_second", 0.0)), f"rows/s at {peak['at'][11:19]}"),
        (
            "longest silence",
            _duration(gaps[0]["seconds"] * 1e9) if gaps else "none",
            "in a session",
        ),
    ]
    return (
        '<div class="tiles">'
        + "".join(
            f'<div class="tile"><span>{_text(name)}</span><strong>{_text(value)}</strong>'
            f"<small>{_text(note)}</small></div>"
            for name, value, note in tiles
        )
        + "</div>"
    )


def _verdicts(verdicts: Iterable[Mapping[str, str]]) -> str:
    return (
        '<div class="verdicts">'
        + "".join(
            f'<div class="verdict {_text(verdict["answer"])}">'
            f'<b aria-label="{_text(verdict["answer"])}">{MARKS[verdict["answer"]]}</b>'
            f"<div><h3>{_text(verdict['question'])}</h3><p>{_text(verdict['words'])}.</p>"
            f"<small>{_text(verdict['reason'])}</small></div></div>"
            for verdict in verdicts
        )
        + "</div>"
    )


def _over_time(survey: Survey) -> str:
    """Return price and rates; stretches of time without rows are left out, where a line stands."""
    bins = survey.bins
    width_ns = survey.bin_seconds * 1_000_000_000
    breaks = [
        index
        for index in range(1, len(bins))
        if bins[index]["start_ns"] - bins[index - 1]["start_ns"] > 3 * width_ns
    ]
    is_long = bool(bins) and bins[-1]["start_ns"] - bins[0]["start_ns"] > 3 * 86_400 * 10**9
    labels = [
        time_text(part["start_ns"])[5:10]
        if is_long
        else time_text(part["start_ns"])[11 : 16 if survey.bin_seconds >= 60 else 19]
        for part in bins
    ]
    mids = [part["mid2"] / 2.0 if part["mid2"] is not None else None for part in bins]
    pictures = []
    if any(mid is not None for mid in mids):
        pictures.append(_figure("Mid price, ticks", lines(mids, labels, breaks, width=WIDE)))
    for key, title in (("rows", "Rows per second"), ("trades", "Trades per second")):
        values = [
            Column(
                label=label,
                value=part[key] / survey.bin_seconds,
                title=f"{time_text(part['start_ns'])[:19]}: {part[key]:,} {key}",
            )
            for label, part in zip(labels, bins, strict=True)
        ]
        pictures.append(_figure(title, columns(values, width=WIDE, is_share=False)))
    note = f"each step is {survey.bin_seconds:,} s, UTC; stretches without rows are left out"
    return f'<div class="stack">{"".join(pictures)}</div><p class="note">{note}</p>'


def _figure(title: str, picture: str, note: str = "") -> str:
    caption = f"<figcaption>{_text(title)}</figcaption>"
    tail = f'<p class="note">{_text(note)}</p>' if note else ""
    return f"<figure>{caption}{picture}{tail}</figure>"


def _pictures(survey: Survey) -> list[str]:
    measured, histograms = survey.document["measured"], survey.histograms
    mix = _shares(measured["mix"])
    prints = {key: measured["prints"][key] for key in PRINT_WORDS}
    pictures = [
        _figure("What rows do", bars(mix)),
        _figure("Where prints fall, against the best prices before", bars(_shares(prints))),
    ]
    if histograms["spread_us"].count:
        pictures.append(
            _figure("Spread in ticks, share of time", columns(_small(histograms["spread_us"])))
        )
    if histograms["best_lots"].count:
        pictures.append(_figure("Lots at a best price", columns(_small(histograms["best_lots"]))))
        depth = [
            Column(label=str(level), value=lots)
            for level, lots in enumerate(measured["depth_mean_lots"], start=1)
            if lots
        ]
        pictures.append(_figure("Mean lots by level", columns(depth, is_share=False)))
    if histograms["trade_lots"].count:
        pictures.append(_figure("Lots of a trade", columns(_small(histograms["trade_lots"]))))
    if histograms["gaps_ns"].count:
        grid = measured["image_grid"]
        note = f"images about every {grid['period_ms']} ms" if grid else ""
        gaps = columns(_decades(histograms["gaps_ns"]))
        pictures.append(_figure("Time between messages", gaps, note))
    return pictures + _clock_pictures(survey) + _queue_pictures(survey)


PRINT_WORDS: Final = {
    "at_best": "at the best",
    "through": "through it",
    "inside": "inside the spread",
    "other_side": "other side's best",
    "no_quote": "no quote",
}


def _clock_pictures(survey: Survey) -> list[str]:
    delay = survey.histograms["delay_ns"]
    if not survey.document["has_local_clock"] or not delay.count:
        return []
    note = "below zero: the clocks differ" if delay.low < 0 else ""
    title = "Local clock less exchange clock"
    return [_figure(title, columns(_even(delay, _duration)), note)]


def _queue_pictures(survey: Survey) -> list[str]:
    queues = survey.document["measured"]["queues"]
    placed = sum(queues.get("place_from_back", []))
    if not placed:
        return []
    count = len(queues["place_from_back"])
    places = [
        Column(
            label=f"{index / count:.2f}" if index % 2 == 0 else "",
            value=value / placed,
            title=f"{index / count:.2f} to {(index + 1) / count:.2f}: {value / placed:.1%}",
        )
        for index, value in enumerate(queues["place_from_back"])
    ]
    note = f"0 is the back, 1 the front; mean {queues['place_from_back_mean']:.3f}, "
    note += f"the very last {queues['last_share']:.1%}, {placed:,} cancels"
    orders = columns(_small(survey.histograms["orders_at_best"]))
    return [
        _figure("Place of cancels in their queue", columns(places), note),
        _figure("Orders at a best price", orders),
    ]


def _shares(counts: Mapping[str, int]) -> list[Column]:
    total = sum(counts.values())
    return [
        Column(
            label=PRINT_WORDS.get(name, name.replace("_", " ")),
            value=count / total,
            title=f"{count / total:.1%}  ({count:,})",
        )
        for name, count in counts.items()
        if count and total
    ]


def _small(histogram: Histogram, most: int = 24) -> list[Column]:
    """Return a column per value if there are few, else one per stretch of equal width."""
    last = histogram.percentile(99.5)
    if last - histogram.low >= most:
        return _even(histogram, words, most=most)
    shown = [
        Column(label=str(value), value=histogram.bins.get(value, 0) / histogram.count)
        for value in range(histogram.low, last + 1)
    ]
    rest = sum(count for value, count in histogram.bins.items() if value > last)
    if rest:
        shown.append(Column(label=f">{last}", value=rest / histogram.count))
    return shown


def _even(histogram: Histogram, name: Callable[[float], str], most: int = 24) -> list[Column]:
    """Return columns of equal width over the middle 99 %; the outer ones hold the rest."""
    low, high = histogram.percentile(0.5), histogram.percentile(99.5)
    width = max(1, math.ceil((high - low + 1) / most))
    counts = [0] * max(1, math.ceil((high - low + 1) / width))
    for value, count in histogram.bins.items():
        counts[min(max((value - low) // width, 0), len(counts) - 1)] += count
    return [
        Column(
            label=name(low + width * index),
            value=count / histogram.count,
            title=f"{name(low + width * index)} to {name(low + width * (index + 1))}: "
            f"{count / histogram.count:.2%}",
        )
        for index, count in enumerate(counts)
    ]


def _decades(histogram: Histogram) -> list[Column]:
    """Return columns over powers of ten; the first of each decade carries its label."""
    counts: dict[int, int] = {}
    for value, count in histogram.bins.items():
        place = math.floor(math.log10(max(value, 1)) * DECADE_BINS)
        counts[place] = counts.get(place, 0) + count
    first, last = min(counts), max(counts)
    return [
        Column(
            label=_duration(10 ** (place / DECADE_BINS)) if place % DECADE_BINS == 0 else "",
            value=counts.get(place, 0) / histogram.count,
            title=f"from {_duration(10 ** (place / DECADE_BINS))}: "
            f"{counts.get(place, 0) / histogram.count:.2%}",
        )
        for place in range(first - first % DECADE_BINS, last + 1)
    ]


def _duration(ns: float) -> str:
    for unit, name in NS_UNITS:
        if abs(ns) >= unit:
            return f"{words(ns / unit)} {name}"
    return "0"


def _table(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    head = "".join(f"<th>{_text(name)}</th>" for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def _sessions(sessions: Iterable[Mapping[str, Any]]) -> str:
    names = ("session", "from", "to", "rows", "trades", "lots", "spread", "lots at best")
    return _table(
        (*names, "crossed", "locked", "longest gap"),
        (
            (
                session["name"],
                session["first"][:19].replace("T", " "),
                session["last"][:19].replace("T", " "),
                f"{session['rows']:,}",
                f"{session['trades']:,}",
                f"{session['lots_traded']:,}",
                f"{session['spread_mean_ticks']:.2f}",
                f"{session['best_lots_mean']:.2f}",
                f"{session['crossed_groups']:,}",
                f"{session['locked_groups']:,}",
                _duration(session["longest_gap_s"] * 1e9),
            )
            for session in sessions
        ),
    )


def _gaps(gaps: Iterable[Mapping[str, Any]]) -> str:
    rows = ((gap["from"].replace("T", " "), _duration(gap["seconds"] * 1e9)) for gap in gaps)
    return _table(("from (UTC)", "length"), rows)


def _checks(checks: Mapping[str, Mapping[str, Any]]) -> str:
    if not checks:
        return (
            '<p class="note">The reader has no rules with a choice; it refuses what is wrong.</p>'
        )
    return _table(
        ("rule", "action", "count", "first"),
        ((name, c["action"], f"{c['count']:,}", c.get("first", "")) for name, c in checks.items()),
    )


def _facts(document: Mapping[str, Any]) -> str:
    facts = {name: fact for name, fact in document["facts"].items() if name != "checks"}
    rows = [
        (name, value if isinstance(value, str) else json.dumps(value))
        for name, value in flatten(facts)
    ]
    measured = [(name, json.dumps(value)) for name, value in flatten(document["measured"])]
    return (
        f"<details open><summary>Told by the reader</summary>{_table(('fact', 'value'), rows)}"
        f"</details><details><summary>Measured on the tape</summary>"
        f"{_table(('figure', 'value'), measured)}</details>"
        f"<p class='note'>{_text(document['path'])} · {_text(document['content_hash'])}</p>"
    )
