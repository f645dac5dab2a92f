//! The documents of a rule file: which kind each is, and what all kinds have in common.

use std::sync::Arc;

use super::codes::Code;
use super::diagnostic::{Findings, SourceText, Span};
use super::model::{Level, LogSource, Status, TenantText};
use super::nearest::nearest;
use super::policy::ActionKind;
use super::yaml::{Entry, Node, Value};

/// A document whose common part was read; what is special to its kind is still YAML.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) source: Arc<SourceText>,
    pub(super) header: Header,
    pub(super) kind: DocumentKind,
    pub(super) logsource: Option<(LogSource, Span)>,
    /// Only what is read later: the part of the kind, and the status for where it stands.
    pub(super) node: Node,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DocumentKind {
    Detection,
    Correlation,
    Filter,
}

impl DocumentKind {
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Detection => "detection",
            Self::Correlation => "correlation",
            Self::Filter => "filter",
        }
    }
}

/// What every document has.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) title: Arc<str>,
    pub(super) id: Option<(Arc<str>, Span)>,
    pub(super) name: Option<(Arc<str>, Span)>,
    pub(super) description: Arc<str>,
    pub(super) level: Level,
    pub(super) status: Status,
    pub(super) tags: Vec<Arc<str>>,
    pub(super) references: Vec<Arc<str>>,
    pub(super) falsepositives: Vec<Arc<str>>,
    pub(super) satpam: Extension,
    /// The title's key, or the first key.
    pub(super) span: Span,
    pub(super) line: usize,
}

/// The `satpam:` attribute.
#[derive(Debug, Default)]
pub(super) struct Extension {
    pub(super) risk: Option<f64>,
    pub(super) tenant: Option<TenantText>,
    pub(super) contain: Vec<ActionKind>,
    /// Of a filter: its accounts, end, and who answers for it.
    pub(super) filter: FilterExtension,
}

#[derive(Debug, Default)]
pub(super) struct FilterExtension {
    pub(super) accounts: Vec<(Arc<str>, Span)>,
    pub(super) expires: Option<(Arc<str>, Span)>,
}

/// The keys that Sigma gives a meaning, at the top of a document.
const KNOWN_KEYS: [&str; 24] = [
    "title",
    "id",
    "name",
    "related",
    "taxonomy",
    "status",
    "description",
    "license",
    "author",
    "references",
    "date",
    "modified",
    "logsource",
    "detection",
    "correlation",
    "filter",
    "fields",
    "falsepositives",
    "level",
    "tags",
    "scope",
    "satpam",
    "action",
    "sigma-version",
];

/// The level of a rule that does not say; Sigma leaves it open.
const DEFAULT_LEVEL: Level = Level::Medium;
/// The status of a rule that does not say: it is scored, and causes no response by itself.
const DEFAULT_STATUS: Status = Status::Test;

/// Reads what all kinds of documents have; nothing where it is none. A document with errors is
/// returned all the same, so that the rest of it is checked too.
pub(super) fn read(
    mut node: Node,
    source: &Arc<SourceText>,
    findings: &mut Findings,
) -> Option<Document> {
    let Some(entries) = node.entries().filter(|entries| !entries.is_empty()) else {
        let message = format!("expected a rule, found {}", node.kind());
        findings.report(Code::NotADocument, source, node.span, message);
        return None;
    };
    let first = entries[0].key_span;
    let span = node.get("title").map_or(first, |entry| entry.key_span);
    let kinds = [DocumentKind::Correlation, DocumentKind::Filter, DocumentKind::Detection];
    let Some(kind) = kinds.into_iter().find(|kind| node.get(kind.key()).is_some()) else {
        let keys = || entries.iter().map(|entry| &*entry.key);
        let finding = findings.report(
            Code::NotADocument,
            source,
            span,
            "the document has none of `detection`, `correlation` and `filter`",
        );
        let near = kinds.iter().find_map(|kind| {
            nearest(kind.key(), keys()).map(|written| (written.to_owned(), kind.key()))
        });
        if let Some((written, key)) = near {
            finding.help(format!("`{written}` looks like `{key}`"));
        }
        return None;
    };
    let mut reader = Reader { source, findings };
    let header = reader.header(&node, kind, span, first);
    let logsource = reader.logsource(&node, kind, span);
    node.keep(&[kind.key(), "status"]);
    Some(Document { source: Arc::clone(source), header, kind, logsource, node })
}

