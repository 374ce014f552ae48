//! What expressions mean, against cron's manual and against looking at every minute.

use std::collections::BTreeSet;

use jiff::ToSpan as _;
use jiff::civil::{date, datetime};
use proptest::prelude::*;

use super::*;

fn cron(text: &str) -> Cron {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The first few minutes from the beginning of 2026-11-24, a Tuesday.
fn first(text: &str, count: usize) -> String {
    let from = |minute: DateTime| cron(text).first_from(minute);
    let mut found = Vec::new();
    let mut next = from(date(2026, 11, 24).at(0, 0, 0, 0));
    while let Some(minute) = next.filter(|_| found.len() < count) {
        found.push(minute.strftime("%a %Y-%m-%d %H:%M").to_string());
        next = from(minute + 1.minute());
    }
    found.join("\n")
}

#[test]
fn expressions_mean_what_the_manual_says() {
    insta::assert_snapshot!(first("0 4 * * *", 2), @r"
    Tue 2026-11-24 04:00
    Wed 2026-11-25 04:00
    ");
    insta::assert_snapshot!(first("5,50-59/4 22-23 * * *", 5), @r"
    Tue 2026-11-24 22:05
    Tue 2026-11-24 22:50
    Tue 2026-11-24 22:54
    Tue 2026-11-24 22:58
    Tue 2026-11-24 23:05
    ");
    insta::assert_snapshot!(first("0 0 29 FEB *", 2), @r"
    Tue 2028-02-29 00:00
    Sun 2032-02-29 00:00
    ");
    insta::assert_snapshot!(first("0 0 31 jan-dec/5 *", 2), @r"
    Sun 2027-01-31 00:00
    Mon 2028-01-31 00:00
    ");
    insta::assert_snapshot!(first("30 12 * * Fri-Sun", 3), @r"
    Fri 2026-11-27 12:30
    Sat 2026-11-28 12:30
    Sun 2026-11-29 12:30
    ");
}

#[test]
fn of_day_of_month_and_day_of_week_either_will_do_unless_one_begins_with_a_star() {
    insta::assert_snapshot!(first("0 0 13 * 5", 4), @r"
    Fri 2026-11-27 00:00
    Fri 2026-12-04 00:00
    Fri 2026-12-11 00:00
    Sun 2026-12-13 00:00
    ");
    insta::assert_snapshot!(first("0 0 */10 * 1", 2), @r"
    Mon 2026-12-21 00:00
    Mon 2027-01-11 00:00
    ");
    insta::assert_snapshot!(first("0 0 29 2 */7", 2), @r"
    Sun 2032-02-29 00:00
    Sun 2060-02-29 00:00
    ");
    // A day that there is not, but Mondays there are.
    insta::assert_snapshot!(first("0 0 31 2 1", 1), @"Mon 2027-02-01 00:00");
}

#[test]
fn seven_and_zero_are_sunday_and_macros_are_short_for_fields() {
    let same = |one: &str, other: &str| assert_eq!(first(one, 9), first(other, 9), "{one} and {other}");
    for sunday in ["7", "0", "sun", "SUN", "7,0", "0-0", "7-7", "*/7"] {
        same(&format!("0 0 * * {sunday}"), "@weekly");
    }
    same("0 0 * * 5-7", "0 0 * * fri,sat,sun");
    same("0 0 * * 5-0", "0 0 * * fri-sun");
    same("0 0 * * 0-7", "0 0 * * *");
    same("00 00 * * *", "@Daily");
    same("@midnight", "@daily");
    same("@annually", "0 0 1 1 *");
    same("@yearly", "0 0 1 jan *");
    same("@monthly", "0 0 1 * *");
    same("@hourly", "0 */1 * * *");
    assert_eq!(cron("  0  4 * *\t* ").to_string(), "0 4 * * *", "shown as it was written, but for white space");
    assert_eq!(cron("@daily").to_string(), "@daily");
}

#[test]
fn errors_name_the_part_that_is_wrong() {
    let told = |text: &str| format!("{text}: {}", text.parse::<Cron>().unwrap_err());
    let wrong = [
        "",
        "0 4 * *",
        "0 4 * * * *",
        "@reboot",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 8",
        "* * * 0 *",
        "5/15 * * * *",
        "*/0 * * * *",
        "*/60 * * * *",
        "5-1 * * * *",
        "1-2-3 * * * *",
        "1, * * * *",
        "-1 * * * *",
        "+1 * * * *",
        "001 * * * *",
        "** * * * *",
        "* * * * mon-",
        "* * * tuesday *",
        "* jan * * *",
        "* * L * *",
        "? * * * *",
        "0 0 31 2 *",
        "0 0 31 4,6,9,11 *",
        "0 0 30 feb */2",
        "1/2/3 * * * *",
        "\u{663} * * * *",
        "99999999999999999999999999 * * * *",
    ];
    let all: Vec<String> = wrong.into_iter().map(told).collect();
    insta::assert_snapshot!(all.join("\n"), @r#"
    : expected five fields (minute, hour, day of month, month, day of week), found 0
    0 4 * *: expected five fields (minute, hour, day of month, month, day of week), found 4
    0 4 * * * *: expected five fields (minute, hour, day of month, month, day of week), found 6
    @reboot: unknown macro: expected @yearly, @annually, @monthly, @weekly, @daily, @midnight or @hourly
    60 * * * *: invalid minute field: expected numbers 0 to 59, rising ranges, or * or ranges with steps up to 59, found "60"
    * 24 * * *: invalid hour field: expected numbers 0 to 23, rising ranges, or * or ranges with steps up to 23, found "24"
    * * 0 * *: invalid day of month field: expected numbers 1 to 31, rising ranges, or * or ranges with steps up to 31, found "0"
    * * * 13 *: invalid month field: expected numbers 1 to 12 or names jan to dec, rising ranges, or * or ranges with steps up to 12, found "13"
    * * * * 8: invalid day of week field: expected numbers 0 to 7 or names sun to sat, rising ranges, or * or ranges with steps up to 7, found "8"
    * * * 0 *: invalid month field: expected numbers 1 to 12 or names jan to dec, rising ranges, or * or ranges with steps up to 12, found "0"
    5/15 * * * *: invalid minute field: expected numbers 0 to 59, rising ranges, or * or ranges with steps up to 59, found "5/15"
    */0 * * * *: invalid minute field: expected numbers 0 to 59, rising ranges, or * or ranges with steps up to 59, found "*/0"
    */60 * * * *: invalid minute field: expected numbers 0 to 59, rising ranges, or * or ranges with steps up to 59, found "*/60"
    5-1 * * * *: invalid minute field: expected numbers 0 to 59, rising ranges, or * or ranges with steps up to 59, found "5-1"
    1-2-3 * * * *: invalid minute field: expected numbers 0 to 59, rising ranges, or * or ranges with steps up to 59, found "1-2-3"
    1, * * * *: invalid minute field: expected numbers 0 to 59, rising ranges, or * or ranges with steps up to 59, found ""
    -1 * * * *: invalid minute field: expected numbers 0 to 59, rising ranges, or * or ranges with steps up to 59, found "-1"
    +1 * * * *: invalid minute field: expected numbers 0 to 59, rising ranges, or * or ranges with steps up to 59, found "+1"
    001 * * * *: invalid minute field: expected numbers 0 to 59, rising ranges, or * or ranges with steps up to 59, found "001"
    ** * * * *: invalid minute field: expected numbers 0 to 59, rising ranges, or * or ranges with steps up to 59, found "**"
    * * * * mon-: invalid day of week field: expected numbers 0 to 7 or names sun to sat, rising ranges, or * or ranges with steps up to 7, found "mon-"
    * * * tuesday *: invalid month field: expected numbers 1 to 12 or names jan to dec, rising ranges, or * or ranges with steps up to 12, found "tuesday"
    * jan * * *: invalid hour field: expected numbers 0 to 23, rising ranges, or * or ranges with steps up to 23, found "jan"
    * * L * *: invalid day of month field: expected numbers 1 to 31, rising ranges, or * or ranges with steps up to 31, found "L"
    ? * * * *: invalid minute field: expected numbers 0 to 59, rising ranges, or * or ranges with steps up to 59, found "?"
    0 0 31 2 *: never due: none of its months has any of its days
    0 0 31 4,6,9,11 *: never due: none of its months has any of its days
    0 0 30 feb */2: never due: none of its months has any of its days
    1/2/3 * * * *: invalid minute field: expected numbers 0 to 59, rising ranges, or * or ranges with steps up to 59, found "1/2/3"
    ٣ * * * *: invalid minute field: expected numbers 0 to 59, rising ranges, or * or ranges with steps up to 59, found "٣"
    99999999999999999999999999 * * * *: invalid minute field: expected numbers 0 to 59, rising ranges, or * or ranges with steps up to 59, found "99999999999999999999"
    "#);
}

#[test]
fn the_search_ends_with_the_years() {
    let end = datetime(9999, 12, 31, 23, 59, 59, 999_999_999);
    assert_eq!(cron("* * * * *").first_from(end), Some(datetime(9999, 12, 31, 23, 59, 0, 0)));
    assert_eq!(cron("0 0 1 1 *").first_from(end), None);
    assert_eq!(cron("0 0 29 2 */7").first_from(datetime(9990, 1, 1, 0, 0, 0, 0)), None);
}

/// A part of a field, with the numbers that it stands for.
fn part(min: i8, max: i8) -> impl Strategy<Value = (String, BTreeSet<i8>)> {
    let (one, range) = (min..=max, (min..=max, min..=max, 1..=max));
    prop_oneof![
        2 => Just(("*".to_owned(), (min..=max).collect())),
        1 => (1..=max).prop_map(move |step| (format!("*/{step}"), stepped(min, max, step))),
        2 => one.prop_map(|it| (it.to_string(), BTreeSet::from([it]))),
        2 => range.prop_map(|(one, other, step)| {
            let (first, end) = (one.min(other), one.max(other));
            let text = if step == 1 { format!("{first}-{end}") } else { format!("{first}-{end}/{step}") };
            (text, stepped(first, end, step))
        }),
    ]
}

fn stepped(first: i8, last: i8, step: i8) -> BTreeSet<i8> {
    (first..=last).filter(|it| (it - first) % step == 0).collect()
}

fn field(min: i8, max: i8) -> impl Strategy<Value = (String, BTreeSet<i8>)> {
    prop::collection::vec(part(min, max), 1..3).prop_map(|parts| {
        let text: Vec<&str> = parts.iter().map(|it| it.0.as_str()).collect();
        (text.join(","), parts.iter().flat_map(|it| it.1.iter().copied()).collect())
    })
}

proptest! {
    /// The oracle looks at minutes one by one, for three days and then at the days' first.
    #[test]
    fn the_first_minute_is_what_looking_at_each_finds(
        minutes in field(0, 59),
        hours in field(0, 23),
        days in field(1, 31),
        months in field(1, 12),
        weekdays in field(0, 7),
        start in (1900_i16..2200, 1_i8..=12, 1_i8..=28, 0_i8..24, 0_i8..60, 0_i8..60),
    ) {
        let text = [&minutes, &hours, &days, &months, &weekdays].map(|it| it.0.as_str()).join(" ");
        let from = date(start.0, start.1, start.2).at(start.3, start.4, start.5, 0);
        let starred = days.0.starts_with('*') || weekdays.0.starts_with('*');
        let meant_day = |day: Date| {
            let weekday = day.weekday().to_sunday_zero_offset();
            let of_week = weekdays.1.contains(&weekday) || weekday == 0 && weekdays.1.contains(&7);
            let of_month = days.1.contains(&day.day());
            months.1.contains(&day.month()) && if starred { of_week && of_month } else { of_week || of_month }
        };
        let oracle = || {
            let mut day = from.date();
            // No expression is rarer than a leap day on one day of the week, which comes after 40 years at most.
            for _ in 0..41 * 366 {
                if meant_day(day) {
                    let begin = if day == from.date() { i32::from(start.3) * 60 + i32::from(start.4) } else { 0 };
                    for minute in begin..24 * 60 {
                        let (hour, minute) = (i8::try_from(minute / 60).unwrap(), i8::try_from(minute % 60).unwrap());
                        if hours.1.contains(&hour) && minutes.1.contains(&minute) {
                            return Some(day.at(hour, minute, 0, 0));
                        }
                    }
                }
                day = day.tomorrow().unwrap();
            }
            None
        };
        match text.parse::<Cron>() {
            Ok(cron) => {
                let first = cron.first_from(from);
                prop_assert_eq!(first, oracle(), "{}", text);
                prop_assert_eq!(cron.first_from(first.unwrap()), first, "it is itself the first from itself");
                prop_assert_eq!(cron.to_string().parse::<Cron>(), Ok(cron));
            }
            Err(error) => {
                prop_assert_eq!(error, CronError::Never, "{}", text);
                prop_assert_eq!(oracle(), None, "{}", text);
            }
        }
    }

    #[test]
    fn any_text_is_parsed_or_refused_for_any_time(
        text in "([0-9*/,a-zA-Z@ -]{0,12} ){0,6}|\\PC{0,40}",
        start in (-9999_i16..=9999, 1_i8..=12, 1_i8..=28, 0_i8..24, 0_i8..60),
    ) {
        if let Ok(cron) = text.parse::<Cron>() {
            let from = date(start.0, start.1, start.2).at(start.3, start.4, 59, 1);
            prop_assert!(cron.first_from(from).is_none_or(|it| it + 1.minute() > from));
        }
    }
}
