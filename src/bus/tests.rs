//! Conversations over buses that lose, double, delay and reorder, and clocks whose truth is known.

mod clocks;
mod exchange;
mod hostile;
mod simulation;
