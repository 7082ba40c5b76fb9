//! What tells one engine from another: how the exchange knows the book, and how the strategy comes to see it.
//!
//! Everything else (matching, latency, queues, accounts) is one piece of code for all engines, and their results are equal, digest for digest:
//!
//! | engine | the book | views of the strategy |
//! |---|---|---|
//! | [`Direct`] | kept row by row | kept on their way, one per group of rows |
//! | [`Compiled`](crate::filter::Compiled) | looked up in a compiled tape where somebody asks | looked up at the place that the strategy has seen |

use crate::book::{Book, LimitOrderBook};
use crate::sight::{Glimpses, Sight};

/// A way to know the market.
pub trait Engine: std::fmt::Debug {
    /// The book on the exchange clock.
    type Book: Book;
    /// The market on the strategy's clock.
    type Sight: Sight;
}

/// Rebuilds the book row by row: short, obvious, and the measure for every other engine.
#[derive(Debug, Clone, Copy)]
pub struct Direct;

impl Engine for Direct {
    type Book = LimitOrderBook;
    type Sight = Glimpses;
}
