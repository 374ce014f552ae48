#![expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "numbers of tests")]

use proptest::prelude::*;
use r3e_common::runtime::memory;

use super::*;

fn series(values: impl IntoIterator<Item = u64>) -> Vec<Point> {
    values.into_iter().zip(0..).map(|(value, number)| Point { at_ms: number * 900_000, value }).collect()
}

fn told(figure: Figure, values: impl IntoIterator<Item = u64>) -> Verdict {
    judge(figure, &series(values), WARM_UP).verdict
}

/// Noise of a fixed seed, from 0 to `most`.
fn noise(seed: u64, most: u64) -> impl Iterator<Item = u64> {
    let mut random = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(move || random.u64(..=most))
}

#[test]
fn one_more_each_cycle_is_a_leak_with_its_rate() {
    let it = judge(Figure::Tasks, &series((0..60).map(|n| 5 + n)), 0);
    assert_eq!((it.verdict, it.samples), (Verdict::Leak, 40));
    let (cycle, hour) = (it.per_cycle.unwrap(), it.per_hour.unwrap());
    assert_eq!((cycle.low, cycle.likely, cycle.high), (1.0, 1.0, 1.0));
    assert_eq!((hour.low, hour.likely, hour.high), (4.0, 4.0, 4.0));
}

#[test]
fn what_does_not_grow_is_flat() {
    assert_eq!(told(Figure::Tasks, [5; 60]), Verdict::Flat);
    assert_eq!(told(Figure::Tasks, (0..60).map(|n| n % 4)), Verdict::Flat);
    assert_eq!(told(Figure::Tasks, (0..60).map(|n| 100 - n)), Verdict::Flat);
}

#[test]
fn with_few_samples_there_is_no_or_a_weaker_verdict() {
    let grown = |count: u64| judge(Figure::Tasks, &series((0..count).map(|n| 3 * n)), WARM_UP).verdict;
    assert_eq!(grown(0), Verdict::TooFewSamples);
    assert_eq!(grown(MIN_SAMPLES as u64 - 1), Verdict::TooFewSamples);
    assert_eq!(grown(MIN_SAMPLES as u64), Verdict::Suspect);
    assert_eq!(grown(MIN_SAMPLES_FOR_LEAK as u64 - 1), Verdict::Suspect);
    assert_eq!(grown(MIN_SAMPLES_FOR_LEAK as u64), Verdict::Leak);
    let samples = series(0..MIN_SAMPLES as u64 + 15);
    assert_eq!(judge(Figure::Tasks, &samples, 0).samples, MIN_SAMPLES - 5, "a warm-up is dropped");
    assert_eq!(judge(Figure::Tasks, &samples, 15).samples, MIN_SAMPLES + 10, "but for what was before");
}

#[test]
fn a_step_and_growth_that_has_ended_are_no_leaks() {
    let step = |at: u64| (0..60).map(move |n| if n < at { 100 } else { 200 });
    for at in [5, 20, 30, 40, 55] {
        assert_ne!(told(Figure::Tasks, step(at)), Verdict::Leak, "{at}");
    }
    assert_eq!(told(Figure::Tasks, (0..60_u64).map(|n| 10 * n.min(30))), Verdict::Flat);
    // A cache that fills ever slower.
    let filling = (0..60).map(|n| 4_000_000 - (4e6 * f64::exp(-f64::from(n) / 12.0)).round() as u64);
    assert_ne!(told(Figure::Allocated, filling), Verdict::Leak);
}

#[test]
fn a_bounded_random_walk_is_no_leak() {
    for seed in 0..50 {
        let saw = noise(seed, 120_000).scan(0, |level: &mut u64, step| {
            *level = if *level > 500_000 { 100_000 } else { *level + step };
            Some(*level)
        });
        let verdict = judge(Figure::Allocated, &series(saw.take(60)), 0).verdict;
        assert_ne!(verdict, Verdict::Leak, "{seed}");
        assert_ne!(told(Figure::Tasks, noise(seed, 12).take(60)), Verdict::Leak, "{seed}");
    }
}

