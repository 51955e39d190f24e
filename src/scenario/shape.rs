//! Holds a parsed file against the JSON Schema of the scenario, so that every unknown key, wrong type and bad unit is
//! found at once, each at its place.
//!
//! It knows the part of JSON Schema that our types yield, with everything inlined: `object`, `array`, `string`,
//! `integer`, `boolean`, `enum`/`const`, `anyOf` over types, and `oneOf` over tables with one key each. A string with
//! `x-unit` is read by that unit's own parser.

use super::at::Place;
use super::error::Problem;
use super::suggest;
use crate::catalog::{Block, Distribution, Stall, TargetUrl};
use crate::threshold::Threshold;
use crate::units::{ByteSize, Rate, Share, Span};
use schemars::Schema;
use schemars::transform::transform_subschemas;
use serde_json::{Map, Value as Json};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Everything in `file` that the schema doesn't allow.
pub fn check(file: &Spanned<DeTable>, schema: &Json) -> Vec<Problem> {
    let mut check = Check { root: schema, problems: Vec::new() };
    check.table("", file.get_ref(), &Place::Default, schema);
    check.problems
}

/// Makes a schema one for TOML, which has no `null`: an optional key is left out. And a table that is one choice of
/// several carries the description of that choice, where editors look for it.
pub fn for_toml(schema: &mut Schema) {
    transform_subschemas(&mut for_toml, schema);
    let Some(object) = schema.as_object_mut() else { return };
    forbid_null(object);
    for choice in object.get_mut("oneOf").and_then(Json::as_array_mut).into_iter().flatten() {
        let description = choice["description"].clone();
        let table = choice.get_mut("properties").and_then(Json::as_object_mut).and_then(|p| p.values_mut().next());
        if let (Some(table), true) = (table, description.is_string()) {
            table["description"] = description;
        }
    }
}

fn forbid_null(object: &mut Map<String, Json>) {
    if object.get("default").is_some_and(Json::is_null) {
        object.remove("default");
    }
    if let Some(Json::Array(types)) = object.get_mut("type") {
        types.retain(|t| t != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".into(), only);
        }
    }
    if let Some(Json::Array(values)) = object.get_mut("enum") {
        values.retain(|v| !v.is_null());
    }
    let Some(Json::Array(choices)) = object.get_mut("anyOf") else { return };
    choices.retain(|choice| choice["type"] != "null");
    if let [Json::Object(only)] = choices.as_slice() {
        let only = only.clone();
        object.remove("anyOf");
        for (key, value) in only {
            object.entry(key).or_insert(value);
        }
    }
}

struct Check<'a> {
    root: &'a Json,
    problems: Vec<Problem>,
}

