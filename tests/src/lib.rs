#![doc = include_str!("../README.md")]

pub mod harness;
pub mod leaky;
pub mod programs;
pub mod sim;
#[cfg(feature = "soak")]
pub mod soak;
