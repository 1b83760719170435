//! The BTF of the running kernel, where there is one.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::HashMap;
use std::sync::Arc;

use btf::build::Builder;
use btf::core_reloc::{CoreError, CoreRelo, Fixup, RelocKind, Resize, Resolver, essential_name};
use btf::min_btf::MinBtf;
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

/// A blob of no types and some strings, split from the kernel's; the offset of each string.
fn strings_on(base: &[u8], strings: &[String]) -> (Vec<u8>, Vec<u32>) {
    let word = |at: usize| u32::from_ne_bytes(base[at..at + 4].try_into().unwrap());
    let mut next = word(20);
    let mut section = Vec::new();
    let mut offsets = Vec::new();
    for string in strings {
        offsets.push(next);
        section.extend(string.as_bytes());
        section.push(0);
        next += u32::try_from(string.len()).unwrap() + 1;
    }
    let mut blob = base[..4].to_vec();
    for word in [24, 0, 0, 0, u32::try_from(section.len()).unwrap()] {
        blob.extend(word.to_ne_bytes());
    }
    blob.extend(section);
    (blob, offsets)
}

/// Paths of up to four steps below a type.
fn paths(btf: &Btf<'_>, id: btf::TypeId, path: &mut Vec<u32>, out: &mut Vec<Vec<u32>>) {
    if path.len() > 4 || out.len() >= 60 {
        return;
    }
    match btf.resolve(id).unwrap().1 {
        Type::Struct(t) | Type::Union(t) => {
            for (index, member) in (0..).zip(t.members()) {
                path.push(index);
                // bit fields of no name are no member of anything
                if !member.name.is_empty() {
                    out.push(path.clone());
                }
                paths(btf, member.type_id, path, out);
                path.pop();
            }
        }
        Type::Array(array) if !array.is_empty() => {
            path.push(array.len() - 1);
            out.push(path.clone());
            paths(btf, array.elem_type(), path, out);
            path.pop();
        }
        _ => {}
    }
}

#[test]
fn relocating_a_kernel_for_itself_changes_nothing() {
    let Some(data) = kernel("relocating_a_kernel_for_itself_changes_nothing") else {
        return;
    };
    let base = Arc::new(Btf::parse(&data).unwrap());
    let mut names: HashMap<(&[u8], Kind), u32> = HashMap::new();
    for (_, ty) in base.types() {
        *names
            .entry((essential_name(ty.name()), ty.kind()))
            .or_default() += 1;
    }
    let mut places = Vec::new();
    for (id, ty) in base.types() {
        let unique = names.get(&(essential_name(ty.name()), ty.kind())) == Some(&1);
        if unique && !ty.name().is_empty() && matches!(ty, Type::Struct(_) | Type::Union(_)) {
            let mut found = Vec::new();
            paths(&base, id, &mut vec![0], &mut found);
            places.extend(found.into_iter().map(|path| (id, path)));
        }
    }
    let step = places.len() / 20_000 + 1;
    let places: Vec<_> = places.into_iter().step_by(step).collect();
    assert!(places.len() > 5000, "a kernel has members");
    let text = |path: &[u32]| {
        let numbers: Vec<String> = path.iter().map(u32::to_string).collect();
        numbers.join(":")
    };
    let strings: Vec<String> = places.iter().map(|(_, path)| text(path)).collect();
    let (local, offsets) = strings_on(&data, &strings);
    let local = Btf::parse_split(local, base.clone()).unwrap();
    let mut resolver = Resolver::new(&local, &base);
    let relos = |kind| {
        places
            .iter()
            .zip(&offsets)
            .map(move |((id, _), access_str_off)| CoreRelo {
                insn_off: 0,
                type_id: *id,
                access_str_off: *access_str_off,
                kind,
            })
    };
    resolver.prepare(relos(RelocKind::FieldExists));
    let mut answered = 0;
    for kind in RelocKind::ALL.into_iter().filter(|kind| kind.is_field()) {
        for relo in relos(kind) {
            let fixup = match resolver.resolve(&relo) {
                Ok(fixup) => fixup,
                // elements have no sign
                Err(CoreError::ArrayElement { .. }) => continue,
                Err(error) => panic!("{}: {error}", resolver.describe(&relo)),
            };
            let what = resolver.describe(&relo);
            let shift = matches!(kind, RelocKind::FieldLshiftU64 | RelocKind::FieldRshiftU64);
            if shift && fixup.poison {
                // no register holds what is above 8 bytes
                continue;
            }
            assert!(!fixup.poison && fixup.candidates == 1, "{what}");
            assert_eq!(fixup.local, fixup.target, "{what}");
            assert!(
                fixup.memory.is_none_or(|m| m.resize == Resize::Same),
                "{what}"
            );
            answered += 1;
        }
    }
    assert!(answered > 4 * places.len(), "most have an answer");
}