/// What clean processes of the benchmark held: which figure, its unit, and how much after each purge. Each was called a leak
/// once, with thresholds of older versions.
const ONCE_FALSE_ALARMS: [(Figure, u64, [u64; 60]); 4] = [
    (
        Figure::Allocated,
        1024,
        [
            672, 708, 980, 1113, 1260, 1434, 1484, 1665, 1465, 1700, 1770, 1760, 1894, 1595, 1720, 1879, 1896, 2024,
            1512, 1550, 1577, 1645, 1689, 1774, 1902, 1679, 1771, 1823, 1890, 1905, 1918, 1952, 2013, 1769, 1779, 1854,
            1832, 1888, 1972, 2053, 2102, 2059, 2085, 1630, 3979, 1742, 1774, 1825, 2863, 1984, 2004, 2055, 1876, 1906,
            1965, 1725, 1944, 2053, 2059, 1783,
        ],
    ),
    (
        Figure::Allocated,
        1024,
        [
            451, 1127, 1147, 1155, 1330, 1336, 2265, 2991, 3644, 3971, 4574, 1728, 2477, 2744, 2893, 3366, 4115, 1277,
            1364, 1381, 1393, 1740, 1803, 2628, 3129, 3872, 4445, 1722, 2100, 2952, 3765, 3793, 4603, 1727, 2480, 2517,
            3257, 4065, 4410, 4704, 3506, 3612, 4398, 4534, 4591, 1726, 1842, 2501, 3048, 3837, 4219, 4674, 1726, 2213,
            2697, 3058, 3531, 4520, 2170, 2428,
        ],
    ),
    (
        Figure::Resident,
        1024,
        [
            6360, 7188, 7296, 8476, 9372, 9692, 10476, 10580, 10484, 10484, 10492, 10628, 10792, 10300, 10404, 10560,
            10604, 10704, 9104, 8912, 8912, 8912, 9044, 9056, 9064, 9288, 9404, 9872, 10668, 9928, 9924, 9980, 10076,
            10076, 10260, 10292, 10456, 10632, 10916, 11008, 11008, 11024, 11024, 11168, 11248, 11040, 11044, 11044,
            11128, 11344, 10580, 10732, 10760, 10892, 11152, 10404, 10400, 10428, 10560, 10656,
        ],
    ),
    (
        Figure::Descriptors,
        1,
        [
            22, 25, 27, 26, 29, 32, 31, 33, 34, 31, 29, 29, 26, 24, 26, 25, 21, 18, 19, 20, 19, 18, 18, 18, 18, 18, 18,
            22, 23, 20, 19, 21, 25, 27, 28, 26, 30, 30, 32, 34, 34, 34, 34, 34, 32, 34, 34, 34, 31, 30, 29, 27, 24, 22,
            19, 20, 22, 20, 18, 18,
        ],
    ),
];

#[test]
fn a_rise_and_fall_is_never_a_leak() {
    for (figure, unit, values) in ONCE_FALSE_ALARMS {
        let samples = series(values.map(|it| it * unit));
        for end in 0..=samples.len() {
            assert_ne!(judge(figure, &samples[..end], 0).verdict, Verdict::Leak, "{figure:?} {end} {values:?}");
        }
    }
}

#[test]
fn the_smallest_growth_that_could_have_been_seen_grows_with_the_noise() {
    let visible = |most: u64| {
        let values = noise(7, most).take(60).map(|it| 10_000_000 + it);
        judge(Figure::Allocated, &series(values), 0).per_cycle.unwrap().visible
    };
    let floor = Figure::Allocated.floor() / 37.0;
    assert!((visible(1) - floor).abs() < 1.0, "where there is no noise it is the floor");
    assert!(visible(2_000_000) > 2.0 * floor && visible(20_000_000) > 5.0 * visible(2_000_000));
}

/// Noise of a normal distribution with that deviation, around 60 MB.
fn normal(seed: u64, deviation: f64) -> impl Iterator<Item = f64> {
    let mut random = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(move || {
        let sum: f64 = (0..12).map(|_| random.f64()).sum();
        60.0 * MB_OF_GROWTH + deviation * (sum - 6.0)
    })
}

#[test]
fn the_smallest_growth_that_could_have_been_seen_is_seen_in_most_cases_and_half_of_it_is_not() {
    const TRIALS: u64 = 50;
    let rising = |values: &[f64], rise: f64| {
        let values: Vec<u64> =
            values.iter().zip(0..).map(|(value, n)| (value + rise * f64::from(n)).round() as u64).collect();
        values
    };
    let process = |values: Vec<u64>| judge(Figure::Allocated, &series(values), WARM_UP);
    let job = |values: Vec<u64>| peaks(values.into_iter().map(|it| (16_000, it)));
    let judgements: [fn(Vec<u64>) -> Judgement; 2] = [process, job];
    for (judged, counts) in judgements.into_iter().zip([[30, 60, 300], [MIN_RUNS, 12, 60]]) {
        for count in counts {
            for deviation in [1e3, 1e5, 1e6, 1e7] {
                let (mut found, mut found_half) = (0, 0);
                for seed in 0..TRIALS {
                    let values: Vec<f64> = normal(seed, deviation).take(count).collect();
                    let visible = judged(rising(&values, 0.0)).per_cycle.unwrap().visible;
                    let is_leak = |rise: f64| u64::from(judged(rising(&values, rise)).verdict == Verdict::Leak);
                    found += is_leak(visible);
                    found_half += is_leak(visible / 2.0);
                }
                let tried = format!("{count} points, deviation {deviation}: {found} and {found_half} of {TRIALS}");
                assert!(found * 100 >= 75 * TRIALS && found_half * 100 <= 40 * TRIALS, "{tried}");
            }
        }
    }
}

