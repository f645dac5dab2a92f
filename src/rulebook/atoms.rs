//! Every distinct test of a rule set, each once.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::mem::discriminant;

use hashbrown::HashTable;

use super::fields::FieldTable;
use super::model::{Atom, AtomId, Expr, Target, Test};

/// Fields and atoms while a rule set is compiled.
#[derive(Debug, Default)]
pub(super) struct AtomTable {
    pub(super) fields: FieldTable,
    pub(super) atoms: Vec<Atom>,
    by_hash: HashTable<AtomId>,
}

impl AtomTable {
    /// Returns the expression of a test; equal tests share one atom.
    pub(super) fn intern(&mut self, target: Target, test: Test) -> Expr {
        let atom = Atom { target, test };
        let hash = hash_of(&atom);
        let atoms = &self.atoms;
        if let Some(known) = self.by_hash.find(hash, |id| atoms[id.0 as usize] == atom) {
            return Expr::Atom(*known);
        }
        let id = AtomId(u32::try_from(atoms.len()).expect("files are far smaller than 2^32"));
        self.by_hash.insert_unique(hash, id, |id| hash_of(&atoms[id.0 as usize]));
        self.atoms.push(atom);
        Expr::Atom(id)
    }
}

/// Not stored anywhere: it only finds equal atoms within one compilation.
fn hash_of(atom: &Atom) -> u64 {
    let mut hasher = DefaultHasher::new();
    atom.target.hash(&mut hasher);
    discriminant(&atom.test).hash(&mut hasher);
    match &atom.test {
        Test::Text(pattern) => pattern.hash(&mut hasher),
        Test::Regex(regex) => regex.hash(&mut hasher),
        Test::Cidr(network) => network.hash(&mut hasher),
        Test::Number(comparison, number) => (comparison, number.to_bits()).hash(&mut hasher),
        Test::Boolean(value) | Test::Exists(value) => value.hash(&mut hasher),
        Test::Null | Test::InAccountNetworks => {}
        Test::FieldRef { other, part, cased } => (other, part, cased).hash(&mut hasher),
        Test::TimePart(part, number) => (part, number).hash(&mut hasher),
        Test::InAccountList { list, part, cased } => (list, part, cased).hash(&mut hasher),
    }
    hasher.finish()
}
