//! What is wrong with a rule file, where exactly, and what to do.
//!
//! A [`Diagnostic`] carries its source text, so that it can be printed long after loading. Printing
//! for a terminal is rustc's look ([`Diagnostic::render`]); other formats read the fields.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Patch, Renderer, Snippet};

use super::codes::Code;

/// One file as it was read.
#[derive(Debug, PartialEq, Eq)]
pub struct SourceText {
    /// The path as people know it.
    pub name: Arc<str>,
    pub text: Arc<str>,
}

impl SourceText {
    pub fn new(name: &str, text: &str) -> Arc<Self> {
        Arc::new(Self { name: name.into(), text: text.into() })
    }

    /// Returns the name of the file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns line and column of a byte, both from 1; columns count characters.
    pub fn position(&self, byte: usize) -> (usize, usize) {
        let before = &self.text.as_bytes()[..byte.min(self.text.len())];
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |at| at + 1);
        let line = memchr::memchr_iter(b'\n', before).count() + 1;
        (line, String::from_utf8_lossy(&before[line_start..]).chars().count() + 1)
    }

    /// Returns where a part of a scalar stands, or the whole scalar where its text is not in the
    /// file as it is (folded lines, escapes).
    pub(super) fn part_of(&self, scalar: Span, value: &str, part: Range<usize>) -> Span {
        let written = self.text.get(scalar.start..scalar.end).unwrap_or_default();
        let quote = usize::from(written.starts_with(['\'', '"']));
        if written.get(quote..).is_some_and(|rest| rest.starts_with(value)) {
            let start = scalar.start + quote;
            return Span::new(start + part.start, start + part.end);
        }
        scalar
    }
}

/// A range of bytes of a [`SourceText`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

impl Span {
    pub const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// Returns the range, moved to character boundaries inside the text.
    fn within(self, text: &str) -> Range<usize> {
        let mut start = self.start.min(text.len());
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        let mut end = self.end.clamp(start, text.len());
        while !text.is_char_boundary(end) {
            end += 1;
        }
        start..end
    }
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The rule set is used all the same.
    Warning,
    /// The rule set is not used.
    Error,
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// A remark on another place of the same file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    pub span: Span,
    pub text: String,
}

/// A change of the file that removes the finding and keeps what the author meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fix {
    pub span: Span,
    pub replacement: String,
    /// What the change does, for people.
    pub what: String,
    /// Whether it may be made without asking: the word comes from a fixed list, not from a name that
    /// the author gave.
    pub safe: bool,
}

/// One finding.
#[derive(Clone, PartialEq, Eq)]
pub struct Diagnostic {
    pub code: Code,
    pub severity: Severity,
    pub source: Arc<SourceText>,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    pub span: Span,
    /// What is wrong, with the offending value.
    pub message: String,
    /// The remark at the place itself.
    pub label: Option<String>,
    pub labels: Vec<Label>,
    /// What to do.
    pub help: Vec<String>,
    pub fix: Option<Fix>,
}

impl Diagnostic {
    pub fn new(code: Code, source: &Arc<SourceText>, span: Span, message: String) -> Self {
        let (line, column) = source.position(span.start);
        Self {
            code,
            severity: code.severity(),
            source: Arc::clone(source),
            line,
            column,
            span,
            message,
            label: None,
            labels: Vec::new(),
            help: Vec::new(),
            fix: None,
        }
    }

    /// Returns the path of the file.
    pub fn file(&self) -> &str {
        &self.source.name
    }

    pub(super) fn label(&mut self, text: impl Into<String>) -> &mut Self {
        self.label = Some(text.into());
        self
    }

