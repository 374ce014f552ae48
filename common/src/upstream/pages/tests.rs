mod bodies;

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::store::BoardEncoder;
use crate::upstream::test_service::{self, Listing, Service, entry, page};
use crate::upstream::{Answer, FetchError};

/// A change of a board: at that place, counted in thousandths of its length.
#[derive(Debug, Clone, Copy)]
enum Change {
    Insert(usize),
    Remove(usize),
}

impl Change {
    fn apply(self, board: &mut Vec<u32>, new: u32) {
        let place = |thousandths: usize| thousandths * board.len() / 1000;
        match self {
            Self::Insert(at) => {
                let at = place(at);
                board.insert(at, new);
            }
            Self::Remove(at) if !board.is_empty() => {
                let at = place(at).min(board.len() - 1);
                board.remove(at);
            }
            Self::Remove(_) => {}
        }
    }
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![(0..=1000usize).prop_map(Change::Insert), (0..=1000usize).prop_map(Change::Remove)]
}

/// A service whose pages have at most `cap` entries, with a board that changes after each request for which there is a change.
/// What is fetched, and every board that there was.
fn fetch(
    length: u32,
    cap: usize,
    page_size: usize,
    last_page: LastPage,
    changes: Vec<Option<Change>>,
) -> (Result<Vec<u32>, Failure>, Vec<Vec<u32>>) {
    let mut boards = vec![(0..length).collect::<Vec<_>>()];
    let (tell, told) = std::sync::mpsc::channel();
    let (mut board, mut changes) = (boards[0].clone(), changes.into_iter().zip(1_000_000..));
    let answer = move |Listing { start, count }: Listing| {
        let entries = board.iter().enumerate().skip(start).take(count.min(cap));
        let body = page(&entries.map(|(index, &driver)| entry(driver, index)).collect::<Vec<_>>());
        if let Some((Some(change), new)) = changes.next() {
            change.apply(&mut board, new);
            // Who does not look any more has seen enough.
            let _unheard = tell.send(board.clone());
        }
        body.into()
    };
    let service = Service::new(answer, page_size, 4);
    let fetched = service.fetch(last_page);
    boards.extend(told.try_iter());
    let fetched = match fetched {
        Ok(Answer::Board(encoder)) => Ok(test_service::drivers(*encoder)),
        Ok(Answer::NotModified) => panic!("the request was not conditional"),
        Err(FetchError::Failed { failure, .. }) => Err(failure),
        Err(FetchError::Unavailable(why)) => panic!("{why}"),
    };
    (fetched, boards)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn pages_of_any_size_make_the_board(length in 0..200u32, cap in 2..60usize, page_size in 2..60usize, end: bool) {
        let last_page = if end { LastPage::Empty } else { LastPage::Short };
        let (fetched, boards) = fetch(length, cap, page_size, last_page, Vec::new());
        prop_assert_eq!(fetched.as_ref(), Ok(&boards[0]));
    }

    #[test]
    fn one_change_between_pages_gives_the_board_before_or_after_it(
        length in 0..200u32,
        cap in 2..60usize,
        after in 0..6usize,
        change in change(),
    ) {
        let mut changes = vec![None; after];
        changes.push(Some(change));
        let (fetched, boards) = fetch(length, cap, 50, LastPage::Short, changes);
        prop_assert!(fetched.as_ref().is_ok_and(|it| boards.contains(it)), "{fetched:?} of {boards:?}");
    }

    #[test]
    fn a_board_that_changes_all_the_time_has_no_entry_twice_and_none_missing_or_fails(
        length in 0..200u32,
        cap in 2..60usize,
        changes in proptest::collection::vec(proptest::option::of(change()), 0..40),
    ) {
        let (fetched, boards) = fetch(length, cap, 50, LastPage::Short, changes);
        match fetched {
            Ok(fetched) => {
                let known: HashSet<_> = fetched.iter().collect();
                prop_assert_eq!(known.len(), fetched.len(), "twice in {:?}", fetched);
                let lasting = boards[0].iter().filter(|driver| boards.iter().all(|board| board.contains(driver)));
                let missing: Vec<_> = lasting.filter(|driver| !known.contains(driver)).collect();
                prop_assert!(missing.is_empty(), "{missing:?} missing in {fetched:?}");
            }
            // An entry inserted before a page of two looks as if the service had ignored where the page starts.
            Err(failure) => {
                prop_assert!(matches!(failure, Failure::Changed { .. } | Failure::Repeated { .. }), "{failure}");
            }
        }
    }
}

