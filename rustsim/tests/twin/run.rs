//! The loop of the twin: at every instant everything that is due is searched and sorted anew (semantics 2).

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use rustsim::certificate::OrderCertificate;
use rustsim::latency::{LatencyModel, LatencySpec, normal};
use rustsim::rng::{Purpose, Streams};
use rustsim::types::{
    EventKind, FLAG_INDICATIVE, FLAG_LAST, Liquidity, Nanos, OrderEvent, OrderId, OrderRequest,
    Reason, Side, Tick,
};

use super::account::Account;
use super::exchange::{Exchange, Output, Request};
use super::{Actor, Command, Moment, Rules, View, Wake};

/// Everything that a run leaves behind.
#[derive(Debug)]
pub struct Story {
    pub log: Vec<OrderEvent>,
    /// What the strategy saw and which of its commands the gateway took.
    pub moments: Vec<(Moment, Vec<bool>)>,
    pub account: Account,
    pub fills_out_of_turn: u64,
    pub certificates: Vec<OrderCertificate>,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    arrival_ns: Nanos,
    is_refused: bool,
    session: u8,
    request: Request,
}

struct Runner<'a> {
    rules: &'a Rules,
    streams: Streams,
    /// Of calm and of stressed stretches.
    models: Vec<(LatencyModel, Option<LatencyModel>)>,
    exchange: Exchange,
    account: Account,
    /// The weather at every step from 639 before a block to its end, by the first step of the block.
    weather: RefCell<BTreeMap<i64, Vec<f64>>>,
    /// In order of sending.
    requests: Vec<Sent>,
    /// In order of emission.
    replies: Vec<OrderEvent>,
    /// Time seen and picture, in order of emission.
    feed: Vec<(Nanos, View, bool)>,
    timers: Vec<Nanos>,
    /// Recorded messages so far, by exchange time.
    messages: Vec<(Nanos, usize)>,
    /// Messages so far of a purpose at a time.
    ordinals: BTreeMap<(u64, Nanos), u64>,
    last_arrival: BTreeMap<u8, Nanos>,
    last_reply: BTreeMap<u8, Nanos>,
    last_seen: Option<Nanos>,
    orders: BTreeMap<OrderId, OrderRequest>,
    ended: BTreeSet<OrderId>,
    log: Vec<OrderEvent>,
    position: i64,
    view: View,
}

fn models(spec: &LatencySpec) -> (LatencyModel, Option<LatencyModel>) {
    let calm = LatencySpec {
        stressed: None,
        ..spec.clone()
    };
    let build = |spec: &LatencySpec| LatencyModel::build(spec).unwrap();
    (build(&calm), spec.stressed.as_deref().map(build))
}

/// Runs an actor over rows; `first_row` is the ordinal of the first one.
pub fn run(rules: &Rules, rows: &[Tick], first_row: u64, actor: &mut dyn Actor) -> Story {
    let mut runner = Runner {
        rules,
        streams: Streams::new(rules.seed, rules.replication),
        models: rules.latency.iter().map(models).collect(),
        weather: RefCell::default(),
        exchange: Exchange::new(rules.clone()),
        account: Account::new(rules.tick_value, rules.fees, rules.charge),
        requests: Vec::new(),
        replies: Vec::new(),
        feed: Vec::new(),
        timers: Vec::new(),
        messages: Vec::new(),
        ordinals: BTreeMap::new(),
        last_arrival: BTreeMap::new(),
        last_reply: BTreeMap::new(),
        last_seen: None,
        orders: BTreeMap::new(),
        ended: BTreeSet::new(),
        log: Vec::new(),
        position: 0,
        view: View::default(),
    };
    let mut moments = Vec::new();
    let start_ns = rows[0].exch_ns;
    let end_ns = rows[rows.len() - 1].exch_ns;
    for command in actor.start(start_ns) {
        runner.send(start_ns, command);
    }
    let mut next = 0;
    loop {
        let market = rows.get(next).map(|tick| tick.exch_ns);
        let now = [
            market,
            runner.requests.iter().map(|sent| sent.arrival_ns).min(),
            runner.replies.iter().map(|event| event.local_ns).min(),
            runner.feed.iter().map(|(at, ..)| *at).min(),
            runner.timers.iter().copied().min(),
        ]
        .into_iter()
        .flatten()
        .min();
        let Some(now) = now.filter(|now| *now <= end_ns) else {
            break;
        };
        if market == Some(now) {
            let stop = next
                + rows[next..]
                    .iter()
                    .take_while(|tick| tick.exch_ns == now)
                    .count();
            runner.group(first_row + next as u64, &rows[next..stop]);
            next = stop;
        }
        runner.instant(now, actor, &mut moments);
    }
    runner.finish(end_ns);
    Story {
        log: runner.log,
        moments,
        account: runner.account,
        fills_out_of_turn: runner.exchange.fills_out_of_turn,
        certificates: runner.exchange.certificates,
    }
}

