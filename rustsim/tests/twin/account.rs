//! The account of the twin: every figure summed from the list of fills and marks, as `simulation-physics` 10 defines it.

use std::collections::BTreeMap;

use rustsim::certificate::OrderCertificate;
use rustsim::ledger::{ChargeSpec, FeeSchedule, FillInput};
use rustsim::types::{EventKind, Liquidity, Nanos, OrderEvent, OrderId, Reason};

use super::exchange::Fill;

#[derive(Clone, Copy, Debug)]
struct Line {
    fill: Fill,
    fee: i64,
    tax: i64,
    mid2: i64,
}

/// One step of the account's history: a mark, or the fill of this index.
#[derive(Clone, Copy, Debug)]
enum Step {
    Mark(Nanos, i64),
    Fill(usize),
}

#[derive(Debug)]
pub struct Account {
    tick_value: i64,
    schedule: FeeSchedule,
    charge: Option<ChargeSpec>,
    lines: Vec<Line>,
    steps: Vec<Step>,
    mid2: Option<i64>,
    events: Vec<OrderEvent>,
    end_ns: Nanos,
    pub orders_sent: i64,
    pub cancels_sent: i64,
    pub amends_sent: i64,
    /// Own lots that came to rest, and what their levels showed.
    pub arrivals: (i64, i64),
}

impl Account {
    pub fn new(tick_value: i64, schedule: FeeSchedule, charge: Option<ChargeSpec>) -> Self {
        Self {
            tick_value,
            schedule,
            charge,
            lines: Vec::new(),
            steps: Vec::new(),
            mid2: None,
            events: Vec::new(),
            end_ns: 0,
            orders_sent: 0,
            cancels_sent: 0,
            amends_sent: 0,
            arrivals: (0, 0),
        }
    }

    pub fn mark(&mut self, at: Nanos, mid2: i64) {
        self.mid2 = Some(mid2);
        self.steps.push(Step::Mark(at, mid2));
    }

    pub fn fill(&mut self, fill: &Fill) {
        let (fee, tax) = self
            .schedule
            .charge(fill.liquidity, fill.lots, fill.price, self.tick_value)
            .unwrap();
        let mid2 = self.mid2.unwrap_or(2 * i64::from(fill.price));
        self.steps.push(Step::Fill(self.lines.len()));
        self.lines.push(Line {
            fill: *fill,
            fee,
            tax,
            mid2,
        });
    }

    pub fn event(&mut self, event: &OrderEvent) {
        if event.kind == EventKind::Filled {
            // The report follows its fill.
            self.lines.last_mut().unwrap().fill.local_ns = event.local_ns;
        }
        self.events.push(*event);
    }

    pub fn finish(&mut self, end_ns: Nanos) {
        self.end_ns = end_ns;
    }

    /// The fill log as the engine's ledger would print it.
    pub fn fill_lines(&self, certificates: bool) -> Vec<String> {
        let line = |(index, line): (usize, &Line)| {
            let fill = &line.fill;
            let bounds = fill.bounds.filter(|_| certificates).unwrap_or([-1; 2]);
            let input = FillInput {
                exch_ns: fill.exch_ns,
                local_ns: fill.local_ns,
                order_id: fill.id,
                side: fill.side,
                price: fill.price,
                lots: fill.lots,
                liquidity: fill.liquidity,
                ahead_units: fill.ahead.unwrap_or(-1),
                ahead_front_lots: bounds[0],
                ahead_back_lots: bounds[1],
                certain_lots: if certificates { fill.certain_lots } else { 0 },
                arrival_ns: fill.arrival_ns,
                ahead_at_arrival_units: fill.ahead_at_arrival.unwrap_or(-1),
                cause_lots: fill.cause_lots,
                cause_row: fill.cause_row.map_or(-1, |row| row as i64),
                is_short_print: fill.is_short_print,
                is_beyond_best: fill.is_beyond_best,
                is_first_fill: fill.is_first,
            };
            let position = self.state(index + 1).1;
            let markouts: Vec<Option<i64>> = [1, 5, 30]
                .map(|seconds| fill.exch_ns + seconds * 1_000_000_000)
                .into_iter()
                .map(|due| {
                    let edge = || self.mid2_at(due) - 2 * i64::from(fill.price);
                    (due <= self.end_ns).then(|| fill.side.sign() * edge())
                })
                .collect();
            format!(
                "{input:?} markouts {markouts:?} fee {} tax {} impact {} position {position} mid2 {}",
                line.fee,
                line.tax,
                self.impact(index),
                line.mid2
            )
        };
        self.lines.iter().enumerate().map(line).collect()
    }

