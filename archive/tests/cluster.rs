//! Questions to a real Ballista cluster, with the settings that ship: the same answers as in one process, and errors in time.
#![allow(clippy::disallowed_methods, reason = "tests look at the disk without the program's own code")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "all of this file is tests; what it prints is measured")]
#![cfg(feature = "cluster")]

mod support;

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::cluster::Cluster;
use support::moto::Moto;
use support::proxy::{Faults, Proxy};
use support::{Place, World, night_time, shown};

/// The statements of users, on the board that `{board}` and the driver that `{driver}` stand for.
const STATEMENTS: [&str; 17] = [
    // The board at a time.
    "SELECT position, name, car, laptime FROM entries WHERE {board} AND observed_at = (SELECT max(valid_from) FROM board_versions \
     WHERE {board} AND valid_from < TIMESTAMP '2025-10-20T00:00:00') ORDER BY position",
    "SELECT e.position, e.name FROM entries e JOIN board_versions v ON e.track_id = v.track_id AND e.class_id = v.class_id AND \
     e.observed_at = v.valid_from WHERE {board of e} AND v.valid_from <= TIMESTAMP '2025-10-20T00:00:00' AND \
     (v.valid_to IS NULL OR v.valid_to > TIMESTAMP '2025-10-20T00:00:00') ORDER BY e.position",
    // A driver.
    "SELECT observed_at, track_id, class_id, position, laptime, gap_ms FROM entries WHERE driver_id = {driver} \
     ORDER BY track_id, class_id, observed_at, position",
    "SELECT track_id, class_id, observed_at, laptime_ms - lag(laptime_ms) OVER (PARTITION BY track_id, class_id ORDER BY observed_at, position) \
     AS gain FROM entries WHERE driver_id = {driver} ORDER BY track_id, class_id, observed_at, position",
    // Records of a board.
    "SELECT observed_at, name, laptime, lap_date FROM (SELECT *, min(laptime_ms) OVER (ORDER BY observed_at ROWS BETWEEN UNBOUNDED \
     PRECEDING AND 1 PRECEDING) AS previous FROM entries WHERE {board} AND position = 1) WHERE previous IS NULL OR laptime_ms < previous \
     ORDER BY observed_at",
    // The drivers with the most wins.
    "SELECT driver_id, min(name) AS name, count(*) AS wins FROM latest WHERE position = 1 AND driver_id IS NOT NULL GROUP BY driver_id \
     ORDER BY wins DESC, driver_id LIMIT 100",
    // Drivers by month.
    "SELECT date_trunc('month', observed_at) AS month, count(DISTINCT driver_id) AS drivers FROM entries GROUP BY 1 ORDER BY 1",
    // Each view.
    "SELECT * FROM entries WHERE {board} ORDER BY observed_at, position",
    "SELECT * FROM board_versions ORDER BY track_id, class_id, valid_from",
    "SELECT * FROM board_versions WHERE {board} ORDER BY valid_from",
    "SELECT * FROM latest ORDER BY track_id, class_id, position",
    "SELECT * FROM latest WHERE {board} ORDER BY position",
    "SELECT * FROM records ORDER BY track_id, class_id, observed_at",
    "SELECT * FROM drivers ORDER BY driver_id, name",
    // Text in groups, orders and joins.
    "SELECT a.car, count(*) AS n FROM latest a JOIN latest b ON a.car = b.car AND a.name = b.name GROUP BY a.car ORDER BY a.car",
    "SELECT 1 AS one",
    "DESCRIBE entries",
];

/// Without a request for this long, executors whose requests take a tenth of it do nothing.
const QUIET: Duration = Duration::from_secs(3);

/// An archive of some nights on an S3 server.
struct Archive {
    _moto: Moto,
    port: u16,
    place: Place,
    world: World,
    nights: i64,
    days_apart: i64,
}

impl Archive {
    fn new(test: &str, nights: i64, days_apart: i64) -> Option<Self> {
        let moto = Moto::start(test)?;
        let (port, place) = (moto.port, moto.place());
        let mut archive = Self { _moto: moto, port, place, world: World::new(21, 25), nights: 0, days_apart };
        for _ in 0..nights {
            archive.record();
        }
        Some(archive)
    }

    /// A night, some days after the one before.
    fn record(&mut self) {
        self.nights += 1;
        self.place.publish(&self.world.boards);
        self.place.record(&night_time(1 + self.days_apart * (self.nights - 1)));
        self.world.night();
    }

    /// Variables for executors and schedulers whose requests go to this S3 server.
    fn variables(&self, port: u16) -> Vec<(String, String)> {
        let mut variables = self.place.variables.clone();
        variables[0].1 = format!("http://127.0.0.1:{port}");
        variables.push(("AWS_ALLOW_HTTP".to_owned(), "true".to_owned()));
        variables
    }

    /// A cluster of that many executors.
    fn cluster(&self, executors: usize) -> Cluster {
        let mut cluster = Cluster::start(&self.variables(self.port));
        for _ in 0..executors {
            cluster.add_executor(&self.variables(self.port));
        }
        cluster
    }

