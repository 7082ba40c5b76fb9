//! Figures of a finished account: the exact totals and the averages that people read.

use super::ShadowLedger;
use super::counts::Counts;
use crate::types::{AHEAD_ONE, Liquidity, Reason};

/// Sums over the fill log that only the figures need.
#[derive(Debug, Default)]
struct FillSums {
    orders_filled: i64,
    /// First maker fills: number and waiting time.
    queued: i64,
    queue_ns: i64,
    arrivals_known: i64,
    ahead_at_arrival_units: i64,
    maker_fills_known: i64,
    ahead_at_fill_units: i64,
    buy_lots: i64,
}

impl ShadowLedger {
    fn fill_sums(&self) -> FillSums {
        let mut sums = FillSums::default();
        for record in &self.fills {
            let fill = &record.fill;
            sums.orders_filled += i64::from(fill.is_first_fill);
            sums.buy_lots += if fill.side.sign() > 0 { fill.lots } else { 0 };
            if fill.liquidity == Liquidity::Taker {
                continue;
            }
            if fill.ahead_units >= 0 {
                sums.maker_fills_known += 1;
                sums.ahead_at_fill_units =
                    sums.ahead_at_fill_units.saturating_add(fill.ahead_units);
            }
            if fill.is_first_fill {
                sums.queued += 1;
                sums.queue_ns = sums.queue_ns.saturating_add(fill.exch_ns - fill.arrival_ns);
                if fill.ahead_at_arrival_units >= 0 {
                    sums.arrivals_known += 1;
                    sums.ahead_at_arrival_units = sums
                        .ahead_at_arrival_units
                        .saturating_add(fill.ahead_at_arrival_units);
                }
            }
        }
        sums
    }

    /// Returns the exact integers of the account, in a fixed order; money in minor units, `_x2` in halves of the named unit.
    #[must_use]
    pub fn totals(&self) -> Vec<(&'static str, i64)> {
        let sums = self.fill_sums();
        let counts = &self.counts;
        let (numerator, denominator) = self.realised_average();
        let floor = i64::try_from(numerator.div_euclid(denominator)).unwrap_or(i64::MAX);
        let mut totals = vec![
            ("position_lots", self.position),
            ("cash_minor", self.cash),
            ("fees_minor", self.fees),
            ("tax_minor", self.tax),
            ("mid_ticks_x2", self.mid2),
            ("equity_minor_x2", self.equity2()),
            ("realised_fifo_minor", self.realised_fifo()),
            ("realised_average_minor_floor", floor),
            ("spread_capture_minor_x2", self.spread2),
            ("inventory_minor_x2", self.inventory2),
            ("drawdown_max_minor_x2", self.equity.drawdown2),
            ("turnover_minor", self.turnover),
            ("fills", i64::try_from(self.fills.len()).unwrap_or(i64::MAX)),
            ("lots", self.lots),
            ("maker_lots", self.maker_lots),
            ("buy_lots", sums.buy_lots),
            ("inventory_lots_max", self.inventory_max),
            ("inventory_lot_us", self.lot_us().unwrap_or(i64::MAX)),
            ("orders_filled", sums.orders_filled),
            ("orders_queued", sums.queued),
            ("orders_filled_ahead_known", sums.arrivals_known),
            ("maker_fills_ahead_known", sums.maker_fills_known),
            ("queue_ns", sums.queue_ns),
            ("ahead_at_arrival_lots_x2p20", sums.ahead_at_arrival_units),
            ("ahead_at_fill_lots_x2p20", sums.ahead_at_fill_units),
            ("markout_1s_tick_lots_x2", self.markouts.half_tick_lots[0]),
            ("markout_5s_tick_lots_x2", self.markouts.half_tick_lots[1]),
            ("markout_30s_tick_lots_x2", self.markouts.half_tick_lots[2]),
            ("markout_1s_lots", self.markouts.lots[0]),
            ("markout_5s_lots", self.markouts.lots[1]),
            ("markout_30s_lots", self.markouts.lots[2]),
            ("markout_1s_dropped", self.markouts.dropped[0]),
            ("markout_5s_dropped", self.markouts.dropped[1]),
            ("markout_30s_dropped", self.markouts.dropped[2]),
        ];
        totals.extend(count_totals(counts));
        totals.extend(
            self.impact_total()
                .map(|total| ("impact_cost_minor", total)),
        );
        totals
    }

