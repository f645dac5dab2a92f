//! One field item of a selection, `field|modifiers: value(s)`, as an expression over atoms.

use std::collections::BTreeMap;
use std::sync::Arc;

use ipnet::IpNet;

use super::atoms::AtomTable;
use super::codes::Code;
use super::diagnostic::{Findings, Severity, SourceText, Span};
use super::model::{Comparison, Expr, Regex, Target, Test, TextPart, TimePart};
use super::modifiers::{self, Chain, Modifier, ValueKind};
use super::nearest::nearest;
use super::pattern::{self, SigmaString};
use super::regex_check::{self, RegexFault};
use super::yaml::{Entry, Node, Value};

/// The lists of `rules/lists/`, for `|expand`.
pub(super) type Lists = BTreeMap<Arc<str>, Vec<Arc<str>>>;

/// A literal of so many bytes is rare enough to find a rule by.
pub(super) const LITERAL_MIN: usize = 3;

/// Texts that one value may stand for.
const MAX_VARIANTS: usize = 10_000;

/// Everything that turns a document's selections into expressions.
pub(super) struct Scope<'a> {
    pub(super) source: &'a Arc<SourceText>,
    pub(super) table: &'a mut AtomTable,
    pub(super) findings: &'a mut Findings,
    pub(super) lists: &'a Lists,
    /// Whether the rule is about another product: then a list that is missing makes the rule
    /// unusable and not the rule set.
    pub(super) foreign: bool,
    /// A foreign rule needs something that is not there.
    pub(super) unusable: bool,
    /// Fields that were named, with their places.
    pub(super) fields: Vec<(String, Span)>,
    /// Regular expressions that need no literal worth looking for.
    pub(super) weak_regexes: Vec<Span>,
    /// Lists of accounts that were named, with their places.
    pub(super) account_lists: Vec<(String, Span)>,
}

/// What a value with placeholders becomes.
enum Expanded {
    Texts(Vec<String>),
    AccountList(Arc<str>),
}

