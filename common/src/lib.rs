#![doc = include_str!("../README.md")]

pub mod domain;
pub mod index;
pub mod pipeline;
pub mod process;
pub mod store;
pub mod upstream;
