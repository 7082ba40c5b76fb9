//! Worked numbers, closed forms and symmetries of market microstructure, through the engine message by message.
//!
//! The same ones are held from Python by `tests/contract/test_known_answers.py` and `tests/contract/test_closed_forms.py`; numbers of a single part (latency
//! families, account, random words, ghosts) are held beside it.

mod answers;
mod closed_forms;
mod symmetries;
mod venue;