    pub(super) fn also(&mut self, span: Span, text: impl Into<String>) -> &mut Self {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    pub(super) fn help(&mut self, text: impl Into<String>) -> &mut Self {
        self.help.push(text.into());
        self
    }

    /// Says that `found` was written where `nearest` exists, and offers to replace it.
    pub(super) fn nearest(&mut self, what: &str, nearest: Option<&str>) -> &mut Self {
        if let Some(name) = nearest {
            self.help.push(format!("a {what} with a similar name exists: `{name}`"));
        }
        self
    }

    pub(super) fn replace(
        &mut self,
        span: Span,
        replacement: &str,
        what: impl Into<String>,
    ) -> &mut Self {
        let replacement = replacement.to_owned();
        self.fix = Some(Fix { span, replacement, what: what.into(), safe: true });
        self
    }

    /// Offers a name that may have been meant; whether it was, only the author knows.
    pub(super) fn suggest(&mut self, span: Span, name: &str) -> &mut Self {
        let what = format!("write `{name}`");
        self.fix = Some(Fix { span, replacement: name.to_owned(), what, safe: false });
        self
    }

    /// Returns the finding as rustc would print it, without a line break at its end.
    pub fn render(&self, colour: Colour) -> String {
        let text = &*self.source.text;
        let level = match self.severity {
            Severity::Warning => Level::WARNING,
            Severity::Error => Level::ERROR,
        };
        let primary = AnnotationKind::Primary.span(self.span.within(text));
        let snippet = Snippet::source(text)
            .path(&*self.source.name)
            .annotation(primary.label(self.label.as_deref()))
            .annotations(self.labels.iter().map(|label| {
                AnnotationKind::Context.span(label.span.within(text)).label(&*label.text)
            }));
        let mut report = vec![
            level
                .primary_title(&*self.message)
                .id(self.code.as_str())
                .element(snippet)
                .elements(self.help.iter().map(|help| Level::HELP.message(&**help))),
        ];
        report.extend(self.fix.as_ref().map(|fix| -> Group<'_> {
            let patch = Patch::new(fix.span.within(text), &*fix.replacement);
            let snippet = Snippet::source(text).path(&*self.source.name).patch(patch);
            Level::HELP.secondary_title(&*fix.what).element(snippet)
        }));
        let renderer = match colour {
            Colour::Never => Renderer::plain(),
            Colour::Always => Renderer::styled(),
        };
        renderer.term_width(120).render(&report)
    }
}

/// Whether [`Diagnostic::render`] writes ANSI colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    Never,
    Always,
}

/// One line, as compilers print it in their short form.
impl fmt::Display for Diagnostic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, severity, line, column, message, .. } = self;
        let file = self.file();
        write!(formatter, "{file}:{line}:{column}: {}[{code}]: {message}", severity.as_str())
    }
}

/// Leaves out the source text.
impl fmt::Debug for Diagnostic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// Findings that are kept; a hostile file could have any number.
const MAX_FINDINGS: usize = 5_000;

/// Collects findings; everything that checks a part of a rule set writes here and goes on.
#[derive(Debug, Default)]
pub(super) struct Findings {
    list: Vec<Diagnostic>,
    errors: usize,
    /// Takes what is beyond [`MAX_FINDINGS`].
    spare: Option<Diagnostic>,
}

impl Findings {
    /// Adds a finding and returns it for its labels and help.
    pub(super) fn report(
        &mut self,
        code: Code,
        source: &Arc<SourceText>,
        span: Span,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.report_as(code.severity(), code, source, span, message)
    }

    /// Adds a finding whose severity is not its code's usual one.
    pub(super) fn report_as(
        &mut self,
        severity: Severity,
        code: Code,
        source: &Arc<SourceText>,
        span: Span,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.errors += usize::from(severity == Severity::Error);
        if self.list.len() >= MAX_FINDINGS {
            let whole = Span::default();
            return self.spare.insert(Diagnostic::new(code, source, whole, String::new()));
        }
        let mut finding = Diagnostic::new(code, source, span, message.into());
        finding.severity = severity;
        self.add(finding)
    }

    /// Adds a finding that was made elsewhere; it is not counted again.
    fn add(&mut self, finding: Diagnostic) -> &mut Diagnostic {
        self.list.push(finding);
        self.list.last_mut().expect("one was just added")
    }

    pub(super) fn push(&mut self, finding: Diagnostic) {
        self.errors += usize::from(finding.severity == Severity::Error);
        if self.list.len() < MAX_FINDINGS {
            self.add(finding);
        }
    }

    /// Returns how many errors there are, to see whether a step added one.
    pub(super) fn errors(&self) -> usize {
        self.errors
    }

    /// Returns the findings by file and position.
    pub(super) fn into_sorted(mut self) -> Vec<Diagnostic> {
        sort(&mut self.list);
        self.list
    }
}

/// Puts findings in the order of files and positions.
pub(super) fn sort(findings: &mut [Diagnostic]) {
    findings
        .sort_by(|a, b| (a.file(), a.span.start, a.code).cmp(&(b.file(), b.span.start, b.code)));
}
