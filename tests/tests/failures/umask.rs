//! A web server of another user can read the published files, whatever the umask of the process that wrote them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use r3e_tests::harness::{Invocation, Place, program, until};

use super::job::JOBS;
use super::world::{World, files};

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o7777
}

/// All of the cache and the staging folder, and the folders themselves.
#[track_caller]
fn assert_published(place: &Place) {
    for folder in [place.cache(), place.staging()] {
        for file in files(&folder) {
            assert_eq!(mode(&file), 0o644, "{}", file.display());
            for above in file.ancestors().skip(1).take_while(|it| it.starts_with(&folder)) {
                assert_eq!(mode(above), 0o755, "{}", above.display());
            }
        }
    }
    assert!(place.cache().join("driver_index.json.gz").exists());
}

#[test]
fn jobs_publish_for_all_under_any_umask() {
    let world = World::new();
    for job in JOBS {
        for umask in [0o077, 0o027, 0o000] {
            let place = Place::in_memory(world.sim.world().catalog());
            let program = job.at(&place, &world.sim).set("cache.dir", "deep/er/cache").set("index.plain", "true");
            let program = program.set("cache.staging_dir", "cache_temp");
            let _ended = program.umask(umask).run().with_code(0);
            fs::rename(place.path("deep/er/cache"), place.cache()).unwrap();
            assert_published(&place);
            assert_eq!((mode(&place.path("deep")), mode(&place.path("deep/er"))), (0o755, 0o755));
            assert_eq!(mode(&place.path("run")), 0o700);
        }
    }
}

#[test]
fn existing_files_keep_their_mode() {
    let world = World::new();
    let place = world.place();
    fs::set_permissions(place.cache(), fs::Permissions::from_mode(0o750)).unwrap();
    let _ended = JOBS[0].at(&place, &world.sim).umask(0o077).run().with_code(0);
    assert_eq!(mode(&place.cache()), 0o750);
}

#[test]
fn a_scheduler_and_its_jobs_publish_for_all() {
    let world = World::new();
    let place = Place::in_memory(world.sim.world().catalog());
    let loader = program("r3e-loader");
    let scheduler = Invocation::new("r3e-scheduler", &place.path(""))
        .argument("--programs")
        .argument(loader.parent().unwrap())
        .set("upstream.base_url", &world.sim.base_url())
        .set("upstream.requests_per_second", "100000")
        .set("catalog.path", "catalog.toml")
        .set("runtime.dir", &place.path("run").to_string_lossy());
    let scheduler = scheduler.umask(0o077).spawn();
    let runs = place.path("run/runs");
    until("the load is over", || fs::read_dir(&runs).is_ok_and(|mut it| it.next().is_some()));
    let socket = place.path(&format!("run/r3e-scheduler-{}.sock", scheduler.pid()));
    assert_eq!((mode(&socket), mode(&place.path("run"))), (0o600, 0o700));
    scheduler.signal("TERM");
    let _ended = scheduler.wait().with_code(0);
    for private in [".scheduler.lock", ".scheduler.toml"] {
        fs::remove_file(place.staging().join(private)).unwrap();
    }
    assert_published(&place);
}
