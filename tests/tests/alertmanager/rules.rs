//! What Alertmanager 0.28 asks of the body of `POST /api/v2/alerts`: `postableAlerts` of api/v2/openapi.yaml, and what it checks
//! behind that (`Alert.Validate`).

use serde_json::{Map, Value};

/// All that is wrong with a body.
pub fn mistakes(body: &Value) -> Vec<String> {
    let Some(alerts) = body.as_array() else { return vec!["postableAlerts is no array".to_owned()] };
    alerts.iter().enumerate().flat_map(|(index, alert)| alert_mistakes(index, alert)).collect()
}

fn alert_mistakes(index: usize, alert: &Value) -> Vec<String> {
    let Some(alert) = alert.as_object() else { return vec![format!("{index}: no object")] };
    let mut wrong = Vec::new();
    for name in alert.keys() {
        if !["labels", "annotations", "startsAt", "endsAt", "generatorURL"].contains(&name.as_str()) {
            wrong.push(format!("{name} is no property"));
        }
    }
    wrong.extend(label_set(alert, "labels", true));
    wrong.extend(label_set(alert, "annotations", false));
    wrong.extend(["startsAt", "endsAt"].into_iter().filter_map(|name| date_time(alert, name)));
    wrong.extend(uri(alert.get("generatorURL")));
    if instant(alert, "endsAt").zip(instant(alert, "startsAt")).is_some_and(|(end, start)| end < start) {
        wrong.push("endsAt is before startsAt".to_owned());
    }
    wrong.into_iter().map(|wrong| format!("{index}: {wrong}")).collect()
}

/// `labelSet`: an object of strings. `labels` is required, and must hold a name.
fn label_set(alert: &Map<String, Value>, name: &str, is_required: bool) -> Vec<String> {
    let Some(set) = alert.get(name) else {
        return if is_required { vec![format!("{name} is required")] } else { Vec::new() };
    };
    let Some(set) = set.as_object() else { return vec![format!("{name} is no object")] };
    let mut wrong = Vec::new();
    for (label, value) in set {
        let is_name = label.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_name {
            wrong.push(format!("{name}: {label:?} is no name"));
        }
        match value.as_str() {
            None => wrong.push(format!("{name}.{label} is no string")),
            Some("") => wrong.push(format!("{name}.{label} is empty, and would be taken out")),
            Some(_) => {}
        }
    }
    if is_required && !set.contains_key("alertname") {
        wrong.push("no alertname".to_owned());
    }
    wrong
}

/// `date-time` of RFC 3339.
fn date_time(alert: &Map<String, Value>, name: &str) -> Option<String> {
    let value = alert.get(name)?;
    instant(alert, name).is_none().then(|| format!("{name}: {value} is no date-time"))
}

fn instant(alert: &Map<String, Value>, name: &str) -> Option<jiff::Timestamp> {
    let text = alert.get(name)?.as_str()?;
    let has_form = text.len() >= 20 && text.as_bytes()[10] == b'T' && text.ends_with('Z');
    text.parse().ok().filter(|_| has_form)
}

fn uri(value: Option<&Value>) -> Option<String> {
    let value = value?;
    let text = value.as_str().unwrap_or_default();
    let is_uri = text.parse::<axum::http::Uri>().is_ok_and(|uri| uri.scheme().is_some() && uri.host().is_some());
    (!is_uri).then(|| format!("generatorURL: {value} is no URI"))
}

#[test]
fn the_rules_find_what_is_wrong() {
    let check = |body: &str, expected: &str| {
        let body = serde_json::from_str(body).expect("JSON");
        assert_eq!(mistakes(&body).join("; "), expected, "{body}");
    };
    check("[]", "");
    check(r#"[{"labels": {"alertname": "a"}}]"#, "");
    check("{}", "postableAlerts is no array");
    check("[{}]", "0: labels is required");
    check(
        r#"[{"labels": {"alertname": 1, "0b": "c"}}]"#,
        r#"0: labels: "0b" is no name; 0: labels.alertname is no string"#,
    );
    check(
        r#"[{"labels": {"alertname": "a"}, "startsAt": "2026-01-05 10:00:00Z", "generatorURL": "a b", "id": ""}]"#,
        r#"0: id is no property; 0: startsAt: "2026-01-05 10:00:00Z" is no date-time; 0: generatorURL: "a b" is no URI"#,
    );
    check(
        r#"[{"labels": {"alertname": "a"}, "startsAt": "2026-01-05T10:00:00Z", "endsAt": "2026-01-05T09:00:00Z"}]"#,
        "0: endsAt is before startsAt",
    );
}