    /// What own takes make a fill cost (semantics 6).
    fn impact(&self, index: usize) -> i64 {
        let fill = &self.lines[index].fill;
        let takes: Vec<Fill> = self.lines[..index]
            .iter()
            .map(|line| line.fill)
            .filter(|fill| fill.liquidity == Liquidity::Taker)
            .collect();
        let money = self.tick_value as f64;
        let amount = match self.charge {
            None => 0.0,
            Some(ChargeSpec::SquareRoot { .. }) if fill.liquidity == Liquidity::Maker => 0.0,
            Some(ChargeSpec::SquareRoot {
                y,
                daily_sigma_bp,
                daily_volume_lots,
                parent_gap_ns,
            }) => {
                let (mut before, mut since) = (0, fill.exch_ns);
                for take in takes.iter().rev() {
                    if take.side != fill.side || since - take.exch_ns > parent_gap_ns {
                        break;
                    }
                    (before, since) = (before + take.lots, take.exch_ns);
                }
                let cost = |lots: i64| (lots as f64).powf(1.5) / daily_volume_lots.sqrt();
                let value = f64::from(fill.price.abs()) * money;
                value * y * (daily_sigma_bp / 10_000.0) * (cost(before + fill.lots) - cost(before))
            }
            Some(ChargeSpec::Propagator {
                g0_ticks,
                delta,
                tau0_ns,
                gamma,
            }) => {
                // Lots by instant and side.
                let mut sizes: BTreeMap<(Nanos, i64), i64> = BTreeMap::new();
                for take in takes.iter().filter(|take| take.exch_ns < fill.exch_ns) {
                    *sizes.entry((take.exch_ns, take.side.sign())).or_insert(0) += take.lots;
                }
                let ticks: f64 = sizes
                    .iter()
                    .map(|(&(at, sign), &lots)| {
                        let decay = (1.0 + (fill.exch_ns - at) as f64 / tau0_ns).powf(-gamma);
                        sign as f64 * g0_ticks * (lots as f64).powf(delta) * decay
                    })
                    .sum();
                (fill.side.sign() as f64 * ticks).max(0.0) * fill.lots as f64 * money
            }
        };
        (amount + 0.5).floor() as i64
    }

    fn signed(line: &Line) -> i64 {
        line.fill.side.sign() * line.fill.lots
    }

    /// Cash, position and costs of the first `count` fills.
    fn state(&self, count: usize) -> (i64, i64, i64) {
        let lines = &self.lines[..count];
        let cash = -lines
            .iter()
            .map(|line| Self::signed(line) * i64::from(line.fill.price) * self.tick_value)
            .sum::<i64>();
        let position = lines.iter().map(Self::signed).sum();
        let costs = lines.iter().map(|line| line.fee + line.tax).sum();
        (cash, position, costs)
    }

    fn equity2(&self, count: usize, mid2: i64) -> i64 {
        let (cash, position, costs) = self.state(count);
        2 * cash + position * mid2 * self.tick_value - 2 * costs
    }

    fn last_mid2(&self) -> i64 {
        self.mid2
            .unwrap_or_else(|| self.lines.last().map_or(0, |line| line.mid2))
    }

    fn drawdown2(&self) -> i64 {
        let mut equity = vec![0];
        let mut filled = 0;
        for step in &self.steps {
            match *step {
                Step::Fill(index) => {
                    filled = index + 1;
                    equity.push(self.equity2(filled, self.lines[index].mid2));
                }
                Step::Mark(_, mid2) => equity.push(self.equity2(filled, mid2)),
            }
        }
        let mut peak = 0;
        let mut deepest = 0;
        for value in equity {
            peak = peak.max(value);
            deepest = deepest.max(peak - value);
        }
        deepest
    }