    /// The board with the most entries.
    fn board(&self) -> String {
        self.world.boards.iter().max_by_key(|it| it.1.len()).unwrap().0.to_string()
    }

    /// Checks that all questions are answered alike by this process and the cluster.
    fn assert_same_answers(&self, cluster: &Cluster) {
        let board = self.board();
        let (track, class) = board.split_once('-').unwrap();
        let named: [&[&str]; 7] = [
            &["board", &board],
            &["board", &board, "--at", "2025-10-20"],
            &["board", &board, "--at", "2020-01-01"],
            &["driver", "--id", "8"],
            &["driver", "driver \"8\" ö"],
            &["records", &board],
            &["changes", "--since", "2025-10-10T12:00:00Z"],
        ];
        for question in named {
            let answer = self.place.json(question);
            let at = [question, &["--cluster", &cluster.address]].concat();
            assert_eq!(self.place.json(&at), answer, "{question:?}");
            assert_eq!(answer == json!([]), question.contains(&"2020-01-01"), "{question:?}: {answer}");
        }
        for statement in STATEMENTS {
            let of = |alias: &str| format!("{alias}track_id = {track} AND {alias}class_id = {class}");
            let statement = statement.replace("{board}", &of("")).replace("{board of e}", &of("e."));
            let statement = statement.replace("{driver}", "8");
            let answer = self.place.sql(&statement);
            assert_eq!(ask(&self.place, cluster, &statement), answer, "{statement}");
            assert!(!answer.is_empty(), "{statement}");
        }
    }
}

/// The rows of a query to the cluster.
fn ask(place: &Place, cluster: &Cluster, statement: &str) -> Vec<Value> {
    let answer = place.run(&["sql", statement, "--format", "json", "--cluster", &cluster.address]);
    serde_json::from_str(&answer).unwrap()
}

/// Runs a question to a cluster that must fail with this exit code, in time.
fn assert_fails(place: &Place, arguments: &[&str], address: &str, exit: i32, within: Duration) {
    let begun = Instant::now();
    let output = place.archive(arguments).args(["--cluster", address]).output().unwrap();
    let took = begun.elapsed();
    assert_eq!(output.status.code(), Some(exit), "{arguments:?}: {}", shown(&output));
    assert!(took < within, "{arguments:?} took {took:?}: {}", shown(&output));
    println!("{arguments:?}: {took:?}: {}", shown(&output));
}

#[test]
fn answers_are_those_of_one_process() {
    let Some(mut archive) = Archive::new("answers_are_those_of_one_process", 8, 5) else { return };
    let cluster = archive.cluster(2);
    archive.assert_same_answers(&cluster);
    // What was recorded since the cluster last read is seen.
    archive.record();
    archive.assert_same_answers(&cluster);
    archive.place.run(&["compact", "--keep", "0s"]);
    archive.assert_same_answers(&cluster);
    for statement in [
        "DROP VIEW latest",
        "CREATE TABLE x AS SELECT 1",
        "COPY (SELECT 1) TO 'x.csv'",
        "SET a.b = 1",
        "INSERT INTO latest SELECT * FROM latest",
    ] {
        assert_fails(&archive.place, &["sql", statement], &cluster.address, 2, Duration::from_secs(30));
    }
    assert_fails(&archive.place, &["sql", "SELECT nothing FROM entries"], &cluster.address, 2, Duration::from_secs(30));
    assert_fails(&Place::new(), &["sql", "SELECT 1"], &cluster.address, 2, Duration::from_secs(5));
    // What Ballista cannot do.
    let (track, class) = archive.board().split_once('-').map(|it| (it.0.to_owned(), it.1.to_owned())).unwrap();
    for statement in [
        &format!(
            "SELECT rank() OVER (PARTITION BY track_id ORDER BY observed_at) FROM entries WHERE track_id = {track} AND class_id = {class}"
        ),
        "SELECT arrow_cast(name, 'Dictionary(Int32, Utf8)') AS n, count(*) FROM latest GROUP BY 1 ORDER BY 1",
        "SELECT table_name FROM information_schema.tables, latest",
    ] {
        assert_fails(&archive.place, &["sql", statement], &cluster.address, 2, Duration::from_secs(30));
    }
    // Planned, not executed.
    let plan = archive.place.run(&["sql", "SELECT count(*) FROM latest", "--explain", "--cluster", &cluster.address]);
    assert!(!plan.is_empty());
}

#[test]
fn a_cluster_that_cannot_answer_is_an_error_in_time() {
    let Some(archive) = Archive::new("a_cluster_that_cannot_answer_is_an_error_in_time", 1, 5) else { return };
    let mut cluster = archive.cluster(0);
    let questions: [&[&str]; 2] = [&["sql", "SELECT count(*) FROM entries"], &["records", "1693-1703"]];
    for question in questions {
        assert_fails(&archive.place, question, &cluster.address, 69, Duration::from_secs(30));
    }
    // After those that nobody waits for, it still answers.
    cluster.add_executor(&archive.variables(archive.port));
    assert_eq!(ask(&archive.place, &cluster, "SELECT 1 AS one"), [json!({"one": 1})]);
    cluster.scheduler.take();
    for question in questions {
        assert_fails(&archive.place, question, &cluster.address, 69, Duration::from_secs(10));
    }
}

