//! `struct_ops dump`: what the kernel says about each map, and its value with the names of the
//! programs in it.

use std::cell::RefCell;
use std::io::Write;

use bpfsys::cmd::MapLookupElem;
use bpfsys::uapi::flags::MapFlags;
use bpfsys::{ProgFd, ProgId};
use btf::{Btf, Type, TypeId};
use zerocopy::IntoBytes;

use super::gather::{StructOpsMap, types};
use super::selection;
use crate::command::Context;
use crate::failure::{Failure, Result};
use crate::kernel_btf;
use crate::names::ProgNames;
use crate::nouns::map::types::MapTypes;
use crate::render::escape::{Escaped, Text};
use crate::render::tree::{Style, Tree};
use crate::words::Words;
use crate::xlated::proto;

/// `struct_ops dump [STRUCT_OPS_MAP]`
pub(super) fn run(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    let maps = selection(&mut words)?.open(MapFlags::RDONLY)?;
    let style = context.value_style();
    let parts = maps
        .iter()
        .map(|map| parts(map, style))
        .collect::<Result<Vec<_>>>()?;
    Tree::Seq(parts.into_iter().flatten().collect()).write(context.output.json())?;
    if !context.output.is_json() {
        context.output.text().write_all(b"\n")?;
    }
    Ok(())
}

/// The two objects that stand for a map.
fn parts(map: &StructOpsMap, style: Style) -> Result<[Tree; 2]> {
    let types = types(&map.info)?;
    let named = |name: &[u8], value| Tree::Map(vec![(Text::from(name), value)]);
    Ok([
        named(b"bpf_map_info", information(map, style)?),
        named(&types.value_name(), value(map, &types, style)?),
    ])
}

/// The kernel's own structure, spelled by the kernel's types: newer members than ours, if any,
/// are zero.
fn information(map: &StructOpsMap, style: Style) -> Result<Tree> {
    let kernel = kernel_btf::vmlinux()?;
    let Some(id) = kernel.find_by_name_kind(b"bpf_map_info", btf::Kind::Struct) else {
        return Err(Failure::new("can't find bpf_map_info in the kernel's BTF"));
    };
    let size = kernel
        .size_of(id)
        .ok()
        .and_then(|size| usize::try_from(size).ok())
        .unwrap_or(0);
    let mut bytes = map.info.as_bytes().to_vec();
    bytes.resize(size, 0);
    Ok(Tree::new(&btf::value::decode(&kernel, id, &bytes), style))
}

fn value(map: &StructOpsMap, types: &MapTypes, style: Style) -> Result<Tree> {
    let mut bytes = vec![0; usize::try_from(map.info.value_size).unwrap_or(usize::MAX)];
    MapLookupElem::new(&map.fd, &0_u32.to_ne_bytes())
        .run(&mut bytes)
        .map_err(|error| {
            let (name, id) = (Escaped(map.info.name()), map.info.id);
            let what = format_args!("can't lookup struct_ops map {name} id {id}");
            Failure::because(what, error)
        })?;
    let (btf, id) = types.value();
    let names = RefCell::new(ProgNames::default());
    let spell = |pointer, pointee| function(btf, &names, pointer, pointee);
    let value = btf::value::decode(btf, id, &bytes);
    Ok(Tree::with_pointers(&value, style, &spell))
}

/// A pointer to a function: the kernel puts the id of the program there. `None` for any other.
fn function(
    btf: &Btf<'_>,
    names: &RefCell<ProgNames>,
    pointer: u64,
    pointee: TypeId,
) -> Option<Text> {
    let id = u32::try_from(pointer).ok()?;
    let (proto, Type::FuncProto(_)) = btf.resolve(pointee).ok()? else {
        return None;
    };
    let mut text = proto::of_type(btf, proto)?.0;
    let Some(id) = ProgId::new(id) else {
        text.extend_from_slice(b" 0");
        return Some(Text(text));
    };
    text.push(b' ');
    match name(&mut names.borrow_mut(), id) {
        Some(name) => text.extend_from_slice(&name),
        None => text.extend_from_slice(b"<unknown_prog_name>"),
    }
    text.extend_from_slice(format!("/prog_id:{id}").as_bytes());
    Some(Text(text))
}

fn name(names: &mut ProgNames, id: ProgId) -> Option<Vec<u8>> {
    let prog = ProgFd::by_id(id).ok()?;
    let info = prog.info().ok()?;
    Some(names.full_name(&prog, &info)).filter(|name| !name.is_empty())
}