    fn inventory2(&self) -> i64 {
        let mut sum = 0;
        for index in 0..self.lines.len() {
            let position = self.state(index + 1).1;
            let next = self
                .lines
                .get(index + 1)
                .map_or_else(|| self.last_mid2(), |line| line.mid2);
            sum += position * (next - self.lines[index].mid2) * self.tick_value;
        }
        sum
    }

    /// Pairs buys with sells lot by lot, the oldest first.
    fn realised_fifo(&self) -> i64 {
        let mut open: Vec<(i64, i64)> = Vec::new();
        let mut gain = 0;
        for line in &self.lines {
            for _ in 0..line.fill.lots {
                let (sign, price) = (line.fill.side.sign(), i64::from(line.fill.price));
                if open
                    .first()
                    .is_some_and(|(open_sign, _)| *open_sign != sign)
                {
                    let (open_sign, open_price) = open.remove(0);
                    gain += open_sign * (price - open_price) * self.tick_value;
                } else {
                    open.push((sign, price));
                }
            }
        }
        gain
    }

    /// The mid at the last mark at or before `at`; before any mark, the price of the last fill by then.
    fn mid2_at(&self, at: Nanos) -> i64 {
        let mut mid2 = 0;
        for step in &self.steps {
            match *step {
                Step::Mark(time, value) if time <= at => mid2 = value,
                Step::Fill(index) if self.lines[index].fill.exch_ns <= at => {
                    mid2 = self.lines[index].mid2
                }
                _ => break,
            }
        }
        mid2
    }

    fn markout(&self, horizon: Nanos) -> (i64, i64, i64) {
        let (mut sum, mut lots, mut dropped) = (0, 0, 0);
        for line in &self.lines {
            let due = line.fill.exch_ns + horizon;
            if due > self.end_ns {
                dropped += 1;
            } else {
                sum += Self::signed(line) * (self.mid2_at(due) - 2 * i64::from(line.fill.price));
                lots += line.fill.lots;
            }
        }
        (sum, lots, dropped)
    }

    fn lot_ns(&self) -> i64 {
        let mut sum = 0;
        for (index, line) in self.lines.iter().enumerate() {
            let until = self
                .lines
                .get(index + 1)
                .map_or(self.end_ns, |next| next.fill.exch_ns);
            sum += self.state(index + 1).1.abs() * (until - line.fill.exch_ns);
        }
        sum
    }

    /// Lots that reached the engine: of accepted orders and what amends added.
    fn accepted_lots(&self) -> i64 {
        let mut total: BTreeMap<OrderId, i64> = BTreeMap::new();
        let mut sum = 0;
        for event in &self.events {
            match event.kind {
                EventKind::Accepted => {
                    sum += event.qty;
                    total.insert(event.order_id, event.qty);
                }
                EventKind::Amended => {
                    sum += (event.qty - total[&event.order_id]).max(0);
                    total.insert(event.order_id, event.qty);
                }
                _ => {}
            }
        }
        sum
    }

    fn count(&self, kind: EventKind) -> i64 {
        self.events
            .iter()
            .filter(|event| event.kind == kind)
            .count() as i64
    }

    fn count_reason(&self, kind: EventKind, reason: Reason) -> i64 {
        self.events
            .iter()
            .filter(|event| event.kind == kind && event.reason == reason)
            .count() as i64
    }