impl Check<'_> {
    fn value(&mut self, path: &str, value: &Spanned<DeValue>, schema: &Json) {
        if is_anything(schema) {
            return self.anything(path, value);
        }
        if let Some(choices) = schema["anyOf"].as_array() {
            return match choices.iter().find(|choice| same_type(value.get_ref(), choice)) {
                Some(choice) => self.value(path, value, choice),
                None => self.wrong_type(path, value, schema),
            };
        }
        if !same_type(value.get_ref(), schema) {
            return self.wrong_type(path, value, schema);
        }
        match value.get_ref() {
            DeValue::Table(table) => self.table(path, table, &Place::File(value.span()), schema),
            DeValue::Array(list) => list.iter().for_each(|item| self.value(path, item, &schema["items"])),
            DeValue::String(text) => self.text(path, text, value.span(), schema),
            DeValue::Integer(number) => {
                let parsed = i128::from_str_radix(number.as_str(), number.radix()).ok();
                self.integer(path, parsed, value.span(), schema);
            }
            DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {}
        }
    }

    /// What becomes JSON, which knows no dates.
    fn anything(&mut self, path: &str, value: &Spanned<DeValue>) {
        match value.get_ref() {
            DeValue::Datetime(_) => {
                let problem = Problem::within(value.span(), format!("`{path}` holds a date, which JSON doesn't have"));
                self.problems.push(problem.hint("put it in quotes"));
            }
            DeValue::Table(table) => table.values().for_each(|value| self.anything(path, value)),
            DeValue::Array(list) => list.iter().for_each(|value| self.anything(path, value)),
            DeValue::String(_) | DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) => {}
        }
    }

    fn table(&mut self, path: &str, table: &DeTable, place: &Place, schema: &Json) {
        let known = properties(schema);
        let names = || known.iter().map(|(name, _)| *name);
        let mut meant = Vec::new();
        for (key, value) in table {
            let inner = join(path, key.get_ref());
            match known.iter().find(|(name, _)| name == key.get_ref()) {
                Some((_, schema)) => self.value(&inner, value, schema),
                // Names that the person chose.
                None if schema["additionalProperties"].is_object() => {
                    self.value(&inner, value, &schema["additionalProperties"]);
                }
                None if is_anything(&schema["additionalProperties"]) => self.anything(&inner, value),
                None => {
                    meant.extend(suggest::nearest(key.get_ref(), names()));
                    self.unknown_key(path, key.get_ref(), key.span(), names().collect());
                }
            }
        }
        for key in schema["required"].as_array().into_iter().flatten().filter_map(Json::as_str) {
            // A misspelt key isn't missing as well.
            if !table.contains_key(key) && !meant.contains(&key) {
                let example = known.iter().find(|(name, _)| *name == key).map(|(_, s)| example(path, key, s));
                let problem = Problem::new(place, format!("{} lacks `{key}`", name_of(path)));
                self.problems.push(problem.hint(example.unwrap_or_default()));
            }
        }
        if schema["oneOf"].is_array() {
            self.one_of(path, table, place, &known);
        }
    }

    /// A table that must hold exactly one of the keys that it knows.
    fn one_of(&mut self, path: &str, table: &DeTable, place: &Place, known: &[(&str, &Json)]) {
        let mut present: Vec<_> = table.keys().filter(|key| known.iter().any(|(n, _)| n == key.get_ref())).collect();
        present.sort_by_key(|key| key.span().start);
        let list: Vec<String> = known.iter().map(|(name, _)| format!("`[{}]`", join(path, name))).collect();
        if let [first, second, ..] = present.as_slice() {
            let (first, second_key) = (first.get_ref(), second.get_ref());
            let message = format!("`[{}]` stands beside `[{}]`", join(path, second_key), join(path, first));
            let hint = match path {
                "workload" | "target" => format!("keep one {path}; a scenario for each keeps their figures apart"),
                _ => "keep one of them".to_owned(),
            };
            self.problems.push(Problem::within(second.span(), message).hint(hint));
        } else if table.is_empty() {
            let problem = Problem::new(place, format!("{} is empty", name_of(path)));
            self.problems.push(problem.hint(format!("write one of {}", list.join(", "))));
        }
    }

    fn text(&mut self, path: &str, text: &str, span: Range<usize>, schema: &Json) {
        let place = Place::File(span);
        if let Some(unit) = schema["x-unit"].as_str() {
            return self.problems.extend(unit_problem(unit, text, &place));
        }
        let values = values(schema);
        if !values.is_empty() && !values.contains(&text) {
            let problem = Problem::new(&place, format!("`{text}` is not a value of `{path}`"));
            self.problems.push(problem.hint(suggest::hint(text, "it can be", values)));
        }
    }

    fn integer(&mut self, path: &str, number: Option<i128>, span: Range<usize>, schema: &Json) {
        let lowest = schema["minimum"].as_i64().map_or(i128::from(i64::MIN), i128::from);
        let highest = match (schema["maximum"].as_u64(), schema["format"].as_str()) {
            (Some(maximum), _) => maximum.into(),
            (None, Some("uint32")) => u32::MAX.into(),
            (None, _) => i64::MAX.into(),
        };
        if !number.is_some_and(|n| (lowest..=highest).contains(&n)) {
            let problem = Problem::within(span, format!("`{path}` must lie between {lowest} and {highest}"));
            self.problems.push(problem);
        }
    }

    fn wrong_type(&mut self, path: &str, value: &Spanned<DeValue>, schema: &Json) {
        let key = path.rsplit('.').next().unwrap_or(path);
        let is = kind_name(value.get_ref().type_str());
        let problem = Problem::within(value.span(), format!("`{path}` is {is}, not {}", wanted(schema)));
        self.problems.push(problem.hint(example("", key, schema)));
    }

    fn unknown_key(&mut self, path: &str, key: &str, span: Range<usize>, names: Vec<&str>) {
        let mut homes = Vec::new();
        homes_of(key, "", self.root, &mut homes);
        let hint = match (suggest::nearest(key, names.iter().copied()), homes.as_slice()) {
            (None, [home, ..]) => format!("`{key}` belongs in {home}"),
            // TOML takes a dot for the start of another table.
            (Some(near), _) if near.contains('.') => format!("did you mean `[{}]`, with the quotes?", join(path, near)),
            _ => suggest::hint(key, "known keys", names),
        };
        self.problems.push(Problem::within(span, format!("unknown key `{key}` in {}", name_of(path))).hint(hint));
    }
}

