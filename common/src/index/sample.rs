//! A sample of all keys, from which ranges of keys are chosen.

use fastrand::Rng;

/// Sampled keys are truncated to this many bytes: a prefix splits a range as well as a whole key.
const KEY_BYTES: usize = 24;

/// A random sample of the keys seen so far.
#[derive(Debug)]
pub(super) struct Sample {
    keys: Vec<String>,
    capacity: usize,
    seen: usize,
    random: Rng,
}

impl Sample {
    pub(super) fn new(capacity: usize) -> Self {
        Self { keys: Vec::new(), capacity, seen: 0, random: Rng::with_seed(capacity as u64) }
    }

    /// Adds a key. All keys have the same chance of being in the sample (reservoir sampling).
    pub(super) fn add(&mut self, key: &str) {
        self.seen += 1;
        let place = if self.keys.len() < self.capacity { self.keys.len() } else { self.random.usize(..self.seen) };
        if place >= self.capacity {
            return;
        }
        let key = &key[..key.floor_char_boundary(KEY_BYTES)];
        match self.keys.get_mut(place) {
            Some(kept) => key.clone_into(kept),
            None => self.keys.push(key.to_owned()),
        }
    }
}

/// The merged samples of all threads: sorted keys, each with the number of rows it represents.
#[derive(Debug, Default)]
pub(super) struct Distribution(Vec<(String, f64)>);

impl Distribution {
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    pub(super) fn of(samples: impl Iterator<Item = Sample>) -> Self {
        let weigh = |Sample { keys, seen, .. }: Sample| {
            let weight = seen as f64 / keys.len().max(1) as f64;
            keys.into_iter().map(move |key| (key, weight))
        };
        let mut keys: Vec<_> = samples.flat_map(weigh).collect();
        keys.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Self(keys)
    }

    /// The upper bound of the next range, which begins at `lower` and has at most `rows` rows. This and all later ranges
    /// get about the same size. `None` if it is the last range.
    pub(super) fn upper(&self, lower: &str, rows: f64) -> Option<&str> {
        let rest = &self.0[self.0.partition_point(|(key, _)| key.as_str() < lower)..];
        let total: f64 = rest.iter().map(|(_, weight)| weight).sum();
        let target = total / (total / rows.max(1.0)).ceil().max(1.0);
        let mut sum = 0.0;
        let upper = rest.iter().find(|(key, weight)| {
            sum += weight;
            sum > target && key.as_str() > lower
        });
        // A remainder that is only a rounding error does not become a range.
        upper.filter(|_| sum < total * 0.999).map(|(key, _)| key.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_have_about_as_many_rows_each() {
        let mut samples = [Sample::new(1000), Sample::new(1000)];
        let mut keys: Vec<String> = (0..100_000).map(|number| format!("driver {number:06}")).collect();
        Rng::with_seed(1).shuffle(&mut keys);
        for (number, key) in keys.iter().enumerate() {
            samples[usize::from(number % 10 == 0)].add(key);
        }
        let distribution = Distribution::of(samples.into_iter());
        let (mut lower, mut counts) = (String::new(), Vec::new());
        while let Some(upper) = distribution.upper(&lower, 30_000.0) {
            counts.push(keys.iter().filter(|key| key.as_str() >= lower.as_str() && key.as_str() < upper).count());
            lower = upper.to_owned();
        }
        counts.push(keys.iter().filter(|key| **key >= lower).count());
        assert_eq!((counts.len(), counts.iter().sum::<usize>()), (4, 100_000));
        assert!(counts.iter().all(|count| (20_000..30_000).contains(count)), "{counts:?}");
        assert_eq!(distribution.upper("", 1e9), None);
        assert_eq!(Distribution::default().upper("", 10.0), None);
    }
}
