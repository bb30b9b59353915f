//! `AlertPolicy` documents, and how alerts are cited: by name, or written out in place.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::condition::{Condition, condition};
use super::head::{Metadata, inline_head};
use super::target::notification_target;
use super::{Known, flag, list, only, reference};
use crate::alarm::{AlertRule, NotificationTarget};
use crate::mistake::{Map, Reader};
use crate::yaml::{Content, Node, Place};

/// What was read of alerts, by name.
#[derive(Default)]
pub(super) struct Alerts {
    pub targets: BTreeMap<String, NotificationTarget>,
    pub conditions: BTreeMap<String, Condition>,
    pub policies: BTreeMap<String, AlertRule>,
}

/// A document that is cited by its name, or stands in place.
enum Cited<'n> {
    Name(&'n Node, String),
    Inline(Map<'n>, Metadata<'n>),
}

fn cited<'n>(reader: &mut Reader<'_>, node: &'n Node, path: &str, key: &str, kind: &str) -> Option<Cited<'n>> {
    if matches!(node.content, Content::Scalar { .. }) {
        return Some(Cited::Name(node, path.to_owned()));
    }
    let mut map = Map::of(reader, node, path)?;
    if let Some(name) = map.take(key) {
        let path = map.path_of(key);
        map.finish(reader, &[key]);
        return Some(Cited::Name(name, path));
    }
    if map.holds_one_like(&[key]) && !map.holds_one_like(&["kind"]) {
        map.finish(reader, &[key, "kind", "metadata", "spec"]);
        return None;
    }
    let metadata = inline_head(reader, &mut map, kind)?;
    Some(Cited::Inline(map, metadata))
}

fn named<'n, T>(
    reader: &mut Reader<'_>,
    (node, path): (&'n Node, &str),
    kind: &str,
    declared: &BTreeMap<String, T>,
    known: &Known<'_>,
) -> Option<&'n str> {
    let names: Vec<&str> = declared.keys().map(String::as_str).collect();
    reference(reader, node, path, kind, &names, known)
}

pub(super) fn spec_of<'n>(reader: &mut Reader<'_>, mut map: Map<'n>) -> Option<Map<'n>> {
    let spec = map.need_map(reader, "spec", "a block of keys");
    map.finish(reader, &["apiVersion", "kind", "metadata", "spec"]);
    spec
}

/// What OpenSLO lets be chosen, and what holds here.
const FLAGS: [(&str, bool, &str); 3] = [
    (
        "alertWhenBreaching",
        true,
        "A policy is there to tell that its condition holds: take it out where nobody is to know.",
    ),
    ("alertWhenResolved", true, "Every alarm tells when it ends; who delivers alerts may leave that out."),
    ("alertWhenNoData", false, "Silence is a condition of its own: add a policy with `kind: absence`."),
];

/// The alarms that an SLO cites, each with the place where it does.
pub(super) fn policies(
    reader: &mut Reader<'_>,
    node: &Node,
    alerts: &mut Alerts,
    known: &Known<'_>,
) -> Option<Vec<(Place, AlertRule)>> {
    let mut rules: Vec<(Place, AlertRule)> = Vec::new();
    let before = reader.mistakes.len();
    let mut is_whole = true;
    for (index, item) in
        list(reader, node, "spec.alertPolicies", "a list of policies, perhaps empty")?.iter().enumerate()
    {
        let path = format!("spec.alertPolicies[{index}]");
        let rule = match cited(reader, item, &path, "alertPolicyRef", "AlertPolicy") {
            Some(Cited::Name(node, path)) => named(reader, (node, &path), "AlertPolicy", &alerts.policies, known)
                .and_then(|name| alerts.policies.get(name).cloned()),
            Some(Cited::Inline(map, metadata)) => policy(reader, map, &metadata, alerts, known),
            None => None,
        };
        let Some(rule) = rule else {
            is_whole = false;
            continue;
        };
        if rules.iter().any(|(_, other)| other.name == rule.name) {
            let found = format!("the policy `{}` again", rule.name);
            reader.mistake(item.place, &path, &found, "each policy once", "Remove one, or give it another name.");
        }
        rules.push((item.place, rule));
    }
    (is_whole && reader.mistakes.len() == before).then_some(rules)
}

