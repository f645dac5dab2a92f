//! From the texts of a rule set to a [`Rulebook`], or to everything that is wrong with it.
//!
//! Detections keep the order of files and documents; correlations stand behind what they refer to.
//! A detection or correlation that feeds a correlation is reported by itself only where one of the
//! correlations that name it says `generate: true`; a rule that nothing names is always reported.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

use super::accounts_file::{self, file_stem};
use super::atoms::AtomTable;
use super::codes::Code;
use super::compare::{self, ConditionOf};
use super::correlation::{self, Context, Referred, Rules};
use super::detection;
use super::diagnostic::{Diagnostic, Findings, SourceText, Span};
use super::filters::{self, Effect, Filter};
use super::ignore;
use super::lint;
use super::lists;
use super::model::{
    AccountSettings, Correlation, CorrelationIndex, Detection, DetectionIndex, Expr, LogSource,
    RuleIndex, RuleMeta, Rulebook, Status,
};
use super::nearest::nearest;
use super::order;
use super::policy::Policy;
use super::policy_file;
use super::schema::{self, Document, DocumentKind, Reader};
use super::state_key;
use super::test_cases;
use super::values::{Lists, Scope, and};
use super::{collection, yaml};
use crate::event::{AccountId, EventTime};

/// The texts of a rule set.
#[derive(Debug, Default, Clone)]
pub struct Sources {
    /// Files of rules, correlations and filters.
    pub rules: Vec<Arc<SourceText>>,
    /// `lists/NAME.txt` or `.yaml`.
    pub lists: Vec<Arc<SourceText>>,
    /// `accounts/APP_CODE.yaml`.
    pub accounts: Vec<Arc<SourceText>>,
    /// `policy.yaml`; the default policy where there is none.
    pub policy: Option<Arc<SourceText>>,
    /// The rule files that have a test beside them, by name; nothing where that was not looked for.
    pub tested: Option<BTreeSet<Arc<str>>>,
    /// The tests themselves, `NAME.test.yaml`; only looked at for which rules they name.
    pub tests: Vec<Arc<SourceText>>,
    /// Whether `rules` is a part of the set that the policy belongs to: then it may name others.
    pub is_part: bool,
    /// The time by which exceptions are told to have expired; nothing says nothing about that.
    pub now: Option<EventTime>,
}

impl Sources {
    /// Takes rule files alone, as (name, text).
    pub fn of_rules<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let rules = files.into_iter().map(|(name, text)| SourceText::new(name, text)).collect();
        Self { rules, ..Self::default() }
    }
}

/// Compiles a rule set; returns it with its warnings, or every error and warning.
///
/// Findings come by file and position. The result depends on the texts alone, not on the order of
/// the files in `sources`.
pub fn compile(sources: &Sources) -> Result<(Rulebook, Vec<Diagnostic>), Vec<Diagnostic>> {
    let mut findings = Findings::default();
    let mut files = sources.rules.clone();
    files.sort_by(|a, b| a.name.cmp(&b.name));
    let lists = lists::read(&sources.lists, &mut findings);
    let accounts = sources
        .accounts
        .iter()
        .filter_map(|source| accounts_file::read(source, &mut findings))
        .collect();
    let (mut policy, evidence) = match &sources.policy {
        Some(source) => policy_file::read(source, &mut findings),
        None => (Policy::default(), Vec::new()),
    };
    let mut documents = Vec::new();
    for source in &files {
        read_file(source, &mut documents, &mut findings);
    }
    let index = Index::new(&documents, &mut findings);
    if let (Some(source), false) = (&sources.policy, sources.is_part) {
        index.same_evidence(&documents, source, &evidence, &mut policy, &mut findings);
    }
    let mut compiler = Compiler {
        table: AtomTable::default(),
        findings,
        lists: &lists,
        accounts: &accounts,
        policy: &policy,
        index: &index,
        documents: &documents,
        now: sources.now,
    };
    let mut detections = compiler.detections();
    compiler.filters(&mut detections);
    let correlations = compiler.correlations();
    let Compiler { mut findings, table, .. } = compiler;
    if let Some(tested) = &sources.tested {
        lint::untested(&documents, tested, &mut findings);
    }
    if findings.errors() > 0 {
        return Err(ignore::applied(findings.into_sorted(), &files, false));
    }
    let mut rulebook = Rulebook {
        fields: table.fields,
        atoms: table.atoms,
        detections: detections.into_iter().flatten().collect(),
        correlations: correlations.iter().map(|(correlation, _)| correlation.clone()).collect(),
        policy,
        accounts,
        revision: revision(sources),
    };
    mark_reports(&mut rulebook, &correlations);
    compare::rules(&rulebook, &documents, &mut findings);
    test_cases::one_sided(&rulebook, sources, &documents, &mut findings);
    // Without a time and the whole set some warnings are not given that a comment may be about.
    let is_complete = sources.now.is_some() && !sources.is_part;
    Ok((rulebook, ignore::applied(findings.into_sorted(), &files, is_complete)))
}

