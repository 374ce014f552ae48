#![doc = include_str!("../README.md")]

pub mod harness;
pub mod programs;
pub mod sim;
