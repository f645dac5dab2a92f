//! Both engines behind one call: the bytes of an event in, the ids of the rules that match out.

use std::collections::HashMap;
use std::sync::Arc;

use rsigma_eval::{Engine, EvaluationResult, JsonEvent};
use rsigma_parser::{LogSource, SigmaRule, parse_sigma_yaml};
use satpam::detect::{Detector, EventSource, NothingDerived, Scratch, Subject};
use satpam::event::{AccountId, Document, EventTime};
use satpam::rulebook::{DetectionIndex, Rulebook};

use crate::events::{PeerEvent, SOURCES, Source};
use crate::workloads::Workload;

/// A way to run an engine.
pub const NAMES: [&str; 5] = ["satpam", "rsigma", "rsigma+bloom", "rsigma+ac", "rsigma by hand"];

/// An engine with its rules loaded.
pub trait Peer {
    /// Parses an event and returns how many rules match it.
    fn count(&mut self, event: &PeerEvent) -> usize;
    /// Parses an event and returns the ids of the rules that match it, sorted.
    fn hits(&mut self, event: &PeerEvent) -> Vec<String>;
    /// Only parses an event; returns something of it.
    fn parse(&self, event: &PeerEvent) -> usize;
    /// How many rules it took, and why not the others.
    fn loaded(&self) -> (usize, &[String]);
}

/// Loads an engine.
pub fn load(name: &str, workload: &Workload) -> Option<Box<dyn Peer>> {
    Some(match name {
        "satpam" => Box::new(Satpam::new(workload.rulebook())),
        "rsigma" => Box::new(Rsigma::new(workload, &|_| {})),
        "rsigma+bloom" => {
            Box::new(Rsigma::new(workload, &|engine| engine.set_bloom_prefilter(true)))
        }
        "rsigma+ac" => Box::new(Rsigma::new(workload, &|engine| engine.set_cross_rule_ac(true))),
        "rsigma by hand" => Box::new(ByHand::new(workload)),
        _ => return None,
    })
}

pub struct Satpam {
    detector: Detector,
    account: AccountId,
    scratch: Scratch,
    found: Vec<DetectionIndex>,
}

impl Satpam {
    pub fn new(rulebook: Arc<Rulebook>) -> Self {
        Self {
            detector: Detector::new(rulebook),
            account: AccountId::new("peers").expect("is short"),
            scratch: Scratch::default(),
            found: Vec::new(),
        }
    }
}

impl Peer for Satpam {
    fn count(&mut self, event: &PeerEvent) -> usize {
        let document = document(event);
        let logsource = EventSource::Named {
            product: Some(event.source.0),
            category: event.source.1,
            service: event.source.2,
        };
        let subject = Subject {
            document: &document,
            derived: &NothingDerived,
            logsource,
            account: &self.account,
            time: EventTime::from_millis(0),
        };
        self.detector.evaluate(&subject, &mut self.scratch, &mut self.found);
        self.found.len()
    }

    fn hits(&mut self, event: &PeerEvent) -> Vec<String> {
        self.count(event);
        let detections = &self.detector.rulebook().detections;
        let id = |rule: &DetectionIndex| detections[rule.0 as usize].meta.id.as_deref();
        sorted(self.found.iter().map(|rule| id(rule).unwrap_or_default().to_owned()))
    }

    fn parse(&self, event: &PeerEvent) -> usize {
        document(event).source().len()
    }

    fn loaded(&self) -> (usize, &[String]) {
        (self.detector.rulebook().detections.len(), &[])
    }
}

fn document(event: &PeerEvent) -> Document {
    Document::parse(event.json.clone().into_bytes()).expect("is JSON")
}

/// One engine for all rules; it is told each event's log source, so it need not look for it.
struct Rsigma {
    engine: Engine,
    sources: Sources,
    problems: Vec<String>,
}

impl Rsigma {
    fn new(workload: &Workload, settings: &dyn Fn(&mut Engine)) -> Self {
        let (rules, mut problems) = parsed(workload);
        let mut engine = Engine::new();
        settings(&mut engine);
        add(&mut engine, &rules, &mut problems);
        Self { engine, sources: Sources::default(), problems }
    }

    fn evaluate(&mut self, event: &PeerEvent) -> Vec<EvaluationResult> {
        let value: serde_json::Value = serde_json::from_str(&event.json).expect("is JSON");
        self.engine.evaluate_pruned(&JsonEvent::borrow(&value), self.sources.of(event))
    }
}