#[test]
fn once_the_work_has_doubled_for_good_the_runs_before_do_not_count() {
    let before = (0..40).map(|_| (8_000, 60 * MB));
    let nights = |count: u64| peaks(before.clone().chain((0..count).map(|n| (16_100, (120 + 5 * n) * MB))));
    assert_eq!(nights(3).verdict, Verdict::Flat);
    assert_eq!(nights(7).verdict, Verdict::TooFewSamples);
    assert_eq!(nights(8).verdict, Verdict::Leak);
}

#[test]
fn a_leak_is_seen_through_work_in_flight() {
    let values = noise(3, 40_000).take(60).zip(0..).map(|(noise, n)| {
        let in_flight = if n % 17 == 3 { 8 << 20 } else { 0 };
        (5 << 20) + n * (24 << 10) + noise + in_flight
    });
    let it = judge(Figure::Allocated, &series(values), 0);
    let grown = it.per_cycle.unwrap();
    assert_eq!(it.verdict, Verdict::Leak);
    assert!(grown.low <= 24_576.0 && 24_576.0 <= grown.high, "{grown:?}");
}

const MB: u64 = 1 << 20;
const MB_OF_GROWTH: f64 = 1_048_576.0;
const DAY_MS: i64 = 86_400_000;

/// Runs of successive nights: boards fetched, and peak.
fn runs(nights: impl IntoIterator<Item = (u64, u64)>) -> Vec<Run> {
    let run = |((fetched, peak_rss_bytes), night): ((u64, u64), i64)| {
        let held = memory::Figures { peak_rss_bytes, ..memory::Figures::default() };
        let end = Moment { at_ms: night * DAY_MS, figures: Figures::new(&held, 0) };
        Run { end, fetched, entries: fetched * 20 }
    };
    nights.into_iter().zip(0..).map(run).collect()
}

fn peaks(nights: impl IntoIterator<Item = (u64, u64)>) -> Judgement {
    judge_runs(Figure::Peak, &runs(nights))
}

#[test]
fn eight_nights_that_each_peak_5_mb_higher_are_a_leak() {
    let nights = |count: u64| (0..count).map(|n| (16_000, (60 + 5 * n) * MB));
    assert_eq!(peaks(nights(7)).verdict, Verdict::TooFewSamples);
    let it = peaks(nights(8));
    assert_eq!((it.verdict, it.samples), (Verdict::Leak, 8));
    let (run, hour) = (it.per_cycle.unwrap(), it.per_hour.unwrap());
    assert!((run.likely - 5.0 * MB_OF_GROWTH).abs() < 1.0 && (hour.likely * 24.0 - run.likely).abs() < 1.0, "{it:?}");
    let noisy = nights(12).zip(noise(5, 3 * MB)).map(|((fetched, peak), noise)| (fetched, peak + noise));
    assert_eq!(peaks(noisy).verdict, Verdict::Leak);
}

#[test]
fn runs_that_only_vary_are_flat_and_name_what_would_have_been_seen() {
    let it = peaks(noise(11, 8 * MB).take(20).map(|noise| (16_000, 60 * MB + noise)));
    assert_eq!(it.verdict, Verdict::Flat);
    assert!(it.per_cycle.unwrap().visible > 0.0);
    let step = (0..20).map(|n| (16_000, if n < 9 { 60 * MB } else { 90 * MB }));
    assert_ne!(peaks(step).verdict, Verdict::Leak);
}