#[test]
fn a_small_part_of_a_kernel_gives_the_same_answers() {
    let Some(data) = kernel("a_small_part_of_a_kernel_gives_the_same_answers") else {
        return;
    };
    let base = Arc::new(Btf::parse(&data).unwrap());
    let composite = |ty: &Type<'_>| matches!(ty, Type::Struct(_) | Type::Union(_));
    let roots: Vec<_> = base
        .types()
        .filter(|(_, ty)| composite(ty) && !ty.name().is_empty())
        .map(|(id, _)| id)
        .collect();
    let mut places = Vec::new();
    for root in roots.iter().step_by(roots.len() / 300 + 1) {
        let mut found = Vec::new();
        paths(&base, *root, &mut vec![0], &mut found);
        places.extend(found.into_iter().step_by(7).map(|path| (*root, path)));
    }
    let mut strings: Vec<String> = vec!["0".into()];
    for (_, path) in &places {
        let numbers: Vec<String> = path.iter().map(u32::to_string).collect();
        strings.push(numbers.join(":"));
    }
    let (local, offsets) = strings_on(&data, &strings);
    let local = Btf::parse_split(local, base.clone()).unwrap();
    let relo = |type_id, access_str_off, kind| CoreRelo {
        insn_off: 0,
        type_id,
        access_str_off,
        kind,
    };
    let mut relos = Vec::new();
    for ((id, _), offset) in places.iter().zip(&offsets[1..]) {
        let kinds = [
            RelocKind::FieldByteOffset,
            RelocKind::FieldByteSize,
            RelocKind::FieldExists,
        ];
        relos.extend(kinds.map(|kind| relo(*id, *offset, kind)));
    }
    for id in roots.iter().step_by(roots.len() / 200 + 1) {
        let kinds = [
            RelocKind::TypeExists,
            RelocKind::TypeSize,
            RelocKind::TypeMatches,
        ];
        relos.extend(kinds.map(|kind| relo(*id, offsets[0], kind)));
    }
    for (id, ty) in base.types() {
        if matches!(ty, Type::Enum(_)) && !ty.name().is_empty() && id.get() % 16 == 0 {
            relos.push(relo(id, offsets[0], RelocKind::EnumvalValue));
        }
    }
    // types of one name at several places have no answer
    let mut resolver = Resolver::new(&local, &base);
    resolver.prepare(relos.iter().copied());
    relos.retain(|relo| resolver.resolve(relo).is_ok());
    assert!(relos.len() > 1000, "most have an answer");
    let mut min = MinBtf::new(&base);
    min.record(&local, relos.iter().copied()).unwrap();
    let blob = min.finish().unwrap();
    assert!(blob.len() < data.len() / 4, "{} bytes", blob.len());
    let small = Btf::parse(&blob).unwrap();
    let answers = |target| {
        let plain = |fixup: Result<Fixup, _>| {
            let fixup: Fixup = fixup.unwrap();
            let sizes = fixup.memory.map(|m| (m.target.size, m.resize));
            (fixup.target, fixup.poison, sizes)
        };
        let fixups = Resolver::new(&local, target).resolve_all(relos.iter().copied());
        fixups.into_iter().map(plain).collect::<Vec<_>>()
    };
    assert_eq!(answers(&small), answers(&base));
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
