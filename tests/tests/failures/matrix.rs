//! {what goes wrong} × {phase of the job} × {which job} × {which is next}, with the fault at an exact call of the program.

use r3e_tests::harness::{Call, Ended, Place, What, was_struck};

use super::cells::run_all;
use super::files::{self, damage};
use super::job::{JOBS, Job};
use super::world::{LEFT, WRITTEN, World, shift};

const DAY: i64 = 24 * 3600;
const KILL: i32 = 9;
const TERM: i32 = 15;
const EIO: i32 = 5;
const EACCES: i32 = 13;
const ENOSPC: i32 = 28;
const EROFS: i32 = 30;

/// A phase of a job, and the call at which it is struck there, where boards are staged and where they are written through.
#[derive(Debug, Clone, Copy)]
struct Phase {
    name: &'static str,
    staged: Call,
    through: Call,
    /// Whether the job is done for all that a signal can still stop.
    too_late: bool,
}

const fn phase(name: &'static str, call: Call) -> Phase {
    Phase { name, staged: call, through: call, too_late: false }
}

/// In the order of a run. Before `LEFT` boards were promoted, what is renamed into the cache are leftovers.
const PHASES: [Phase; 6] = [
    phase("opening", Call("create", "cache/.status.json.tmp", 1)),
    phase("first publication", Call("rename", "cache/track_", 2)),
    Phase {
        staged: Call("create", "cache_temp/track_", 5),
        through: Call("create", "cache/track_", 16),
        ..phase("fetching", Call("", "", 0))
    },
    // What is written through was promoted one by one.
    phase("promoting", Call("rename", "cache/track_", LEFT + 7)),
    phase("exporting the index", Call("create", "cache/.driver_index.json.gz.tmp", 2)),
    Phase { too_late: true, ..phase("status.json", Call("create", "cache/.status.json.tmp", 7)) },
];

/// More calls at which the disk may fail.
const MORE_CALLS: [Phase; 10] = [
    phase("opening: the lock", Call("create", "cache_temp/.writer.lock", 1)),
    phase("first publication: syncing", Call("syncfs", "cache_temp", 1)),
    phase("first publication: writing the index", Call("write", "cache/.driver_index.json.gz.tmp", 1)),
    Phase {
        staged: Call("write", "cache_temp/track_", 5),
        through: Call("write", "cache/track_", 5),
        ..phase("fetching: writing", Call("", "", 0))
    },
    Phase {
        staged: Call("rename", "cache_temp/track_", WRITTEN),
        through: Call("fsync", "cache/track_", 6),
        ..phase("fetching: the end of a file", Call("", "", 0))
    },
    phase("fetching: renewing", Call("touch", "cache/track_", 3)),
    phase("exporting: syncing", Call("fsync", "cache/.driver_index.json.gz.tmp", 2)),
    phase("exporting: moving", Call("rename", "cache/driver_index.json.gz", 2)),
    phase("exporting: between the files", Call("rename", "cache/top_combinations.json", 2)),
    phase("status.json: the last word", Call("rename", "cache/status.json", 8)),
];

/// Where a full refresh says that it is going on, and that it is over.
const FULL_REFRESH: [Phase; 4] = [
    phase("said to go on: writing", Call("create", "cache_temp/..staging.json.tmp", 1)),
    phase("said to go on: moving", Call("rename", "cache_temp/.staging.json", 1)),
    phase("said to be over: writing", Call("write", "cache_temp/..staging.json.tmp", 2)),
    phase("said to be over: moving", Call("rename", "cache_temp/.staging.json", 2)),
];

/// Reading one board that is cached, and one that is staged.
const READING: [Phase; 2] = [
    phase("reading the cache", Call("read", "cache/track_", 5)),
    phase("reading staging", Call("read", "cache_temp/track_", 1)),
];

/// What goes wrong.
#[derive(Clone, Copy)]
struct Failure {
    what: What,
    /// What the clock of the job is ahead.
    clock_ahead: i64,
    /// How it has to end.
    ended: fn(&Phase, &Ended, &Place),
    /// What happens before the next job.
    then: fn(&World, &Place),
}

fn disk_failed(_: &Phase, ended: &Ended, place: &Place) {
    assert_eq!(ended.code(), Some(74), "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
    // The call was about the file or its unfinished form; of the index, whose writer is shared, the folder is named.
    let (_, path) = was_struck(&place.path("")).unwrap();
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let target = name.strip_prefix('.').and_then(|it| it.strip_suffix(".tmp")).unwrap_or(&name);
    // Where calls after it fail too, that of another board, or of its folder, may be told first.
    let named = |line: &str| {
        line.contains("cannot ") && [target, "an export into cache", "/track_"].into_iter().any(|it| line.contains(it))
    };
    assert!(ended.stderr.lines().any(named), "{target} is not named: {}", ended.stderr);
}

fn killed(_: &Phase, ended: &Ended, _: &Place) {
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&ended.status), Some(KILL), "{}", ended.stderr);
}

