//! The result document as others meet it: the saved fixture of each schema version, its documentation, and what happens
//! when somebody edits it.

use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use wsbench::export::{summary_json, write_all};
use wsbench::result::Document;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn fixture() -> Document {
    Document::load(&root().join("tests/fixtures/result-v1.json")).unwrap()
}

/// Every file under `folder` with its bytes, by path.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.clone(), std::fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

fn rendered(document: &Document, charts: bool) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = tempfile::tempdir().unwrap();
    let written = write_all(document, folder.path(), charts).unwrap();
    let found = files(folder.path());
    assert_eq!(written.len(), found.len());
    let relative = |path: PathBuf| path.strip_prefix(folder.path()).unwrap().to_owned();
    found.into_iter().map(|(path, bytes)| (relative(path), bytes)).collect()
}

#[test]
fn a_saved_result_is_redrawn_byte_for_byte() {
    let first = rendered(&fixture(), true);
    assert_eq!(first, rendered(&fixture(), true));
    let names: Vec<String> = first.iter().map(|(path, _)| path.display().to_string()).collect();
    for expected in ["summary.md", "report.html", "intervals.csv", "charts/delivery-cdf.svg", "histograms/sse.hlog"] {
        assert!(names.iter().any(|n| n == expected), "{expected} is not in {names:?}");
    }
}

#[test]
fn without_charts_there_are_none_anywhere() {
    let files = rendered(&fixture(), false);
    assert!(files.iter().all(|(path, _)| !path.starts_with("charts")));
    for (path, bytes) in files.iter().filter(|(path, _)| !path.starts_with("histograms")) {
        let text = String::from_utf8_lossy(bytes);
        assert!(!text.contains("<svg") && !text.contains(".svg"), "{}", path.display());
    }
}

/// Names of fields; a map whose keys are data, such as error classes, is not followed.
fn keys(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                into.insert(key.clone());
                if !matches!(key.as_str(), "errors" | "plan") {
                    keys(value, into);
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| keys(value, into)),
        _ => {}
    }
}

#[test]
fn every_field_is_documented() {
    let text = std::fs::read_to_string(root().join("docs/result.md")).unwrap();
    let mut all = BTreeSet::new();
    keys(&serde_json::to_value(fixture()).unwrap(), &mut all);
    keys(&serde_json::from_str(&summary_json(&fixture())).unwrap(), &mut all);
    assert!(all.len() > 80, "{all:?}");
    let documented = |key: &str| text.contains(&format!("`{key}`")) || text.contains(&format!("\"{key}\""));
    let missing: Vec<_> = all.iter().filter(|key| !documented(key)).collect();
    assert!(missing.is_empty(), "docs/result.md doesn't mention {missing:?}");
}

/// All places in a document, as JSON pointers.
fn places(value: &Value, at: String, into: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                places(value, format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), into);
            }
        }
        Value::Array(list) => {
            for (n, value) in list.iter().enumerate() {
                places(value, format!("{at}/{n}"), into);
            }
        }
        _ => {}
    }
    into.push(at);
}

/// What a person or a broken program might put somewhere.
fn oddities() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(Value::from(0)),
        Just(Value::from(1)),
        Just(Value::from(u64::MAX)),
        Just(Value::from(-1)),
        Just(Value::from(1e308)),
        Just(Value::from(5e-324)),
        Just(Value::from("")),
        Just(Value::from("closed")),
        Just(Value::from("connect")),
        Just(Value::from("<script>&\u{0}|\n")),
        Just(Value::Bool(true)),
        Just(Value::Array(Vec::new())),
        Just(Value::Object(serde_json::Map::new())),
        ".*".prop_map(Value::from),
    ]
}

/// The fixture cut down to what makes a case quick: two arms with two trials.
fn small() -> Value {
    let mut document = fixture();
    document.cells.retain(|c| c.arm == "websocket" || c.arm == "long-polling");
    document.cells.iter_mut().for_each(|c| c.trials.truncate(2));
    serde_json::to_value(document).unwrap()
}

#[test]
fn an_edited_result_is_an_error_or_a_report_but_never_a_panic() {
    let original = small();
    let mut all = Vec::new();
    places(&original, String::new(), &mut all);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 150,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let edits = proptest::collection::vec((any::<prop::sample::Index>(), oddities()), 1..4);
    let outcome = runner.run(&edits, |edits| {
        let mut value = original.clone();
        for (place, odd) in edits {
            if let Some(there) = value.pointer_mut(place.get(&all[..]).as_str()) {
                *there = odd;
            }
        }
        let _ = Document::parse(value.to_string().as_bytes(), Path::new("edited.json"));
        // Drawn even where loading would refuse its sums.
        if let Ok(document) = serde_json::from_value::<Document>(value) {
            let folder = tempfile::tempdir().unwrap();
            let _ = write_all(&document, folder.path(), true);
            summary_json(&document);
        }
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn extreme_numbers_in_every_count_are_drawn_all_the_same() {
    let mut all = Vec::new();
    let original = small();
    places(&original, String::new(), &mut all);
    for extreme in [0, u64::MAX] {
        let mut value = original.clone();
        for place in &all {
            if let Some(there) = value.pointer_mut(place)
                && there.is_u64()
                && !place.ends_with("/schema_version")
            {
                *there = extreme.into();
            }
        }
        // Two fields are narrower than the others.
        for place in all.iter().filter(|p| p.ends_with("/block") || p.ends_with("/place") || p.contains("ephemeral")) {
            if let Some(there) = value.pointer_mut(place).filter(|v| v.is_u64()) {
                *there = 0.into();
            }
        }
        // Sums of such counts don't hold, which loading refuses.
        let refused = Document::parse(value.to_string().as_bytes(), Path::new("extreme.json")).is_err();
        assert_eq!(refused, extreme > 0);
        let document: Document = serde_json::from_value(value).unwrap();
        let folder = tempfile::tempdir().unwrap();
        write_all(&document, folder.path(), true).unwrap();
    }
}

proptest! {
    // Few: a crafted header may ask for tens of megabytes each time.
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_crafted_histogram_is_an_error_or_a_histogram_but_never_a_panic(
        values in proptest::collection::vec(1u64..60_000_000_000, 0..20),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        use base64::Engine as _;
        use hdrhistogram::serialization::{Serializer as _, V2Serializer};
        let mut histogram: hdrhistogram::Histogram<u64> = hdrhistogram::Histogram::new_with_bounds(1, 60_000_000_000, 3).unwrap();
        values.iter().for_each(|v| histogram.record(*v).unwrap());
        let mut bytes = Vec::new();
        // The reader takes the form that isn't deflated as well, where every bit of an edit arrives.
        V2Serializer::new().serialize(&histogram, &mut bytes).unwrap();
        for (place, byte) in edits {
            let at = place.index(bytes.len());
            bytes[at] = byte;
        }
        let text = base64::engine::general_purpose::STANDARD.encode(bytes);
        let packed: wsbench::measure::Packed = serde_json::from_value(serde_json::json!({ "v2": text })).unwrap();
        if let Ok(histogram) = packed.unpack() {
            let mut merged = histogram.clone();
            merged.merge(&histogram);
            merged.quantile(0.99, 10);
            merged.steps().count();
        }
    }
}