fn read_file(source: &Arc<SourceText>, documents: &mut Vec<Document>, findings: &mut Findings) {
    let nodes = match yaml::parse(source) {
        Ok(nodes) => nodes,
        Err(error) => return findings.push(*error),
    };
    for node in collection::resolve(nodes, source, findings) {
        documents.extend(schema::read(node, source, findings));
    }
}

/// A rule is reported by itself unless correlations use it and none of them says `generate`, which
/// is not about rules that only teach a usual size.
fn mark_reports(rulebook: &mut Rulebook, correlations: &[(Correlation, bool)]) {
    let mut generated: BTreeMap<RuleIndex, bool> = BTreeMap::new();
    for (correlation, generate) in correlations {
        for (at, rule) in correlation.rules.iter().enumerate() {
            *generated.entry(*rule).or_default() |=
                *generate && correlation.only_taught_at(at).is_none();
        }
    }
    for (rule, reports) in generated {
        match rule {
            RuleIndex::Detection(index) => {
                rulebook.detections[index.0 as usize].reports = reports;
            }
            RuleIndex::Correlation(index) => {
                rulebook.correlations[index.0 as usize].reports = reports;
            }
        }
    }
}

/// 16 hexadecimal digits over the names and texts of all files.
fn revision(sources: &Sources) -> Arc<str> {
    let all = sources.rules.iter().chain(&sources.lists).chain(&sources.accounts);
    let mut files: Vec<_> = all.chain(&sources.policy).collect();
    files.sort_by(|a, b| a.name.cmp(&b.name));
    let mut hasher = Xxh3::new();
    for file in files {
        for part in [&file.name, &file.text] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
    }
    format!("{:016x}", hasher.digest()).into()
}

/// Which document each name and id means, and where each rule will stand.
struct Index {
    words: BTreeMap<Arc<str>, usize>,
    /// The key of each document.
    keys: Vec<Arc<str>>,
    /// Of each rule document; filters have none.
    rules: Vec<Option<RuleIndex>>,
    /// Correlation documents in the order of [`Rulebook::correlations`].
    correlations: Vec<usize>,
}

impl Index {
    fn new(documents: &[Document], findings: &mut Findings) -> Self {
        let mut words: BTreeMap<Arc<str>, usize> = BTreeMap::new();
        for (at, document) in documents.iter().enumerate() {
            for (word, span) in [&document.header.name, &document.header.id].into_iter().flatten() {
                let Some(first) = words.insert(Arc::clone(word), at).filter(|first| *first != at)
                else {
                    continue;
                };
                let other = &documents[first];
                let message = format!("another document is called `{word}`");
                let finding =
                    findings.report(Code::DuplicateRule, &document.source, *span, message);
                finding.help(format!(
                    "the other stands at {}:{}",
                    other.source.name, other.header.line
                ));
            }
        }
        let keys = keys(documents, &words);
        let find = |word: &str| words.get(word).copied();
        let correlations = order::of_correlations(documents, find, findings);
        let mut rules = vec![None; documents.len()];
        let mut next = 0;
        for (at, document) in documents.iter().enumerate() {
            if document.kind == DocumentKind::Detection {
                rules[at] = Some(RuleIndex::Detection(DetectionIndex(next)));
                next += 1;
            }
        }
        for (next, at) in (0..).zip(&correlations) {
            rules[*at] = Some(RuleIndex::Correlation(CorrelationIndex(next)));
        }
        Self { words, keys, rules, correlations }
    }