    /// Every exact integer, by the names of the engine's ledger.
    pub fn totals(&self) -> BTreeMap<&'static str, i64> {
        let fills = || self.lines.iter().map(|line| line.fill);
        let (cash, position, _) = self.state(self.lines.len());
        let makers = || fills().filter(|fill| fill.liquidity == Liquidity::Maker);
        let queued = || makers().filter(|fill| fill.is_first);
        let mut totals = BTreeMap::from([
            ("position_lots", position),
            ("cash_minor", cash),
            ("fees_minor", self.lines.iter().map(|line| line.fee).sum()),
            ("tax_minor", self.lines.iter().map(|line| line.tax).sum()),
            ("mid_ticks_x2", self.last_mid2()),
            (
                "equity_minor_x2",
                self.equity2(self.lines.len(), self.last_mid2()),
            ),
            ("realised_fifo_minor", self.realised_fifo()),
            (
                "spread_capture_minor_x2",
                self.lines
                    .iter()
                    .map(|line| {
                        Self::signed(line)
                            * (line.mid2 - 2 * i64::from(line.fill.price))
                            * self.tick_value
                    })
                    .sum(),
            ),
            ("inventory_minor_x2", self.inventory2()),
            ("drawdown_max_minor_x2", self.drawdown2()),
            (
                "turnover_minor",
                fills()
                    .map(|fill| fill.lots * i64::from(fill.price).abs() * self.tick_value)
                    .sum(),
            ),
            ("fills", self.lines.len() as i64),
            ("lots", fills().map(|fill| fill.lots).sum()),
            ("maker_lots", makers().map(|fill| fill.lots).sum()),
            (
                "buy_lots",
                fills()
                    .filter(|fill| fill.side.sign() > 0)
                    .map(|fill| fill.lots)
                    .sum(),
            ),
            (
                "inventory_lots_max",
                (0..=self.lines.len())
                    .map(|count| self.state(count).1.abs())
                    .max()
                    .unwrap_or(0),
            ),
            ("inventory_lot_us", self.lot_ns() / 1_000),
            (
                "orders_filled",
                fills().filter(|fill| fill.is_first).count() as i64,
            ),
            ("orders_queued", queued().count() as i64),
            (
                "orders_filled_ahead_known",
                queued()
                    .filter(|fill| fill.ahead_at_arrival.is_some())
                    .count() as i64,
            ),
            (
                "maker_fills_ahead_known",
                makers().filter(|fill| fill.ahead.is_some()).count() as i64,
            ),
            (
                "queue_ns",
                queued().map(|fill| fill.exch_ns - fill.arrival_ns).sum(),
            ),
            (
                "ahead_at_arrival_lots_x2p20",
                queued().filter_map(|fill| fill.ahead_at_arrival).sum(),
            ),
            (
                "ahead_at_fill_lots_x2p20",
                makers().filter_map(|fill| fill.ahead).sum(),
            ),
            ("orders_sent", self.orders_sent),
            ("cancels_sent", self.cancels_sent),
            ("amends_sent", self.amends_sent),
            ("accepted", self.count(EventKind::Accepted)),
            ("accepted_lots", self.accepted_lots()),
            ("cancelled", self.count(EventKind::Cancelled)),
            ("amended", self.count(EventKind::Amended)),
            ("expired", self.count(EventKind::Expired)),
            ("amend_rejected", self.count(EventKind::AmendRejected)),
        ]);
        let markouts = [
            (
                1,
                [
                    "markout_1s_tick_lots_x2",
                    "markout_1s_lots",
                    "markout_1s_dropped",
                ],
            ),
            (
                5,
                [
                    "markout_5s_tick_lots_x2",
                    "markout_5s_lots",
                    "markout_5s_dropped",
                ],
            ),
            (
                30,
                [
                    "markout_30s_tick_lots_x2",
                    "markout_30s_lots",
                    "markout_30s_dropped",
                ],
            ),
        ];
        for (seconds, [sum_name, lots_name, dropped_name]) in markouts {
            let (sum, lots, dropped) = self.markout(seconds * 1_000_000_000);
            totals.extend([(sum_name, sum), (lots_name, lots), (dropped_name, dropped)]);
        }
        let reasons = [
            ("rejected_post_only", EventKind::Rejected, Reason::PostOnly),
            (
                "rejected_price_limit",
                EventKind::Rejected,
                Reason::PriceLimit,
            ),
            ("rejected_quantity", EventKind::Rejected, Reason::Quantity),
            (
                "rejected_market_needs_ioc",
                EventKind::Rejected,
                Reason::MarketNeedsIoc,
            ),
            (
                "rejected_self_match",
                EventKind::Rejected,
                Reason::SelfMatch,
            ),
            ("rejected_lost", EventKind::Rejected, Reason::Lost),
            ("rejected_refused", EventKind::Rejected, Reason::Refused),
            ("rejected_phase", EventKind::Rejected, Reason::Phase),
            (
                "cancel_rejected_unknown_order",
                EventKind::CancelRejected,
                Reason::UnknownOrder,
            ),
            (
                "cancel_rejected_too_late",
                EventKind::CancelRejected,
                Reason::TooLate,
            ),
            (
                "cancel_rejected_lost",
                EventKind::CancelRejected,
                Reason::Lost,
            ),
            (
                "cancel_rejected_refused",
                EventKind::CancelRejected,
                Reason::Refused,
            ),
        ];
        if self.charge.is_some() {
            let sum = (0..self.lines.len()).map(|index| self.impact(index)).sum();
            totals.insert("impact_cost_minor", sum);
        }
        totals.extend(reasons.map(|(name, kind, reason)| (name, self.count_reason(kind, reason))));
        totals
    }

    /// Every integer beside the account, by the names of the engine's ledger.
    pub fn side_totals(
        &self,
        certificates: Option<&[OrderCertificate]>,
    ) -> BTreeMap<&'static str, i64> {
        let fills = || self.lines.iter().map(|line| line.fill);
        let takers = || fills().filter(|fill| fill.liquidity == Liquidity::Taker);
        let printed = || fills().filter(|fill| fill.cause_lots > 0);
        let sum = |fills: &mut dyn Iterator<Item = Fill>| fills.map(|fill| fill.lots).sum::<i64>();
        let mut totals = BTreeMap::from([
            ("taker_lots", sum(&mut takers())),
            (
                "taker_lots_beyond_best",
                sum(&mut takers().filter(|fill| fill.is_beyond_best)),
            ),
            ("fills_printed", printed().count() as i64),
            (
                "fills_short_print",
                printed().filter(|fill| fill.is_short_print).count() as i64,
            ),
            ("rested_lots", self.arrivals.0),
            ("displayed_at_arrival_lots", self.arrivals.1),
            ("inventory_peak_us", self.peak_ns() / 1_000),
        ]);
        if let Some(list) = certificates {
            let sum = |lots: &dyn Fn(&OrderCertificate) -> i64| list.iter().map(lots).sum::<i64>();
            totals.extend([
                ("certified_lots", sum(&|order| order.rested_lots)),
                ("certain_lots", sum(&|order| order.certain_lots)),
                ("possible_lots", sum(&|order| order.possible_lots)),
            ]);
        }
        totals
    }

    /// Time for which |position| was what it was at most.
    fn peak_ns(&self) -> i64 {
        let held = |index: usize| self.state(index + 1).1.abs();
        let peak = (0..self.lines.len()).map(held).max().unwrap_or(0);
        let until = |index: usize| {
            self.lines
                .get(index + 1)
                .map_or(self.end_ns, |next| next.fill.exch_ns)
        };
        (0..self.lines.len())
            .filter(|&index| peak > 0 && held(index) == peak)
            .map(|index| until(index) - self.lines[index].fill.exch_ns)
            .sum()
    }

    /// Own share of the prints that filled own orders: a percentile by nearest rank.
    pub fn own_share(&self, percent: f64) -> f64 {
        let mut own: BTreeMap<u64, (i64, i64)> = BTreeMap::new();
        for fill in self.lines.iter().map(|line| line.fill) {
            if let Some(row) = fill.cause_row {
                let (lots, _) = own.entry(row).or_insert((0, fill.cause_lots));
                *lots += fill.lots;
            }
        }
        let mut shares: Vec<f64> = own
            .values()
            .map(|&(lots, print)| lots as f64 / print as f64)
            .collect();
        shares.sort_by(f64::total_cmp);
        if shares.is_empty() {
            0.0
        } else {
            shares[(shares.len() as f64 * percent / 100.0).ceil() as usize - 1]
        }
    }
}
