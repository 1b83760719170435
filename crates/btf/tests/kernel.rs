//! The BTF of the running kernel, where there is one.

use std::collections::HashMap;

use btf::build::Builder;
use btf::{Btf, Kind, Type};

const PATH: &str = "/sys/kernel/btf/vmlinux";

/// The kernel's blob; says so when there is none.
fn kernel(test: &str) -> Option<Vec<u8>> {
    match std::fs::read(PATH) {
        Ok(data) => Some(data),
        Err(error) => {
            #[expect(clippy::print_stdout, reason = "a skip is told")]
            {
                println!("SKIP {test}: {PATH}: {error}");
            }
            None
        }
    }
}

#[test]
fn names_are_found_as_a_plain_loop_finds_them() {
    let Some(data) = kernel("names_are_found_as_a_plain_loop_finds_them") else {
        return;
    };
    let btf = Btf::parse(&data).unwrap();
    let mut first: HashMap<(&[u8], Kind), u32> = HashMap::new();
    for (id, ty) in btf.types().filter(|(_, ty)| !ty.name().is_empty()) {
        first.entry((ty.name(), ty.kind())).or_insert(id.get());
    }
    assert!(first.len() > 1000, "a kernel has types");
    for ((name, kind), id) in &first {
        let found = btf.find_by_name_kind(name, *kind).map(u32::from);
        assert_eq!(found, Some(*id), "{}", btf::escape(name));
    }
    let some: Vec<_> = first
        .keys()
        .take(500)
        .map(|(name, kind)| (*name, Some(*kind)))
        .collect();
    let many = Btf::parse(&data).unwrap().find_many(&some);
    for ((name, kind), id) in some.iter().zip(many) {
        assert_eq!(
            id.map(u32::from),
            first.get(&(*name, kind.unwrap())).copied()
        );
    }
}

#[test]
fn members_lie_inside_their_structs() {
    let Some(data) = kernel("members_lie_inside_their_structs") else {
        return;
    };
    let btf = Btf::parse(&data).unwrap();
    let mut members = 0;
    for (id, ty) in btf.types() {
        let (Type::Struct(t) | Type::Union(t)) = ty else {
            continue;
        };
        for member in btf.flatten(id).unwrap() {
            members += 1;
            let bits = match member.bitfield_size {
                0 => btf.size_of(member.type_id).unwrap() * 8,
                width => u64::from(width),
            };
            let end = member.bit_offset + bits;
            assert!(end <= u64::from(t.size()) * 8, "{id}: {}", member.name);
        }
        let align = btf.align_of(id).unwrap();
        assert_eq!(t.size() % align, 0, "{id}");
    }
    assert!(members > 1000);
}

/// All types of the kernel on a few bytes: the walk ends, within bounds.
#[test]
fn values_of_every_type_are_bounded() {
    let Some(data) = kernel("values_of_every_type_are_bounded") else {
        return;
    };
    let btf = Btf::parse(&data).unwrap();
    let bytes = [0xa5; 64];
    for id in btf.ids() {
        assert!(
            btf::value::decode(&btf, id, &bytes).nodes() <= 2048 + 17 * 64,
            "{id}"
        );
    }
}

/// Read and written: the same bytes; nothing is there twice, and once sorted it stays so.
#[test]
fn the_kernel_is_written_as_it_was_read() {
    let Some(data) = kernel("the_kernel_is_written_as_it_was_read") else {
        return;
    };
    let btf = Btf::parse(&data).unwrap();
    let mut b = Builder::from_btf(&btf).unwrap();
    assert!(b.clone().finish().unwrap() == data);
    b.append(&btf).unwrap();
    let places = btf
        .types()
        .filter(|(_, ty)| matches!(ty.kind(), Kind::Var | Kind::Datasec))
        .count();
    b.dedup().unwrap();
    assert!(b.len() <= btf.ids().len() + places);
    let once = b.clone().finish().unwrap();
    assert_eq!(b.dedup().unwrap().removed(), 0);
    assert!(b.clone().finish().unwrap() == once);
    b.sort_by_name().unwrap();
    let sorted = b.clone().finish().unwrap();
    b.sort_by_name().unwrap();
    assert!(b.finish().unwrap() == sorted);
    let sorted = Btf::parse(sorted).unwrap();
    assert!(sorted.types().map(|(_, ty)| ty.name()).is_sorted());
}