/// The answer to a request that never reached the order book.
fn refusal(at_ns: Nanos, request: Request, reason: Reason) -> OrderEvent {
    let (kind, order_id, side, price, qty) = match request {
        Request::Place { id, order } => {
            (EventKind::Rejected, id, order.side, order.price, order.qty)
        }
        Request::Cancel { id } => (EventKind::CancelRejected, id, Side::Bid, 0, 0),
        Request::Amend { id, .. } => (EventKind::AmendRejected, id, Side::Bid, 0, 0),
    };
    OrderEvent {
        kind,
        order_id,
        exch_ns: at_ns,
        local_ns: at_ns,
        side,
        price,
        qty,
        leaves: 0,
        liquidity: Liquidity::Maker,
        reason,
    }
}

/// The delay of a message of this time: all rows are looked at.
fn recorded(rows: &[(Nanos, Nanos)], at_ns: Nanos) -> f64 {
    let before = rows.iter().rev().find(|row| row.0 <= at_ns);
    let after = rows.iter().find(|row| row.0 > at_ns);
    match (before, after) {
        (Some(&(t0, d0)), Some(&(t1, d1))) => {
            d0 as f64 + (d1 - d0) as f64 * (at_ns - t0) as f64 / (t1 - t0) as f64
        }
        (Some(&(_, delay)), None) | (None, Some(&(_, delay))) => delay as f64,
        (None, None) => unreachable!("a trace has rows"),
    }
}

fn take_due<T>(list: &mut Vec<T>, is_due: impl Fn(&T) -> bool) -> Vec<T> {
    let (due, rest) = std::mem::take(list).into_iter().partition(is_due);
    *list = rest;
    due
}

