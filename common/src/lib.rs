#![doc = include_str!("../README.md")]
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests make files in ways that `runtime::fs` does not"))]

pub mod domain;
pub mod index;
pub mod job;
pub mod runtime;
pub mod store;
pub mod upstream;
