//! The files of the pages, as they are in `assets/`. There is no build step, and nothing comes from another host.

#[derive(Debug, Clone, Copy)]
pub(crate) struct Asset {
    pub(crate) path: &'static str,
    /// The media type.
    pub(crate) kind: &'static str,
    pub(crate) text: &'static str,
}

const STYLE: &str = "text/css; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The dashboard.
pub(crate) const PAGE: Asset = Asset { path: "/monitor", kind: HTML, text: include_str!("../../assets/index.html") };

/// What the dashboard loads, in this order. The licence of uPlot is in its script.
pub(crate) const ASSETS: [Asset; 8] = [
    Asset { path: "/assets/uplot.css", kind: STYLE, text: include_str!("../../assets/vendor/uplot.css") },
    Asset { path: "/assets/page.css", kind: STYLE, text: include_str!("../../assets/page.css") },
    Asset { path: "/assets/uplot.js", kind: SCRIPT, text: include_str!("../../assets/vendor/uplot.js") },
    Asset { path: "/assets/format.js", kind: SCRIPT, text: include_str!("../../assets/format.js") },
    Asset { path: "/assets/series.js", kind: SCRIPT, text: include_str!("../../assets/series.js") },
    Asset { path: "/assets/charts.js", kind: SCRIPT, text: include_str!("../../assets/charts.js") },
    Asset { path: "/assets/tables.js", kind: SCRIPT, text: include_str!("../../assets/tables.js") },
    Asset { path: "/assets/page.js", kind: SCRIPT, text: include_str!("../../assets/page.js") },
];

/// The page to look up drivers, boards and records, and what it loads that the dashboard does not.
pub(crate) const LOOKUP: [Asset; 4] = [
    Asset { path: "/", kind: HTML, text: include_str!("../../assets/lookup.html") },
    Asset { path: "/assets/lookup.css", kind: STYLE, text: include_str!("../../assets/lookup.css") },
    Asset { path: "/assets/published.js", kind: SCRIPT, text: include_str!("../../assets/published.js") },
    Asset { path: "/assets/lookup.js", kind: SCRIPT, text: include_str!("../../assets/lookup.js") },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_load_these_and_nothing_else() {
        fn loaded(page: &Asset) -> Vec<&str> {
            let quoted = page.text.split(['"', '\'']);
            quoted.filter(|it| it.starts_with("assets/") || it.contains("://") || it.starts_with("//")).collect()
        }
        let paths =
            |assets: &[Asset]| -> Vec<&str> { assets.iter().map(|it| it.path.trim_start_matches('/')).collect() };
        assert_eq!(loaded(&PAGE), paths(&ASSETS));
        let shared = ["assets/page.css", "assets/format.js"];
        let (ours, others): (Vec<&str>, Vec<&str>) =
            loaded(&LOOKUP[0]).into_iter().partition(|it| !shared.contains(it));
        assert_eq!((ours, others), (paths(&LOOKUP[1..]), shared.into()));
    }

    #[test]
    fn no_file_names_another_host_to_be_asked() {
        for asset in ASSETS.iter().filter(|it| !it.path.contains("uplot")).chain([&PAGE]).chain(&LOOKUP) {
            for word in ["http:", "https:", "@import", "url(", "innerHTML", "eval(", "style=", "onclick="] {
                assert!(!asset.text.contains(word), "{word} in {}", asset.path);
            }
        }
    }
}
