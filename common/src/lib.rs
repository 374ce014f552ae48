#![doc = include_str!("../README.md")]
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests make files in ways that the store does not"))]

pub mod domain;
pub mod index;
pub mod pipeline;
pub mod process;
pub mod store;
pub mod upstream;
