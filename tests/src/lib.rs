#![doc = include_str!("../README.md")]

pub mod programs;
pub mod sim;
