//! The settings as a JSON Schema (draft 2020-12), for editors.
//!
//! It refuses what the readers refuse for its keys and types, and takes whatever they
//! take. What they know beyond that - addresses, host names, paths, files, and which
//! names are defined - it does not.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::NAME_BYTES_MAX;
use super::outline::{Condition, Key, Naming, Presence, Rule, Shape, Shapes, Table};
use super::scalars::{SIZE_MAX, Zero};

/// The schema of a whole file.
pub fn schema() -> Value {
    let Value::Object(mut schema) = table(&Table::of_settings()) else {
        return Value::Null;
    };
    let dialect = "https://json-schema.org/draft/2020-12/schema";
    schema.insert("$schema".to_owned(), dialect.into());
    schema.insert("title".to_owned(), "Tidegate settings".into());
    Value::Object(schema)
}

fn table(of: &Table) -> Value {
    let alternatives = of.alternatives();
    if let [(_, table)] = alternatives.as_slice() {
        return object(table);
    }
    // Not `oneOf`: an editor could only say that none of them fits, and not where.
    let cases: Vec<Value> = alternatives
        .iter()
        .map(|(conditions, table)| json!({ "if": holds(conditions), "then": object(table) }))
        .collect();
    let mut schema = hints(alternatives.iter().map(|(_, table)| table));
    for key in &of.keys {
        schema["properties"][key.name] = property(key);
    }
    let required = of
        .keys
        .iter()
        .filter(|key| key.presence == Presence::Required);
    schema["required"] = required.map(|key| key.name).collect();
    schema["type"] = "object".into();
    schema["description"] = of.about.into();
    schema["allOf"] = cases.into();
    schema
}

fn holds(conditions: &[Condition]) -> Value {
    let holds = |condition: &Condition| match condition {
        Condition::Word(key, word) => {
            json!({ "properties": { *key: { "const": word } }, "required": [key] })
        }
        Condition::Present(key) => json!({ "required": [key] }),
        Condition::Absent(key) => json!({ "not": { "required": [key] } }),
    };
    json!({ "allOf": conditions.iter().map(holds).collect::<Vec<_>>() })
}

/// What an editor can propose where it depends on other keys what is right: every key that
/// is in one of the `tables`. Refuses nothing.
fn hints<'t>(tables: impl Iterator<Item = &'t Table>) -> Value {
    let mut properties = Map::new();
    let mut below: BTreeMap<&str, Vec<Table>> = BTreeMap::new();
    for key in tables.flat_map(|table| &table.keys) {
        let mut hint = json!({ "description": key.about });
        if let Presence::Default(default) = &key.presence {
            hint["default"] = default.clone();
        }
        properties.entry(key.name).or_insert(hint);
        let inner = key
            .shapes
            .list()
            .into_iter()
            .filter_map(|shape| match shape {
                Shape::Table(table) => Some(table),
                _ => None,
            });
        below.entry(key.name).or_default().extend(inner);
    }
    for (name, tables) in below.iter().filter(|(_, tables)| !tables.is_empty()) {
        let inner = hints(tables.iter());
        properties[*name]["properties"] = inner["properties"].clone();
    }
    json!({ "properties": properties })
}

fn object(table: &Table) -> Value {
    let mut properties = Map::new();
    let mut required: Vec<&str> = Vec::new();
    for key in &table.keys {
        properties.insert(key.name.to_owned(), property(key));
        if key.presence == Presence::Required {
            required.push(key.name);
        }
    }
    let mut schema = json!({
        "type": "object",
        "description": table.about,
        "properties": properties,
        "additionalProperties": false,
    });
    let rules = rules(table, &mut required);
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    if !rules.is_empty() {
        schema["allOf"] = rules.into();
    }
    schema
}

/// What the rules of the table say about keys that it has.
fn rules(table: &Table, required: &mut Vec<&'static str>) -> Vec<Value> {
    let has = |keys: &[&'static str]| -> Vec<&'static str> {
        let keys = keys.iter().copied();
        keys.filter(|key| table.has(key)).collect()
    };
    let mut all = Vec::new();
    for rule in &table.rules {
        match rule {
            Rule::AnyOf(keys) => match has(keys).as_slice() {
                [] => {}
                [key] if required.contains(key) => {}
                [key] => required.push(key),
                keys => {
                    let one = |key: &&str| json!({ "required": [key] });
                    all.push(json!({ "anyOf": keys.iter().map(one).collect::<Vec<_>>() }));
                }
            },
            Rule::AtMostOne(keys) => {
                let keys = has(keys);
                for (at, left) in keys.iter().enumerate() {
                    for right in &keys[at + 1..] {
                        all.push(json!({ "not": { "required": [left, right] } }));
                    }
                }
            }
            Rule::Needs(key, other) => all.push(json!({ "dependentRequired": { *key: [other] } })),
        }
    }
    all
}

fn property(key: &Key) -> Value {
    let mut schema = any_of(&key.shapes);
    schema["description"] = key.about.into();
    if let Presence::Default(default) = &key.presence {
        schema["default"] = default.clone();
    }
    schema
}

fn any_of(shapes: &Shapes) -> Value {
    match shapes.list().as_slice() {
        [shape] => one(shape),
        shapes => json!({ "anyOf": shapes.iter().map(one).collect::<Vec<_>>() }),
    }
}

fn one(shape: &Shape) -> Value {
    match shape {
        Shape::Text(expected) => json!({ "type": "string", "description": expected }),
        Shape::Words(words) => json!({ "type": "string", "enum": words }),
        Shape::Boolean => json!({ "type": "boolean" }),
        Shape::Integer { low, high } => {
            json!({ "type": "integer", "minimum": low, "maximum": high })
        }
        Shape::Numbers(numbers) => json!({ "type": "integer", "enum": numbers }),
        Shape::Duration(zero) => {
            json!({ "type": "string", "pattern": quantity(*zero, "(ms|s|m|h)") })
        }
        Shape::Size(zero) => {
            let least = u8::from(*zero == Zero::Refused);
            json!({ "anyOf": [
                { "type": "string", "pattern": quantity(*zero, "(B|KB|MB|GB|KiB|MiB|GiB)") },
                { "type": "integer", "minimum": least, "maximum": SIZE_MAX },
            ] })
        }
        Shape::Array(of) => json!({ "type": "array", "items": any_of(of) }),
        Shape::Names { naming, of, .. } => {
            let mut schema = json!({ "type": "object", "additionalProperties": any_of(of) });
            if *naming == Naming::Site {
                let pattern = format!("^[A-Za-z0-9_-]{{1,{NAME_BYTES_MAX}}}$");
                schema["propertyNames"] = json!({ "pattern": pattern });
            }
            schema
        }
        Shape::Table(inner) => table(inner),
    }
}

fn quantity(zero: Zero, units: &str) -> String {
    match zero {
        Zero::Allowed => format!("^[0-9]+ ?{units}$"),
        Zero::Refused => format!("^0*[1-9][0-9]* ?{units}$"),
    }
}
