"""Writes docs/performance.md out of a stored run of `benches.replay_bench`.

make performance-page              # measures, keeps the run, writes the page
python -m benches.performance_page # writes the page of the run that is kept
"""

import json
from collections.abc import Mapping
from typing import Any

from benches.bench_row import HEADS, Row, cells, number, row_from
from benches.peers import PEERS
from benches.report import ROOT

STORED = ROOT / "benches" / "results" / "replay.json"
SPREAD_MOST = 0.1
PAGE = ROOT / "docs" / "performance.md"

HEAD = """# Performance

What a replay costs here, beside other programs on the same stream and the same core. This page is
written by `make performance-page`, which measures (under ten minutes, on cores that do nothing
else), keeps the run in [benches/results/replay.json](../benches/results/replay.json) and makes the
page of it; nothing on it is typed by hand. `make bench` prints the same table and keeps nothing of
it but build/bench.json. Equal digests are asserted inside: direct and compiled engine, compiled and
plain maker, every run of each; a run in which they differ prints no table.
"""

READING = """
## How to read it

- **Median** of {repeats} runs after one that warms, in CPU time (`first result`, `two workers` and
  the day under many parameter sets: wall time); **spread** is their range over the median. Above
  a tenth, something else ran on the machine, and the row should not be believed. **M/s**: million
  events a second and core.
- **Bar here**: what the house promises, for the speed of this machine. Bars are stated for one on
  which hftbacktest replays 21.3 million events a second; here it did {peer_rate} million, so this
  machine counts as {speed:.2f} of that one and times may be {slower:.2f} times as long. Ratios and
  sizes are not scaled. Compare ratios across machines, never nanoseconds.
- **Wakes** and **orders** are per event. What a maker costs depends on them more than on events:
  take the time of `replay only` off, and divide by the wakes, or by the orders, for the price of
  one. A maker that chases every best change costs several times as much, in every program.
- **Engine** is what made the replay: `direct` keeps the book row by row, `compiled` works on a tape
  whose book work was done once for all parameters. Results are the same. Rows without the word
  "direct" are offered a compiled tape; `direct` in this column says that it could not be used.
- Other programs: nanoseconds per event, and in brackets how many times ours. They do not do
  identical work: read it as the price of using each.
"""

DOING = """
## What is measured

**Feed**: {rows:,} rows of level updates and trades from a seed (`benches/feed.py`), written as
every program takes it; a best price changes in {share:.1%} of them. Orders and replies take 5 ms
each, the feed about 1 ms; queue positions by the uniform model.

**Maker** (`strategies/maker.py`): one post-only lot a side, {half_spread_ticks} ticks from the mid,
{skew_ticks_per_lot} further per lot held, cancelled when {requote_threshold_ticks} ticks off and
replaced when its end is seen, at most {position_limit_lots} lots. *Compiled* is its machine code;
*in plain Python* the same maker as hooks (`tests/toys/plain_maker.py`); *interpreted* the source
of the compiled one. The *inventory maker* (`strategies/inventory_maker.py`) has two levels a side,
a timer every second, and moves its orders by amendments.

**Recorded days** are those of `../shared/data`; without them their rows are absent. Their makers
quote a basis point or so from the mid (`benches/recorded_cases.py`); best prices, as the strategy
sees them, change in {recorded}. hftbacktest replays the same level updates and trades there.

**Parameter sets** are neighbours of the maker's rules, replayed side by side in one pass, as
workers do it with the cells of a slice; the digest of each is that of its own direct replay. The
recorded day under many of them: a sample of the digests.

**First result**: a new process that has its imports maps the tapes of
`experiments/quickstart.yaml`, loads the machine code of its maker and runs a trial; it is refused
if the compiler was loaded. Of the other programs: the maker's first run in a process that has its
imports, on 20,000 rows; hftbacktest compiles in every process, FastMM finds its code where an
earlier run has left it. **Two workers** are processes on a core each, that replay the same tape.
"""

PEERS_HEAD = """
## The other programs

Each runs in an environment of its own below build/; `make bench-peers` installs those that are
missing, and hftbacktest is installed when it is needed. Their scripts are in `benches/`.
"""

