//! `rules/accounts/APP_CODE.yaml`: what is known of one tenant.

use std::sync::Arc;

use super::codes::Code;
use super::diagnostic::{Findings, SourceText, Span};
use super::model::AccountSettings;
use super::nearest::nearest;
use super::schema::Reader;
use super::values::network;
use super::yaml;
use crate::event::AccountId;

const KEYS: [&str; 7] =
    ["name", "language", "timezone", "protected", "contacts", "networks", "lists"];

/// The lists that may stand at the top, beside those under `lists`.
const TOP_LISTS: [&str; 2] = ["domains", "brands"];

/// Reads one file; nothing where it has an error, which was reported.
pub(super) fn read(
    source: &Arc<SourceText>,
    findings: &mut Findings,
) -> Option<(AccountId, AccountSettings)> {
    let before = findings.errors();
    let stem = file_stem(&source.name);
    let account = match AccountId::new(stem) {
        Ok(account) => account,
        Err(error) => {
            let message = format!("the file's name is no account: {error}");
            findings.report(Code::InvalidAccount, source, Span::default(), message);
            return None;
        }
    };
    let nodes = match yaml::parse(source) {
        Ok(nodes) => nodes,
        Err(error) => {
            findings.push(*error);
            return None;
        }
    };
    let mut settings = AccountSettings::default();
    let Some(node) = nodes.first() else { return Some((account, settings)) };
    let mut reader = Reader { source, findings };
    let known: Vec<&str> = KEYS.into_iter().chain(TOP_LISTS).collect();
    if !reader.known_keys(node, &known, "the account") {
        return None;
    }
    settings.name = reader.text(node, "name").map(|(text, _)| text);
    settings.language = node.get("language").and_then(|entry| {
        let words = [("id", "id"), ("en", "en")];
        reader.word_of(&entry.value, "language", &words).map(Into::into)
    });
    settings.timezone = reader.text(node, "timezone").and_then(|(zone, span)| {
        if jiff::tz::TimeZone::get(&zone).is_err() {
            reader.invalid(span, format!("`{zone}` is no IANA time zone, such as `Asia/Jakarta`"));
            return None;
        }
        Some(zone)
    });
    settings.protected = reader.boolean(node, "protected").unwrap_or(false);
    settings.contacts = reader.texts(node, "contacts");
    for (contact, entry) in settings.contacts.iter().zip(elements(node, "contacts")) {
        if !contact.contains('@') || contact.contains(|c: char| c.is_whitespace() || c.is_control())
        {
            reader.invalid(entry.span, format!("`{contact}` is no mail address"));
        }
    }
    settings.networks = networks(&mut reader, node);
    for key in TOP_LISTS {
        if node.get(key).is_some() {
            settings.lists.insert(key.into(), reader.texts(node, key));
        }
    }
    if let Some(lists) = node.get("lists")
        && reader.is_map(&lists.value)
    {
        for entry in lists.value.entries().unwrap_or_default() {
            let values = reader.texts(&lists.value, &entry.key);
            settings.lists.entry(entry.key.as_str().into()).or_default().extend(values);
        }
    }
    (findings.errors() == before).then_some((account, settings))
}

fn networks(reader: &mut Reader<'_>, node: &yaml::Node) -> Vec<ipnet::IpNet> {
    let mut networks = Vec::new();
    for entry in elements(node, "networks") {
        let Some(text) = reader.scalar(entry) else { continue };
        match network(&text) {
            Ok(network) => networks.push(network),
            Err(help) => {
                let message = format!("`{text}` is not an IP network");
                let source = reader.source;
                reader
                    .findings
                    .report(Code::InvalidNetwork, source, entry.span, message)
                    .help(help);
            }
        }
    }
    networks
}

fn elements<'n>(node: &'n yaml::Node, key: &str) -> &'n [yaml::Node] {
    node.get(key).map(|entry| entry.value.elements()).unwrap_or_default()
}

/// Returns the name of a file without its folder and its last extension.
pub(super) fn file_stem(path: &str) -> &str {
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// Returns the list that the author of `%account.NAME%` may have meant.
pub(super) fn nearest_list<'a>(
    name: &str,
    lists: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    nearest(name, lists)
}
