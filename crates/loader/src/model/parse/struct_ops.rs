//! Variables that are values of types of the kernel: one map each.

use super::ModelError;
use super::data::map;
use super::map_defs::{Maps, kernel_name};
use super::sections::Role;
use super::source::{Log, Source, shown};
use super::types::{datasec, kind_text};
use crate::model::{MapOrigin, StructOps};
use bpfsys::MapType;
use bpfsys::uapi::flags::MapFlags;
use btf::types::{Composite, VarInfo};
use btf::{Btf, Type, TypeId};

/// The maps of sections `.struct_ops`, `.struct_ops.link` and those with `?`.
pub(super) fn collect(
    source: &Source<'_>,
    btf: Option<&Btf<'_>>,
    maps: &mut Maps,
    log: &mut Log,
) -> Result<(), ModelError> {
    for section in source.with_role(Role::StructOps) {
        let btf = btf.ok_or_else(|| source.needs_btf(section))?;
        let data = section.data()?;
        let (_, vars) = datasec(btf, section.name).ok_or_else(|| ModelError::NoDatasec {
            section: section.text(),
        })?;
        let mut end = 0u64;
        for var in vars.vars() {
            let name = btf.type_by_id(var.type_id).map(|ty| ty.name());
            let name = name.unwrap_or_default();
            let wrong = |why| ModelError::StructOps {
                section: section.text(),
                variable: shown(name),
                why,
            };
            let symbol = log.own(name)?;
            let (type_id, body) = body(btf, var).map_err(wrong)?;
            let value = usize::try_from(var.offset)
                .ok()
                .zip(usize::try_from(body.size()).ok())
                .and_then(|(start, size)| data.get(start..)?.get(..size));
            let value = value.ok_or_else(|| {
                wrong(format!(
                    "{} bytes at offset {} are not in the section of {}",
                    body.size(),
                    var.offset,
                    section.size
                ))
            })?;
            if u64::from(var.offset) < end {
                return Err(wrong("it overlaps with the variable in front".to_owned()));
            }
            end = u64::from(var.offset) + u64::from(body.size());
            let is_off = section.name.starts_with(b"?");
            let link = section.name.ends_with(b".link");
            let origin = MapOrigin::StructOps(StructOps {
                type_name: log.own(body.name().or_empty())?,
                type_id,
                progs: Vec::new(),
                link,
            });
            let mut new = map(origin, kernel_name(&symbol), &symbol);
            new.spec.map_type = MapType::STRUCT_OPS;
            new.spec.value_size = body.size();
            new.spec.value_type = type_id;
            log.take(value.len())?;
            new.data = value.to_vec();
            new.autocreate = !is_off;
            if link {
                new.spec.flags = MapFlags::LINK;
            }
            maps.push_at(section.index, var.offset.into(), new);
        }
    }
    Ok(())
}

/// The struct that a variable is.
fn body<'b>(btf: &'b Btf<'_>, var: VarInfo<'_>) -> Result<(TypeId, Composite<'b>), String> {
    let id = match btf.type_by_id(var.type_id) {
        Ok(Type::Var(var)) => var.type_id(),
        _ => var.type_id,
    };
    match btf.resolve(id).map_err(|error| error.to_string())? {
        (_, Type::Struct(body)) if body.name().is_empty() => Err("its type has no name".to_owned()),
        (id, Type::Struct(body)) => Ok((id, body)),
        (id, _) => Err(format!("its type is {}, not a struct", kind_text(btf, id))),
    }
}