/// Reads pages without a service: `pages` are lists of elements. A board that changed is read again.
fn read(pages: &[&str], asked: usize) -> Result<Vec<Taken>, Failure> {
    let board = "2-3".parse().unwrap();
    let (validators, longest) = (Validators::default(), LongestPage::default());
    let mut reader = Pages::<BoardEncoder>::new(board, "N", &validators, LastPage::Short);
    pages
        .iter()
        .map(|list| {
            let text = format!(r#"{{"context":{{"c":{{"results":{list}}}}}}}"#);
            let taken = reader.take(&text, &HeaderMap::new(), asked, &longest);
            if taken == Ok(Taken::Changed) {
                reader.restart();
            }
            taken
        })
        .collect()
}

#[test]
fn a_page_less_than_half_as_long_as_the_longest_ends_a_board() {
    let longest = LongestPage::default();
    assert!(longest.may_continue(30, LastPage::Short), "the first may be as long as pages are");
    assert!(longest.may_continue(15, LastPage::Short));
    assert!(!longest.may_continue(14, LastPage::Short));
    assert!(longest.may_continue(1000, LastPage::Short));
    assert!(!longest.may_continue(499, LastPage::Short));
    assert!(longest.may_continue(499, LastPage::Empty));
    for last_page in [LastPage::Short, LastPage::Empty] {
        assert!(!longest.may_continue(1, last_page) && !longest.may_continue(0, last_page));
    }
}

#[test]
fn elements_that_are_no_entries_join_pages_too() {
    use Taken::{Changed, Last, More};
    assert_eq!(read(&["[{},null]", "[null,7]", "[7]"], 3), Ok(vec![More, More, Last]));
    assert_eq!(read(&["[{},null]", "[null,null,{}]", "[{}]"], 3), Ok(vec![More, More, Last]));
    assert_eq!(read(&["[{},null]", "[7,{}]"], 3), Ok(vec![More, Changed]));
    assert_eq!(read(&["[{},null]", "[]"], 3), Ok(vec![More, Changed]));
    assert!(matches!(read(&["[null]"], 3), Err(Failure::NotAPage(_))));
    assert_eq!(read(&["[{},null]", "[{},null]"], 2), Err(Failure::Repeated { start: 1 }));
    assert_eq!(read(&["[{},null]", "[{},null]"], 3), Ok(vec![More, Changed]));
}

#[test]
fn a_first_page_that_comes_again_is_the_whole_board_once_that_is_repeated() {
    use Taken::{Changed, Last, More};
    let [front, board, behind] = [r#"[{"a":0},{"a":1}]"#, r#"[{"a":1},{"a":2}]"#, r#"[{"a":2}]"#];
    assert_eq!(read(&[board; 4], 3), Ok(vec![More, Changed, More, Last]));
    assert_eq!(read(&[board, board, front, front], 3), Ok(vec![More, Changed, More, Changed]));
    // An entry was inserted before the second page.
    assert_eq!(read(&[board, board, front, board, behind], 3), Ok(vec![More, Changed, More, More, Last]));
}

#[test]
fn a_board_without_end_is_given_up() {
    let number = |first: usize, count: usize| {
        let list: Vec<_> = (first..first + count).map(|it| it.to_string()).collect();
        format!("[{{}},{}]", list.join(","))
    };
    let small: Vec<_> = (0..=MAX_PAGES).map(|it| format!(r#"[{{"a":{it}}},{{"a":{}}}]"#, it + 1)).collect();
    let small: Vec<_> = small.iter().map(String::as_str).collect();
    assert_eq!(read(&small, 2), Err(Failure::TooManyPages { pages: MAX_PAGES }));
    let large = number(0, MAX_BOARD_ENTRIES);
    assert_eq!(read(&[&large], MAX_BOARD_ENTRIES + 1), Err(Failure::BoardTooLarge { entries: MAX_BOARD_ENTRIES + 1 }));
}

#[test]
fn a_service_that_ignores_where_a_page_starts_fails_a_board_unless_it_had_given_all_of_it() {
    let answer = |_: Listing| page(&(0..20).map(|driver| entry(driver, 0)).collect::<Vec<_>>()).into();
    let failure = Service::new(answer, 20, 2).failure();
    assert_eq!(failure, "the page from entry 19 on is the first page again (after 2 attempts)");
    // It sent fewer than requested.
    let Ok(Answer::Board(encoder)) = Service::new(answer, 50, 2).fetch(LastPage::Short) else { panic!("no board") };
    assert_eq!(test_service::drivers(*encoder).len(), 20);
    assert!(Service::new(answer, 50, 2).fetch(LastPage::Empty).is_err(), "of a board that is doubted");
}
