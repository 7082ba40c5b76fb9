//! How far a replay can be believed: own size against the market (`simulation-physics` 9.1), and what the queue model decides.
//!
//! A replay shows what happened without us. It stays usable while own orders are small beside the queues that they join and the prints that fill
//! them. None of these integers is part of the digest: they judge a run, and change nothing in it.

use super::metrics::mean;
use super::{Arrivals, ShadowLedger};
use crate::certificate::OrderCertificate;
use crate::types::{Liquidity, Lots};

/// Sums over the fill log.
#[derive(Debug, Default)]
struct Sums {
    printed: i64,
    short: i64,
    beyond_best_lots: Lots,
    /// Own lots over lots of the print, for each print that filled own orders.
    shares: Vec<f64>,
}

/// Lots by what is certain about their fill.
#[derive(Debug, Default)]
struct Certified {
    rested: Lots,
    certain: Lots,
    possible: Lots,
}

impl ShadowLedger {
    /// Takes what the exchange knows besides fills, before the account is sealed; `None` if no certificates were kept.
    pub(crate) fn judge(
        &mut self,
        arrivals: Arrivals,
        certificates: Option<Vec<OrderCertificate>>,
    ) {
        self.arrivals = arrivals;
        self.certificates = certificates;
    }

    /// Returns the certificates of orders that rested, in the order in which they ended; none if they were not kept.
    #[must_use]
    pub fn certificates(&self) -> &[OrderCertificate] {
        self.certificates.as_deref().unwrap_or_default()
    }

    /// Returns whether certificates were kept.
    #[must_use]
    pub fn keeps_certificates(&self) -> bool {
        self.certificates.is_some()
    }

    /// Returns integers that judge or describe the run beside its account; they are not part of the digest.
    #[must_use]
    pub fn side_totals(&self) -> Vec<(&'static str, i64)> {
        let sums = self.sums();
        let mut totals = vec![
            ("taker_lots", self.lots - self.maker_lots),
            ("taker_lots_beyond_best", sums.beyond_best_lots),
            ("fills_printed", sums.printed),
            ("fills_short_print", sums.short),
            ("rested_lots", self.arrivals.own_lots),
            ("displayed_at_arrival_lots", self.arrivals.displayed_lots),
            ("inventory_peak_us", self.peak_ns / 1_000),
        ];
        if let Some(certified) = self.certified() {
            totals.extend([
                ("certified_lots", certified.rested),
                ("certain_lots", certified.certain),
                ("possible_lots", certified.possible),
            ]);
        }
        totals
    }

    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    pub(super) fn validity_metrics(&self) -> Vec<(&'static str, f64)> {
        let mut sums = self.sums();
        let Arrivals {
            own_lots,
            displayed_lots,
        } = self.arrivals;
        let taker_lots = self.lots - self.maker_lots;
        let mut metrics = vec![
            ("own_share_p50", percentile(&mut sums.shares, 50)),
            ("own_share_p95", percentile(&mut sums.shares, 95)),
            ("own_share_max", percentile(&mut sums.shares, 100)),
            ("own_size_share", mean(own_lots as f64, displayed_lots)),
            (
                "beyond_best_share",
                mean(sums.beyond_best_lots as f64, taker_lots),
            ),
            ("short_print_share", mean(sums.short as f64, sums.printed)),
        ];
        if let Some(certified) = self.certified() {
            let share = |lots: Lots| mean(lots as f64, certified.rested);
            metrics.extend([
                ("fill_certain_share", share(certified.certain)),
                (
                    "fill_dependent_share",
                    share(certified.possible - certified.certain),
                ),
                (
                    "fill_impossible_share",
                    share(certified.rested - certified.possible),
                ),
                (
                    "maker_certain_share",
                    mean(certified.certain as f64, self.maker_lots),
                ),
            ]);
        }
        metrics
    }

    fn certified(&self) -> Option<Certified> {
        let certificates = self.certificates.as_ref()?;
        let mut sum = Certified::default();
        for certificate in certificates {
            sum.rested += certificate.rested_lots;
            sum.certain += certificate.certain_lots;
            sum.possible += certificate.possible_lots;
        }
        Some(sum)
    }

    #[expect(clippy::cast_precision_loss, reason = "lots of one print")]
    fn sums(&self) -> Sums {
        let mut sums = Sums::default();
        let mut row = None;
        for fill in self.fills.iter().map(|record| &record.fill) {
            if fill.liquidity == Liquidity::Taker {
                sums.beyond_best_lots += if fill.is_beyond_best { fill.lots } else { 0 };
                continue;
            }
            if fill.cause_lots == 0 {
                continue;
            }
            sums.printed += 1;
            sums.short += i64::from(fill.is_short_print);
            let share = fill.lots as f64 / fill.cause_lots as f64;
            match sums.shares.last_mut() {
                // Fills of one print follow each other.
                Some(last) if row == Some(fill.cause_row) => *last += share,
                _ => sums.shares.push(share),
            }
            row = Some(fill.cause_row);
        }
        sums
    }
}

/// Returns a percentile by nearest rank; 0 of nothing.
fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let rank = (values.len() * percent).div_ceil(100);
    rank.checked_sub(1).map_or(0.0, |index| values[index])
}
