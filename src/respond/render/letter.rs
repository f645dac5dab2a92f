//! A mail as its parts, and the parts as text and HTML.
//!
//! The wording stands in one template a language, in named blocks; this file turns each block into
//! paragraphs once, and both forms of the mail are laid out from the same parts.

use std::path::Path;

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::Serialize;

/// Why a mail could not be written.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// A template is wrong, or names what does not exist.
    #[error("the mail template `{template}` is not usable")]
    Template { template: String, source: minijinja::Error },
    #[error("the mail template {path} could not be read")]
    Read { path: String, source: std::io::Error },
}

/// A finished mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    pub subject: String,
    pub text: String,
    pub html: String,
    /// For `Content-Language`: `id`, `en` or `id, en`.
    pub languages: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Letter {
    pub(super) language: &'static str,
    pub(super) subject: String,
    greeting: String,
    lead: Vec<String>,
    sections: Vec<Section>,
    footer: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Section {
    title: String,
    kind: SectionKind,
    items: Vec<Item>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum SectionKind {
    Facts,
    List,
    Steps,
    Text,
}

#[derive(Debug, Serialize)]
struct Item {
    label: String,
    text: String,
}

/// The templates: the embedded ones, each replaced by the file of the same name in the operator's
/// folder where there is one.
#[derive(Debug)]
pub struct Templates {
    environment: Environment<'static>,
}

const EMBEDDED: [(&str, &str); 5] = [
    ("tenant.id.txt", include_str!("templates/tenant.id.txt")),
    ("tenant.en.txt", include_str!("templates/tenant.en.txt")),
    ("staff.en.txt", include_str!("templates/staff.en.txt")),
    ("support.en.txt", include_str!("templates/support.en.txt")),
    ("letter.html", include_str!("templates/letter.html")),
];

const SECTIONS: [(&str, SectionKind); 6] = [
    ("happened", SectionKind::Facts),
    ("rules", SectionKind::List),
    ("done", SectionKind::List),
    ("steps", SectionKind::Steps),
    ("question", SectionKind::Text),
    ("help", SectionKind::Text),
];

const WIDTH: usize = 74;
/// Steps of the template engine for one mail: far above what a mail needs, and an end to a loop
/// that an operator's template may hold.
const FUEL: u64 = 500_000;

impl Templates {
    /// Reads the templates. `folder` is the operator's, if any.
    pub fn load(folder: Option<&Path>) -> Result<Self, RenderError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.set_auto_escape_callback(|name| {
            let is_html = Path::new(name).extension().is_some_and(|ending| ending == "html");
            if is_html { AutoEscape::Html } else { AutoEscape::None }
        });
        for (name, embedded) in EMBEDDED {
            let source = match folder.map(|folder| folder.join(name)) {
                Some(path) if path.exists() => {
                    std::fs::read_to_string(&path).map_err(|source| RenderError::Read {
                        path: path.display().to_string(),
                        source,
                    })?
                }
                Some(_) | None => embedded.to_owned(),
            };
            environment
                .add_template_owned(name, source)
                .map_err(|source| RenderError::Template { template: name.to_owned(), source })?;
        }
        Ok(Self { environment })
    }

    /// Renders the blocks of one wording into a letter.
    pub(super) fn letter(
        &self,
        template: &str,
        language: &'static str,
        context: &impl Serialize,
    ) -> Result<Letter, RenderError> {
        let fail = |source| RenderError::Template { template: template.to_owned(), source };
        let wording = self.environment.get_template(template).map_err(fail)?;
        let mut captured =
            wording.render_captured(minijinja::Value::from(Serde(context))).map_err(fail)?;
        let known = wording.source();
        let mut block = |name: &str| -> Result<String, RenderError> {
            if !known.contains(&format!("block {name} ")) {
                return Ok(String::new());
            }
            captured.with_state_mut(|state| state.render_block(name)).map_err(fail)
        };
        let mut sections = Vec::new();
        for (name, kind) in SECTIONS {
            sections.extend(section(kind, &block(name)?));
        }
        Ok(Letter {
            language,
            subject: fold(&block("subject")?),
            greeting: fold(&block("greeting")?),
            lead: paragraphs(&block("lead")?),
            sections,
            footer: paragraphs(&block("footer")?),
        })
    }

    /// Lays the letters out as one mail, in their order.
    pub(super) fn lay_out(&self, letters: &[Letter]) -> Result<Mail, RenderError> {
        let fail = |source| RenderError::Template { template: "letter.html".to_owned(), source };
        let subject = letters.first().map(|letter| letter.subject.clone()).unwrap_or_default();
        let html = self
            .environment
            .get_template("letter.html")
            .and_then(|template| {
                template
                    .render(minijinja::context! { subject => &subject, letters => Serde(letters) })
            })
            .map_err(fail)?;
        let texts: Vec<String> = letters.iter().map(Letter::text).collect();
        let languages: Vec<&str> = letters.iter().map(|letter| letter.language).collect();
        Ok(Mail {
            subject,
            text: texts.join(&format!("\n{}\n\n", "-".repeat(WIDTH))),
            html,
            languages: languages.join(", "),
        })
    }
}

impl Letter {
    fn text(&self) -> String {
        let mut text = String::new();
        wrap(&mut text, "", "", &self.greeting);
        for paragraph in &self.lead {
            text.push('\n');
            wrap(&mut text, "", "", paragraph);
        }
        for section in &self.sections {
            text.push('\n');
            wrap(&mut text, "", "", &section.title);
            section.text(&mut text);
        }
        for paragraph in &self.footer {
            text.push('\n');
            wrap(&mut text, "", "", paragraph);
        }
        text
    }
}

impl Section {
    fn text(&self, text: &mut String) {
        let longest = self.items.iter().map(|item| item.label.chars().count()).max().unwrap_or(0);
        for (index, item) in self.items.iter().enumerate() {
            let first = match self.kind {
                SectionKind::Facts => {
                    let padding = longest - item.label.chars().count();
                    format!("  {}{}  ", item.label, " ".repeat(padding))
                }
                SectionKind::List => "  - ".to_owned(),
                SectionKind::Steps => format!("  {}. ", index + 1),
                SectionKind::Text => "  ".to_owned(),
            };
            let rest = " ".repeat(first.chars().count());
            wrap(text, &first, &rest, &item.text);
        }
    }
}

fn section(kind: SectionKind, block: &str) -> Option<Section> {
    let (title, body) = block.trim().split_once('\n')?;
    let items: Vec<Item> = paragraphs(body)
        .into_iter()
        .map(|text| match (kind, text.split_once(" | ")) {
            (SectionKind::Facts, Some((label, value))) => {
                Item { label: label.to_owned(), text: value.to_owned() }
            }
            (
                SectionKind::Facts | SectionKind::List | SectionKind::Steps | SectionKind::Text,
                _,
            ) => Item { label: String::new(), text },
        })
        .collect();
    (!items.is_empty()).then(|| Section { title: fold(title), kind, items })
}

/// Splits at empty lines, and folds the white space of each part.
fn paragraphs(block: &str) -> Vec<String> {
    let mut paragraphs = vec![String::new()];
    for line in block.lines() {
        let line = fold(line);
        let last = paragraphs.len() - 1;
        if line.is_empty() {
            if !paragraphs[last].is_empty() {
                paragraphs.push(String::new());
            }
            continue;
        }
        if !paragraphs[last].is_empty() {
            paragraphs[last].push(' ');
        }
        paragraphs[last].push_str(&line);
    }
    paragraphs.retain(|paragraph| !paragraph.is_empty());
    paragraphs
}

fn fold(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn wrap(into: &mut String, first: &str, rest: &str, text: &str) {
    let mut line = first.to_owned();
    let mut empty = true;
    for word in text.split(' ') {
        if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            into.push_str(line.trim_end());
            into.push('\n');
            rest.clone_into(&mut line);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    into.push_str(line.trim_end());
    into.push('\n');
}
