//! The text of a schema → its Parsing Canonical Form and fingerprint, as Avro's specification has them.
//!
//! By the fingerprint records of other languages name their schema, and those leave logical types out.

use serde_json::{Map, Value};

/// CRC-64-AVRO of the canonical form. The text has been parsed as a schema before.
pub fn fingerprint(text: &str) -> u64 {
    crc_64_avro(canonical_form(text).as_bytes())
}

fn canonical_form(text: &str) -> String {
    let mut form = String::new();
    write(&serde_json::from_str(text).unwrap_or(Value::Null), "", &mut form);
    form
}

/// The attributes that stay, in their order.
const ATTRIBUTES: [&str; 7] = ["name", "type", "fields", "symbols", "items", "values", "size"];
const PRIMITIVES: [&str; 8] = ["null", "boolean", "int", "long", "float", "double", "bytes", "string"];

/// `namespace` is that of the schema around this one.
fn write(schema: &Value, namespace: &str, form: &mut String) {
    match schema {
        Value::String(name) => push_text(&full_name(name, namespace), form),
        Value::Array(branches) => {
            list(branches, form, &mut |branch, form| write(branch, namespace, form));
        }
        Value::Object(attributes) => write_object(attributes, namespace, form),
        _ => form.push_str("null"),
    }
}

fn write_object(attributes: &Map<String, Value>, namespace: &str, form: &mut String) {
    let text = |key: &str| attributes.get(key).and_then(Value::as_str);
    let kind = match attributes.get("type") {
        Some(Value::String(kind)) => kind.as_str(),
        // A schema within a schema says no more than the inner one.
        Some(inner) => return write(inner, namespace, form),
        None => return form.push_str("null"),
    };
    if PRIMITIVES.contains(&kind) {
        return push_text(kind, form);
    }
    let is_named = matches!(kind, "record" | "error" | "enum" | "fixed");
    if !is_named && !matches!(kind, "array" | "map") {
        // The name of a type that was defined before.
        return push_text(&full_name(kind, namespace), form);
    }
    let name = text("name").map(|name| full_name(name, text("namespace").unwrap_or(namespace)));
    let within = match &name {
        Some(name) => name.rsplit_once('.').map_or("", |(namespace, _)| namespace).to_owned(),
        None => namespace.to_owned(),
    };
    let mut separator = '{';
    for key in ATTRIBUTES {
        let Some(value) = attributes.get(key) else { continue };
        form.push(separator);
        separator = ',';
        push_text(key, form);
        form.push(':');
        match key {
            "name" => push_text(name.as_deref().unwrap_or_default(), form),
            "type" => push_text(kind, form),
            "fields" => list(value.as_array().map_or(&[], Vec::as_slice), form, &mut |field, form| {
                form.push_str("{\"name\":");
                push_text(field["name"].as_str().unwrap_or_default(), form);
                form.push_str(",\"type\":");
                write(&field["type"], &within, form);
                form.push('}');
            }),
            "symbols" => list(value.as_array().map_or(&[], Vec::as_slice), form, &mut |symbol, form| {
                push_text(symbol.as_str().unwrap_or_default(), form);
            }),
            "size" => form.push_str(&value.as_u64().unwrap_or_default().to_string()),
            _ => write(value, &within, form),
        }
    }
    form.push('}');
}

fn list(items: &[Value], form: &mut String, item: &mut dyn FnMut(&Value, &mut String)) {
    form.push('[');
    for (index, value) in items.iter().enumerate() {
        if index > 0 {
            form.push(',');
        }
        item(value, form);
    }
    form.push(']');
}

/// A name with dots is full; primitives belong to no namespace.
fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() || PRIMITIVES.contains(&name) {
        return name.to_owned();
    }
    format!("{namespace}.{name}")
}

fn push_text(text: &str, form: &mut String) {
    form.push_str(&Value::String(text.to_owned()).to_string());
}

fn crc_64_avro(bytes: &[u8]) -> u64 {
    const EMPTY: u64 = 0xc15d_213a_a4d7_a795;
    let step = |crc: u64| (crc >> 1) ^ (EMPTY & (crc & 1).wrapping_neg());
    bytes.iter().fold(EMPTY, |crc, byte| {
        let entry = (0..8).fold((crc ^ u64::from(*byte)) & 0xff, |crc, _| step(crc));
        (crc >> 8) ^ entry
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_forms_as_the_specification_writes_them() {
        for (text, expected) in [
            (r#""int""#, r#""int""#),
            (r#"{"type":"int"}"#, r#""int""#),
            (r#"{"type":{"type":"int"}}"#, r#""int""#),
            (r#"{"type":"long","logicalType":"timestamp-micros"}"#, r#""long""#),
            (r#"["null", {"type":"string"}]"#, r#"["null","string"]"#),
            (r#"{"items":{"type":"int"},"type":"array"}"#, r#"{"type":"array","items":"int"}"#),
            (r#"{"type":"map","values":["null","double"]}"#, r#"{"type":"map","values":["null","double"]}"#),
            (
                r#"{"type":"fixed","size":16,"name":"md5","namespace":"org"}"#,
                r#"{"name":"org.md5","type":"fixed","size":16}"#,
            ),
            (
                r#"{"type":"record","namespace":"a.b","name":"R","doc":"x","aliases":["Q"],"fields":[
                    {"type":{"type":"enum","name":"E","symbols":["X","Y"],"default":"X"},"name":"e","order":"ignore"},
                    {"name":"again","type":"E","default":"X"},{"name":"other","type":["null","c.F"]},
                    {"name":"self","type":{"type":"array","items":"R"}}]}"#,
                r#"{"name":"a.b.R","type":"record","fields":[{"name":"e","type":{"name":"a.b.E","type":"enum","symbols":["X","Y"]}},{"name":"again","type":"a.b.E"},{"name":"other","type":["null","c.F"]},{"name":"self","type":{"type":"array","items":"a.b.R"}}]}"#,
            ),
        ] {
            assert_eq!(canonical_form(text), expected, "{text}");
        }
    }

    #[test]
    fn fingerprints_of_primitives_are_those_of_the_specification() {
        assert_eq!(fingerprint(r#""null""#), 0x63dd_24e7_cc25_8f8a);
        assert_eq!(fingerprint(r#""int""#), 0x7275_d51a_3f39_5c8f);
    }
}
