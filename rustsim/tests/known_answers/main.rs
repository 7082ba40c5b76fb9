//! Worked numbers, closed forms and symmetries of market microstructure, through the engine message by message.
//!
//! The same ones are held from Python by `test_known_answers.py`, `test_known_accounts.py` and `test_closed_forms.py` in `tests/contract`; numbers of a single part (latency
//! families, account, random words, ghosts) are held beside it.

mod answers;
mod closed_forms;
mod symmetries;
mod venue;
