use super::*;

fn series(values: impl IntoIterator<Item = u64>) -> Vec<Point> {
    values.into_iter().zip(0..).map(|(value, number)| Point { at_ms: number * 900_000, value }).collect()
}

fn told(figure: Figure, values: impl IntoIterator<Item = u64>) -> Verdict {
    judge(figure, &series(values), WARM_UP).verdict
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