    /// Returns the figures that people read, named as in `docs/interfaces.md`; money in minor units. An average of nothing is 0.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "figures for people; the exact integers are in `totals`"
    )]
    pub fn metrics(&self) -> Vec<(&'static str, f64)> {
        let sums = self.fill_sums();
        let counts = &self.counts;
        let costs = self.fees + self.tax;
        let net = self.equity2() as f64 / 2.0;
        let markout = |index: usize| {
            mean(
                self.markouts.half_tick_lots[index] as f64 / 2.0,
                self.markouts.lots[index],
            )
        };
        let ahead_lots = |units: i64, count: i64| mean(units as f64 / AHEAD_ONE as f64, count);
        let span_ns = self.first_ns.map_or(0, |first| self.held_until_ns - first);
        let mut metrics = vec![
            ("net_pnl", net),
            ("gross_pnl", (self.equity2() + 2 * costs) as f64 / 2.0),
            ("fees", self.fees as f64),
            ("tax", self.tax as f64),
            ("fills", self.fills.len() as f64),
            ("lots", self.lots as f64),
            ("maker_share", mean(self.maker_lots as f64, self.lots)),
            ("fill_ratio", mean(self.lots as f64, counts.accepted_lots)),
            (
                "order_fill_ratio",
                mean(sums.orders_filled as f64, counts.accepted),
            ),
            ("turnover", self.turnover as f64),
            ("max_drawdown", self.equity.drawdown2 as f64 / 2.0),
            ("inventory_max_lots", self.inventory_max as f64),
            ("inventory_mean_lots", mean(self.lot_ns as f64, span_ns)),
            (
                "inventory_peak_time_share",
                mean(self.peak_ns as f64, span_ns),
            ),
            (
                "opi_at_arrival_mean_lots",
                ahead_lots(sums.ahead_at_arrival_units, sums.arrivals_known),
            ),
            (
                "opi_at_fill_mean_lots",
                ahead_lots(sums.ahead_at_fill_units, sums.maker_fills_known),
            ),
            (
                "queue_time_mean_s",
                mean(sums.queue_ns as f64 / 1e9, sums.queued),
            ),
            ("markout_1s_ticks", markout(0)),
            ("markout_5s_ticks", markout(1)),
            ("markout_30s_ticks", markout(2)),
            ("spread_capture", self.spread2 as f64 / 2.0),
            ("inventory_pnl", self.inventory2 as f64 / 2.0),
            ("pnl_per_minute_sd", self.increments.deviation()),
            ("pnl_per_minute_downside", self.increments.downside()),
            ("sharpe_per_minute", self.increments.sharpe()),
            ("sortino_per_minute", self.increments.sortino()),
        ];
        metrics.extend(self.count_metrics(sums.orders_filled));
        metrics.extend(self.impact_metrics(net));
        metrics.extend(self.validity_metrics());
        metrics
    }

    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    fn count_metrics(&self, orders_filled: i64) -> Vec<(&'static str, f64)> {
        let counts = &self.counts;
        let rejected = |reason: Reason| counts.rejected[reason as usize] as f64;
        vec![
            ("orders", counts.orders_sent as f64),
            ("cancels", counts.cancels_sent as f64),
            (
                "cancel_to_fill",
                mean(counts.cancelled as f64, orders_filled),
            ),
            ("amends", counts.amends_sent as f64),
            ("rejects", counts.rejected.iter().sum::<i64>() as f64),
            ("rejects_post_only", rejected(Reason::PostOnly)),
            ("rejects_self_match", rejected(Reason::SelfMatch)),
            ("rejects_phase", rejected(Reason::Phase)),
            ("rejects_lost", rejected(Reason::Lost)),
            ("rejects_refused", rejected(Reason::Refused)),
            (
                "cancel_rejects",
                counts.cancel_rejected.iter().sum::<i64>() as f64,
            ),
            ("expired", counts.expired as f64),
        ]
    }

    /// Returns what own impact costs, if it is charged.
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    fn impact_metrics(&self, net: f64) -> Vec<(&'static str, f64)> {
        self.impact_total().map_or_else(Vec::new, |total| {
            let cost = total as f64;
            vec![("impact_cost", cost), ("net_pnl_after_impact", net - cost)]
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub(super) fn mean(sum: f64, count: i64) -> f64 {
    if count > 0 { sum / count as f64 } else { 0.0 }
}

/// Returns the counters of requests and events; rejects by reason, lost requests apart from those that the exchange refused.
fn count_totals(counts: &Counts) -> Vec<(&'static str, i64)> {
    let rejected = |reason: Reason| counts.rejected[reason as usize];
    vec![
        ("orders_sent", counts.orders_sent),
        ("cancels_sent", counts.cancels_sent),
        ("amends_sent", counts.amends_sent),
        ("accepted", counts.accepted),
        ("accepted_lots", counts.accepted_lots),
        ("cancelled", counts.cancelled),
        ("amended", counts.amended),
        ("expired", counts.expired),
        ("rejected_post_only", rejected(Reason::PostOnly)),
        ("rejected_price_limit", rejected(Reason::PriceLimit)),
        ("rejected_quantity", rejected(Reason::Quantity)),
        (
            "rejected_market_needs_ioc",
            rejected(Reason::MarketNeedsIoc),
        ),
        ("rejected_self_match", rejected(Reason::SelfMatch)),
        ("rejected_phase", rejected(Reason::Phase)),
        ("rejected_lost", rejected(Reason::Lost)),
        ("rejected_refused", rejected(Reason::Refused)),
        (
            "cancel_rejected_unknown_order",
            counts.cancel_rejected[Reason::UnknownOrder as usize],
        ),
        (
            "cancel_rejected_too_late",
            counts.cancel_rejected[Reason::TooLate as usize],
        ),
        (
            "cancel_rejected_lost",
            counts.cancel_rejected[Reason::Lost as usize],
        ),
        (
            "cancel_rejected_refused",
            counts.cancel_rejected[Reason::Refused as usize],
        ),
        ("amend_rejected", counts.amend_rejected.iter().sum()),
    ]
}