impl Scope<'_> {
    /// Compiles an item; nothing where it has an error, which was reported.
    pub(super) fn item(&mut self, entry: &Entry) -> Option<Expr> {
        let key_part = |scope: &Self, start: usize, end: usize| {
            scope.source.part_of(entry.key_span, &entry.key, start..end)
        };
        let mut names = Vec::new();
        let mut start = 0;
        for name in entry.key.split('|') {
            names.push((name, key_part(self, start, start + name.len())));
            start += name.len() + 1;
        }
        let (field, field_span) = names.remove(0);
        let target = if field.is_empty() {
            Target::AnyValue
        } else {
            self.fields.push((field.to_owned(), field_span));
            Target::Field(self.table.fields.intern(field))
        };
        let chain = modifiers::read(&names, self.source, self.findings)?;
        self.values(target, &chain, &entry.value)
    }

    /// Compiles keywords: values without a field.
    pub(super) fn keyword(&mut self, node: &Node) -> Option<Expr> {
        let chain = modifiers::read(&[], self.source, self.findings)?;
        self.value(Target::AnyValue, &chain, node)
    }

    fn values(&mut self, target: Target, chain: &Chain, node: &Node) -> Option<Expr> {
        let values = node.elements();
        if values.is_empty() {
            if target == Target::AnyValue || chain.kind != ValueKind::Plain {
                return self
                    .bad_value(node, "an empty list stands for null, which does not fit here");
            }
            return Some(negated_if(chain.neq, self.table.intern(target, Test::Null)));
        }
        if let (Some(span), [_]) = (chain.all, values) {
            let finding = self.findings.report(
                Code::AllWithOneValue,
                self.source,
                span,
                "`all` needs more than one value",
            );
            finding.label("says nothing with a single value").also(node.span, "the only value");
            finding.help("remove `|all`, or add the values that must be found as well");
            return None;
        }
        let mut parts = Vec::with_capacity(values.len());
        let mut failed = false;
        for value in values {
            match self.value(target, chain, value) {
                Some(part) => parts.push(part),
                None => failed = true,
            }
        }
        if failed {
            return None;
        }
        let joined = if chain.all.is_some() { and(parts) } else { or(parts) };
        Some(negated_if(chain.neq, joined))
    }

    fn value(&mut self, target: Target, chain: &Chain, node: &Node) -> Option<Expr> {
        match &node.value {
            Value::List(_) | Value::Map(_) => {
                let message =
                    format!("expected a text, number, boolean or null, found {}", node.kind());
                let finding =
                    self.findings.report(Code::WrongType, self.source, node.span, message);
                finding.help("write nested fields with dots: `outer.inner: value`");
                return None;
            }
            Value::Null => {
                if chain.kind != ValueKind::Plain
                    || !chain.text_steps.is_empty()
                    || target == Target::AnyValue
                {
                    return self.bad_value(node, "null does not fit here");
                }
                return Some(self.table.intern(target, Test::Null));
            }
            Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) => {}
        }
        match chain.kind {
            ValueKind::Plain => self.plain(target, chain, node),
            ValueKind::Regex { .. } => self.regex(target, chain, node),
            ValueKind::Cidr => self.cidr(target, chain, node),
            ValueKind::Number(comparison) => {
                let number = self.number(node)?;
                Some(self.table.intern(target, Test::Number(comparison, number)))
            }
            ValueKind::TimePart(part, comparison) => self.time_part(target, part, comparison, node),
            ValueKind::Exists => match (&node.value, target) {
                (Value::Bool(value), Target::Field(_)) => {
                    Some(self.table.intern(target, Test::Exists(*value)))
                }
                _ => self.bad_value(node, "`exists` takes a field and `true` or `false`"),
            },
            ValueKind::FieldRef => self.field_ref(target, chain, node),
        }
    }

    fn bad_value(&mut self, node: &Node, message: &str) -> Option<Expr> {
        self.findings.report(Code::ModifierValue, self.source, node.span, message);
        None
    }

    fn plain(&mut self, target: Target, chain: &Chain, node: &Node) -> Option<Expr> {
        if chain.text_steps.is_empty() && target != Target::AnyValue && !chain.cased {
            match node.value {
                Value::Bool(value) => return Some(self.table.intern(target, Test::Boolean(value))),
                Value::Int(number) => {
                    if let Some(exact) = exact_float(number) {
                        let test = Test::Number(Comparison::Equal, exact);
                        return Some(self.table.intern(target, test));
                    }
                }
                Value::Float(number) if number.abs() < MAX_EXACT => {
                    let test = Test::Number(Comparison::Equal, number);
                    return Some(self.table.intern(target, test));
                }
                Value::Float(_) | Value::Null | Value::Text(_) | Value::List(_) | Value::Map(_) => {
                }
            }
        }
        let text = node.scalar_text(self.source)?;
        let texts = if chain.expand {
            match self.expand(&text, node, str::to_owned)? {
                Expanded::Texts(texts) => texts,
                Expanded::AccountList(list) => {
                    return self.in_account_list(target, chain, node, list);
                }
            }
        } else {
            vec![text]
        };
        let mut variants = Vec::new();
        for text in texts {
            variants.append(&mut self.text_variants(chain, &text, node)?);
            if variants.len() > MAX_VARIANTS {
                return self.too_many(node);
            }
        }
        let patterns = variants.into_iter().map(|mut variant| {
            if target == Target::AnyValue {
                variant.open_start();
                variant.open_end();
            }
            self.table.intern(target, Test::Text(variant.into_pattern(chain.cased)))
        });
        Some(or(patterns.collect()))
    }

    fn too_many(&mut self, node: &Node) -> Option<Expr> {
        let message = format!("this value stands for more than {MAX_VARIANTS} texts");
        let finding = self.findings.report(Code::TooManyVariants, self.source, node.span, message);
        finding.help("split it into several values joined by `|all`, or use a regular expression");
        None
    }

    fn text_variants(
        &mut self,
        chain: &Chain,
        text: &str,
        node: &Node,
    ) -> Option<Vec<SigmaString>> {
        let mut variants = vec![SigmaString::parse(text)];
        let mut utf16 = None;
        for step in &chain.text_steps {
            match step {
                Modifier::Contains => {
                    for variant in &mut variants {
                        variant.open_start();
                        variant.open_end();
                    }
                }
                Modifier::StartsWith => variants.iter_mut().for_each(SigmaString::open_end),
                Modifier::EndsWith => variants.iter_mut().for_each(SigmaString::open_start),
                Modifier::Utf16(form) => utf16 = Some(*form),
                Modifier::Windash => {
                    let mut all = Vec::new();
                    for variant in &variants {
                        let limit = MAX_VARIANTS / variants.len();
                        let Some(mut more) = variant.dash_variants(limit) else {
                            self.too_many(node);
                            return None;
                        };
                        all.append(&mut more);
                    }
                    variants = all;
                }
                Modifier::Base64 | Modifier::Base64Offset => {
                    let form = utf16.take();
                    let encode = |variant: &SigmaString| {
                        let literal = variant.as_literal()?;
                        let bytes = form.map_or_else(
                            || literal.as_bytes().to_vec(),
                            |form| form.encode(literal),
                        );
                        Some(if *step == Modifier::Base64 {
                            vec![pattern::base64(&bytes)]
                        } else {
                            pattern::base64_offsets(&bytes)
                        })
                    };
                    let encoded: Option<Vec<Vec<SigmaString>>> =
                        variants.iter().map(encode).collect();
                    let Some(encoded) = encoded else {
                        self.bad_value(node, "a text that is encoded cannot have wildcards");
                        return None;
                    };
                    variants = encoded.into_iter().flatten().collect();
                    if variants.iter().any(|variant| variant.as_literal() == Some("")) {
                        self.bad_value(node, "the text is too short to be found at every offset");
                        return None;
                    }
                }
                Modifier::All
                | Modifier::Cased
                | Modifier::Neq
                | Modifier::Exists
                | Modifier::Re
                | Modifier::Flag(_)
                | Modifier::Cidr
                | Modifier::Compare(_)
                | Modifier::Time(_)
                | Modifier::FieldRef
                | Modifier::Expand => {}
            }
        }
        Some(variants)
    }

    fn regex(&mut self, target: Target, chain: &Chain, node: &Node) -> Option<Expr> {
        let ValueKind::Regex { ignore_case, multi_line, dot_all } = chain.kind else { return None };
        let mut text = node.scalar_text(self.source)?;
        if chain.expand {
            match self.expand(&text, node, regex_syntax::escape)? {
                Expanded::Texts(texts) if texts.len() == 1 => text = texts.concat(),
                Expanded::Texts(texts) => text = format!("(?:{})", texts.join("|")),
                Expanded::AccountList(_) => {
                    return self.bad_value(
                        node,
                        "an account's list cannot be part of a regular expression",
                    );
                }
            }
        }
        let regex = Regex { pattern: text.as_str().into(), ignore_case, multi_line, dot_all };
        match regex_check::check(&regex) {
            Ok(literal) => {
                if literal < LITERAL_MIN {
                    self.weak_regexes.push(node.span);
                }
                Some(self.table.intern(target, Test::Regex(regex)))
            }
            Err(fault) => {
                self.bad_regex(node, &text, fault);
                None
            }
        }
    }

    fn bad_regex(&mut self, node: &Node, text: &str, fault: RegexFault) {
        let place = |start: usize, end: usize| {
            self.source.part_of(node.span, text, start..end.max(start + 1))
        };
        match fault {
            RegexFault::Syntax { reason, start, end } => {
                let span = place(start, end);
                self.findings
                    .report(Code::InvalidRegex, self.source, span, "invalid regular expression")
                    .label(reason);
            }
            RegexFault::Unsupported { what, start, end } => {
                let span = place(start, end);
                let message = format!("the regular expression needs {what}");
                self.findings
                    .report(Code::UnsupportedRegex, self.source, span, message)
                    .label("has no bound on its running time")
                    .help("say what must not stand there in another selection: `selection and not filter`");
            }
            RegexFault::TooLarge => {
                self.findings
                    .report(
                        Code::RegexTooLarge,
                        self.source,
                        node.span,
                        "the regular expression is too large",
                    )
                    .help("use smaller counts, or `*` and `+`");
            }
        }
    }

    fn cidr(&mut self, target: Target, chain: &Chain, node: &Node) -> Option<Expr> {
        let text = node.scalar_text(self.source)?;
        let texts = if chain.expand {
            match self.expand(&text, node, str::to_owned)? {
                Expanded::Texts(texts) => texts,
                Expanded::AccountList(list) if &*list == "networks" => {
                    return Some(self.table.intern(target, Test::InAccountNetworks));
                }
                Expanded::AccountList(_) => {
                    return self
                        .bad_value(node, "the networks of an account are `%account.networks%`");
                }
            }
        } else {
            vec![text]
        };
        let mut networks = Vec::new();
        for text in texts {
            match network(&text) {
                Ok(network) => networks.push(self.table.intern(target, Test::Cidr(network))),
                Err(help) => {
                    let message = format!("`{text}` is not an IP network");
                    self.findings
                        .report(Code::InvalidNetwork, self.source, node.span, message)
                        .help(help);
                    return None;
                }
            }
        }
        Some(or(networks))
    }

    fn number(&mut self, node: &Node) -> Option<f64> {
        let number = node.scalar_text(self.source).and_then(|text| text.trim().parse::<f64>().ok());
        let number =
            number.filter(|number| number.is_finite() && !matches!(node.value, Value::Bool(_)));
        if number.is_none() {
            self.bad_value(node, "a comparison takes a number");
        }
        number
    }

    fn time_part(
        &mut self,
        target: Target,
        part: TimePart,
        comparison: Comparison,
        node: &Node,
    ) -> Option<Expr> {
        let (low, high) = match part {
            TimePart::Minute => (0, 59),
            TimePart::Hour => (0, 23),
            TimePart::Day => (1, 31),
            TimePart::Week => (1, 53),
            TimePart::Month => (1, 12),
            TimePart::Year => (1970, 2199),
        };
        let text = node.scalar_text(self.source)?;
        let number = text.trim().parse::<i64>().ok().filter(|number| (low..=high).contains(number));
        let Some(number) = number else {
            let message = format!("this part of a time is a whole number from {low} to {high}");
            return self.bad_value(node, &message);
        };
        // A range over a part is written out: its values are few.
        let holds = |value: i64| match comparison {
            Comparison::Equal => value == number,
            Comparison::NotEqual => value != number,
            Comparison::Less => value < number,
            Comparison::LessOrEqual => value <= number,
            Comparison::Greater => value > number,
            Comparison::GreaterOrEqual => value >= number,
        };
        let tests = (low..=high).filter(|value| holds(*value));
        let tests: Vec<_> =
            tests.map(|value| self.table.intern(target, Test::TimePart(part, value))).collect();
        if tests.is_empty() {
            return self.bad_value(node, "no time has such a part");
        }
        Some(or(tests))
    }

    fn field_ref(&mut self, target: Target, chain: &Chain, node: &Node) -> Option<Expr> {
        let Some(name) = node.as_str().filter(|name| !name.is_empty()) else {
            return self.bad_value(node, "`fieldref` takes the name of a field");
        };
        if target == Target::AnyValue || name.contains(['*', '?']) {
            return self.bad_value(node, "`fieldref` compares two fields, without wildcards");
        }
        self.fields.push((name.to_owned(), node.span));
        let other = self.table.fields.intern(name);
        Some(
            self.table.intern(
                target,
                Test::FieldRef { other, part: text_part(chain), cased: chain.cased },
            ),
        )
    }

    fn in_account_list(
        &mut self,
        target: Target,
        chain: &Chain,
        node: &Node,
        list: Arc<str>,
    ) -> Option<Expr> {
        let opened = [Modifier::Contains, Modifier::StartsWith, Modifier::EndsWith];
        if target == Target::AnyValue || chain.text_steps.iter().any(|step| !opened.contains(step))
        {
            return self.bad_value(
                node,
                "an account's list goes with a field, and with contains, startswith, endswith, cased and neq",
            );
        }
        let test = Test::InAccountList { list, part: text_part(chain), cased: chain.cased };
        Some(self.table.intern(target, test))
    }

    /// Replaces `%name%` by each value of its list, and `\%` by a percent sign.
    fn expand(&mut self, text: &str, node: &Node, written: fn(&str) -> String) -> Option<Expanded> {
        let mut texts = vec![String::new()];
        let mut rest = text;
        while let Some(at) = rest.find(['%', '\\']) {
            let (plain, tail) = rest.split_at(at);
            append(&mut texts, plain);
            if let Some(tail) = tail.strip_prefix('\\') {
                let (keep, tail) = match tail.strip_prefix('%') {
                    Some(tail) => ("%", tail),
                    None => ("\\", tail),
                };
                append(&mut texts, keep);
                rest = tail;
                continue;
            }
            let Some((name, tail)) =
                tail[1..].split_once('%').filter(|(name, _)| is_list_name(name))
            else {
                append(&mut texts, "%");
                rest = &tail[1..];
                continue;
            };
            rest = tail;
            if let Some(list) = name.strip_prefix("account.") {
                if text.len() != name.len() + 2 {
                    self.bad_value(node, "an account's list must be the whole value");
                    return None;
                }
                self.account_lists.push((list.to_owned(), node.span));
                return Some(Expanded::AccountList(list.into()));
            }
            let Some(values) = self.lists.get(name) else {
                self.missing_list(name, node);
                return self.foreign.then(|| Expanded::Texts(vec![text.to_owned()]));
            };
            if texts.len() * values.len() > MAX_VARIANTS {
                self.too_many(node);
                return None;
            }
            texts = texts
                .iter()
                .flat_map(|text| {
                    values.iter().map(move |value| format!("{text}{}", written(value)))
                })
                .collect();
        }
        append(&mut texts, rest);
        Some(Expanded::Texts(texts))
    }

    fn missing_list(&mut self, name: &str, node: &Node) {
        let message = format!("no list is called `{name}`");
        let severity = if self.foreign { Severity::Warning } else { Severity::Error };
        let code = Code::UnresolvedPlaceholder;
        let finding = self.findings.report_as(severity, code, self.source, node.span, message);
        finding.nearest("list", nearest(name, self.lists.keys().map(|name| &**name)));
        finding.help(format!("write its values, one a line, into rules/lists/{name}.txt"));
        if self.foreign {
            finding.help("the rule is about another product and is left out");
            self.unusable = true;
        }
    }
}

