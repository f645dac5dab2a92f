//! The value modifiers of a field: their names, and which chains of them have a meaning.

use super::codes::Code;
use super::diagnostic::{Findings, SourceText, Span};
use super::model::{Comparison, TimePart};
use super::nearest::nearest;
use super::pattern::Utf16;
use std::sync::Arc;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Modifier {
    Contains,
    StartsWith,
    EndsWith,
    All,
    Cased,
    Neq,
    Exists,
    Re,
    Flag(RegexFlag),
    Cidr,
    Compare(Comparison),
    Time(TimePart),
    Base64,
    Base64Offset,
    Utf16(Utf16),
    Windash,
    FieldRef,
    Expand,
}

/// A flag of `re`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RegexFlag {
    IgnoreCase,
    MultiLine,
    DotAll,
}

/// Every name, the common one of aliases first.
const NAMES: [(&str, Modifier); 31] = [
    ("contains", Modifier::Contains),
    ("startswith", Modifier::StartsWith),
    ("endswith", Modifier::EndsWith),
    ("all", Modifier::All),
    ("cased", Modifier::Cased),
    ("neq", Modifier::Neq),
    ("exists", Modifier::Exists),
    ("re", Modifier::Re),
    ("i", Modifier::Flag(RegexFlag::IgnoreCase)),
    ("ignorecase", Modifier::Flag(RegexFlag::IgnoreCase)),
    ("m", Modifier::Flag(RegexFlag::MultiLine)),
    ("multiline", Modifier::Flag(RegexFlag::MultiLine)),
    ("s", Modifier::Flag(RegexFlag::DotAll)),
    ("dotall", Modifier::Flag(RegexFlag::DotAll)),
    ("cidr", Modifier::Cidr),
    ("lt", Modifier::Compare(Comparison::Less)),
    ("lte", Modifier::Compare(Comparison::LessOrEqual)),
    ("gt", Modifier::Compare(Comparison::Greater)),
    ("gte", Modifier::Compare(Comparison::GreaterOrEqual)),
    ("minute", Modifier::Time(TimePart::Minute)),
    ("hour", Modifier::Time(TimePart::Hour)),
    ("day", Modifier::Time(TimePart::Day)),
    ("week", Modifier::Time(TimePart::Week)),
    ("month", Modifier::Time(TimePart::Month)),
    ("year", Modifier::Time(TimePart::Year)),
    ("base64", Modifier::Base64),
    ("base64offset", Modifier::Base64Offset),
    ("windash", Modifier::Windash),
    ("fieldref", Modifier::FieldRef),
    ("expand", Modifier::Expand),
    ("utf16le", Modifier::Utf16(Utf16::LittleEndian)),
];

/// Names that Sigma tools know beside those of [`NAMES`].
const MORE_NAMES: [(&str, Modifier); 3] = [
    ("wide", Modifier::Utf16(Utf16::LittleEndian)),
    ("utf16be", Modifier::Utf16(Utf16::BigEndian)),
    ("utf16", Modifier::Utf16(Utf16::Marked)),
];

fn find(name: &str) -> Option<Modifier> {
    let mut names = NAMES.iter().chain(&MORE_NAMES);
    names.find(|(known, _)| *known == name).map(|(_, modifier)| *modifier)
}

/// What a value is, by the modifier that decides it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueKind {
    Plain,
    Regex { ignore_case: bool, multi_line: bool, dot_all: bool },
    Cidr,
    Number(Comparison),
    TimePart(TimePart, Comparison),
    Exists,
    FieldRef,
}

/// A checked chain of modifiers.
#[derive(Debug, Clone)]
pub(super) struct Chain {
    pub(super) kind: ValueKind,
    pub(super) all: Option<Span>,
    pub(super) cased: bool,
    pub(super) neq: bool,
    pub(super) expand: bool,
    /// Those that change a text, in order.
    pub(super) text_steps: Vec<Modifier>,
}

/// Reads the names behind a field, `re|i` of `field|re|i`; each comes with its place.
pub(super) fn read(
    names: &[(&str, Span)],
    source: &Arc<SourceText>,
    findings: &mut Findings,
) -> Option<Chain> {
    let mut chain = Chain {
        kind: ValueKind::Plain,
        all: None,
        cased: false,
        neq: false,
        expand: false,
        text_steps: Vec::new(),
    };
    let mut before = None;
    for (name, span) in names {
        let Some(modifier) = find(name) else {
            let known = NAMES.iter().chain(&MORE_NAMES).map(|(known, _)| *known);
            let near = nearest(name, known.filter(|known| known.len() > 1));
            let finding = findings.report(
                Code::UnknownModifier,
                source,
                *span,
                format!("unknown modifier `{name}`"),
            );
            finding.label("no such modifier").nearest("modifier", near);
            if let Some(near) = near {
                finding.replace(*span, near, format!("write `{near}`"));
            }
            return None;
        };
        if let Err(reason) = chain.add(modifier, before, *span) {
            let message = format!("`{name}` cannot stand here");
            findings.report(Code::ModifierCombination, source, *span, message).label(reason);
            return None;
        }
        before = Some(modifier);
    }
    if let (Err(reason), Some((_, span))) = (chain.check_end(before, names.len()), names.last()) {
        let message = "the modifiers have no meaning together";
        findings.report(Code::ModifierCombination, source, *span, message).label(reason);
        return None;
    }
    Some(chain)
}

