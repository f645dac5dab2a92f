//! Which settings exist: asked of the types that read them, so that no list has to be kept.
//!
//! A deserializer that holds no data walks through a type and notes the name of each field it asks
//! for. Where a type has alternatives, each is taken once.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde::de::value::{Error, StrDeserializer};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

/// Most alternatives of one type that are walked through.
const ALTERNATIVES_MAX: usize = 64;

/// Returns the path of every setting of `T` and of the groups that hold them, such as
/// `kafka.dead_letter.target.topic`. The keys of maps, which are names that an operator gives, are
/// not settings.
///
/// Returns nothing if a type takes none of the sample values; a test of the project prevents that.
pub fn setting_paths<T: DeserializeOwned>() -> Option<BTreeSet<String>> {
    let walk = RefCell::new(Walk { found: BTreeSet::new(), alternative: 0, has_more: true });
    while walk.borrow().has_more && walk.borrow().alternative < ALTERNATIVES_MAX {
        walk.borrow_mut().has_more = false;
        T::deserialize(Probe { walk: &walk, path: String::new() }).ok()?;
        walk.borrow_mut().alternative += 1;
    }
    Some(walk.into_inner().found)
}

struct Walk {
    found: BTreeSet<String>,
    /// Which alternative of each type is taken in this round.
    alternative: usize,
    /// Whether some type has more alternatives.
    has_more: bool,
}

/// Stands for the value at one path.
#[derive(Clone)]
struct Probe<'a> {
    walk: &'a RefCell<Walk>,
    path: String,
}

impl Probe<'_> {
    /// Notes a key of this value and returns what stands for its value.
    fn enter(&self, key: &str) -> Self {
        let path =
            if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        self.walk.borrow_mut().found.insert(path.clone());
        Self { walk: self.walk, path }
    }
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Error;

    /// A text that is also a length of time.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str("1s")
    }

    /// A text that is also a socket address.
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str("127.0.0.1:1")
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_bool(true)
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_u64(1)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_u64(1)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_u64(1)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_u64(1)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_i64(1)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_f64(1.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor
            .visit_seq(serde::de::value::SeqDeserializer::<_, Error>::new(std::iter::empty::<u8>()))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(Fields { value: self, names: &[], at: 0 })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_map(Fields { value: self, names: fields, at: 0 })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let wanted = self.walk.borrow().alternative;
        let last = variants.len().saturating_sub(1);
        if wanted < last {
            self.walk.borrow_mut().has_more = true;
        }
        let name = variants.get(wanted.min(last)).copied().unwrap_or_default();
        visitor.visit_enum(Alternative { value: self, name })
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u128 f32 char string bytes byte_buf unit unit_struct tuple tuple_struct
        identifier ignored_any
    }
}

/// The fields of a struct, one after the other.
struct Fields<'a> {
    value: Probe<'a>,
    names: &'static [&'static str],
    at: usize,
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let Some(name) = self.names.get(self.at) else { return Ok(None) };
        let name: StrDeserializer<'_, Error> = (*name).into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let name = self.names.get(self.at).copied().unwrap_or_default();
        self.at += 1;
        seed.deserialize(self.value.enter(name))
    }
}

/// One of the alternatives of a type.
struct Alternative<'a> {
    value: Probe<'a>,
    name: &'static str,
}

impl<'de> EnumAccess<'de> for Alternative<'_> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        let name: StrDeserializer<'_, Error> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for Alternative<'_> {
    type Error = Error;

    /// A word, not a key: `start: latest`.
    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.value.enter(self.name))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.value.enter(self.name).deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.value.enter(self.name).deserialize_struct(self.name, fields, visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(rename_all = "snake_case")]
    #[expect(dead_code, reason = "only its shape is read")]
    enum Target {
        Nowhere,
        Topic(String),
        File { path: std::path::PathBuf, keep: u32 },
    }

    #[derive(Debug, serde::Deserialize)]
    #[expect(dead_code, reason = "only its shape is read")]
    struct Sample {
        share: f64,
        listen: std::net::SocketAddr,
        every: crate::event::TimeSpan,
        target: Option<Target>,
        names: std::collections::BTreeMap<String, Target>,
    }

    #[test]
    fn every_field_of_every_alternative_is_found() {
        let found = setting_paths::<Sample>().unwrap();
        let found: Vec<&str> = found.iter().map(String::as_str).collect();
        assert_eq!(
            found,
            [
                "every",
                "listen",
                "names",
                "share",
                "target",
                "target.file",
                "target.file.keep",
                "target.file.path",
                "target.topic"
            ]
        );
    }

    #[test]
    fn the_whole_configuration_can_be_walked_through() {
        let found = setting_paths::<crate::config::Config>().unwrap();
        assert!(found.contains("respond.email.password"), "{found:?}");
    }
}
