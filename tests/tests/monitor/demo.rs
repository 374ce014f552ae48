//! `cargo demo -- --look`, from the load to Ctrl-C.

use std::fs;

use r3e_tests::harness::{Invocation, Place, processes_of, program, program_beside, until};

use crate::http::Server;

#[test]
fn the_demonstration_serves_its_result_until_ctrl_c() {
    let place = Place::new();
    let output = place.path("output");
    // What it would build, other tests run meanwhile.
    let (_, monitor) = (program("r3e-loader"), program("r3e-monitor"));
    let demo = Invocation::new("r3e-demo", &place.path("")).executable(program_beside("r3e-demo"));
    let demo = demo.arguments(&["--look", "--programs"]).argument(monitor.parent().unwrap());
    let demo = demo.argument("--folder").argument(place.path("demo"));
    let mut running = demo.stdout_to(output.clone()).spawn();
    let mut address = None;
    until("it serves or has failed", || {
        let text = fs::read_to_string(&output).unwrap_or_default();
        // The simulated service has an address too.
        address =
            text.rsplit_once("at http://").and_then(|(_, it)| it.split_once("/ ")).map(|(it, _)| it.parse().unwrap());
        address.is_some() || running.has_ended()
    });
    let address = address.expect("the address of the page");
    let server = Server { running, address };
    let page = server.get("/", &[]);
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert_eq!(server.get("/cache/index/mirror.json.gz", &[]).status, 200);
    server.running.signal("INT");
    let _ended = server.running.wait().with_code(0);
    assert_eq!(processes_of(&place.path("")), Vec::<u32>::new());
}
