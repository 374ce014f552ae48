//! Something that fails again and again, told once.

use std::fmt::Display;

/// So many kinds of failure are told one by one; then there is nothing new in another.
const TOLD: usize = 8;

/// A thing that works or does not.
#[derive(Debug)]
pub(super) struct Trouble {
    /// What it is, as the log names it when it works again.
    good_again: &'static str,
    /// What was told since it last worked.
    told: Vec<String>,
}

impl Trouble {
    /// Of something that works so far; `good_again` is said when it does so after it did not.
    pub(super) fn none(good_again: &'static str) -> Self {
        Self { good_again, told: Vec::new() }
    }

    /// It failed: tells so, unless it has told that since it last worked.
    pub(super) fn came(&mut self, error: &impl Display) {
        let error = error.to_string();
        if self.told.contains(&error) || self.told.len() >= TOLD {
            tracing::debug!("again: {error}");
            return;
        }
        tracing::error!("{error}");
        self.told.push(error);
    }

    /// It worked: tells so, if it did not before. Says whether it did.
    pub(super) fn passed(&mut self) -> bool {
        let had_failed = !self.told.is_empty();
        if had_failed {
            tracing::info!("{}", self.good_again);
            self.told.clear();
        }
        had_failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_is_told_once_and_that_it_passed() {
        let mut trouble = Trouble::none("it works again");
        assert!(!trouble.passed());
        for number in 0..100 {
            trouble.came(&"full");
            trouble.came(&number);
        }
        assert_eq!(trouble.told.len(), TOLD);
        assert!(trouble.passed() && !trouble.passed());
        trouble.came(&"full");
        assert_eq!(trouble.told, ["full"]);
    }
}