pub(super) fn policy(
    reader: &mut Reader<'_>,
    map: Map<'_>,
    metadata: &Metadata<'_>,
    alerts: &mut Alerts,
    known: &Known<'_>,
) -> Option<AlertRule> {
    let mut spec = spec_of(reader, map)?;
    let description = spec.text(reader, "description", "a text").map(str::to_owned);
    let mut fits = true;
    for (key, wanted, remedy) in FLAGS {
        let Some(node) = spec.take(key) else { continue };
        let path = spec.path_of(key);
        let found = flag(reader, node, &path, remedy);
        if found == Some(!wanted) {
            reader.wrong(node, &path, &format!("`{wanted}`, or no such key"), remedy);
        }
        fits &= found == Some(wanted);
    }
    let conditions = spec.need(reader, "conditions", "a list with one condition");
    let condition =
        conditions.and_then(|node| cited_condition(reader, node, &spec.path_of("conditions"), alerts, known));
    let targets = spec.need(reader, "notificationTargets", "a list of targets, perhaps empty");
    let targets =
        targets.and_then(|node| cited_targets(reader, node, &spec.path_of("notificationTargets"), alerts, known));
    let keys = ["description", "conditions", "notificationTargets"];
    let keys: Vec<&str> = keys.into_iter().chain(FLAGS.map(|(key, ..)| key)).collect();
    spec.finish(reader, &keys);
    let (Condition { description: of_condition, severity, condition, pending_us }, targets) = (condition?, targets?);
    let name = metadata.name.clone();
    let description = description.or(of_condition);
    fits.then_some(AlertRule { name, description, severity, condition, pending_us, targets })
}

fn cited_condition(
    reader: &mut Reader<'_>,
    node: &Node,
    path: &str,
    alerts: &Alerts,
    known: &Known<'_>,
) -> Option<Condition> {
    let item = only(reader, node, path, "Write a policy of its own for each.")?;
    match cited(reader, item, &format!("{path}[0]"), "conditionRef", "AlertCondition")? {
        Cited::Name(node, path) => {
            let name = named(reader, (node, &path), "AlertCondition", &alerts.conditions, known)?;
            alerts.conditions.get(name).cloned()
        }
        Cited::Inline(map, metadata) => condition(reader, map, &metadata),
    }
}

/// Their names, each once and in order.
fn cited_targets(
    reader: &mut Reader<'_>,
    node: &Node,
    path: &str,
    alerts: &mut Alerts,
    known: &Known<'_>,
) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut is_whole = true;
    for (index, item) in list(reader, node, path, "a list of targets, perhaps empty")?.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let name = match cited(reader, item, &path, "targetRef", "AlertNotificationTarget") {
            Some(Cited::Name(node, path)) => {
                named(reader, (node, &path), "AlertNotificationTarget", &alerts.targets, known).map(str::to_owned)
            }
            Some(Cited::Inline(map, metadata)) => inline_target(reader, item, &path, map, &metadata, alerts),
            None => None,
        };
        is_whole &= name.is_some();
        names.extend(name);
    }
    names.sort_unstable();
    names.dedup();
    is_whole.then_some(names)
}

fn inline_target(
    reader: &mut Reader<'_>,
    item: &Node,
    path: &str,
    map: Map<'_>,
    metadata: &Metadata<'_>,
    alerts: &mut Alerts,
) -> Option<String> {
    let target = notification_target(reader, map, metadata)?;
    match alerts.targets.entry(metadata.name.clone()) {
        Entry::Vacant(entry) => drop(entry.insert(target)),
        Entry::Occupied(entry) if *entry.get() == target => {}
        Entry::Occupied(_) => {
            let found = format!("another target that is called `{}`", metadata.name);
            reader.mistake(
                item.place,
                path,
                &found,
                "a name of its own",
                "Rename it, or cite the other by `targetRef`.",
            );
            return None;
        }
    }
    Some(metadata.name.clone())
}