fn terminated(phase: &Phase, ended: &Ended, _: &Place) {
    let (code, outcome) = if phase.too_late { (0, "done") } else { (143, "stopped") };
    assert_eq!(ended.code(), Some(code), "{}", ended.stderr);
    assert_eq!(ended.json()["outcome"], outcome);
}

fn not_troubled(_: &Phase, ended: &Ended, _: &Place) {
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
}

fn fails(what: What) -> Failure {
    Failure { what, clock_ahead: 0, ended: disk_failed, then: |_, _| {} }
}

/// Runs the failure in each of these phases, of each job, before each job.
#[track_caller]
fn matrix(failure: Failure, phases: &[Phase]) {
    matrix_of(&JOBS, failure, phases);
}

/// Likewise, of some jobs.
#[track_caller]
fn matrix_of(jobs: &[Job], failure: Failure, phases: &[Phase]) {
    let world = World::new();
    let cells = phases.iter().flat_map(|phase| jobs.iter().map(move |job| (phase, *job)));
    let cells = cells.flat_map(|(phase, job)| JOBS.map(|next| (phase, job, next)));
    let cells =
        cells.map(|(phase, job, next)| (format!("{job:?} in {}, next {next:?}", phase.name), (phase, job, next)));
    run_all(cells, |&(phase, job, next)| cell(&world, failure, phase, job, next));
}

fn cell(world: &World, failure: Failure, phase: &Phase, job: Job, next: Job) {
    let place = world.place();
    let call = if job.writes_through() { phase.through } else { phase.staged };
    let struck = job.at(&place, &world.sim).struck(call, failure.what).clock_ahead(failure.clock_ahead);
    let ended = struck.run();
    assert!(was_struck(&place.path("")).is_some(), "not struck: {:?}, {}{}", ended.status, ended.stderr, ended.stdout);
    (failure.ended)(phase, &ended, &place);
    world.assert_nothing_lost(&place);
    (failure.then)(world, &place);
    let _next = next.at(&place, &world.sim).run().with_code(0);
    files::foreign_are_left_alone(&place);
    world.assert_undisturbed(&place);
}

#[test]
fn killed_at_once() {
    let killed = Failure { ended: killed, ..fails(What::Signal(KILL)) };
    matrix(killed, &PHASES);
    matrix(killed, &MORE_CALLS);
    matrix_of(&[Job::Full], killed, &FULL_REFRESH);
}

#[test]
fn asked_to_stop() {
    matrix(Failure { ended: terminated, ..fails(What::Signal(TERM)) }, &PHASES);
}

#[test]
fn disk_full_from_then_on() {
    matrix(fails(What::FailFromThenOn(ENOSPC, "create,write,mkdir")), &PHASES);
}

#[test]
fn folder_read_only_from_then_on() {
    matrix(fails(What::FailFromThenOn(EROFS, "create,rename,unlink,rmdir,mkdir,touch")), &PHASES);
}

#[test]
fn permission_denied_from_then_on() {
    matrix(fails(What::FailFromThenOn(EACCES, "create,rename,unlink,rmdir,mkdir")), &PHASES);
}

#[test]
fn an_input_or_output_error() {
    matrix(fails(What::Fails(EIO)), &PHASES);
    matrix(fails(What::Fails(EIO)), &MORE_CALLS);
    matrix_of(&[Job::Full], fails(What::Fails(EIO)), &FULL_REFRESH);
}

/// A bad sector is that board's trouble: it is moved aside, told, and fetched again by the same job.
#[test]
fn a_board_that_cannot_be_read() {
    fn mended(_: &Phase, ended: &Ended, place: &Place) {
        assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
        let (_, path) = was_struck(&place.path("")).unwrap();
        let path = path.strip_prefix(place.path("").canonicalize().unwrap()).unwrap();
        assert!(ended.stderr.contains(&*path.to_string_lossy()), "{} in {}", path.display(), ended.stderr);
        let mut parts = path.components();
        let aside = place.path("").join(parts.next().unwrap()).join(".damaged").join(parts);
        assert!(aside.is_file(), "{}", aside.display());
    }
    let nothing_to_do = |world: &World, place: &Place| world.assert_undisturbed(place);
    matrix(Failure { ended: mended, then: nothing_to_do, ..fails(What::Fails(EIO)) }, &READING);
}

#[test]
fn clock_set_back_a_day_meanwhile() {
    matrix(Failure { ended: not_troubled, ..fails(What::Clock(-DAY)) }, &PHASES);
}

#[test]
fn killed_and_the_clock_set_back_a_day_then() {
    let then = |_: &World, place: &Place| shift(place, DAY);
    matrix(Failure { clock_ahead: DAY, ended: killed, then, ..fails(What::Signal(KILL)) }, &PHASES);
}

#[test]
fn killed_and_files_truncated_and_foreign_ones_put_there_then() {
    matrix(Failure { ended: killed, then: damage, ..fails(What::Signal(KILL)) }, &PHASES);
}