#[test]
fn an_executor_that_is_killed_in_the_middle_changes_no_answer() {
    let Some(archive) = Archive::new("an_executor_that_is_killed_in_the_middle_changes_no_answer", 20, 5) else {
        return;
    };
    let statement = "SELECT a.name, count(*) AS n, sum(b.laptime_ms) AS laps FROM latest a JOIN entries b ON a.name = b.name \
                     GROUP BY a.name ORDER BY a.name";
    let answer = archive.place.sql(statement);
    let mut cluster = Cluster::start(&archive.variables(archive.port));
    // Each reads so slowly that a query takes seconds.
    let proxies = [(); 2].map(|()| Proxy::start(archive.port, Faults::Slow(Duration::from_millis(300))));
    for proxy in &proxies {
        cluster.add_executor(&archive.variables(proxy.port));
    }
    let requests = || proxies.iter().map(Proxy::requests).sum::<usize>();
    // Footers are read once.
    assert_eq!(ask(&archive.place, &cluster, statement), answer);
    let (begun, before) = (Instant::now(), requests());
    assert_eq!(ask(&archive.place, &cluster, statement), answer);
    println!("without a kill: {:?}", begun.elapsed());
    let after = requests();
    // One that nobody waits for any more ends there too.
    assert_fails(&archive.place, &["sql", statement, "--timeout", "4s"], &cluster.address, 69, Duration::from_secs(20));
    let (mut counted, mut since) = (requests(), Instant::now());
    while since.elapsed() < QUIET {
        assert!(counted - after < after - before, "a query that was cancelled is read to its end");
        std::thread::sleep(Duration::from_millis(10));
        if counted != requests() {
            (counted, since) = (requests(), Instant::now());
        }
    }
    let mut killed = cluster.executors.remove(0);
    let begun = Instant::now();
    let output = in_the_middle(&archive, &cluster, statement, &proxies[0], || killed.kill());
    let asked: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", shown(&output)));
    let took = begun.elapsed();
    assert_eq!(asked, answer);
    assert!(took < Duration::from_secs(90), "{took:?}");
    println!("with a kill: {took:?}");
    // One that comes back is used again.
    cluster.add_executor(&archive.variables(proxies[0].port));
    assert_eq!(ask(&archive.place, &cluster, statement), answer);
    // Without any executor or scheduler, it fails in time.
    let mut executors = std::mem::take(&mut cluster.executors);
    let begun = Instant::now();
    let output = in_the_middle(&archive, &cluster, statement, &proxies[0], || executors.clear());
    assert_eq!(output.status.code(), Some(69), "{}", shown(&output));
    println!("without executors: {:?}: {}", begun.elapsed(), shown(&output));
    assert!(begun.elapsed() < Duration::from_secs(90));
    cluster.add_executor(&archive.variables(proxies[0].port));
    let mut scheduler = cluster.scheduler.take().unwrap();
    let begun = Instant::now();
    let output = in_the_middle(&archive, &cluster, statement, &proxies[0], || scheduler.kill());
    assert_eq!(output.status.code(), Some(69), "{}", shown(&output));
    println!("without a scheduler: {:?}: {}", begun.elapsed(), shown(&output));
    assert!(begun.elapsed() < Duration::from_secs(30));
}

/// Asks, and does something once the executor behind the proxy has read a little.
fn in_the_middle(
    archive: &Archive,
    cluster: &Cluster,
    statement: &str,
    proxy: &Proxy,
    then: impl FnOnce(),
) -> std::process::Output {
    let before = proxy.requests();
    let arguments = ["sql", statement, "--format", "json", "--cluster", &cluster.address];
    let mut asked = archive.place.archive(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while proxy.requests() < before + 5 {
        assert!(asked.try_wait().unwrap().is_none(), "the query ended too early");
        assert!(begun.elapsed() < Duration::from_mins(1), "the executor reads nothing");
        std::thread::sleep(Duration::from_millis(10));
    }
    then();
    assert!(asked.try_wait().unwrap().is_none(), "the query ended too early");
    asked.wait_with_output().unwrap()
}

#[test]
#[ignore = "takes minutes"]
fn the_scheduler_does_not_grow() {
    let Some(archive) = Archive::new("the_scheduler_does_not_grow", 365, 1) else { return };
    let cluster = archive.cluster(2);
    let board = archive.board();
    for question in 0..200 {
        archive.place.json(&["records", &board, "--cluster", &cluster.address]);
        if question % 20 == 19 {
            let executors: Vec<u64> = cluster.executors.iter().map(support::cluster::Process::memory_mb).collect();
            println!(
                "after {} questions: {} MB, executors {executors:?}",
                question + 1,
                cluster.scheduler.as_ref().unwrap().memory_mb()
            );
        }
    }
    let memory_mb = cluster.scheduler.as_ref().unwrap().memory_mb();
    assert!(memory_mb < 300, "{memory_mb} MB");
}
