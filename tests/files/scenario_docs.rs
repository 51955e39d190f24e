//! `docs/scenario.md` and the JSON Schema say the same as the parser.

use serde_json::Value;
use wsbench::plan::{self, Overrides};
use wsbench::scenario;

const DOC: &str = include_str!("../../docs/scenario.md");

/// Every key that the schema knows, with its own schema.
fn keys(schema: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        found.push((name.clone(), inner.clone()));
        found.extend(keys(inner));
    }
    let choices = ["oneOf", "anyOf"].iter().filter_map(|of| schema[*of].as_array()).flatten();
    let inside = ["items", "additionalProperties"].iter().map(|of| &schema[*of]).filter(|s| s.is_object());
    choices.chain(inside).for_each(|inner| found.extend(keys(inner)));
    found
}

/// The TOML examples of the document.
fn examples() -> Vec<&'static str> {
    DOC.split("```toml\n").skip(1).map(|part| part.split("```").next().unwrap()).collect()
}

#[test]
fn every_key_is_documented_and_described() {
    let keys = keys(&scenario::schema());
    assert!(keys.len() > 50, "{}", keys.len());
    for (key, schema) in keys {
        assert!(schema["description"].is_string(), "the schema doesn't describe {key}");
        let documented = [format!("`{key}`"), format!("[{key}"), format!(".{key}]")];
        assert!(documented.iter().any(|text| DOC.contains(text)), "docs/scenario.md lacks {key}");
    }
}

#[test]
fn defaults_in_the_document_are_those_of_the_schema() {
    let mut compared = 0;
    for (key, schema) in keys(&scenario::schema()) {
        let default = match &schema["default"] {
            Value::String(text) if text.is_empty() => "empty".to_owned(),
            Value::String(text) => format!("`{text}`"),
            Value::Null => continue,
            other => format!("`{other}`"),
        };
        let row = format!("| `{key}` | {default}");
        assert!(DOC.contains(&row), "docs/scenario.md lacks {row:?}");
        compared += 1;
    }
    assert!(compared >= 10, "{compared}");
}

#[test]
fn every_key_has_an_example() {
    let text = examples().join("\n");
    for (key, _) in keys(&scenario::schema()) {
        let used = [format!("{key} ="), format!("[{key}"), format!(".{key}]"), format!(".{key:?}]")];
        assert!(used.iter().any(|u| text.contains(u)), "no example uses {key}");
    }
}

#[test]
fn every_example_makes_a_plan() {
    // Beside which the files lie that the examples of `[tls]` and `[values]` name.
    let folder = tempfile::tempdir().unwrap();
    let own = rcgen::generate_simple_self_signed(vec!["me".to_owned()]).unwrap();
    for (name, text) in [
        ("ca.pem", own.cert.pem()),
        ("client.pem", own.cert.pem()),
        ("client-key.pem", own.signing_key.serialize_pem()),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    std::fs::copy("tests/fixtures/users.csv", folder.path().join("users.csv")).unwrap();
    let path = folder.path().join("example.toml").display().to_string();
    for example in examples() {
        // The environment's variables are those of who reads it.
        let mut text = example.replace("${CHAT_TOKEN}", "token");
        let mut add = |table: &str, rest: &str| {
            if !text.contains(table) {
                text += &format!("\n{rest}\n");
            }
        };
        add("[workload", "[workload.echo]");
        add("[load", "[load]\nsessions = 100\nrate = \"100/s\"\nduration = \"1s\"");
        add("[transports", "[transports.websocket]\n[transports.long-polling]");
        let parsed = scenario::parse(&path, &text).unwrap_or_else(|e| panic!("{}", e.render(false)));
        plan::build(&parsed, &Overrides::default()).unwrap_or_else(|e| panic!("{}", e.render(false)));
    }
}

#[test]
fn the_schema_forbids_unknown_keys_and_knows_no_null() {
    fn walk(schema: &Value) {
        if schema["properties"].is_object() && !schema["oneOf"].is_array() {
            assert_eq!(schema["additionalProperties"], false, "{schema}");
        }
        match schema {
            Value::Object(map) => map.values().for_each(walk),
            Value::Array(list) => list.iter().for_each(walk),
            other => assert!(!other.is_null() && other != "null"),
        }
    }
    walk(&scenario::schema());
}
