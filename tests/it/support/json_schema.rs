//! The part of JSON Schema 2020-12 that our schemas use. A keyword it does not know is a failure, so
//! that none can be left unchecked.

use serde_json::{Map, Value};

/// Returns the first thing that is wrong with a value, with its path.
pub(crate) fn violation(schema: &Value, value: &Value) -> Option<String> {
    violation_in(schema, schema, value)
}

/// As [`violation`], for a schema inside a document that its references are into.
pub(crate) fn violation_in(document: &Value, schema: &Value, value: &Value) -> Option<String> {
    Validator { root: document }.check(schema, value, "").err()
}

struct Validator<'s> {
    root: &'s Value,
}

impl Validator<'_> {
    fn check(&self, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        if schema == &Value::Bool(true) {
            return Ok(());
        }
        let Some(keywords) = schema.as_object() else {
            return Err(format!("{at}: nothing may stand here"));
        };
        for (keyword, argument) in keywords {
            self.keyword(keywords, keyword, argument, value, at)
                .map_err(|problem| format!("{at}: {problem}"))?;
        }
        Ok(())
    }

    fn holds(&self, schema: &Value, value: &Value) -> bool {
        self.check(schema, value, "").is_ok()
    }

    fn keyword(
        &self,
        keywords: &Map<String, Value>,
        keyword: &str,
        argument: &Value,
        value: &Value,
        at: &str,
    ) -> Result<(), String> {
        let schemas = || argument.as_array().unwrap().iter();
        let good = match keyword {
            "$schema" | "$id" | "$defs" | "title" | "description" | "examples" | "deprecated"
            | "then" | "else" => true,
            "$ref" => {
                let pointer = argument.as_str().unwrap().strip_prefix('#').unwrap();
                return self.check(self.root.pointer(pointer).unwrap(), value, at);
            }
            "allOf" => return schemas().try_for_each(|schema| self.check(schema, value, at)),
            "anyOf" => schemas().any(|schema| self.holds(schema, value)),
            "oneOf" => schemas().filter(|schema| self.holds(schema, value)).count() == 1,
            "not" => !self.holds(argument, value),
            "if" => {
                let branch = if self.holds(argument, value) { "then" } else { "else" };
                let schema = keywords.get(branch);
                return schema.map_or(Ok(()), |schema| self.check(schema, value, at));
            }
            "type" => {
                let one = std::slice::from_ref(argument);
                let kinds = argument.as_array().map_or(one, Vec::as_slice);
                kinds.iter().any(|kind| is(value, kind.as_str().unwrap()))
            }
            "enum" => schemas().any(|known| known == value),
            "const" => argument == value,
            _ => match value {
                Value::Object(entries) => {
                    return self.object(keywords, keyword, argument, entries, at);
                }
                Value::Array(items) => return self.array(keyword, argument, items, at),
                Value::String(text) => text_keyword(keyword, argument, text),
                Value::Number(number) => {
                    number_keyword(keyword, argument, number.as_f64().unwrap())
                }
                Value::Null | Value::Bool(_) => is_known(keyword),
            },
        };
        if good { Ok(()) } else { Err(format!("{keyword} of {argument} does not hold")) }
    }

    fn object(
        &self,
        keywords: &Map<String, Value>,
        keyword: &str,
        argument: &Value,
        entries: &Map<String, Value>,
        at: &str,
    ) -> Result<(), String> {
        let below = |key: &str| format!("{at}/{key}");
        match keyword {
            "properties" => entries.iter().try_for_each(|(key, value)| {
                argument.get(key).map_or(Ok(()), |schema| self.check(schema, value, &below(key)))
            }),
            "additionalProperties" => entries.iter().try_for_each(|(key, value)| {
                let known = keywords.get("properties").and_then(|known| known.get(key));
                known.map_or_else(|| self.check(argument, value, &below(key)), |_| Ok(()))
            }),
            "propertyNames" => entries
                .keys()
                .try_for_each(|key| self.check(argument, &Value::String(key.clone()), &below(key))),
            "required" => {
                let names = argument.as_array().unwrap().iter().map(|name| name.as_str().unwrap());
                let missing = names.into_iter().find(|name| !entries.contains_key(*name));
                missing.map_or(Ok(()), |name| Err(format!("`{name}` is missing")))
            }
            "minProperties" if entries.len() < size(argument) => Err("too few keys".to_owned()),
            "maxProperties" if entries.len() > size(argument) => Err("too many keys".to_owned()),
            _ if is_known(keyword) => Ok(()),
            _ => Err(format!("the keyword {keyword} is not checked")),
        }
    }

    fn array(
        &self,
        keyword: &str,
        argument: &Value,
        items: &[Value],
        at: &str,
    ) -> Result<(), String> {
        match keyword {
            "items" => items.iter().enumerate().try_for_each(|(index, value)| {
                self.check(argument, value, &format!("{at}/{index}"))
            }),
            "minItems" if items.len() < size(argument) => Err("too few items".to_owned()),
            _ if is_known(keyword) => Ok(()),
            _ => Err(format!("the keyword {keyword} is not checked")),
        }
    }
}

fn size(argument: &Value) -> usize {
    usize::try_from(argument.as_u64().unwrap()).unwrap()
}

/// Returns whether a keyword is one that is checked where it applies.
fn is_known(keyword: &str) -> bool {
    let known = [
        "properties",
        "additionalProperties",
        "propertyNames",
        "required",
        "minProperties",
        "maxProperties",
        "items",
        "minItems",
        "pattern",
        "minLength",
        "maxLength",
        "minimum",
        "maximum",
        "exclusiveMinimum",
    ];
    known.contains(&keyword)
}

fn text_keyword(keyword: &str, argument: &Value, text: &str) -> bool {
    match keyword {
        "pattern" => regex::Regex::new(argument.as_str().unwrap()).unwrap().is_match(text),
        "minLength" => text.chars().count() >= size(argument),
        "maxLength" => text.chars().count() <= size(argument),
        _ => is_known(keyword),
    }
}

fn number_keyword(keyword: &str, argument: &Value, number: f64) -> bool {
    let bound = || argument.as_f64().unwrap();
    match keyword {
        "minimum" => number >= bound(),
        "maximum" => number <= bound(),
        "exclusiveMinimum" => number > bound(),
        _ => is_known(keyword),
    }
}

fn is(value: &Value, kind: &str) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        other => panic!("{other} is no type"),
    }
}
