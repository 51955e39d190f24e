//! The structure that `ARCHITECTURE.md` describes, held by tests: layers import only what stands below them, files say
//! what they are for, and nothing is left unfinished.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What each layer may import, besides itself. The same table stands in `ARCHITECTURE.md`.
const LAYERS: &[(&str, &[&str])] = &[
    ("units", &[]),
    ("threshold", &["units"]),
    ("seed", &[]),
    ("values", &[]),
    ("clock", &[]),
    ("bus", &["clock"]),
    ("catalog", &["units"]),
    ("wire", &["catalog", "clock", "seed", "units"]),
    ("schedule", &["catalog", "clock", "seed", "units"]),
    ("measure", &["clock", "schedule", "units"]),
    ("codec", &["catalog", "units"]),
    ("scenario", &["catalog", "threshold", "units"]),
    ("workload", &["codec", "units", "wire"]),
    ("dialect", &["catalog", "codec", "units", "values", "wire"]),
    (
        "plan",
        &[
            "catalog",
            "clock",
            "dialect",
            "scenario",
            "schedule",
            "seed",
            "threshold",
            "units",
            "values",
            "wire",
            "workload",
        ],
    ),
    ("reactor", &["clock"]),
    ("transport", &["catalog", "clock", "codec", "dialect", "measure", "reactor", "seed", "units", "wire"]),
    ("target", &["catalog", "clock", "codec", "measure", "reactor", "schedule", "seed", "units", "wire"]),
    ("engine", &["catalog", "clock", "measure", "plan", "schedule", "seed", "transport", "units", "wire", "workload"]),
    ("result", &["clock", "measure", "schedule", "threshold", "units"]),
    ("stats", &[]),
    ("verdict", &["clock", "measure", "result", "stats", "threshold", "units"]),
    (
        "cluster",
        &[
            "bus",
            "catalog",
            "clock",
            "engine",
            "measure",
            "plan",
            "reactor",
            "result",
            "schedule",
            "seed",
            "target",
            "transport",
            "units",
            "values",
            "verdict",
        ],
    ),
    ("accounting", &["catalog", "cluster", "measure", "plan", "result"]),
    (
        "selftest",
        &[
            "accounting",
            "catalog",
            "clock",
            "cluster",
            "measure",
            "plan",
            "result",
            "scenario",
            "schedule",
            "target",
            "units",
        ],
    ),
    ("compare", &["clock", "measure", "result", "units"]),
    ("chart", &["clock", "compare", "measure", "result", "schedule", "units", "verdict"]),
    ("export", &["chart", "clock", "compare", "measure", "result", "schedule", "units", "verdict"]),
];

/// The top layer imports whatever it likes.
const TOP: &str = "cli";

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// Every source file with the layer it belongs to.
fn layered() -> Vec<(String, PathBuf, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    files
        .into_iter()
        .map(|path| {
            let within = path.strip_prefix(&src).unwrap();
            let first = within.components().next().unwrap().as_os_str().to_str().unwrap();
            let layer = first.trim_end_matches(".rs").to_owned();
            let text = fs::read_to_string(&path).unwrap();
            (layer, path, text)
        })
        .filter(|(layer, ..)| !matches!(layer.as_str(), "main" | "lib"))
        // What only tests use may import what it needs to test with.
        .filter(|(_, path, _)| !path.ends_with("testing.rs") && !path.ends_with("tests.rs"))
        .filter(|(_, path, _)| !path.components().any(|part| part.as_os_str() == "tests"))
        .collect()
}

/// Names that follow `crate::` in the code, tests and comments left out.
fn imports(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim_start() == "mod tests {" {
            break;
        }
        let code = line.split("//").next().unwrap_or("");
        for (at, _) in code.match_indices("crate::") {
            let rest = &code[at + "crate::".len()..];
            let names = match rest.strip_prefix('{') {
                // `use crate::{cluster, scenario};`
                Some(list) => list.split(['}', ',']).map(str::trim).collect::<Vec<_>>(),
                None => vec![rest],
            };
            for name in names {
                let name: String = name.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                if !name.is_empty() {
                    found.push((number + 1, name));
                }
            }
        }
    }
    found
}

#[test]
fn a_layer_imports_only_what_stands_in_its_row() {
    let allowed: BTreeMap<&str, &[&str]> = LAYERS.iter().copied().collect();
    let mut broken = Vec::new();
    for (layer, path, text) in layered() {
        if layer == TOP {
            continue;
        }
        let row = allowed.get(layer.as_str()).unwrap_or_else(|| panic!("{layer} is in no row of the table"));
        for (line, name) in imports(&text) {
            if name != layer && !row.contains(&name.as_str()) {
                broken.push(format!("{}:{line}: {layer} imports {name}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_table_has_no_cycles() {
    let order: Vec<&str> = LAYERS.iter().map(|(layer, _)| *layer).collect();
    for (at, (layer, row)) in LAYERS.iter().enumerate() {
        for import in *row {
            let below = order.iter().position(|l| l == import).unwrap_or_else(|| panic!("{import} is in no row"));
            assert!(below < at, "{layer} imports {import}, which stands above it");
        }
    }
}

#[test]
fn the_table_of_layers_in_the_architecture_page_is_this_one() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md")).unwrap();
    let (_, page) = page.split_once("## Layers").expect("the page has a chapter on layers");
    for (layer, row) in LAYERS {
        let start = format!("| {layer} |");
        let line = page.lines().find(|l| l.starts_with(&start)).unwrap_or_else(|| panic!("no row for {layer}"));
        let imports = line.trim_end_matches('|').rsplit('|').next().unwrap().trim();
        let want = if row.is_empty() { "–".to_owned() } else { row.join(", ") };
        assert_eq!(imports, want, "the row of {layer}");
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    for (_, path, text) in layered() {
        assert!(text.starts_with("//! "), "{} has no header", path.display());
    }
}

#[test]
fn nothing_is_left_unfinished() {
    for (_, path, text) in layered() {
        for mark in ["todo!(", "unimplemented!(", "FIXME", "XXX", "dbg!("] {
            assert!(!text.contains(mark), "{} has {mark}", path.display());
        }
    }
}

#[test]
fn only_the_command_line_prints() {
    for (layer, path, text) in layered() {
        if layer == TOP {
            continue;
        }
        for print in ["println!(", "print!(", "eprint!("] {
            let prints = text.lines().any(|line| line.trim_start().starts_with(print));
            assert!(!prints, "{} prints", path.display());
        }
    }
}

#[test]
fn the_core_of_the_engine_reads_no_clock() {
    // The engine's core takes time as an argument; reading it there would break the virtual clock of its tests.
    for (_, path, text) in layered() {
        let is_core = path.components().any(|c| c.as_os_str() == "core") || path.ends_with("engine/core.rs");
        if is_core {
            assert!(!text.contains("clock::now()"), "{} reads the clock", path.display());
        }
    }
}
