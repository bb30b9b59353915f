//! `AlertNotificationTarget` documents: whom alarms name, and never an address or a secret.

use super::alerts::spec_of;
use super::head::Metadata;
use crate::alarm::NotificationTarget;
use crate::mistake::{Map, Reader, text_of};
use crate::yaml::Node;

pub(super) fn notification_target(
    reader: &mut Reader<'_>,
    map: Map<'_>,
    metadata: &Metadata<'_>,
) -> Option<NotificationTarget> {
    let mut spec = spec_of(reader, map)?;
    let node = spec.need(reader, "target", "the kind of target, such as `email` or `slack`");
    let target = node.and_then(|node| kind_of_target(reader, node, &spec.path_of("target")));
    let path = spec.path_of("description");
    let node = spec.take("description");
    let description = node.map(|node| public_text(reader, node, &path));
    spec.finish(reader, &["target", "description"]);
    let description = match description {
        None => None,
        Some(text) => Some(text?),
    };
    Some(NotificationTarget { display_name: metadata.display_name.clone(), description, target: target? })
}

const SECRETS: &str = "Documents lie where many can read them: keep addresses and secrets with who delivers alerts.";

fn kind_of_target(reader: &mut Reader<'_>, node: &Node, path: &str) -> Option<String> {
    let text = text_of(reader, node, path, "the kind of target, such as `email` or `slack`")?;
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ');
    if (1..=64).contains(&text.len()) && text.chars().all(is_word) {
        return Some(text.to_owned());
    }
    let found = if text.contains("://") { "an address (not shown here)" } else { "a text that is no word" };
    reader.mistake(node.place, path, found, "the kind of target, such as `email` or `slack`", SECRETS);
    None
}

fn public_text(reader: &mut Reader<'_>, node: &Node, path: &str) -> Option<String> {
    let text = text_of(reader, node, path, "a text")?;
    if holds_a_secret(text) {
        reader.mistake(node.place, path, "an address with a secret (not shown here)", "a text for everybody", SECRETS);
        return None;
    }
    Some(text.to_owned())
}

/// An address with a password, a token, or the path of a web-hook, which is as good as one.
fn holds_a_secret(text: &str) -> bool {
    let text = text.to_lowercase();
    let holds_one = |address: &str| {
        let address = address.split_whitespace().next().unwrap_or_default();
        let host = address.split(['/', '?', '#']).next().unwrap_or_default();
        let query = address.split_once('?').map_or("", |(_, query)| query);
        let words = ["token", "key", "secret", "pass", "sig"];
        host.contains('@') || address.contains("hook") || words.iter().any(|word| query.contains(word))
    };
    text.split("://").skip(1).any(holds_one)
}
