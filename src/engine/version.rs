//! A hash of what decides whether a rule matches: the same for a new title or level, another for a
//! new value or threshold. Independent of the other rules of the set and of their order.

use std::fmt::Write as _;

use xxhash_rust::xxh3::xxh3_64;

use crate::rulebook::{
    Correlation, CorrelationKind, Detection, Expr, RuleIndex, Rulebook, Target, Test,
};

/// Returns the hash of a rule and all that it builds on.
pub(super) fn of(rulebook: &Rulebook, rule: RuleIndex) -> u64 {
    let mut text = String::new();
    write_rule(&mut text, rulebook, rule);
    xxh3_64(text.as_bytes())
}

fn add(text: &mut String, part: std::fmt::Arguments<'_>) {
    text.write_fmt(part).expect("a String takes any text");
}

/// Correlations stand behind what they refer to, so this ends.
fn write_rule(text: &mut String, rulebook: &Rulebook, rule: RuleIndex) {
    match rule {
        RuleIndex::Detection(index) => {
            write_detection(text, rulebook, &rulebook.detections[index.0 as usize]);
        }
        RuleIndex::Correlation(index) => {
            let correlation = &rulebook.correlations[index.0 as usize];
            add(text, format_args!("{:016x}{}(", correlation.state_key.0, threshold(correlation)));
            for base in &correlation.rules {
                add(text, format_args!("{:016x},", of(rulebook, *base)));
            }
            text.push(')');
        }
    }
}

fn threshold(correlation: &Correlation) -> String {
    match &correlation.kind {
        CorrelationKind::EventCount { condition }
        | CorrelationKind::ValueCount { condition, .. }
        | CorrelationKind::ValueSum { condition, .. }
        | CorrelationKind::ValueAverage { condition, .. }
        | CorrelationKind::Temporal { condition } => format!("{condition:?}"),
        CorrelationKind::ValuePercentile { percentile, condition, .. } => {
            format!("{percentile}{condition:?}")
        }
        CorrelationKind::Baseline(rule) => {
            format!("{}/{}/{:?}", rule.threshold, rule.min_excess, rule.prior)
        }
        CorrelationKind::NewTerms { learn_millis, .. } => learn_millis.to_string(),
        CorrelationKind::TemporalOrdered | CorrelationKind::Absence { .. } => String::new(),
    }
}

fn write_detection(text: &mut String, rulebook: &Rulebook, detection: &Detection) {
    add(text, format_args!("{:?}", detection.logsource));
    write_expr(text, rulebook, &detection.condition);
    for exception in &detection.exceptions {
        add(text, format_args!("except{:?}{:?}", exception.accounts, exception.expires));
        write_expr(text, rulebook, &exception.condition);
    }
}

fn write_expr(text: &mut String, rulebook: &Rulebook, expr: &Expr) {
    match expr {
        Expr::Constant(value) => add(text, format_args!("{value}")),
        Expr::Selection(_, inner) => write_expr(text, rulebook, inner),
        Expr::Not(inner) => {
            text.push('!');
            write_expr(text, rulebook, inner);
        }
        Expr::And(parts) | Expr::Or(parts) => {
            text.push_str(if matches!(expr, Expr::And(_)) { "&(" } else { "|(" });
            for part in parts {
                write_expr(text, rulebook, part);
                text.push(',');
            }
            text.push(')');
        }
        Expr::Atom(id) => {
            let atom = &rulebook.atoms[id.0 as usize];
            let field = match atom.target {
                Target::Field(field) => rulebook.fields.name(field),
                Target::AnyValue => "",
            };
            add(text, format_args!("{field:?}"));
            write_test(text, rulebook, &atom.test);
        }
    }
}

/// The ids of fields depend on the other rules: their names stand for them.
fn write_test(key: &mut String, rulebook: &Rulebook, test: &Test) {
    if let Test::FieldRef { other, part, cased } = test {
        let other = rulebook.fields.name(*other);
        add(key, format_args!("FieldRef{other:?}{part:?}{cased}"));
    } else {
        add(key, format_args!("{test:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rulebook::{CorrelationIndex, DetectionIndex, Sources, compile};

    const RULE: &str = "title: t\nname: r\nlogsource: {product: omnichannel, category: message}\n\
        detection: {s: {message.text|contains: otp, actor.id|fieldref: actor.email}, condition: s}\n\
        ---\ntitle: c\nname: c\ncorrelation: {type: event_count, rules: [r], \
        group-by: [account.app_code], timespan: 5m, condition: {gte: 5}}\n";

    fn versions(text: &str, before: &str) -> [u64; 2] {
        let sources = Sources::of_rules([("a.yaml", before), ("b.yaml", text)]);
        let (rulebook, _) = compile(&sources).unwrap();
        let own = u32::try_from(rulebook.detections.len() - 1).unwrap();
        [RuleIndex::Detection(DetectionIndex(own)), RuleIndex::Correlation(CorrelationIndex(0))]
            .map(|rule| of(&rulebook, rule))
    }

    #[test]
    fn only_what_decides_changes_the_version() {
        let other = "title: o\nlogsource: {category: x}\ndetection: {s: {actor.email: y, z: 1}, condition: s}\n";
        let before = versions(RULE, "");
        assert_eq!(versions(RULE, other), before, "another rule");
        let change = |from: &str, to: &str| versions(&RULE.replace(from, to), "");
        assert_eq!(change("title: t", "title: new\nlevel: high"), before);
        let [detection, correlation] = change("otp", "pin");
        assert!(detection != before[0] && correlation != before[1], "its value");
        let [detection, correlation] = change("gte: 5", "gte: 6");
        assert!(detection == before[0] && correlation != before[1], "its threshold");
        let [detection, correlation] = change("actor.email", "actor.name");
        assert!(detection != before[0] && correlation != before[1], "the other field");
    }
}