#[test]
fn growth_with_the_work_is_no_leak_and_growth_beside_it_is_one() {
    // Each night has 500 more boards. None, half, or all of the memory depends on their number.
    let sizes = || (0..30).map(|n| 10_000 + 500 * n);
    for share in [0, 50, 100] {
        let of = |size: u64| 60 * MB / 100 * (100 - share) + 60 * MB / 100 * share / 10_000 * size;
        let growing: Vec<(u64, u64)> = sizes().map(|size| (size, of(size))).collect();
        for end in MIN_RUNS..=30 {
            assert_ne!(peaks(growing[..end].iter().copied()).verdict, Verdict::Leak, "{share} % growing, {end}");
            let shrinking = growing[..end].iter().rev().copied();
            assert_ne!(peaks(shrinking).verdict, Verdict::Leak, "{share} % shrinking, {end}");
        }
    }
    // 20 boards more, and 5 MB.
    let leaking = (0..12).map(|n| (16_000 + 20 * n, (60 + 5 * n) * MB));
    assert_eq!(peaks(leaking).verdict, Verdict::Leak);
}

#[test]
fn runs_with_other_work_and_unknown_figures_do_not_count() {
    let mut nights: Vec<(u64, u64)> = (0..8).map(|n| (16_000, (60 + 5 * n) * MB)).collect();
    for (place, other) in [(0, (16_000, 0)), (3, (0, 20 * MB)), (5, (7_900, 30 * MB)), (8, (32_100, 150 * MB))] {
        nights.insert(place, other);
    }
    let it = peaks(nights.iter().copied());
    assert_eq!((it.verdict, it.samples), (Verdict::Leak, 8));
    nights.truncate(8);
    assert_eq!(peaks(nights).verdict, Verdict::TooFewSamples);
    assert_eq!(peaks([]).verdict, Verdict::TooFewSamples);
}

proptest! {
    #[test]
    fn no_runs_are_too_strange(
        nights in prop::collection::vec((any::<i64>(), any::<u64>(), any::<u64>(), any::<u64>()), 0..80),
    ) {
        let run = |(at_ms, peak_rss_bytes, fetched, entries)| {
            let held = memory::Figures { peak_rss_bytes, ..memory::Figures::default() };
            Run { end: Moment { at_ms, figures: Figures::new(&held, 0) }, fetched, entries }
        };
        let it = judge_runs(Figure::Peak, &nights.into_iter().map(run).collect::<Vec<_>>());
        prop_assert_eq!(it.per_cycle.is_none(), it.verdict == Verdict::TooFewSamples);
    }

    #[test]
    fn no_series_is_too_strange(
        points in prop::collection::vec((any::<i64>(), any::<u64>()), 0..300),
        earlier in 0_usize..40,
    ) {
        let points: Vec<Point> = points.into_iter().map(|(at_ms, value)| Point { at_ms, value }).collect();
        for figure in Figure::OF_PROCESSES {
            let it = judge(figure, &points, earlier);
            prop_assert_eq!(it.per_cycle.is_none(), it.verdict == Verdict::TooFewSamples);
            for Growth { likely, low, high, visible } in it.per_cycle.into_iter().chain(it.per_hour) {
                prop_assert!(low <= likely && likely <= high && visible >= 0.0 && visible.is_finite(), "{it:?}");
            }
        }
    }

    #[test]
    fn where_it_lies_changes_nothing(
        values in prop::collection::vec(0_u64..1 << 20, 0..120),
        higher in 0_u64..1 << 50,
        later_ms in 0_i64..1 << 40,
    ) {
        let samples = series(values);
        let moved = |it: &Point| Point { at_ms: it.at_ms + later_ms, value: it.value + higher };
        let moved: Vec<Point> = samples.iter().map(moved).collect();
        for figure in [Figure::Allocated, Figure::Tasks] {
            prop_assert_eq!(judge(figure, &samples, 5), judge(figure, &moved, 5));
        }
    }

    #[test]
    fn the_slope_goes_with_the_unit(values in prop::collection::vec(0_u64..1 << 20, 3..60)) {
        let of = |unit: u64| {
            let scaled = series(values.iter().map(|it| it * unit));
            Trend::of(&Judged::new(&scaled).by_cycle).unwrap()
        };
        let (one, more) = (of(1), of(1024));
        for (a, b) in [(one.slope, more.slope), (one.low, more.low), (one.high, more.high)] {
            prop_assert!((a * 1024.0 - b).abs() <= 1e-6 * b.abs().max(1.0), "{one:?} {more:?}");
        }
    }

    #[test]
    fn a_long_series_has_the_verdict_of_its_medians(rate in 0_u64..1000, length in 500_usize..5000) {
        let it = judge(Figure::Tasks, &series((0..length as u64).map(|n| n * rate)), 0);
        prop_assert_eq!(it.per_cycle.unwrap().likely.round() as u64, rate);
        prop_assert_eq!(it.verdict, if rate == 0 { Verdict::Flat } else { Verdict::Leak });
    }
}