impl Chain {
    fn add(
        &mut self,
        modifier: Modifier,
        before: Option<Modifier>,
        span: Span,
    ) -> Result<(), &'static str> {
        if matches!(before, Some(Modifier::Utf16(_)))
            && !matches!(modifier, Modifier::Base64 | Modifier::Base64Offset)
        {
            return Err("a UTF-16 form must be followed by base64 or base64offset");
        }
        match modifier {
            Modifier::All if self.all.is_some() => return Err("it stands twice"),
            Modifier::All => self.all = Some(span),
            Modifier::Cased => set(&mut self.cased)?,
            Modifier::Neq => set(&mut self.neq)?,
            Modifier::Expand => set(&mut self.expand)?,
            Modifier::Exists => self.decide(ValueKind::Exists)?,
            Modifier::Cidr => self.decide(ValueKind::Cidr)?,
            Modifier::FieldRef => self.decide_field_ref()?,
            Modifier::Re => self.decide(ValueKind::Regex {
                ignore_case: false,
                multi_line: false,
                dot_all: false,
            })?,
            Modifier::Compare(comparison) => match self.kind {
                ValueKind::TimePart(part, Comparison::Equal) => {
                    self.kind = ValueKind::TimePart(part, comparison);
                }
                ValueKind::Plain
                | ValueKind::Regex { .. }
                | ValueKind::Cidr
                | ValueKind::Number(_)
                | ValueKind::TimePart(..)
                | ValueKind::Exists
                | ValueKind::FieldRef => self.decide(ValueKind::Number(comparison))?,
            },
            Modifier::Time(part) => self.decide(ValueKind::TimePart(part, Comparison::Equal))?,
            Modifier::Flag(flag) => self.flag(flag)?,
            Modifier::Contains | Modifier::StartsWith | Modifier::EndsWith => match self.kind {
                ValueKind::Plain | ValueKind::FieldRef | ValueKind::Regex { .. } => {
                    self.text_steps.push(modifier);
                }
                ValueKind::Cidr
                | ValueKind::Number(_)
                | ValueKind::TimePart(..)
                | ValueKind::Exists => return Err("the value is not a text here"),
            },
            Modifier::Base64 | Modifier::Base64Offset | Modifier::Utf16(_) | Modifier::Windash => {
                self.add_rewrite(modifier)?;
            }
        }
        Ok(())
    }

    fn add_rewrite(&mut self, modifier: Modifier) -> Result<(), &'static str> {
        if self.kind != ValueKind::Plain {
            return Err("the value is not a text here");
        }
        let opened = [Modifier::Contains, Modifier::StartsWith, Modifier::EndsWith];
        if modifier != Modifier::Windash && self.text_steps.iter().any(|step| opened.contains(step))
        {
            return Err("an encoding must come before contains, startswith and endswith");
        }
        self.text_steps.push(modifier);
        Ok(())
    }

    fn decide(&mut self, kind: ValueKind) -> Result<(), &'static str> {
        if self.kind != ValueKind::Plain {
            return Err("another modifier already says what the value is");
        }
        if !self.text_steps.is_empty() {
            return Err("it must come before modifiers that change a text");
        }
        self.kind = kind;
        Ok(())
    }

    /// `startswith|fieldref` is the same as `fieldref|startswith`.
    fn decide_field_ref(&mut self) -> Result<(), &'static str> {
        let opened = [Modifier::Contains, Modifier::StartsWith, Modifier::EndsWith];
        if self.kind != ValueKind::Plain {
            return Err("another modifier already says what the value is");
        }
        if !self.text_steps.iter().all(|step| opened.contains(step)) {
            return Err("the name of a field cannot be encoded");
        }
        self.kind = ValueKind::FieldRef;
        Ok(())
    }

    fn flag(&mut self, flag: RegexFlag) -> Result<(), &'static str> {
        let ValueKind::Regex { ignore_case, multi_line, dot_all } = &mut self.kind else {
            return Err("it is a flag of `re`, which is not there");
        };
        set(match flag {
            RegexFlag::IgnoreCase => ignore_case,
            RegexFlag::MultiLine => multi_line,
            RegexFlag::DotAll => dot_all,
        })
    }

    /// Checks what only the whole chain shows.
    fn check_end(&self, last: Option<Modifier>, count: usize) -> Result<(), &'static str> {
        if matches!(last, Some(Modifier::Utf16(_))) {
            return Err("a UTF-16 form must be followed by base64 or base64offset");
        }
        if self.kind == ValueKind::Exists && count > 1 {
            return Err("`exists` stands alone");
        }
        if self.cased && !matches!(self.kind, ValueKind::Plain | ValueKind::FieldRef) {
            return Err(
                "`cased` is for plain texts and fieldref; `re` is case-sensitive by itself",
            );
        }
        if self.expand
            && !matches!(self.kind, ValueKind::Plain | ValueKind::Cidr | ValueKind::Regex { .. })
        {
            return Err("`expand` is for texts, networks and regular expressions");
        }
        Ok(())
    }
}

fn set(flag: &mut bool) -> Result<(), &'static str> {
    if *flag {
        Err("it stands twice")
    } else {
        *flag = true;
        Ok(())
    }
}
