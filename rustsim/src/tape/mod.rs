//! The compiled, mapped, checksummed form of a run of ticks.
