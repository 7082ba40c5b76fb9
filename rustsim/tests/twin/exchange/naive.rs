//! The naive world (semantics 8).

use rustsim::types::{FLAG_INDICATIVE, KIND_TRADE, OrderId, Side, Tick};

use super::{Exchange, other};

impl Exchange {
    pub(super) fn naive_group(&mut self, first_row: u64, rows: &[Tick]) {
        // The book follows the rows as if there were no own orders.
        let own = std::mem::take(&mut self.resting);
        self.credit.clear();
        for (row, tick) in (first_row..).zip(rows) {
            self.row(row, tick);
        }
        self.resting = own;
        let now = rows[0].exch_ns;
        self.is_auction = rows.iter().all(|tick| tick.flags & FLAG_INDICATIVE != 0);
        if self.is_auction {
            return;
        }
        for side in [Side::Bid, Side::Ask] {
            let mut prices: Vec<i32> = rows
                .iter()
                .filter(|tick| tick.kind == KIND_TRADE && tick.flags & FLAG_INDICATIVE == 0)
                .map(|tick| tick.price)
                .collect();
            prices.extend(self.displayed(other(side)).first());
            let mut touched: Vec<(i64, usize, OrderId)> = self
                .resting
                .iter()
                .enumerate()
                .filter(|(_, own)| own.side == side)
                .filter(|(_, own)| prices.iter().any(|&price| side.reaches(own.price, price)))
                .map(|(index, own)| (-side.sign() * i64::from(own.price), index, own.id))
                .collect();
            touched.sort_unstable();
            let ids = touched.into_iter().map(|(_, _, id)| id).collect();
            self.fill_whole(now, ids, 0, None);
        }
        if let Some((price, ..)) = self.last_trade {
            self.mark(now, 2 * i64::from(price));
        }
    }
}
