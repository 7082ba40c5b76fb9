"""What a recording can and cannot support, each verdict with its reason from measured facts.

A verdict is `yes`, `partly` or `no`. The thresholds are stated here; none of them changes what a
replay does.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

EVERY_EVENT: Final = "Is every event of the book told by itself?"

Answer = Literal["yes", "partly", "no"]

# Shares above which something counts as the rule, and below which as an exception.
MOST: Final = 0.95
FEW: Final = 0.05
# A silence that is so many times longer than 99 % of them, and longer than this, stands out.
LONG_SILENCE: Final = 50
LONG_SILENCE_S: Final = 10.0
US_NS: Final = 1_000
MS_NS: Final = 1_000_000
SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One question about the data.

    Attributes:
        question: What is asked.
        answer: The verdict.
        words: What it means for a study.
        reason: The measured facts behind it.
    """

    question: str
    answer: Answer
    words: str
    reason: str

    def to_json(self) -> dict[str, str]:
        """Return plain values."""
        return asdict(self)


def judge(document: Mapping[str, Any]) -> list[Verdict]:
    """Return the verdicts on a surveyed tape; see `sweep.survey` for the document."""
    return [verdict for rule in RULES if (verdict := rule(document)) is not None]


def share(part: float, whole: float) -> float:
    """Return part of whole, 0 of nothing."""
    return part / whole if whole else 0.0


def percent(value: float) -> str:
    """Return a share in words; tiny ones keep their first digits."""
    if 0.0 < value < 0.001:
        return f"{value:.1e}"
    return f"{value:.1%}" if value < 0.9995 or value == 1.0 else f"{value:.3%}"


def _book_rows(measured: Mapping[str, Any]) -> int:
    mix = measured["mix"]
    return sum(mix[name] for name in ("added", "reduced", "emptied", "out_of_view", "unchanged"))


def _queue_position(document: Mapping[str, Any]) -> Verdict:
    measured = document["measured"]
    question = "Is the place of an order in its queue known?"
    if not _book_rows(measured):
        words = "No. There is no book: fills of resting orders cannot be simulated"
        return Verdict(question=question, answer="no", words=words, reason="no row sets a level")
    queues = measured["queues"]
    if not queues:
        shrunk = sum(measured["mix"][name] for name in ("reduced", "emptied"))
        words = "Modelled. Compare the queue models back and front before believing a number"
        reason = f"no order ids: of {shrunk:,} decreases of levels nobody knows which order went"
        return Verdict(question=question, answer="partly", words=words, reason=reason)
    known = queues["cancels_placed"] + queues["cancels_alone"]
    cancels = known + queues["cancels_unknown"]
    prints = queues["prints_first"] + queues["prints_not_first"]
    found = share(known, cancels)
    reason = f"the order is known for {percent(found)} of {cancels:,} decreases"
    if prints:
        reason += f"; {percent(queues['fifo_share'])} of {prints:,} prints took the first in queue"
    if found >= MOST:
        words = "Exact. Every change of a queue names the order that it concerns"
        return Verdict(question=question, answer="yes", words=words, reason=reason)
    words = "Exact for orders that are known, modelled for the others"
    return Verdict(question=question, answer="partly", words=words, reason=reason)


def _every_event(document: Mapping[str, Any]) -> Verdict | None:
    measured = document["measured"]
    grid = measured["image_grid"]
    question = EVERY_EVENT
    if not _book_rows(measured):
        return None
    if grid is not None:
        period = grid["period_ms"]
        words = f"No. Images about every {period} ms: what came and went in between is not seen"
        reason = f"{percent(grid['gap_share'])} of gaps between book messages are multiples of it"
        return Verdict(question=question, answer="no", words=words, reason=reason)
    images = share(measured["image_rows"], document["rows"])
    if images > FEW:
        words = "Partly. The book comes as images, but on no fixed grid of time"
        reason = f"{percent(images)} of rows are the differences of images"
        return Verdict(question=question, answer="partly", words=words, reason=reason)
    if measured["has_joins"]:
        words = "Yes. One row for each order event"
        reason = (
            f"{measured['rows_per_group']['mean']:.2f} rows per exchange time, with orders named"
        )
        return Verdict(question=question, answer="yes", words=words, reason=reason)
    words = "Not known. Level updates may sum several orders"
    reason = f"{measured['rows_per_group']['mean']:.2f} rows per exchange time, no orders named"
    return Verdict(question=question, answer="partly", words=words, reason=reason)


