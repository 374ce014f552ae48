//! Texts in other encodings than plain UTF-8: those of the service, and files that people write.

use std::fs;

use r3e_tests::harness::{Differences, Place, assert_serves, driver_index, grid};
use r3e_tests::sim::{FaultKind, Faults, SimOptions, Simulator};

#[test]
fn names_are_right_in_any_encoding_of_the_service() {
    let catalog = grid(5, 5);
    for kind in [FaultKind::Latin1, FaultKind::Utf16, FaultKind::Bom] {
        let faults = Faults::only(kind, 1.0);
        let options =
            SimOptions { catalog: catalog.clone(), entries: 900, drivers: 300, faults, ..SimOptions::default() };
        let (sim, place) = (Simulator::start(options).unwrap(), Place::with_catalog(&catalog));
        let _ended = place.loader(&sim.base_url()).run().with_code(0);
        assert_eq!(sim.stats().faults[&kind], sim.stats().listing_requests, "{kind}: every page");
        assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());
    }
}

#[test]
fn files_from_windows_editors_are_read() {
    let catalog = grid(2, 3);
    let options = SimOptions { catalog: catalog.clone(), entries: 60, drivers: 30, ..SimOptions::default() };
    let (sim, place) = (Simulator::start(options).unwrap(), Place::with_catalog(&catalog));
    let windows = |text: &str| format!("\u{feff}{}", text.replace('\n', "\r\n"));
    fs::write(place.path("r3e.toml"), windows("[index]\nplain = true\n")).unwrap();
    fs::write(place.path("catalog.toml"), windows(&catalog.to_toml())).unwrap();
    fs::create_dir(place.cache()).unwrap();
    fs::write(place.cache().join("status.json"), windows("{\"somebody's\": 1}\n")).unwrap();
    let _ended = place.loader(&sim.base_url()).run().with_code(0);
    assert_serves(&driver_index(&place.cache()), sim.world(), &Differences::default());
    assert!(place.cache().join("driver_index.json").exists(), "the configuration says so");
    assert_eq!(r3e_tests::harness::read_status(&place.cache())["somebody's"], 1);

    let data = r#"{"tracks":{"1":{"Name":"Zürich","Id":1}},"layouts":{"2":{"Name":"GP","Track":1,"Id":2}},
                   "classes":{"3":{"Name":"GT3","Id":3}}}"#;
    fs::write(place.path("r3e-data.json"), windows(data)).unwrap();
    let import = || place.loader(&sim.base_url()).arguments(&["catalog", "import", "r3e-data.json"]).run();
    let imported = import().with_code(0);
    assert!(imported.stdout.contains("Zürich - GP"), "{}", imported.stdout);
    let utf16: Vec<u8> = windows(data).encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::write(place.path("r3e-data.json"), utf16).unwrap();
    let _refused = import().with_code(78).naming(&["r3e-data.json", "UTF-16"]);
}
