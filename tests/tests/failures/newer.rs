//! A staging folder written by a newer version of these programs.

use std::fs;

use r3e_tests::harness::snapshot;

use super::cells::run_all;
use super::job::{JOBS, Job};
use super::world::World;

#[test]
fn staging_of_a_newer_version_is_refused_and_not_touched() {
    let world = World::new();
    let cells = JOBS.into_iter().flat_map(|job| JOBS.map(|next| (format!("{job:?}, next {next:?}"), (job, next))));
    run_all(cells, |&(job, next)| refused(&world, job, next));
}

fn refused(world: &World, job: Job, next: Job) {
    let place = world.place();
    let says = place.staging().join(".staging.json");
    let newer = r#"{"format":2,"full_refresh_since":7,"something":"new"}"#;
    fs::write(&says, newer).unwrap();
    let all = || {
        let status = fs::read(place.cache().join("status.json")).unwrap();
        (snapshot(&place.cache()), snapshot(&place.staging()), status)
    };
    let before = all();
    world.sim.reset_stats();

    let ended = job.at(&place, &world.sim).run().with_code(78).naming(&["cache_temp", "format 2"]);
    assert_eq!(ended.stdout, "");
    assert!(all() == before, "something was touched");
    assert_eq!(fs::read_to_string(&says).unwrap(), newer);
    assert_eq!(world.sim.stats().requests, 0);
    world.assert_nothing_lost(&place);

    // As the hint says.
    fs::rename(place.staging(), place.path("aside")).unwrap();
    let _next = next.at(&place, &world.sim).run().with_code(0);
    assert!(place.path("aside").join(".staging.json").exists());
    world.assert_undisturbed(&place);
}