PEER_NOTES = {
    "hftbacktest": (
        "`benches/hftbacktest_reference.py`: the maker in Numba by event or every 10 ms, on the "
        "array or the hash book, whichever is faster; the row of plain Python steps through the "
        "feed from the interpreter and reads two prices. Tape: its 64-byte rows."
    ),
    "FastMM": (
        "`fastmm-engine` on PyPI, imported as `fastmm` (the distribution `fastmm` is another "
        "project), github.com/ziyangliu-666/FastMM: `benches/fastmm_reference.py`. The maker is a "
        "hot hook compiled by Numba that states the quotes it wants; its quote manager sends the "
        "orders, each quote at most every 50 ms. Plain Python: a hook at every book update that "
        "reads two prices."
    ),
    "NautilusTrader": (
        "`benches/nautilus_reference.py`: book deltas and trades as its objects, whose making is "
        "not in the figures; 1.221.0 is the last release for Python 3.11. The maker follows "
        "the same rules in its Python; the simulated exchange knows no queue in front of an order."
    ),
}


def table(heads: tuple[str, ...] | list[str], rows: list[list[str]]) -> str:
    """Return a table."""
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def peer_row(name: str, peer: Mapping[str, Any]) -> list[str]:
    """Return the row of a program."""
    if "rows" not in peer:
        return [name, peer["absent"], "", "", f"`{peer['install']}`. {PEER_NOTES[name]}"]
    maker = peer["rows"]["maker"]
    how = f" Fastest here: {maker['how']}." if "how" in maker else ""
    making = f" Making an object: {number(peer['making_ns'])} ns." if "making_ns" in peer else ""
    return [
        name,
        peer["version"],
        f"{peer['rows']['replay']['events']:,}",
        f"{maker['orders'] / maker['events']:.4f}",
        PEER_NOTES[name] + how + making,
    ]


def verdict(rows: list[Row], speed: float) -> str:
    """Return which bars are met and which are not."""
    judged = [(row, row.is_met(speed)) for row in rows if row.is_met(speed) is not None]
    missed = [row for row, is_met in judged if not is_met]
    text = f"\n{len(judged) - len(missed)} of {len(judged)} bars are met."
    if missed:
        listed = [
            f"{row.name} ({number(row.value)}, bar {number(row.bar_here(speed) or 0.0)})"
            for row in missed
        ]
        text += " Not met: " + "; ".join(listed) + "."
    unsteady = [row.name for row in rows if row.runs and row.spread > SPREAD_MOST]
    if unsteady:
        text += f" Spread above {SPREAD_MOST:.0%}: " + ", ".join(unsteady) + "."
    absent = [f"{row.name} ({row.absent})" for row in rows if row.absent]
    if absent:
        text += " Not measured: " + "; ".join(absent) + "."
    return text + "\n"


def recorded_shares(rows: list[Row]) -> str:
    """Return how often a best price changes in each recording."""
    shares = {
        row.name.split(",")[0]: row.facts["best_change_share"]
        for row in rows
        if "best_change_share" in row.facts
    }
    told = [f"{share:.1%} of the events ({name})" for name, share in shares.items()]
    return " and ".join(told) or "a share that was not measured"


def page(document: Mapping[str, Any]) -> str:
    """Return the page of a run."""
    rows = [row_from(row) for row in document["rows"]]
    speed, feed, here = document["speed"], document["feed"], document["machine"]
    names = [peer.name for peer in PEERS if "rows" in document["peers"][peer.name]]
    machine = (
        f"\n{here['cpu']}, {here['cores']} cores, load {here['load_1min']:.1f} at the start, "
        f"{here['system']}, Python {here['python']}, commit {here['commit']}; "
        f"{document['seconds']:.0f} s for all of it.\n"
    )
    parts = [
        HEAD,
        machine,
        table([*HEADS, *names], [cells(row, speed, names) for row in rows]),
        verdict(rows, speed),
        READING.format(
            repeats=feed["repeats"], peer_rate=f"{21.3 * speed:.1f}", speed=speed, slower=1 / speed
        ),
        DOING.format(
            rows=feed["rows"],
            share=feed["best_change_share"],
            recorded=recorded_shares(rows),
            **document["rules"],
        ),
        PEERS_HEAD,
        table(
            ("program", "version", "events", "orders", "how"),
            [peer_row(peer.name, document["peers"][peer.name]) for peer in PEERS],
        ),
    ]
    return "\n".join(part.strip("\n") + "\n" for part in parts)


def main() -> None:
    """Write the page of the stored run."""
    PAGE.write_text(page(json.loads(STORED.read_text())))
    print(f"written: {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