/// What is wrong with a quantity, by its own parser.
fn unit_problem(unit: &str, text: &str, place: &Place) -> Option<Problem> {
    match unit {
        "duration" => text.parse::<Span>().err().map(|e| Problem::quote(place, e)),
        "size" => text.parse::<ByteSize>().err().map(|e| Problem::quote(place, e)),
        "rate" => text.parse::<Rate>().err().map(|e| Problem::quote(place, e)),
        "share" => text.parse::<Share>().err().map(|e| Problem::quote(place, e)),
        "distribution" => text.parse::<Distribution>().err().map(|e| Problem::quote(place, e)),
        "stall" => text.parse::<Stall>().err().map(|e| Problem::quote(place, e)),
        "threshold" => {
            text.parse::<Threshold>().err().map(|e| Problem::new(&place.inside(text, &e.span), e.problem).hint(e.hint))
        }
        "address" => text.parse::<Block>().err().map(|e| Problem::quote(place, e)),
        "URL" => text.parse::<TargetUrl>().err().map(|e| Problem::quote(place, e)),
        _ => None,
    }
}

/// The keys of a table's schema with their own schemas, those of every alternative included.
fn properties(schema: &Json) -> Vec<(&str, &Json)> {
    let own = schema["properties"].as_object().into_iter();
    let alternatives = schema["oneOf"].as_array().into_iter().flatten();
    own.chain(alternatives.filter_map(|choice| choice["properties"].as_object()))
        .flatten()
        .map(|(key, schema)| (key.as_str(), schema))
        .collect()
}

/// The texts that an enumeration allows; none for other schemas.
fn values(schema: &Json) -> Vec<&str> {
    let alternatives = schema["oneOf"].as_array().into_iter().flatten();
    let described = alternatives.clone().filter_map(|choice| choice["const"].as_str());
    let plain = std::iter::once(schema).chain(alternatives).filter_map(|s| s["enum"].as_array()).flatten();
    described.chain(plain.filter_map(Json::as_str)).collect()
}

/// Whether a schema allows whatever there is.
fn is_anything(schema: &Json) -> bool {
    *schema == Json::Bool(true)
}

fn type_of(schema: &Json) -> &str {
    match schema["type"].as_str() {
        Some(name) => name,
        None if !values(schema).is_empty() => "string",
        None => "object",
    }
}

fn same_type(value: &DeValue, schema: &Json) -> bool {
    let name = type_of(schema);
    match value {
        DeValue::String(_) => name == "string",
        DeValue::Integer(_) => name == "integer",
        DeValue::Boolean(_) => name == "boolean",
        DeValue::Array(_) => name == "array",
        DeValue::Table(_) => name == "object",
        DeValue::Float(_) | DeValue::Datetime(_) => false,
    }
}

fn kind_name(toml_type: &str) -> &str {
    match toml_type {
        "string" => "text",
        "integer" => "a whole number",
        "float" => "a number with a fraction",
        "boolean" => "true or false",
        "datetime" => "a date",
        "array" => "a list",
        _ => "a table",
    }
}

/// What a schema wants, in words.
fn wanted(schema: &Json) -> String {
    if let Some(choices) = schema["anyOf"].as_array() {
        let words: Vec<String> = choices.iter().map(wanted).collect();
        return words.join(" or ");
    }
    if let Some(unit) = schema["x-unit"].as_str() {
        return format!("a {unit} in quotes");
    }
    match type_of(schema) {
        "string" => "text in quotes",
        "integer" => "a whole number",
        "boolean" => "true or false",
        "array" => "a list",
        _ => "a table",
    }
    .to_owned()
}

/// How a key is written right, as a hint.
fn example(path: &str, key: &str, schema: &Json) -> String {
    let first = schema["anyOf"].as_array().and_then(|choices| choices.first()).unwrap_or(schema);
    let value = match (first["examples"][0].as_str(), values(first).first()) {
        (Some(text), _) => format!("{text:?}"),
        (None, Some(text)) => format!("{text:?}"),
        (None, None) => match type_of(first) {
            "string" => "\"…\"".to_owned(),
            "integer" => "10".to_owned(),
            "boolean" => "true".to_owned(),
            "array" => "[…]".to_owned(),
            _ if properties(schema).is_empty() => return format!("write `[{}.NAME]`", join(path, key)),
            _ => match schema["oneOf"][0]["properties"].as_object().and_then(|p| p.keys().next()) {
                Some(choice) => return format!("write `[{}.{choice}]`", join(path, key)),
                None => return format!("write `[{}]`", join(path, key)),
            },
        },
    };
    format!("write `{key} = {value}`")
}

/// The tables that know `key`, as they are written.
fn homes_of(key: &str, path: &str, schema: &Json, homes: &mut Vec<String>) {
    let named = Some(&schema["additionalProperties"]).filter(|s| s.is_object()).map(|s| ("NAME", s));
    for (name, inner) in properties(schema).into_iter().chain(named) {
        if properties(inner).iter().any(|(k, _)| *k == key) {
            homes.push(name_of(&join(path, name)));
        }
        homes_of(key, &join(path, name), inner, homes);
    }
}

fn join(path: &str, key: &str) -> String {
    let key = if key.contains('.') { &format!("{key:?}") } else { key };
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn name_of(path: &str) -> String {
    if path.is_empty() { "the scenario".to_owned() } else { format!("`[{path}]`") }
}
