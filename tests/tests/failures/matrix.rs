//! The failure matrix: {fault} × {phase} × {job} × {next job}. Each fault is injected at an exact system call.

use r3e_tests::harness::{Call, Ended, Event, Place, What, events_at, was_struck};

use super::cells::run_all;
use super::files::{self, damage};
use super::job::{JOBS, Job};
use super::world::{PROMOTED, World, shift};

const DAY: i64 = 24 * 3600;
const KILL: i32 = 9;
const TERM: i32 = 15;
const EIO: i32 = 5;
const EACCES: i32 = 13;
const ENOSPC: i32 = 28;
const EROFS: i32 = 30;

/// A phase of a job, and the call at which it is struck there, after those before it, where boards are staged and where they are
/// written through.
#[derive(Debug, Clone, Copy)]
struct Phase {
    name: &'static str,
    staged: &'static [Call<'static>],
    through: &'static [Call<'static>],
    /// Whether the job is done for all that a signal can still stop.
    too_late: bool,
}

const fn phase(name: &'static str, calls: &'static [Call<'static>]) -> Phase {
    staged_or_through(name, calls, calls)
}

const fn staged_or_through(
    name: &'static str,
    staged: &'static [Call<'static>],
    through: &'static [Call<'static>],
) -> Phase {
    Phase { name, staged, through, too_late: false }
}

/// In the order of a run.
const PHASES: [Phase; 6] = [
    phase("opening", &[("create", "cache/.status.json.tmp")]),
    phase("first publication", &[("rename", "cache/track_106/class_9004.json.gz")]),
    staged_or_through(
        "fetching",
        &[("create", "cache_temp/track_104/.class_9004.json.gz.tmp")],
        &[("create", "cache/track_104/.class_9004.json.gz.tmp")],
    ),
    phase("promoting", &[PROMOTED]),
    phase("exporting the index", &[PROMOTED, ("create", "cache/.driver_index.json.gz.tmp")]),
    Phase {
        too_late: true,
        ..phase("status.json", &[PROMOTED, EXPORTED, STATUS, STATUS, ("create", "cache/.status.json.tmp")])
    },
];

const EXPORTED: Call = ("rename", "cache/top_combinations.json");
/// After the last export `status.json` is written with the figures of the index, of memory, of the job, and that the job is over.
/// The first two may fail.
const STATUS: Call = ("rename", "cache/status.json");

/// More calls at which the disk may fail.
const MORE_CALLS: [Phase; 10] = [
    phase("opening: the lock", &[("create", "cache_temp/.writer.lock")]),
    phase("first publication: syncing", &[("syncfs", "cache_temp")]),
    phase("first publication: writing the index", &[("write", "cache/.driver_index.json.gz.tmp")]),
    staged_or_through(
        "fetching: writing",
        &[("write", "cache_temp/track_104/.class_9004.json.gz.tmp")],
        &[("write", "cache/track_104/.class_9004.json.gz.tmp")],
    ),
    staged_or_through(
        "fetching: the end of a file",
        &[("rename", "cache_temp/track_104/class_9004.json.gz")],
        &[("fsync", "cache/track_104/.class_9004.json.gz.tmp")],
    ),
    phase("fetching: renewing", &[("touch", "cache/track_103/class_9007.json.gz")]),
    phase("exporting: syncing", &[PROMOTED, ("create", "cache/.driver_index.json.gz.tmp"), ("syncfs", "cache")]),
    phase("exporting: moving", &[PROMOTED, ("rename", "cache/driver_index.json.gz")]),
    phase("exporting: between the files", &[PROMOTED, EXPORTED]),
    phase("status.json: the last word", &[PROMOTED, EXPORTED, STATUS, STATUS, STATUS, STATUS]),
];

/// When a full refresh records that it is in progress, and that it is over.
const FULL_REFRESH: [Phase; 4] = [
    phase("in progress: writing", &[("create", "cache_temp/..staging.json.tmp")]),
    phase("in progress: moving", &[("rename", "cache_temp/.staging.json")]),
    phase("over: writing", &[PROMOTED, ("write", "cache_temp/..staging.json.tmp")]),
    phase("over: moving", &[PROMOTED, ("rename", "cache_temp/.staging.json")]),
];

/// Reading one board that is cached, and one that is staged.
const READING: [Phase; 2] = [
    phase("reading the cache", &[("read", "cache/track_104/class_9004.json.gz")]),
    phase("reading staging", &[("read", "cache_temp/track_106/class_9004.json.gz")]),
];

/// What goes wrong.
#[derive(Clone, Copy)]
struct Failure {
    what: What,
    /// How far the clock of the job is ahead.
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
    let named = |it: &Event| [target, "cache:", "/track_"].into_iter().any(|part| it.names(part));
    assert!(events_at(&ended.stderr, "ERROR").iter().any(named), "{target} is not named: {}", ended.stderr);
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

/// Like [`matrix`], for some jobs only.
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
    let calls = if job.writes_through() { phase.through } else { phase.staged };
    let struck = job.at(&place, &world.sim).struck(calls, failure.what).clock_ahead(failure.clock_ahead);
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
fn disk_becomes_full() {
    matrix(fails(What::FailFromThenOn(ENOSPC, "create,write,mkdir")), &PHASES);
}

#[test]
fn folder_becomes_read_only() {
    matrix(fails(What::FailFromThenOn(EROFS, "create,rename,unlink,rmdir,mkdir,touch")), &PHASES);
}

#[test]
fn permission_becomes_denied() {
    matrix(fails(What::FailFromThenOn(EACCES, "create,rename,unlink,rmdir,mkdir")), &PHASES);
}

#[test]
fn an_input_or_output_error() {
    matrix(fails(What::Fails(EIO)), &PHASES);
    matrix(fails(What::Fails(EIO)), &MORE_CALLS);
    matrix_of(&[Job::Full], fails(What::Fails(EIO)), &FULL_REFRESH);
}

/// A bad sector affects only that board: it is moved aside, reported, and fetched again by the same job.
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
fn killed_then_the_clock_set_back_a_day() {
    let then = |_: &World, place: &Place| shift(place, DAY);
    matrix(Failure { clock_ahead: DAY, ended: killed, then, ..fails(What::Signal(KILL)) }, &PHASES);
}

#[test]
fn killed_then_files_truncated_and_foreign_ones_added() {
    matrix(Failure { ended: killed, then: damage, ..fails(What::Signal(KILL)) }, &PHASES);
}
