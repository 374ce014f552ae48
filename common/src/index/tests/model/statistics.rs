//! The statistics files.

use super::*;

/// A driver's figures in a scope.
#[derive(Debug, Clone, Default)]
struct Figures {
    id: String,
    name: String,
    entries: u64,
    poles: u64,
    podiums: u64,
    bested: u64,
    shares: Vec<f64>,
}

impl Figures {
    fn average(&self) -> f64 {
        if self.shares.is_empty() {
            return 0.0;
        }
        #[expect(clippy::cast_precision_loss, reason = "few boards")]
        let raw = self.shares.iter().fold(0.0, |sum, share| sum + share) / self.shares.len() as f64 * 100.0;
        let decimals = if raw == 0.0 || raw >= 0.01 { 2 } else { 4 };
        let power = 10_f64.powi(decimals);
        let (whole, sign) = ((raw.abs() * power).round(), if raw < 0.0 { -1.0 } else { 1.0 });
        if whole == 0.0 { 0.0 } else { sign * whole / power }
    }
}

fn figures(drivers: &Drivers, wanted: impl Fn(&Hit) -> bool) -> Vec<Figures> {
    let mut all = Vec::new();
    for (id, (hits, newest)) in drivers {
        let mut hits: Vec<&Hit> = hits.iter().filter(|it| wanted(it)).collect();
        hits.sort_by_key(|it| (it.board, it.position, it.place));
        let mut it = Figures { id: id.clone(), name: newest.name.clone(), ..Figures::default() };
        for hit in &hits {
            let (p, n) = (hit.position, hit.total as u64);
            it.entries += 1;
            it.poles += u64::from(p == 1 && n >= 2);
            it.podiums += u64::from(p <= 3 && n >= 4);
            it.bested += n.saturating_sub(p);
            if n >= 2 {
                #[expect(clippy::cast_precision_loss, reason = "small boards")]
                it.shares.push((n as f64 - p as f64) / (n as f64 - 1.0));
            }
        }
        if !hits.is_empty() {
            all.push(it);
        }
    }
    all
}

fn list(
    files: &mut BTreeMap<String, Value>,
    drivers: &Drivers,
    (path, kind, id, name): (&str, &str, &str, &str),
    figures: &[Figures],
    limit: usize,
    admits: impl Fn(&Figures, bool) -> bool,
) -> Value {
    let mut named = json!({});
    for metric in ["pole", "bested", "podium", "avg_bested", "entries"] {
        let mut rows: Vec<&Figures> = figures
            .iter()
            .filter(|it| match metric {
                "pole" => it.poles > 0,
                "bested" => it.bested > 0,
                "podium" => it.podiums > 0,
                "avg_bested" => !it.shares.is_empty(),
                _ => true,
            })
            .filter(|it| admits(it, metric == "avg_bested"))
            .collect();
        rows.sort_by(|a, b| {
            let (average, entries) = (b.average().partial_cmp(&a.average()).unwrap(), b.entries.cmp(&a.entries));
            let (poles, bested) = (b.poles.cmp(&a.poles), b.bested.cmp(&a.bested));
            let order = match metric {
                "pole" => [poles, bested, poles],
                "bested" => [bested, poles, poles],
                "podium" => [b.podiums.cmp(&a.podiums), poles, poles],
                "avg_bested" => [average, entries, bested],
                _ => [entries, average, bested],
            };
            order[0].then(order[1]).then(order[2]).then((&a.name, &a.id).cmp(&(&b.name, &b.id)))
        });
        rows.truncate(limit);
        let row = |it: &&Figures| {
            let newest = &drivers[&it.id].1;
            json!({"driver_key": it.id, "name": it.name, "avatar": newest.text("/driver/avatar"),
                "country": newest.text("/country/name"), "team": newest.text("/team"), "rank": newest.text("/rank"),
                "pole_positions": it.poles, "bested_drivers": it.bested, "podiums": it.podiums,
                "avg_bested": it.average(), "entries": it.entries})
        };
        let file = format!("{path}_{metric}.json.gz");
        let rows: Vec<Value> = rows.iter().map(row).collect();
        let list = json!({"scope_type": kind, "scope_id": id, "scope_name": name, "sort_by": metric,
            "count": rows.len(), "updated_at": "1970-01-01T00:00:00Z", "results": rows});
        files.insert(file.clone(), list);
        named[format!("{metric}_file")] = json!(format!("cache/{file}"));
    }
    named
}

/// Adds the statistics files.
pub(super) fn add(world: &World, drivers: &Drivers, files: &mut BTreeMap<String, Value>) {
    let all = figures(drivers, |_| true);
    let overall = ("stats/overall/overall", "overall", "overall", "Overall");
    let overall = list(files, drivers, overall, &all, usize::MAX, |_, _| true);
    let top = ("stats/overall/overall_top", "overall", "overall_top", "Overall");
    let top = list(files, drivers, top, &all, 500, |it, average| !average || it.entries >= 5 && it.bested >= 100);
    let (mut classes, mut superclasses) = (Vec::new(), Vec::new());
    let mut scopes: Vec<(String, String, String, Vec<String>)> = Vec::new();
    for class in world.catalog.classes() {
        let id = class.id.to_string();
        scopes.push((format!("stats/classes/{id}"), id.clone(), class.name.clone(), vec![id]));
    }
    let gt3 = vec!["2922".to_owned(), "1703".to_owned()];
    scopes.push(("stats/superclasses/gt3".to_owned(), "GT3".to_owned(), "GT3".to_owned(), gt3));
    scopes.sort_by_key(|(_, id, ..)| id.clone());
    for (path, id, name, of) in scopes {
        let figures = figures(drivers, |it| of.contains(&it.class_id));
        if figures.is_empty() {
            continue;
        }
        let kind = if id == "GT3" { "superclass" } else { "class" };
        let admits = |it: &Figures, average: bool| it.entries >= 2 && (!average || it.bested >= 10);
        let named = list(files, drivers, (&path, kind, &id, &name), &figures, 1000, admits);
        let count = figures.iter().filter(|it| it.poles > 0).count();
        let into = if kind == "class" { &mut classes } else { &mut superclasses };
        into.push(json!({"id": id, "name": name, "files": named, "count": count}));
    }
    let manifest = json!({"updated_at": "1970-01-01T00:00:00Z", "overall": overall, "overall_top": top,
        "classes": classes, "superclasses": superclasses});
    files.insert("stats/index.json".to_owned(), manifest);
}
