//! What must be found in an event before a test, a part of a condition or a rule can hold.
//!
//! A gate opens when enough of its inputs have come: one of the literals of an expression, every
//! part of an `and`, two of `2 of strong_*`. An input is a literal that was found or another gate
//! that opened. The outermost gate of a condition calls for its rule. So the work follows what an
//! event holds, not how long the conditions are.

use std::collections::BTreeMap;

use crate::rulebook::DetectionIndex;

/// Index of a gate in its [`Gates`].
pub(in crate::detect) type GateId = u32;

/// All gates of a route.
#[derive(Debug, Default)]
pub(in crate::detect) struct Gates {
    gates: Box<[Gate]>,
    outputs: Box<[GateId]>,
    rules: Box<[DetectionIndex]>,
}

#[derive(Debug, Clone, Copy)]
struct Gate {
    needed: u32,
    first_output: u32,
    end_output: u32,
    first_rule: u32,
    end_rule: u32,
}

/// When a part of a condition can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::detect) enum Prospect {
    /// Whatever is found.
    Always,
    Never,
    /// When this gate is open.
    Behind(GateId),
}

impl Gates {
    pub(in crate::detect) fn len(&self) -> usize {
        self.gates.len()
    }

    /// Returns how many inputs must come before the gate is open.
    pub(in crate::detect) fn needed(&self, gate: GateId) -> u32 {
        self.gates[gate as usize].needed
    }

    /// Returns the gates that this one is an input of.
    pub(in crate::detect) fn outputs(&self, gate: GateId) -> &[GateId] {
        let gate = &self.gates[gate as usize];
        &self.outputs[gate.first_output as usize..gate.end_output as usize]
    }

    /// Returns the rules that the gate calls for.
    pub(in crate::detect) fn rules(&self, gate: GateId) -> &[DetectionIndex] {
        let gate = &self.gates[gate as usize];
        &self.rules[gate.first_rule as usize..gate.end_rule as usize]
    }
}

/// Collects gates.
#[derive(Debug, Default)]
pub(in crate::detect) struct GateBuilder {
    gates: Vec<GateParts>,
    /// Parts of conditions that several rules have are one gate.
    known: BTreeMap<(u32, Vec<GateId>), GateId>,
}

#[derive(Debug)]
struct GateParts {
    needed: u32,
    outputs: Vec<GateId>,
    rules: Vec<DetectionIndex>,
}

impl GateBuilder {
    /// Adds a gate that any one input opens.
    pub(super) fn add(&mut self) -> GateId {
        self.push(1)
    }

    /// Returns when at least `needed` of the parts can hold.
    pub(in crate::detect) fn at_least(
        &mut self,
        needed: usize,
        parts: impl IntoIterator<Item = Prospect>,
    ) -> Prospect {
        let mut missing = needed;
        let mut inputs = Vec::new();
        for part in parts {
            match part {
                Prospect::Always => missing = missing.saturating_sub(1),
                Prospect::Never => {}
                Prospect::Behind(gate) => inputs.push(gate),
            }
        }
        match &*inputs {
            _ if missing == 0 => Prospect::Always,
            _ if inputs.len() < missing => Prospect::Never,
            [only] => Prospect::Behind(*only),
            _ => Prospect::Behind(self.join(narrow(missing), inputs)),
        }
    }

    /// Lets a gate call for a rule.
    pub(in crate::detect) fn call(&mut self, gate: GateId, rule: DetectionIndex) {
        self.gates[gate as usize].rules.push(rule);
    }

    fn join(&mut self, needed: u32, mut inputs: Vec<GateId>) -> GateId {
        inputs.sort_unstable();
        let key = (needed, inputs);
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let gate = self.push(needed);
        for input in &key.1 {
            self.gates[*input as usize].outputs.push(gate);
        }
        self.known.insert(key, gate);
        gate
    }

    fn push(&mut self, needed: u32) -> GateId {
        self.gates.push(GateParts { needed, outputs: Vec::new(), rules: Vec::new() });
        narrow(self.gates.len() - 1)
    }

    pub(super) fn finish(self) -> Gates {
        let (mut outputs, mut rules) = (Vec::new(), Vec::new());
        let gates = self
            .gates
            .into_iter()
            .map(|parts| {
                let (first_output, first_rule) = (narrow(outputs.len()), narrow(rules.len()));
                outputs.extend(parts.outputs);
                rules.extend(parts.rules);
                Gate {
                    needed: parts.needed,
                    first_output,
                    end_output: narrow(outputs.len()),
                    first_rule,
                    end_rule: narrow(rules.len()),
                }
            })
            .collect();
        Gates { gates, outputs: outputs.into_boxed_slice(), rules: rules.into_boxed_slice() }
    }
}

fn narrow(value: usize) -> u32 {
    u32::try_from(value).expect("fewer than 2^32 gates")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_always_hold_needs_no_gate_and_what_never_can_has_none() {
        let mut builder = GateBuilder::default();
        let (one, other) = (builder.add(), builder.add());
        let (a, b) = (Prospect::Behind(one), Prospect::Behind(other));
        for (needed, parts, expected) in [
            (0, vec![], Some(Prospect::Always)),
            (1, vec![], Some(Prospect::Never)),
            (2, vec![Prospect::Always, a], Some(a)),
            (2, vec![Prospect::Never, a], Some(Prospect::Never)),
            (1, vec![Prospect::Never, a], Some(a)),
            (1, vec![Prospect::Always, a, b], Some(Prospect::Always)),
            (2, vec![a, b], None),
        ] {
            let found = builder.at_least(needed, parts.iter().copied());
            match expected {
                Some(expected) => assert_eq!(found, expected, "{needed} of {parts:?}"),
                None => assert_eq!(found, builder.at_least(2, [b, a]), "the same parts, one gate"),
            }
        }
        let Prospect::Behind(both) = builder.at_least(2, [a, b]) else { panic!() };
        builder.call(both, DetectionIndex(7));
        let gates = builder.finish();
        assert_eq!((gates.len(), gates.needed(both)), (3, 2));
        assert_eq!((gates.outputs(one), gates.outputs(other)), (&[both][..], &[both][..]));
        assert_eq!(gates.rules(both), [DetectionIndex(7)]);
    }
}
