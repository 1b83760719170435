//! Sections of variables: structs of their values, and how they are reached after loading.

use super::Names;
use super::text::{Code, shown};
use super::types::{Field, Place, Types, define};
use crate::model::MapOrigin;
use crate::skeleton::names::{Language, Scope, camel};
use crate::skeleton::shape::{MapShape, Section, Shape};

/// A section with the names of its types.
pub(super) struct SectionNames<'s> {
    pub(super) section: &'s Section,
    pub(super) map: &'s MapShape<'s>,
    /// The struct of its values.
    pub(super) values: String,
    /// What reaches its variables after loading.
    pub(super) live: String,
    fields: Vec<Field>,
    size: u64,
}

impl SectionNames<'_> {
    pub(super) fn number(&self) -> u32 {
        self.map.index.0
    }

    /// Whether it is part of an arena.
    pub(super) fn is_arena(&self) -> bool {
        matches!(
            self.map.map.origin,
            MapOrigin::Definition | MapOrigin::Legacy
        )
    }

    /// Whether it has a value before the load: that of options comes from the kernel.
    pub(super) fn has_value(&self) -> bool {
        self.map.map.origin != MapOrigin::Kconfig
    }

    /// Whether it can be written after the load.
    pub(super) fn is_writable(&self) -> bool {
        !self.map.is_constant() && self.has_value()
    }
}

/// The sections of an object, and in `types` what they consist of.
pub(super) fn collect<'s>(
    shape: &'s Shape<'s>,
    names: &mut Names,
    types: &mut Types<'_>,
) -> Vec<SectionNames<'s>> {
    let mut all = Vec::new();
    for (map, section) in shape.sections().filter(|(_, section)| section.typed) {
        let values = names.own(&camel(&section.ident));
        let live = names.own(&format!("{}Live", camel(&section.ident)));
        let mut fields = Vec::new();
        for variable in &section.variables {
            let size = u64::from(variable.size);
            fields.push(Field {
                ident: variable.ident.clone(),
                name: variable.name.clone(),
                offset: variable.offset.into(),
                of: types.sized(variable.type_id, size, &variable.name),
            });
        }
        let size = match map.map.origin {
            MapOrigin::Definition | MapOrigin::Legacy => map.map.data.len() as u64,
            _ => map.map.spec.value_size.into(),
        };
        all.push(SectionNames {
            section,
            map,
            values,
            live,
            fields,
            size,
        });
    }
    all
}

/// Writes the types of a section.
pub(super) fn write(code: &mut Code, section: &SectionNames<'_>) {
    let symbol = match section.is_arena() {
        true => &section.map.map.symbol,
        false => section.map.map.symbol.as_str(),
    };
    let (values, live) = (&section.values, &section.live);
    let align = section.fields.iter().map(|field| field.of.align).max();
    // A section ends with its last variable, a struct with its padding; what is behind the
    // section is left alone.
    let size = section.size.next_multiple_of(align.unwrap_or(1));
    code.gap();
    code.doc(&format!("The variables of {}.", shown(symbol)));
    let mut methods = Scope::new(Language::Rust);
    let place = Place::default();
    define(
        code,
        values,
        place,
        size,
        &section.fields,
        false,
        &mut methods,
    );
    code.gap();
    code.doc(&format!(
        "The variables of {} after loading, shared with programs.",
        shown(symbol)
    ));
    code.line("#[derive(Clone, Copy, Debug)]");
    code.line(&format!("pub struct {live}<'a>(sk::Memory<'a>);"));
    code.gap();
    code.open(&format!("impl<'a> {live}<'a> {{"));
    let mut scope = Scope::new(Language::Rust);
    scope.reserve(&["copy"]);
    code.doc("All of it as it is now, if there is memory for a copy.");
    code.getter(
        "copy",
        &["self"],
        &format!("Option<Box<{values}>>"),
        "self.0.read()",
    );
    let (kind, call) = match section.is_writable() {
        true => ("LiveMut", "live_mut"),
        false => ("Live", "live"),
    };
    for field in &section.fields {
        code.gap();
        code.doc(&format!("Variable {}.", shown(&field.name)));
        let of = format!("sk::{kind}<'a, {}>", field.of.text);
        let body = format!("self.0.{call}({})", field.offset);
        code.getter(&scope.add(&field.name), &["self"], &of, &body);
    }
    code.close("}");
}