impl Peer for Rsigma {
    fn count(&mut self, event: &PeerEvent) -> usize {
        self.evaluate(event).len()
    }

    fn hits(&mut self, event: &PeerEvent) -> Vec<String> {
        sorted(self.evaluate(event).into_iter().filter_map(|hit| hit.header.rule_id))
    }

    fn parse(&self, event: &PeerEvent) -> usize {
        parse(event)
    }

    fn loaded(&self) -> (usize, &[String]) {
        (self.engine.rule_count(), &self.problems)
    }
}

/// An engine for each log source, with only the rules that look at it.
struct ByHand {
    engines: HashMap<Source, Engine>,
    rules: Vec<SigmaRule>,
    problems: Vec<String>,
}

impl ByHand {
    fn new(workload: &Workload) -> Self {
        let (rules, problems) = parsed(workload);
        let mut by_hand = Self { engines: HashMap::new(), rules, problems };
        SOURCES.iter().for_each(|source| by_hand.add(source));
        by_hand
    }

    fn add(&mut self, source: &Source) {
        let logsource = source_of(source);
        let looks_at = |rule: &&SigmaRule| looks_at(&rule.logsource, &logsource);
        let mine: Vec<_> = self.rules.iter().filter(looks_at).cloned().collect();
        let mut engine = Engine::new();
        add(&mut engine, &mine, &mut self.problems);
        self.engines.insert(*source, engine);
    }

    fn evaluate(&mut self, event: &PeerEvent) -> Vec<EvaluationResult> {
        let value: serde_json::Value = serde_json::from_str(&event.json).expect("is JSON");
        self.engines[event.source].evaluate(&JsonEvent::borrow(&value))
    }
}

impl Peer for ByHand {
    fn count(&mut self, event: &PeerEvent) -> usize {
        self.evaluate(event).len()
    }

    fn hits(&mut self, event: &PeerEvent) -> Vec<String> {
        sorted(self.evaluate(event).into_iter().filter_map(|hit| hit.header.rule_id))
    }

    fn parse(&self, event: &PeerEvent) -> usize {
        parse(event)
    }

    fn loaded(&self) -> (usize, &[String]) {
        (self.rules.len(), &self.problems)
    }
}

fn parse(event: &PeerEvent) -> usize {
    let value: serde_json::Value = serde_json::from_str(&event.json).expect("is JSON");
    value.as_object().map_or(0, serde_json::Map::len)
}

fn parsed(workload: &Workload) -> (Vec<SigmaRule>, Vec<String>) {
    let mut rules = Vec::new();
    let mut problems = Vec::new();
    workload.each_rule(&mut |name, yaml| match parse_sigma_yaml(yaml) {
        Ok(collection) => {
            rules.extend(collection.rules);
            problems.extend(collection.errors.iter().map(|error| format!("{name}: {error}")));
        }
        Err(error) => problems.push(format!("{name}: {error}")),
    });
    (rules, problems)
}

fn add(engine: &mut Engine, rules: &[SigmaRule], problems: &mut Vec<String>) {
    for (at, error) in engine.add_rules(rules) {
        problems.push(format!("{}: {error}", rules[at].title));
    }
}

fn looks_at(rule: &LogSource, event: &LogSource) -> bool {
    [
        (&rule.product, &event.product),
        (&rule.category, &event.category),
        (&rule.service, &event.service),
    ]
    .into_iter()
    .all(|(wanted, given)| wanted.is_none() || wanted == given)
}

fn source_of(source: &Source) -> LogSource {
    // An empty part conflicts with every rule that names one, as Sigma has it.
    let part = |part: Option<&str>| Some(part.unwrap_or_default().to_owned());
    LogSource {
        product: part(Some(source.0)),
        category: part(source.1),
        service: part(source.2),
        ..LogSource::default()
    }
}

/// The log sources seen so far, so that naming an event's costs nothing.
#[derive(Default)]
struct Sources(HashMap<Source, LogSource>);

impl Sources {
    fn of(&mut self, event: &PeerEvent) -> &LogSource {
        self.0.entry(*event.source).or_insert_with(|| source_of(event.source))
    }
}

fn sorted(ids: impl Iterator<Item = String>) -> Vec<String> {
    let mut ids: Vec<String> = ids.collect();
    ids.sort_unstable();
    ids
}