def _feed_clock(document: Mapping[str, Any]) -> Verdict:
    question = "Is the delay of the feed known?"
    delay = document["measured"]["local_less_exchange_ms"]
    if not document["has_local_clock"] or not delay:
        words = "No. The study has to assume a feed delay (world.latency.feed)"
        reason = "no local clock was recorded"
        return Verdict(question=question, answer="no", words=words, reason=reason)
    spread = (
        f"median {delay['p50']:,.3f} ms, 1 to 99 %: {delay['p1']:,.3f} to {delay['p99']:,.3f} ms"
    )
    falls = document["measured"]["local_clock_falls"]
    spread += f"; the local clock goes back {falls:,} times" if falls else ""
    if delay["p1"] < 0.0:
        words = "Only its changes. Local times lie before exchange times: the clocks differ"
        return Verdict(question=question, answer="partly", words=words, reason=spread)
    words = "Yes, as far as the local clock was right"
    return Verdict(question=question, answer="yes", words=words, reason=spread)


def _time_step(document: Mapping[str, Any]) -> Verdict:
    step = document["measured"]["time_step_ns"]
    question = "How fine are exchange times?"
    per_group = document["measured"]["rows_per_group"].get("mean", 0.0)
    reason = f"every time is a multiple of {_span(step)}; {per_group:.2f} rows per exchange time"
    if step >= SECOND_NS:
        words = "Whole seconds: what came first within one is not known, nor any delay below it"
        return Verdict(question=question, answer="no", words=words, reason=reason)
    if step >= MS_NS:
        words = f"{_span(step)}: races below that are decided by the order of rows"
        return Verdict(question=question, answer="partly", words=words, reason=reason)
    words = f"{_span(step)}: races between messages can be studied"
    return Verdict(question=question, answer="yes", words=words, reason=reason)


def _span(ns: int) -> str:
    for unit, name in ((SECOND_NS, "s"), (MS_NS, "ms"), (US_NS, "us")):
        if ns >= unit:
            return f"{ns / unit:g} {name}"
    return f"{max(ns, 1)} ns"


def _trade_side(document: Mapping[str, Any]) -> Verdict:
    question = "Is it known which side started a trade?"
    measured = document["measured"]
    prints = measured["prints"]
    count = prints["bid"] + prints["ask"]
    if not count:
        words = "No trades"
        return Verdict(
            question=question, answer="no", words=words, reason="no print in trading time"
        )
    told = str(document["facts"].get("sides", "recorded"))
    quoted = count - prints["no_quote"]
    fitting = prints["at_best"] + prints["through"]
    split = f"{count:,} prints, {percent(prints['ask'] / count)} hit asks"
    if told != "recorded":
        words = "No. The recording does not tell; sides are a guess"
        return Verdict(question=question, answer="no", words=words, reason=f"{split}; {told}")
    if not quoted:
        words = "As recorded; there are no quotes to compare it with"
        return Verdict(question=question, answer="partly", words=words, reason=split)
    agrees = fitting / quoted
    reason = f"{split}; {percent(agrees)} lie at or through the best price of the side they hit"
    if agrees >= 1.0 - 2 * FEW:
        words = "Yes, and it agrees with the quotes"
        return Verdict(question=question, answer="yes", words=words, reason=reason)
    if measured["image_grid"] is not None:
        words = "Told; quotes are images and older than the prints, so they agree less often"
        return Verdict(question=question, answer="yes", words=words, reason=reason)
    words = "Told, but often at odds with the quotes: prints and quotes are not in step"
    return Verdict(question=question, answer="partly", words=words, reason=reason)


def _depth(document: Mapping[str, Any]) -> Verdict:
    question = "How deep is the book?"
    measured = document["measured"]
    levels = measured["levels_a_side"]
    window = document["instrument"].get("visible_levels") or 0
    if not levels or not _book_rows(measured):
        words = "No book"
        return Verdict(question=question, answer="no", words=words, reason="no row sets a level")
    reason = f"levels a side: median {levels['p50']:g}, most {levels['max']:g}"
    if measured["mix"]["out_of_view"]:
        reason += f"; {measured['mix']['out_of_view']:,} times one left the window"
    if window == 1 or levels["p99"] <= 1:
        words = "Best prices only: orders behind them have no known queue"
        return Verdict(question=question, answer="no", words=words, reason=reason)
    if window:
        words = f"{window} levels a side: an order deeper than that joins an unknown queue"
        return Verdict(question=question, answer="partly", words=words, reason=reason)
    words = "All levels that the feed knows"
    return Verdict(question=question, answer="yes", words=words, reason=reason)


