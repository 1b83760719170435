//! Externs in sections of variables: no kernel takes them, so they become variables like others.

use super::{Edit, GLOBAL};
use crate::model::{ExternKind, Object};
use btf::build::Builder;
use btf::types::Datasec;
use btf::{Btf, BtfError, Kind, Type, TypeId, encoding};
use std::collections::HashMap;

/// The variable that stands for functions in `.ksyms`, and the name of parameters without one.
const DUMMY: &[u8] = b"dummy_ksym";

/// Bytes that a symbol takes in `.ksyms`, as the kernel is told.
const SYMBOL: u32 = 4;

pub(super) fn change<'o>(
    object: &Object,
    btf: &'o Btf<'static>,
    edit: &mut Edit<'o>,
) -> Result<(), BtfError> {
    if object.externs.is_empty() {
        return Ok(());
    }
    let queries: [(&[u8], Option<Kind>); 2] = [
        (b".ksyms", Some(Kind::Datasec)),
        (b".kconfig", Some(Kind::Datasec)),
    ];
    for (id, what) in btf.find_many(&queries).into_iter().zip([symbols, options]) {
        let Some(id) = id else { continue };
        if let Type::Datasec(section) = btf.type_by_id(id)? {
            what(object, btf, &section, edit.builder()?)?;
        }
    }
    Ok(())
}

/// `.ksyms`: each symbol is a number of four bytes; functions, which no section may have, are
/// replaced by one such variable.
fn symbols(
    _object: &Object,
    btf: &Btf<'static>,
    section: &Datasec<'_>,
    builder: &mut Builder<'_>,
) -> Result<(), BtfError> {
    let int = btf.types().find_map(|(id, ty)| match ty {
        Type::Int(int) if int.bits() == 32 => Some(id),
        _ => None,
    });
    let int = match int {
        Some(int) => int,
        None => builder.add_int(b"int", 4, encoding::SIGNED),
    };
    let has_functions = section
        .vars()
        .any(|var| btf.kind_of(var.type_id) == Ok(Kind::Func));
    let dummy = has_functions.then(|| builder.add_var(DUMMY, GLOBAL, int));
    let name = builder.string(DUMMY);
    let mut words = Vec::new();
    let mut offset = 0u32;
    for var in section.vars() {
        let id = match (btf.type_by_id(var.type_id)?, dummy) {
            (Type::Func(func), Some(dummy)) => {
                if let Some(mut record) = builder.record_mut(var.type_id) {
                    record.set_kind(Kind::Func, false, GLOBAL);
                }
                if let Some(mut record) = builder.record_mut(func.proto())
                    && record.kind() == Kind::FuncProto
                {
                    let (params, _) = record.rest_mut().as_chunks_mut::<2>();
                    for [param, type_id] in params {
                        if *param == 0 && *type_id != 0 {
                            *param = name.0;
                        }
                    }
                }
                dummy
            }
            (Type::Var(_), _) => {
                if let Some(mut record) = builder.record_mut(var.type_id) {
                    record.set_size_or_type(int.0);
                    if let Some(linkage) = record.rest_mut().first_mut() {
                        *linkage = GLOBAL;
                    }
                }
                var.type_id
            }
            _ => var.type_id,
        };
        words.extend([id.0, offset, SYMBOL]);
        offset = offset.wrapping_add(SYMBOL);
    }
    put(builder, section.id(), &words, offset);
    Ok(())
}

/// `.kconfig`: options are where the loader puts them.
fn options(
    object: &Object,
    btf: &Btf<'static>,
    section: &Datasec<'_>,
    builder: &mut Builder<'_>,
) -> Result<(), BtfError> {
    let mut places: HashMap<&[u8], (u32, u32)> = HashMap::new();
    let mut end = 0;
    for extern_ in &object.externs {
        if let ExternKind::Kconfig { size, offset, .. } = extern_.kind {
            places.insert(extern_.name.as_bytes(), (offset, size));
            end = end.max(offset.saturating_add(size));
        }
    }
    let mut vars: Vec<[u32; 3]> = Vec::new();
    for var in section.vars() {
        let ty = btf.type_by_id(var.type_id)?;
        // what no code refers to has no place, and is not in the map
        let place = places.get(ty.name()).copied();
        vars.push(match place {
            Some((offset, size)) => [var.type_id.0, offset, size],
            None => [var.type_id.0, end, var.size],
        });
        if let Type::Var(_) = ty
            && let Some(mut record) = builder.record_mut(var.type_id)
            && let Some(linkage) = record.rest_mut().first_mut()
        {
            *linkage = GLOBAL;
        }
    }
    vars.sort_by_key(|[_, offset, _]| *offset);
    let words: Vec<u32> = vars.into_iter().flatten().collect();
    put(builder, section.id(), &words, end);
    Ok(())
}

fn put(builder: &mut Builder<'_>, section: TypeId, words: &[u32], size: u32) {
    if let Some(mut record) = builder.record_mut(section) {
        record.set_size_or_type(size);
        for (to, from) in record.rest_mut().iter_mut().zip(words) {
            *to = *from;
        }
    }
}
