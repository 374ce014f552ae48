#![doc = include_str!("../README.md")]

pub mod harness;
pub mod leaky;
pub mod programs;
pub mod sim;
pub mod soak;
