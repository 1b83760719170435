//! Two blobs, a path and a kind: an answer or an error, which agree with each other and come in
//! bounded time.

use btf::core_reloc::{CoreRelo, Insn, Module, Patched, RelocKind, Resize, Resolver, patch, spell};
use btf::min_btf::MinBtf;
use btf::{Btf, Endian, TypeId};

/// Kind, root, offset of the path, where the second blob starts; then the blobs.
pub(crate) fn run(data: &[u8]) {
    let Some(([kind, root, path, path2, cut, cut2, code], rest)) = data.split_first_chunk::<7>()
    else {
        return;
    };
    let cut = usize::from(u16::from_le_bytes([*cut, *cut2]));
    let (local, target) = match rest.split_at_checked(cut) {
        Some((_, [])) | None => (rest, rest),
        Some(both) => both,
    };
    let (Ok(local), Ok(target)) = (Btf::parse(local), Btf::parse(target)) else {
        return;
    };
    let first = CoreRelo {
        insn_off: 0,
        type_id: TypeId(u32::from(*root)),
        access_str_off: u32::from(u16::from_le_bytes([*path, *path2])),
        kind: RelocKind::from_raw(u32::from(*kind) % 14),
    };
    // several questions share what is known of a type
    let relos = [0, 1, 2].map(|by| CoreRelo {
        kind: RelocKind::from_raw((first.kind.raw() + by) % 14),
        ..first
    });
    let modules = || {
        let (name, btf) = ("local", &local);
        vec![Module { name, btf }]
    };
    let mut resolver = Resolver::new(&local, &target).modules(modules);
    let alone: Vec<_> = relos.iter().map(|relo| resolver.resolve(relo)).collect();
    for (relo, answer) in relos.iter().zip(&alone) {
        let text = resolver.describe(relo);
        assert!(!text.contains(char::is_control) && text.len() < 1 << 20);
        let fixup = match answer {
            Ok(fixup) => fixup,
            Err(error) => {
                assert!(!error.to_string().contains(char::is_control));
                continue;
            }
        };
        assert!(!fixup.poison || fixup.target == 0);
        assert!(
            fixup.candidate.is_some() || fixup.target == 0 || relo.kind == RelocKind::TypeIdLocal
        );
        let why = resolver.explain(relo, fixup);
        let missing = fixup.candidate.is_none() && relo.kind != RelocKind::TypeIdLocal;
        assert!(why.is_some() || !missing && !fixup.poison);
        for endian in [Endian::Little, Endian::Big] {
            let old = fixup.local.to_le_bytes();
            let [a, b, c, d, ..] = old;
            let insn = Insn {
                code: *code,
                dst: 1,
                src: 0,
                off: i16::from_le_bytes([a, b]),
                imm: i32::from_le_bytes([a, b, c, d]),
            };
            let before = [insn.encode(endian), [0; 8]];
            let mut insns = before;
            match patch(&mut insns, 0, endian, fixup) {
                Err(_) => assert_eq!(insns, before),
                Ok(Patched::Poisoned { .. }) => {
                    let wrong = fixup.memory.is_some_and(|m| m.resize == Resize::Unsafe);
                    assert!(fixup.poison || wrong);
                }
                Ok(_) => assert!(!fixup.poison),
            }
        }
    }
    assert_eq!(
        Resolver::new(&local, &target)
            .modules(modules)
            .resolve_all(relos),
        alone
    );
    for id in target.ids().take(8) {
        assert!(!spell(&target, id).is_empty());
    }
    smallest(&local, &target, &relos);
}

/// The same answers come from the least of the target that gives them.
fn smallest(local: &Btf<'_>, target: &Btf<'_>, relos: &[CoreRelo]) {
    let mut min = MinBtf::new(target);
    if min.record(local, relos.iter().copied()).is_err() {
        return;
    }
    let Ok(blob) = min.finish() else { return };
    let small = Btf::parse(&blob).expect("own bytes");
    let answers = |target| -> Vec<_> {
        Resolver::new(local, target)
            .resolve_all(relos.iter().copied())
            .into_iter()
            .map(|answer| {
                let fixup = answer.expect("it was recorded");
                let value = match fixup.kind {
                    RelocKind::TypeIdTarget => fixup.target.min(1),
                    _ => fixup.target,
                };
                let sizes = fixup.memory.map(|m| (m.target.size, m.resize));
                (value, fixup.poison, sizes)
            })
            .collect()
    };
    assert_eq!(answers(&small), answers(target));
}
