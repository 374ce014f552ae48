//! The routes of the control socket: one table for server and clients.

use axum::http::Method;

/// A request that the control socket answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// Figures and state of the process, as JSON ([`Stats`](super::Stats)).
    Stats,
    /// The same as OpenMetrics text.
    Metrics,
    /// The live tasks, as JSON.
    Tasks,
    /// Figures of each arena of the allocator, as JSON.
    Arenas,
    /// A heap profile, as the allocator writes it.
    Heap,
    /// Whether heap profiles are available, as JSON.
    Profile,
    /// Switches heap profiling: `?active=true`, `?active=true&reset=true` or `?active=false`.
    SwitchProfile,
    /// Returns unused memory to the kernel; reports the figures before and after, as JSON.
    Purge,
}

impl Endpoint {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Stats,
        Self::Metrics,
        Self::Tasks,
        Self::Arenas,
        Self::Heap,
        Self::Profile,
        Self::SwitchProfile,
        Self::Purge,
    ];

    /// The method of the request.
    #[must_use]
    pub const fn method(self) -> Method {
        match self {
            Self::SwitchProfile | Self::Purge => Method::POST,
            _ => Method::GET,
        }
    }

    /// The path of the request.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Stats => "/stats",
            Self::Metrics => "/metrics",
            Self::Tasks => "/tasks",
            Self::Arenas => "/arenas",
            Self::Heap => "/heap",
            Self::Profile | Self::SwitchProfile => "/profile",
            Self::Purge => "/purge",
        }
    }
}
