//! What the end-to-end tests, the benchmarks and the demonstration share: the simulator of the leaderboard
//! service, in process and as the program `r3e-sim`.

pub mod programs;
pub mod sim;