/// Typed access to a document's keys; what does not fit is reported.
pub(super) struct Reader<'a> {
    pub(super) source: &'a Arc<SourceText>,
    pub(super) findings: &'a mut Findings,
}

impl Reader<'_> {
    fn header(&mut self, node: &Node, kind: DocumentKind, span: Span, first: Span) -> Header {
        self.misspelt_keys(node);
        if node.get("title").is_none() {
            self.findings.report(Code::MissingKey, self.source, first, "`title` is missing");
        }
        let level = self.word(node, "level", &Level::ALL.map(|level| (level.as_str(), level)));
        let status = self.word(
            node,
            "status",
            &[
                Status::Experimental,
                Status::Test,
                Status::Stable,
                Status::Deprecated,
                Status::Unsupported,
            ]
            .map(|status| (status.as_str(), status)),
        );
        Header {
            title: self.text(node, "title").map_or_else(|| "".into(), |(text, _)| text),
            id: self.text(node, "id"),
            name: self.text(node, "name"),
            description: self.text(node, "description").map_or_else(|| "".into(), |(text, _)| text),
            level: level.unwrap_or(DEFAULT_LEVEL),
            status: status.unwrap_or(DEFAULT_STATUS),
            tags: self.texts(node, "tags"),
            references: self.texts(node, "references"),
            falsepositives: self.texts(node, "falsepositives"),
            satpam: node
                .get("satpam")
                .map(|entry| self.extension(&entry.value, kind))
                .unwrap_or_default(),
            span,
            line: self.source.position(first.start).0,
        }
    }

    /// Custom keys are allowed; one that nearly is a key of Sigma is worth a word.
    fn misspelt_keys(&mut self, node: &Node) {
        for entry in node.entries().unwrap_or_default() {
            if KNOWN_KEYS.contains(&entry.key.as_str()) {
                continue;
            }
            let near = nearest(&entry.key, KNOWN_KEYS).filter(|near| node.get(near).is_none());
            if let Some(near) = near {
                let message = format!("the key `{}` has no meaning", entry.key);
                self.findings
                    .report(Code::KeyLooksMisspelt, self.source, entry.key_span, message)
                    .nearest("key", Some(near))
                    .replace(entry.key_span, near, format!("write `{near}`"));
            }
        }
    }

    fn logsource(
        &mut self,
        node: &Node,
        kind: DocumentKind,
        span: Span,
    ) -> Option<(LogSource, Span)> {
        let entry = node.get("logsource");
        let Some(entry) = entry else {
            if kind == DocumentKind::Detection {
                self.findings
                    .report(Code::MissingKey, self.source, span, "`logsource` is missing")
                    .help("for events of this platform: `logsource: {product: omnichannel, category: message}`");
            }
            return None;
        };
        if !self.is_map(&entry.value) {
            return None;
        }
        let part = |reader: &mut Self, key| reader.text(&entry.value, key).map(|(text, _)| text);
        let logsource = LogSource {
            product: part(self, "product"),
            category: part(self, "category"),
            service: part(self, "service"),
        };
        let keys = ["category", "product", "service", "definition"];
        for item in entry.value.entries().unwrap_or_default() {
            if keys.contains(&item.key.as_str()) {
                continue;
            }
            if let Some(near) =
                nearest(&item.key, keys).filter(|near| entry.value.get(near).is_none())
            {
                let message = format!("unknown key `{}` in logsource", item.key);
                self.findings
                    .report(Code::UnknownKey, self.source, item.key_span, message)
                    .nearest("key", Some(near))
                    .replace(item.key_span, near, format!("write `{near}`"));
            }
        }
        let categories = ["message", "template", "broadcast", "login", "change", "other"];
        if logsource.product.as_deref() == Some("omnichannel")
            && let Some(category) = logsource.category.as_deref()
            && !categories.contains(&category)
        {
            let value =
                entry.value.get("category").map_or(entry.key_span, |entry| entry.value.span);
            let message = format!("omnichannel events have no category `{category}`");
            let finding = self.findings.report(Code::UnknownWord, self.source, value, message);
            finding.nearest("category", nearest(category, categories));
            finding.help(format!("the categories are {}", categories.join(", ")));
        }
        if entry.value.entries().is_some_and(<[Entry]>::is_empty) {
            self.findings.report(
                Code::MissingKey,
                self.source,
                entry.key_span,
                "the logsource names neither product, category nor service",
            );
        }
        Some((logsource, entry.key_span))
    }

    fn extension(&mut self, node: &Node, kind: DocumentKind) -> Extension {
        let known: &[&str] = match kind {
            DocumentKind::Detection | DocumentKind::Correlation => &["risk", "tenant", "contain"],
            DocumentKind::Filter => &["accounts", "expires", "reason", "owner"],
        };
        if !self.known_keys(node, known, "satpam") {
            return Extension::default();
        }
        let contain = node.get("contain").map(|entry| {
            entry.value.elements().iter().filter_map(|node| self.action(node)).collect()
        });
        let accounts = node.get("accounts").map(|entry| {
            let accounts = entry.value.elements().iter();
            accounts.filter_map(|node| self.scalar(node).map(|text| (text, node.span))).collect()
        });
        Extension {
            risk: self.number(node, "risk", 0.0, 1000.0),
            tenant: node.get("tenant").and_then(|entry| self.tenant(&entry.value)),
            contain: contain.unwrap_or_default(),
            filter: FilterExtension {
                accounts: accounts.unwrap_or_default(),
                expires: self.text(node, "expires"),
            },
        }
    }

    fn tenant(&mut self, node: &Node) -> Option<TenantText> {
        if !self.known_keys(node, &["id", "en"], "tenant") {
            return None;
        }
        let (id, en) = (self.text(node, "id"), self.text(node, "en"));
        let (Some((id, _)), Some((en, _))) = (id, en) else {
            let message = "the text for tenants needs both `id` (Indonesian) and `en` (English)";
            let first = node.entries().and_then(<[Entry]>::first);
            let span = first.map_or(node.span, |entry| entry.key_span);
            self.findings.report(Code::MissingKey, self.source, span, message);
            return None;
        };
        Some(TenantText { id, en })
    }

    pub(super) fn action(&mut self, node: &Node) -> Option<ActionKind> {
        let actions = ActionKind::ALL.map(|action| (action.as_str(), action));
        self.word_of(node, "action", &actions)
    }

    /// Returns whether it is a map with known keys only.
    pub(super) fn known_keys(&mut self, node: &Node, known: &[&str], of: &str) -> bool {
        if !self.is_map(node) {
            return false;
        }
        let mut good = true;
        for entry in node.entries().unwrap_or_default() {
            if known.contains(&entry.key.as_str()) {
                continue;
            }
            good = false;
            let near = nearest(&entry.key, known.iter().copied());
            let message = format!("unknown key `{}` in {of}", entry.key);
            let finding =
                self.findings.report(Code::UnknownKey, self.source, entry.key_span, message);
            finding.label("no such key").nearest("key", near);
            match near {
                Some(near) => finding.replace(entry.key_span, near, format!("write `{near}`")),
                None => finding.help(format!("known keys are {}", known.join(", "))),
            };
        }
        good
    }

    pub(super) fn is_map(&mut self, node: &Node) -> bool {
        let is_map = node.entries().is_some();
        if !is_map {
            self.wrong_type(node, "a map");
        }
        is_map
    }

    pub(super) fn wrong_type(&mut self, node: &Node, expected: &str) {
        let message = format!("expected {expected}, found {}", node.kind());
        self.findings.report(Code::WrongType, self.source, node.span, message);
    }

    pub(super) fn invalid(&mut self, span: Span, message: impl Into<String>) {
        self.findings.report(Code::InvalidValue, self.source, span, message);
    }

    /// Reports that a key of `node` is missing, unless a misspelt one was probably meant for it.
    pub(super) fn missing_in(&mut self, node: &Node, span: Span, key: &str) {
        let keys = node.entries().unwrap_or_default().iter().map(|entry| &*entry.key);
        if nearest(key, keys).is_none() {
            self.missing(span, key);
        }
    }

    pub(super) fn missing(&mut self, span: Span, key: &str) {
        self.findings.report(Code::MissingKey, self.source, span, format!("`{key}` is missing"));
    }

    pub(super) fn scalar(&mut self, node: &Node) -> Option<Arc<str>> {
        let text = node.scalar_text(self.source);
        if text.is_none() {
            self.wrong_type(node, "text");
        }
        text.map(Into::into)
    }

    /// Returns the text of a key; nothing where it is absent or null.
    pub(super) fn text(&mut self, node: &Node, key: &str) -> Option<(Arc<str>, Span)> {
        let entry = node.get(key).filter(|entry| entry.value.value != Value::Null)?;
        self.scalar(&entry.value).map(|text| (text, entry.value.span))
    }

    /// Returns the texts of a key that holds a text or a list of them.
    pub(super) fn texts(&mut self, node: &Node, key: &str) -> Vec<Arc<str>> {
        let entry = node.get(key).filter(|entry| entry.value.value != Value::Null);
        let nodes = entry.map(|entry| entry.value.elements()).unwrap_or_default();
        nodes.iter().filter_map(|node| self.scalar(node)).collect()
    }

    pub(super) fn number(&mut self, node: &Node, key: &str, low: f64, high: f64) -> Option<f64> {
        let entry = node.get(key)?;
        let number = match entry.value.value {
            Value::Int(_) | Value::Float(_) => {
                entry.value.scalar_text(self.source).and_then(|text| text.parse::<f64>().ok())
            }
            Value::Null | Value::Bool(_) | Value::Text(_) | Value::List(_) | Value::Map(_) => {
                self.wrong_type(&entry.value, "a number");
                return None;
            }
        };
        let number = number.filter(|number| (low..=high).contains(number));
        if number.is_none() {
            self.invalid(entry.value.span, format!("`{key}` is a number from {low} to {high}"));
        }
        number
    }

    pub(super) fn boolean(&mut self, node: &Node, key: &str) -> Option<bool> {
        let entry = node.get(key)?;
        if let Value::Bool(value) = entry.value.value {
            return Some(value);
        }
        self.wrong_type(&entry.value, "`true` or `false`");
        None
    }

    /// Returns a length of time above 0 in milliseconds.
    pub(super) fn time_span(&mut self, node: &Node, key: &str) -> Option<i64> {
        let entry = node.get(key)?;
        let text = self.scalar(&entry.value)?;
        match text.parse::<crate::event::TimeSpan>() {
            Ok(span) if span.millis() > 0 => Some(span.millis()),
            Ok(_) => {
                self.invalid(entry.value.span, format!("`{key}` must be longer than nothing"));
                None
            }
            Err(error) => {
                self.invalid(entry.value.span, error.to_string());
                None
            }
        }
    }

    pub(super) fn word<T: Copy>(
        &mut self,
        node: &Node,
        key: &str,
        words: &[(&str, T)],
    ) -> Option<T> {
        let entry = node.get(key).filter(|entry| entry.value.value != Value::Null)?;
        self.word_of(&entry.value, key, words)
    }

    pub(super) fn word_of<T: Copy>(
        &mut self,
        node: &Node,
        what: &str,
        words: &[(&str, T)],
    ) -> Option<T> {
        let text = self.scalar(node)?;
        let found = words.iter().find(|(word, _)| *word == &*text).map(|(_, value)| *value);
        if found.is_none() {
            let near = nearest(&text, words.iter().map(|(word, _)| *word));
            let message = format!("`{text}` is no {what}");
            let finding = self.findings.report(Code::UnknownWord, self.source, node.span, message);
            let list: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            finding.nearest(what, near).help(format!("may be {}", list.join(", ")));
            if let Some(near) = near {
                finding.replace(node.span, near, format!("write `{near}`"));
            }
        }
        found
    }
}