    /// Finds the rules that the policy names in `same-evidence`, and has it name them by their keys.
    fn same_evidence(
        &self,
        documents: &[Document],
        source: &Arc<SourceText>,
        groups: &[Vec<(Arc<str>, Span)>],
        policy: &mut Policy,
        findings: &mut Findings,
    ) {
        let is_rule = |at: &usize| documents[*at].kind != DocumentKind::Filter;
        let by_key = |word: &str| self.keys.iter().position(|key| **key == *word);
        policy.same_evidence = groups
            .iter()
            .map(|group| {
                let known = group.iter().filter_map(|(word, span)| {
                    let at = self.words.get(word).copied().or_else(|| by_key(word));
                    if let Some(at) = at.filter(is_rule) {
                        return Some(Arc::clone(&self.keys[at]));
                    }
                    let rules = (0..documents.len()).filter(is_rule);
                    let near = nearest(word, rules.map(|at| &*self.keys[at]));
                    let finding = findings.report(
                        Code::UnknownEvidence,
                        source,
                        *span,
                        format!("no rule is called `{word}`"),
                    );
                    finding.label("no such rule").nearest("rule", near);
                    if let Some(near) = near {
                        finding.suggest(*span, near);
                    }
                    None
                });
                known.collect()
            })
            .collect();
    }
}

/// Name, else id, else the file's stem with a number where it is taken.
fn keys(documents: &[Document], words: &BTreeMap<Arc<str>, usize>) -> Vec<Arc<str>> {
    let mut taken: BTreeSet<Arc<str>> = words.keys().cloned().collect();
    let key_of = |document: &Document| {
        if let Some((word, _)) = document.header.name.as_ref().or(document.header.id.as_ref()) {
            return Arc::clone(word);
        }
        let stem = file_stem(&document.source.name);
        let candidates = std::iter::once(Arc::from(stem))
            .chain((2..).map(|number| Arc::from(format!("{stem}#{number}"))));
        let free = candidates.into_iter().find(|key| !taken.contains(key));
        let key: Arc<str> = free.unwrap_or_else(|| stem.into());
        taken.insert(Arc::clone(&key));
        key
    };
    documents.iter().map(key_of).collect()
}

struct RuleFinder<'a> {
    index: &'a Index,
    documents: &'a [Document],
}

impl Rules for RuleFinder<'_> {
    fn find(&self, word: &str) -> Option<Referred> {
        let at = *self.index.words.get(word)?;
        let logsource = self.documents[at].logsource.as_ref().map(|(logsource, _)| logsource);
        Some(Referred {
            index: self.index.rules[at]?,
            key: Arc::clone(&self.index.keys[at]),
            product: logsource.and_then(|logsource| logsource.product.clone()),
            category: logsource.and_then(|logsource| logsource.category.clone()),
            is_absence: correlation::is_absence(&self.documents[at].node),
        })
    }

    fn nearest(&self, word: &str) -> Option<String> {
        nearest(word, self.index.words.keys().map(|word| &**word)).map(str::to_owned)
    }
}

struct Compiler<'a> {
    table: AtomTable,
    findings: Findings,
    lists: &'a Lists,
    accounts: &'a BTreeMap<AccountId, AccountSettings>,
    policy: &'a Policy,
    index: &'a Index,
    documents: &'a [Document],
    now: Option<EventTime>,
}

