//! Field names as small numbers, so that an event is searched once for all rules.

use std::collections::HashMap;
use std::sync::Arc;

/// A field that some rule names; index into [`FieldTable`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldId(pub u32);

/// All field names of a rule set, each once.
#[derive(Debug, Default, Clone)]
pub struct FieldTable {
    names: Vec<Arc<str>>,
    ids: HashMap<Arc<str>, FieldId>,
}

impl FieldTable {
    /// Returns the id of a name, adding it where it is not known.
    ///
    /// # Panics
    /// With more than 2^32 names.
    pub fn intern(&mut self, name: &str) -> FieldId {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let id = FieldId(u32::try_from(self.names.len()).expect("fewer than 2^32 field names"));
        let name: Arc<str> = name.into();
        self.names.push(name.clone());
        self.ids.insert(name, id);
        id
    }

    pub fn get(&self, name: &str) -> Option<FieldId> {
        self.ids.get(name).copied()
    }

    pub fn name(&self, id: FieldId) -> &str {
        &self.names[id.0 as usize]
    }

    pub fn len(&self) -> usize {
        self.names.len()
    }

    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Returns ids and names in the order of the ids.
    pub fn iter(&self) -> impl Iterator<Item = (FieldId, &str)> {
        (0..).map(FieldId).zip(self.names.iter().map(|name| &**name))
    }
}
