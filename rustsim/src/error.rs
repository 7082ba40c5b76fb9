//! Every error that the core can return, one sentence per variant.

use std::fmt;

/// What went wrong in the core.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The description of an exchange is wrong.
    Spec(String),
    /// A tick or tape row breaks a rule.
    Tick(String),
    /// A tape file is damaged, truncated, of another version or cannot be written.
    Tape(String),
    /// An amount does not fit its integer, or an accounting identity broke.
    Ledger(String),
    /// A replay cannot go on.
    Replay(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spec(text)
            | Self::Tick(text)
            | Self::Tape(text)
            | Self::Ledger(text)
            | Self::Replay(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Error {}

/// Result of the core.
pub type Result<T> = std::result::Result<T, Error>;