impl Compiler<'_> {
    fn scope<'s>(&'s mut self, document: &'s Document) -> Scope<'s> {
        let logsource = document.logsource.as_ref().map(|(logsource, _)| logsource);
        let product = logsource.and_then(|logsource| logsource.product.as_deref());
        Scope {
            source: &document.source,
            table: &mut self.table,
            findings: &mut self.findings,
            lists: self.lists,
            foreign: product.is_some_and(|product| product != lint::OWN_PRODUCT),
            unusable: false,
            fields: Vec::new(),
            weak_regexes: Vec::new(),
            account_lists: Vec::new(),
        }
    }

    fn meta(&self, at: usize) -> RuleMeta {
        let document = &self.documents[at];
        let header = &document.header;
        RuleMeta {
            key: Arc::clone(&self.index.keys[at]),
            id: header.id.as_ref().map(|(id, _)| Arc::clone(id)),
            name: header.name.as_ref().map(|(name, _)| Arc::clone(name)),
            title: Arc::clone(&header.title),
            description: Arc::clone(&header.description),
            level: header.level,
            status: header.status,
            tags: header.tags.clone(),
            references: header.references.clone(),
            falsepositives: header.falsepositives.clone(),
            risk: header.satpam.risk.unwrap_or_else(|| self.policy.risk_of(header.level)),
            tenant: header.satpam.tenant.clone(),
            contain: header.satpam.contain.clone(),
            file: Arc::clone(&document.source.name),
            line: header.line,
        }
    }

    /// A document that gives no rule must give an error: else it would be dropped without a word.
    fn unless_reported(&mut self, errors_before: usize, compiled: bool, document: &Document) {
        if !compiled && self.findings.errors() == errors_before {
            let message = format!("the {} cannot be read", document.kind.key());
            let span = document.header.span;
            self.findings.report(Code::NotADocument, &document.source, span, message);
        }
    }

    /// Compiles every detection; one with an error leaves its place empty.
    fn detections(&mut self) -> Vec<Option<Detection>> {
        let documents = self.documents;
        let all = documents.iter().enumerate();
        all.filter(|(_, document)| document.kind == DocumentKind::Detection)
            .map(|(at, document)| {
                let before = self.findings.errors();
                let detection = self.detection(at, document);
                // One without a logsource was reported when it was read.
                let expected = detection.is_some() || document.logsource.is_none();
                self.unless_reported(before, expected, document);
                detection
            })
            .collect()
    }

    fn detection(&mut self, at: usize, document: &Document) -> Option<Detection> {
        let (logsource, _) = document.logsource.as_ref()?;
        let mut meta = self.meta(at);
        let accounts = self.accounts;
        let mut scope = self.scope(document);
        let entry = document.node.get("detection")?;
        let selections = detection::compile(&mut scope, &entry.value, &[]);
        if scope.unusable {
            meta.status = Status::Unsupported;
        }
        lint::fields(&scope.fields, logsource, &document.source, scope.findings);
        lint::account_lists(&scope.account_lists, accounts, &document.source, scope.findings);
        lint::status(document, scope.findings);
        let selections = selections?;
        compare::condition(
            &selections,
            ConditionOf::Rule,
            logsource,
            (&scope.table.atoms, &scope.table.fields),
            &document.source,
            scope.findings,
        );
        let weak_regexes = std::mem::take(&mut scope.weak_regexes);
        if !weak_regexes.is_empty() && !lint::has_anchor(&selections.condition, &self.table.atoms) {
            lint::weak_regexes(&weak_regexes, &document.source, &mut self.findings);
        }
        Some(Detection {
            meta,
            logsource: logsource.clone(),
            condition: selections.condition,
            condition_text: selections.text.into(),
            reports: true,
            exceptions: Vec::new(),
        })
    }

    fn filters(&mut self, detections: &mut [Option<Detection>]) {
        let documents = self.documents;
        for document in documents.iter().filter(|document| document.kind == DocumentKind::Filter) {
            let (now, accounts) = (self.now, self.accounts);
            let mut scope = self.scope(document);
            let Some((filter, selections)) = filters::compile(&mut scope, document, now) else {
                continue;
            };
            compare::condition(
                &selections,
                ConditionOf::Filter,
                &filter.logsource,
                (&scope.table.atoms, &scope.table.fields),
                &document.source,
                scope.findings,
            );
            lint::fields(&scope.fields, &filter.logsource, &document.source, scope.findings);
            lint::account_lists(&scope.account_lists, accounts, &document.source, scope.findings);
            let targets = self.targets(&filter, document);
            let mut applied = false;
            for target in targets {
                let Some(Some(detection)) = detections.get_mut(target) else { continue };
                if filter.applies_to(&detection.logsource) {
                    applied = true;
                    apply(&filter, detection);
                }
            }
            if !applied && filter.rules.is_some() {
                let message = format!("the filter `{}` applies to no rule", filter.name);
                let span = document.header.span;
                self.findings
                    .report(Code::FilterAppliesToNothing, &document.source, span, message)
                    .help("each part of its logsource must equal the rule's; filters do not apply to correlations");
            }
        }
    }

    /// Returns the positions among the detections that a filter names.
    fn targets(&mut self, filter: &Filter, document: &Document) -> Vec<usize> {
        let Some(words) = &filter.rules else {
            let count = self.index.rules.iter().flatten();
            return (0..count.count()).collect();
        };
        let finder = RuleFinder { index: self.index, documents: self.documents };
        let mut targets = BTreeSet::new();
        for (word, span) in words {
            match finder.find(word).map(|rule| rule.index) {
                Some(RuleIndex::Detection(index)) => {
                    targets.insert(index.0 as usize);
                }
                Some(RuleIndex::Correlation(_)) => {}
                None => {
                    let near = finder.nearest(word);
                    let message = format!("no rule is called `{word}`");
                    self.findings
                        .report(Code::UnknownRule, &document.source, *span, message)
                        .nearest("rule", near.as_deref());
                }
            }
        }
        targets.into_iter().collect()
    }

    /// Compiles the correlations in the order in which they depend on each other.
    fn correlations(&mut self) -> Vec<(Correlation, bool)> {
        let index = self.index;
        index.correlations.iter().filter_map(|at| self.correlation(*at)).collect()
    }

    fn correlation(&mut self, at: usize) -> Option<(Correlation, bool)> {
        let document = &self.documents[at];
        let meta = self.meta(at);
        let finder = RuleFinder { index: self.index, documents: self.documents };
        let before = self.findings.errors();
        let mut context = Context {
            reader: Reader { source: &document.source, findings: &mut self.findings },
            fields: &mut self.table.fields,
            rules: &finder,
            named_fields: Vec::new(),
            sensitivity: self.policy.sensitivity,
        };
        let compiled = correlation::compile(&mut context, &document.node);
        self.unless_reported(before, compiled.is_some(), document);
        let compiled = compiled?;
        lint::correlation(&compiled, document, &mut self.findings);
        lint::base_rules(
            &compiled,
            document,
            self.documents,
            &self.index.rules,
            &mut self.findings,
        );
        lint::status(document, &mut self.findings);
        let state_key = state_key::of(&meta.key, &compiled, &self.table.fields);
        let generate = compiled.generate;
        let correlation = Correlation {
            meta,
            rules: compiled.rules.iter().map(|rule| rule.index).collect(),
            group_by: compiled.group_by,
            by_account: compiled.by_account,
            timespan_millis: compiled.timespan_millis,
            kind: compiled.kind,
            reports: true,
            state_key,
        };
        Some((correlation, generate))
    }
}

fn apply(filter: &Filter, detection: &mut Detection) {
    match filter.effect() {
        Effect::Except(exception) => detection.exceptions.push(exception),
        Effect::Join(condition) => {
            let own = std::mem::replace(&mut detection.condition, Expr::Constant(false));
            detection.condition = match own {
                // Filters that were joined before stay one flat AND with the rule's own condition.
                Expr::And(mut parts) => {
                    parts.push(condition);
                    Expr::And(parts)
                }
                own @ (Expr::Atom(_)
                | Expr::Not(_)
                | Expr::Or(_)
                | Expr::Selection(..)
                | Expr::Constant(_)) => and(vec![own, condition]),
            };
        }
    }
}

/// Returns whether a rule is about the events of this platform.
pub(super) fn is_own(logsource: &LogSource) -> bool {
    logsource.product.as_deref() == Some(lint::OWN_PRODUCT)
}
