//! What is wrong with a configuration, and where it is written.

use std::fmt;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::Spanned;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The setting, such as `kafka.workers`.
    pub setting: String,
    /// What is wrong with it, in a sentence without a full stop.
    pub problem: String,
    /// What to do.
    pub help: String,
}

impl Finding {
    pub(super) fn new(
        setting: impl Into<String>,
        problem: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self { setting: setting.into(), problem: problem.into(), help: help.into() }
    }

    /// Returns the finding as rustc would print it, with the place in the file where the setting
    /// or the innermost of its groups stands. Without any of them in the file, the setting is
    /// named alone: it is a default, or comes from the environment.
    pub fn render(&self, name: &str, text: &str, tree: &Tree) -> String {
        let title = format!("`{}`: {}", self.setting, self.problem);
        let help = Level::HELP.message(&*self.help);
        let group = Level::ERROR.primary_title(&*title);
        let group = match tree.place(&self.setting) {
            Some((start, end)) => {
                let end = end.min(text.len()).max(start);
                let snippet = Snippet::source(text)
                    .path(name)
                    .annotation(AnnotationKind::Primary.span(start..end));
                group.element(snippet).element(help)
            }
            None => group.element(help),
        };
        Renderer::plain().term_width(120).render(&[group])
    }
}

/// The keys of a YAML file and where they stand.
#[derive(Debug, Default)]
pub struct Tree {
    entries: Vec<(Spanned<String>, Tree)>,
}

impl Tree {
    /// Returns the bytes of the key of `setting`, or of the innermost group that is in the file.
    fn place(&self, setting: &str) -> Option<(usize, usize)> {
        let mut tree = self;
        let mut rest = setting;
        let mut place = None;
        while !rest.is_empty() {
            // The name of a topic has dots of its own: the longest key that fits.
            let fits = |key: &str| {
                rest.strip_prefix(key).is_some_and(|tail| tail.is_empty() || tail.starts_with('.'))
            };
            let found = tree
                .entries
                .iter()
                .filter(|(key, _)| !key.value.is_empty() && fits(&key.value))
                .max_by_key(|(key, _)| key.value.len());
            let Some((key, below)) = found else { break };
            let span = key.referenced.span();
            let start = usize::try_from(span.byte_offset().unwrap_or(0)).unwrap_or(0);
            let length = usize::try_from(span.byte_len().unwrap_or(0)).unwrap_or(0);
            place = Some((start, start + length));
            rest = rest[key.value.len()..].trim_start_matches('.');
            tree = below;
        }
        place
    }

    /// Calls `visit` with the path of each key whose group is a known one; below an unknown key,
    /// nothing is visited.
    pub(super) fn each(
        &self,
        prefix: &str,
        known: &dyn Fn(&str) -> Known,
        visit: &mut dyn FnMut(&str, &str),
    ) {
        for (key, below) in &self.entries {
            let path = if prefix.is_empty() {
                key.value.clone()
            } else {
                format!("{prefix}.{}", key.value)
            };
            match known(&path) {
                Known::No => visit(prefix, &key.value),
                Known::Setting => {}
                Known::Group => below.each(&path, known, visit),
            }
        }
    }
}

/// What a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    No,
    /// A value; what is below it is the operator's.
    Setting,
    /// Has settings below it.
    Group,
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::default())
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Tree, E> {
        Ok(Tree::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Tree, E> {
        Ok(Tree::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Tree, E> {
        Ok(Tree::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Tree, E> {
        Ok(Tree::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<Tree, E> {
        Ok(Tree::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Tree, A::Error> {
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Tree::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            entries.push((key, map.next_value::<Tree>()?));
        }
        Ok(Tree { entries })
    }
}