impl Runner<'_> {
    fn ordinal(&mut self, purpose: Purpose, at_ns: Nanos) -> u64 {
        let count = self.ordinals.entry((purpose as u64, at_ns)).or_insert(0);
        *count += 1;
        *count - 1
    }

    fn latency(&mut self, model: usize, purpose: Purpose, at_ns: Nanos) -> Nanos {
        if let Some(rows) = &self.rules.traces[model] {
            let spec = &self.rules.latency[model];
            let delay = spec.floor_ns + spec.scale.unwrap_or(1.0) * recorded(rows, at_ns);
            return delay.round() as Nanos;
        }
        let k = self.ordinal(purpose, at_ns);
        let mut u = self.streams.uniform(purpose, at_ns, k);
        if let Some((tau_ns, weight)) = self.rules.weather {
            u = self.blend(tau_ns, weight, at_ns, u);
        }
        match &self.models[model] {
            (_, Some(stressed)) if self.is_stressed(at_ns) => stressed.sample_ns(u),
            (calm, _) => calm.sample_ns(u),
        }
    }

    /// Mixes the message's own normal with the weather's, which is built up from the start of its block.
    fn blend(&self, tau_ns: Nanos, weight: f64, at_ns: Nanos, u: f64) -> f64 {
        let step = at_ns.div_euclid(tau_ns / 16);
        let noise = |step| normal::quantile(self.streams.uniform(Purpose::Weather, step, 0));
        let phi = libm::exp(-1.0 / 16.0);
        let first = step.div_euclid(4_096) * 4_096;
        let mut blocks = self.weather.borrow_mut();
        let block = blocks.entry(first).or_insert_with(|| {
            let mut z = noise(first - 640);
            (first - 639..first + 4_096)
                .map(|k| {
                    z = phi * z + (1.0 - phi * phi).sqrt() * noise(k);
                    z
                })
                .collect()
        });
        let z = block[usize::try_from(step - first + 639).unwrap()];
        let mixed = weight.sqrt() * z + (1.0 - weight).sqrt() * normal::quantile(u);
        normal::cdf(mixed).clamp(f64::MIN_POSITIVE, 1.0 - f64::EPSILON / 2.0)
    }

    /// Looks for the last step that said something.
    fn is_stressed(&self, at_ns: Nanos) -> bool {
        let Some((calm_ns, stressed_ns)) = self.rules.regime else {
            return false;
        };
        let step_ns = calm_ns.min(stressed_ns) / 16;
        let mut step = at_ns.div_euclid(step_ns);
        loop {
            let word = self.streams.uniform(Purpose::Regime, step, 0);
            if word < step_ns as f64 / calm_ns as f64 {
                return true;
            }
            if word > 1.0 - step_ns as f64 / stressed_ns as f64 {
                return false;
            }
            step -= 1;
        }
    }

    fn group(&mut self, first_row: u64, rows: &[Tick]) {
        let now = rows[0].exch_ns;
        self.exchange.group(first_row, rows);
        let messages = rows
            .iter()
            .filter(|tick| tick.flags & FLAG_LAST != 0)
            .count();
        self.messages.push((now, messages.max(1)));
        self.publish();
        let latency = self.latency(4, Purpose::Feed, now);
        let alone = if self.rules.has_local && !self.rules.is_naive {
            now.max(rows[rows.len() - 1].local_ns) + latency
        } else {
            now + latency
        };
        let seen = self.last_seen.map_or(alone, |last| alone.max(last));
        self.last_seen = Some(seen);
        let is_auction = rows.iter().all(|tick| tick.flags & FLAG_INDICATIVE != 0);
        self.feed.push((seen, self.exchange.view(now), is_auction));
    }

    fn instant(
        &mut self,
        now: Nanos,
        actor: &mut dyn Actor,
        moments: &mut Vec<(Moment, Vec<bool>)>,
    ) {
        for round in 0.. {
            assert!(round <= 1_000, "too many rounds at {now}");
            for sent in take_due(&mut self.requests, |sent| sent.arrival_ns == now) {
                if sent.is_refused {
                    let event = refusal(now, sent.request, Reason::Refused);
                    self.exchange.out.push(Output::Event(event, sent.session));
                } else {
                    self.exchange.arrive(now, sent.request, sent.session);
                }
                self.publish();
            }
            let before = self.view;
            let mut has_news = false;
            for (_, view, is_auction) in take_due(&mut self.feed, |(at, ..)| *at == now) {
                if !is_auction {
                    self.view = view;
                    has_news = true;
                }
            }
            let events = take_due(&mut self.replies, |event| event.local_ns == now);
            for event in &events {
                self.learn(event);
            }
            let is_timer = !take_due(&mut self.timers, |at| *at <= now).is_empty();
            let is_tick = has_news && self.matches_filter(&before);
            if !is_tick && !is_timer && events.is_empty() {
                if self.requests.iter().all(|sent| sent.arrival_ns > now) {
                    return;
                }
                continue;
            }
            let moment = Moment {
                now_ns: now,
                view: self.view,
                position: self.position,
                events,
                is_timer,
                is_tick,
            };
            let commands = actor.wake(&moment);
            let taken = commands
                .into_iter()
                .map(|command| self.send(now, command))
                .collect();
            moments.push((moment, taken));
        }
    }

    fn matches_filter(&self, before: &View) -> bool {
        let price = |best: Option<(i32, i64)>| best.map(|(price, _)| price);
        let after = &self.view;
        match self.rules.wake {
            Wake::Best => {
                (price(before.bid), price(before.ask)) != (price(after.bid), price(after.ask))
            }
            Wake::Touch => (before.bid, before.ask) != (after.bid, after.ask),
            Wake::Every => true,
            Wake::Own => false,
        }
    }

    fn learn(&mut self, event: &OrderEvent) {
        if event.kind == EventKind::Filled {
            self.position += event.side.sign() * event.qty;
        }
        let ends = match event.kind {
            EventKind::Filled => event.leaves == 0,
            EventKind::Rejected | EventKind::Cancelled | EventKind::Expired => true,
            _ => false,
        };
        if ends {
            self.ended.insert(event.order_id);
        }
    }

    /// Takes what the exchange said: into the log, the account and the reply channels.
    fn publish(&mut self) {
        for output in std::mem::take(&mut self.exchange.out) {
            match output {
                Output::Fill(fill) => self.account.fill(&fill),
                Output::Mark(at, mid2) => self.account.mark(at, mid2),
                Output::Event(mut event, session) => {
                    let latency = self.latency(3, Purpose::Report, event.exch_ns);
                    let alone = event.exch_ns + latency;
                    let seen = self
                        .last_reply
                        .get(&session)
                        .filter(|_| !self.rules.is_independent)
                        .map_or(alone, |last| alone.max(*last));
                    self.last_reply.insert(session, seen);
                    event.local_ns = seen;
                    self.record(event);
                    self.replies.push(event);
                }
            }
        }
    }

    fn record(&mut self, event: OrderEvent) {
        self.account.event(&event);
        self.log.push(event);
    }

    fn is_open(&self, id: OrderId) -> bool {
        self.orders.contains_key(&id) && !self.ended.contains(&id)
    }

    /// Sends a command; returns whether the gateway took it.
    fn send(&mut self, now: Nanos, command: Command) -> bool {
        match command {
            Command::Timer { at_ns } => self.timers.push(at_ns.max(now)),
            Command::Place(order) => {
                let id = self.orders.len() as OrderId + 1;
                self.orders.insert(id, order);
                self.account.orders_sent += 1;
                self.send_request(
                    now,
                    0,
                    Purpose::Place,
                    order.session,
                    Request::Place { id, order },
                );
            }
            Command::Cancel {
                order_id: id,
                session,
            } => {
                if !self.is_open(id) {
                    return false;
                }
                self.account.cancels_sent += 1;
                self.send_request(now, 1, Purpose::Cancel, session, Request::Cancel { id });
            }
            Command::Amend {
                order_id: id,
                price,
                qty,
                session,
            } => {
                if !self.is_open(id) {
                    return false;
                }
                self.account.amends_sent += 1;
                self.send_request(
                    now,
                    2,
                    Purpose::Amend,
                    session,
                    Request::Amend { id, price, qty },
                );
            }
        }
        true
    }

    fn send_request(
        &mut self,
        now: Nanos,
        model: usize,
        purpose: Purpose,
        session: u8,
        request: Request,
    ) {
        let loss = self.ordinal(Purpose::Loss, now);
        if self.streams.uniform(Purpose::Loss, now, loss) < self.rules.loss_probability {
            let event = refusal(now + self.rules.loss_timeout_ns, request, Reason::Lost);
            self.record(event);
            self.replies.push(event);
            return;
        }
        let number = self.ordinal(Purpose::Refusal, now);
        let word = self.streams.uniform(Purpose::Refusal, now, number);
        let latency = self.latency(model, purpose, now);
        let alone = now + latency + self.load(now);
        let arrival_ns = match self.last_arrival.get(&session) {
            Some(last) if !self.rules.is_independent => alone.max(last + self.rules.gap_ns),
            _ => alone,
        };
        self.last_arrival.insert(session, arrival_ns);
        self.requests.push(Sent {
            arrival_ns,
            is_refused: word < self.rules.reject_probability,
            session,
            request,
        });
    }

    /// What the venue has not worked off of the recorded messages, replayed from the first one.
    fn load(&self, now: Nanos) -> Nanos {
        let Some(capacity_per_us) = self.rules.backlog_capacity_per_us else {
            return 0;
        };
        let capacity = capacity_per_us / 1_000.0;
        let (mut left, mut at) = (0.0, Nanos::MIN);
        let worked_off = |left: f64, at: Nanos, now: Nanos| {
            (left - capacity * now.saturating_sub(at) as f64).max(0.0)
        };
        for &(exch_ns, messages) in &self.messages {
            left = worked_off(left, at, exch_ns) + messages as f64;
            at = exch_ns;
        }
        (worked_off(left, at, now) / capacity).round() as Nanos
    }

    fn finish(&mut self, end_ns: Nanos) {
        let mut open: BTreeMap<OrderId, (Side, i32, i64)> = BTreeMap::new();
        for sent in &self.requests {
            if let Request::Place { id, order } = sent.request {
                open.insert(id, (order.side, order.price, order.qty));
            }
        }
        for own in &self.exchange.resting {
            open.insert(own.id, (own.side, own.price, own.leaves));
        }
        for (order_id, (side, price, qty)) in open {
            self.record(OrderEvent {
                kind: EventKind::Expired,
                order_id,
                exch_ns: end_ns,
                local_ns: end_ns,
                side,
                price,
                qty,
                leaves: 0,
                liquidity: Liquidity::Maker,
                reason: Reason::EndOfData,
            });
        }
        self.exchange.end_all(end_ns);
        self.account.arrivals = self.exchange.arrivals;
        self.account.finish(end_ns);
    }
}