fn append(texts: &mut [String], tail: &str) {
    for text in texts {
        text.push_str(tail);
    }
}

/// Integers that a double represents exactly.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

#[expect(clippy::cast_precision_loss, reason = "exact in the range that is let through")]
fn exact_float(number: i64) -> Option<f64> {
    let float = number as f64;
    (float.abs() < MAX_EXACT).then_some(float)
}

fn is_list_name(name: &str) -> bool {
    !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

fn text_part(chain: &Chain) -> TextPart {
    let has = |modifier| chain.text_steps.contains(&modifier);
    if has(Modifier::Contains) || (has(Modifier::StartsWith) && has(Modifier::EndsWith)) {
        TextPart::Anywhere
    } else if has(Modifier::StartsWith) {
        TextPart::Start
    } else if has(Modifier::EndsWith) {
        TextPart::End
    } else {
        TextPart::Whole
    }
}

/// Reads a network; a bare address is a network of one.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    if let Ok(address) = text.parse::<std::net::IpAddr>() {
        return Ok(IpNet::from(address));
    }
    match text.parse::<IpNet>() {
        Ok(network) if network.trunc() == network => Ok(network),
        Ok(network) => Err(format!("bits behind the prefix are set; write `{}`", network.trunc())),
        Err(_) => Err("write it as 10.0.0.0/8 or 2001:db8::/32".to_owned()),
    }
}

/// Joins by AND; a single part stays itself.
pub(super) fn and(mut parts: Vec<Expr>) -> Expr {
    if parts.len() == 1 { parts.swap_remove(0) } else { Expr::And(parts) }
}

/// Joins by OR; a single part stays itself, nothing at all never holds.
pub(super) fn or(mut parts: Vec<Expr>) -> Expr {
    match parts.len() {
        0 => Expr::Constant(false),
        1 => parts.swap_remove(0),
        _ => Expr::Or(parts),
    }
}

fn negated_if(negated: bool, expr: Expr) -> Expr {
    if negated { Expr::Not(Box::new(expr)) } else { expr }
}
