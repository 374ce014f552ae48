//! The routes of the control socket: one table for the server and for whoever asks it.

use axum::http::Method;

/// A request that the control socket answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// What the process holds and does, as JSON ([`Stats`](super::Stats)).
    Stats,
    /// The same as OpenMetrics text.
    Metrics,
    /// The live tasks, as JSON.
    Tasks,
    /// What each arena of the allocator holds, as JSON.
    Arenas,
    /// A heap profile, as the allocator writes it.
    Heap,
    /// Whether heap profiles are available, as JSON.
    Profile,
    /// Switches heap profiling: `?active=true`, `?active=true&reset=true` or `?active=false`.
    SwitchProfile,
    /// Returns free memory to the system; reports the figures before and after, as JSON.
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
