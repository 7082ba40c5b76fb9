//! The exact account of one replay.