def _hidden(document: Mapping[str, Any]) -> Verdict | None:
    prints = document["measured"]["prints"]
    quoted = prints["bid"] + prints["ask"] - prints["no_quote"]
    if not quoted:
        return None
    question = "Is all liquidity displayed?"
    inside = share(prints["inside"], quoted)
    is_grid = document["measured"]["image_grid"] is not None
    reason = f"{prints['inside']:,} of {quoted:,} prints fell between the best prices"
    icebergs = document["facts"].get("checks", {}).get("excess", {}).get("count", 0)
    if inside <= FEW / 10 and icebergs:
        words = "Not all: some orders trade more than they display"
        reason += f"; {icebergs:,} times an order lost more lots than it displayed"
        return Verdict(question=question, answer="partly", words=words, reason=reason)
    if inside <= FEW / 10:
        words = "As far as prints tell"
        return Verdict(question=question, answer="yes", words=words, reason=reason)
    if is_grid:
        words = "Not known: the quotes are images, older than the prints between them"
        return Verdict(question=question, answer="partly", words=words, reason=reason)
    words = (
        "No: hidden or midpoint orders trade, or prints are late; replays know displayed ones only"
    )
    answer: Answer = "partly" if inside <= 2 * FEW else "no"
    return Verdict(question=question, answer=answer, words=words, reason=reason)


def _sound_book(document: Mapping[str, Any]) -> Verdict | None:
    measured = document["measured"]
    states = measured["two_sided_groups"]
    if not states:
        return None
    question = "Is the book always sound?"
    crossed, locked = measured["crossed_groups"], measured["locked_groups"]
    reason = f"crossed after {crossed:,} and locked after {locked:,} of {states:,} messages"
    if crossed:
        reason += f", first at {measured['crossed_first']}"
    if not crossed and not locked:
        return Verdict(question=question, answer="yes", words="Yes", reason=reason)
    words = "Now and then. A resting order that the other side crosses is filled at once"
    answer: Answer = "partly" if share(crossed + locked, states) <= FEW else "no"
    return Verdict(question=question, answer=answer, words=words, reason=reason)


def _whole(document: Mapping[str, Any]) -> Verdict:
    measured = document["measured"]
    question = "Is the recording whole?"
    longest = measured["longest_gaps"][:1]
    gap = "one exchange time only"
    if longest:
        gap = f"longest silence {longest[0]['seconds']:,.1f} s, from {longest[0]['from']}"
    count = measured["gap_rows"]
    if count:
        words = "No. After each loss the places of own orders are unknown until their level shows"
        reason = f"{count:,} places where data were lost; {gap}"
        return Verdict(question=question, answer="partly", words=words, reason=reason)
    usual_s = measured["gap_ms"].get("p99", 0.0) / 1e3
    if longest and longest[0]["seconds"] > max(LONG_SILENCE_S, LONG_SILENCE * usual_s):
        words = "No loss is marked, but one silence stands out: a halt, or data that are missing"
        reason = f"{gap}; 99 % are below {usual_s:,.1f} s"
        return Verdict(question=question, answer="partly", words=words, reason=reason)
    words = "No loss is marked"
    return Verdict(question=question, answer="yes", words=words, reason=f"no lost data; {gap}")


def _auctions(document: Mapping[str, Any]) -> Verdict:
    rows = document["measured"]["auction_rows"]
    question = "Are auctions in it?"
    reason = f"{rows:,} rows of auction or pre-open data"
    if rows:
        words = "Shown, not simulated: they move the book, no own order trades in them"
        return Verdict(question=question, answer="partly", words=words, reason=reason)
    return Verdict(
        question=question, answer="no", words="None that is marked as such", reason=reason
    )


RULES: Final[tuple[Callable[[Mapping[str, Any]], Verdict | None], ...]] = (
    _queue_position,
    _every_event,
    _feed_clock,
    _time_step,
    _trade_side,
    _depth,
    _hidden,
    _sound_book,
    _whole,
    _auctions,
)
