//! A program relocated for the types it was compiled against stays as it is.

use proptest::prelude::*;

use super::*;

/// A member: what it is made of, and whether it has a name.
#[derive(Clone, Debug)]
enum Part {
    Int(u32),
    Bits(u32),
    Array(u32, u32),
    Nested(Vec<(Self, bool)>, bool),
}

fn parts() -> impl Strategy<Value = Vec<(Part, bool)>> {
    let leaf = prop_oneof![
        (INT..=BOOL).prop_map(Part::Int),
        (1u32..=32).prop_map(Part::Bits),
        (INT..=BOOL, 1u32..5).prop_map(|(ty, len)| Part::Array(ty, len)),
    ];
    let part = leaf.prop_recursive(4, 24, 6, |inner| {
        (
            prop::collection::vec((inner, any::<bool>()), 1..6),
            any::<bool>(),
        )
            .prop_map(|(parts, union)| Part::Nested(parts, union))
    });
    prop::collection::vec((part, any::<bool>()), 1..8)
}

/// Adds types, with names that do not depend on ids.
struct Adder<'b> {
    blob: &'b mut Blob,
    next: u32,
    names: u32,
}

impl Adder<'_> {
    /// Adds a struct of the parts; its id, bytes, and the paths to what has a name in it.
    fn add(
        &mut self,
        name: &str,
        parts: &[(Part, bool)],
        union: bool,
    ) -> (u32, u32, Vec<Vec<u32>>) {
        const BYTES: [u32; 9] = [0, 4, 4, 8, 1, 8, 8, 2, 1];
        let (mut members, mut paths, mut at, mut size) = (Vec::new(), Vec::new(), 0u32, 0u32);
        for (index, (part, named)) in (0u32..).zip(parts) {
            let (ty, bits, align, width, inner) = match part {
                Part::Int(ty) => {
                    let bits = BYTES[*ty as usize] * 8;
                    (*ty, bits, bits, 0, Vec::new())
                }
                Part::Bits(bits) => (UINT, *bits, 1, *bits, Vec::new()),
                Part::Array(ty, len) => {
                    self.blob.array(*ty, *len);
                    self.next += 1;
                    let bits = BYTES[*ty as usize] * 8;
                    let inner = (0..*len).map(|at| vec![at]).collect();
                    (self.next - 1, bits * len, bits, 0, inner)
                }
                Part::Nested(parts, union) => {
                    let (id, size, inner) = self.add("", parts, *union);
                    (id, size * 8, 64, 0, inner)
                }
            };
            let named = *named || !matches!(part, Part::Nested(..));
            let mut start = if union { 0 } else { at.next_multiple_of(align) };
            // a bit field stays inside of its word
            if width > 0 && start % 32 + width > 32 {
                start = start.next_multiple_of(32);
            }
            if named {
                paths.push(vec![index]);
            }
            paths.extend(inner.into_iter().map(|mut path| {
                path.insert(0, index);
                path
            }));
            self.names += 1;
            let name = if named {
                format!("m{}", self.names)
            } else {
                String::new()
            };
            members.push((name, ty, width << 24 | start));
            at = start + bits;
            size = size.max(at);
        }
        let bytes = size.div_ceil(64) * 8;
        let members: Vec<_> = members
            .iter()
            .map(|(n, t, o)| (n.as_str(), *t, *o))
            .collect();
        let kind = if union { UNION } else { STRUCT };
        self.blob.composite(kind | FLAG, name, bytes, &members);
        self.next += 1;
        (self.next - 1, bytes, paths)
    }
}

/// A root type; its id and paths. `by` types in front of it.
fn root(blob: &mut Blob, by: u32, parts: &[(Part, bool)]) -> (u32, Vec<Vec<u32>>) {
    for _ in 0..by {
        blob.composite(STRUCT, "other", 8, &[("x", INT, 0)]);
    }
    let next = FIRST + by;
    let names = 0;
    let (id, _, paths) = Adder { blob, next, names }.add("root", parts, false);
    (id, paths)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn the_same_types_change_nothing(parts in parts(), big in any::<bool>(), by in 0u32..3) {
        let endian = if big { Endian::Big } else { Endian::Little };
        let mut local = ints(endian);
        let (id, paths) = root(&mut local, 0, &parts);
        let type_id = TypeId(id);
        let mut relos = Vec::new();
        for path in paths {
            let text: Vec<String> = core::iter::once(0).chain(path).map(|n| n.to_string()).collect();
            let access_str_off = local.str(text.join(":").as_bytes());
            for kind in RelocKind::ALL.into_iter().filter(|kind| kind.is_field()) {
                relos.push(CoreRelo { insn_off: 0, type_id, access_str_off, kind });
            }
        }
        let access_str_off = local.str(b"0");
        for kind in RelocKind::ALL.into_iter().filter(|kind| kind.is_type()) {
            relos.push(CoreRelo { insn_off: 0, type_id, access_str_off, kind });
        }
        // the same types under other ids
        let mut target = ints(endian);
        root(&mut target, by, &parts);
        let (local, target) = (local.build(), target.build());
        let (local, target) = (Btf::parse(&local).unwrap(), Btf::parse(&target).unwrap());
        let mut resolver = Resolver::new(&local, &target);
        for relo in relos {
            let fixup = match resolver.resolve(&relo) {
                Ok(fixup) => fixup,
                Err(CoreError::ArrayElement { .. }) => continue,
                Err(error) => panic!("{}: {error}", resolver.describe(&relo)),
            };
            let shift = matches!(relo.kind, RelocKind::FieldLshiftU64 | RelocKind::FieldRshiftU64);
            if fixup.poison && shift {
                // structs and arrays above 8 bytes
                continue;
            }
            prop_assert!(!fixup.poison, "{}", resolver.describe(&relo));
            let moved = if relo.kind == RelocKind::TypeIdTarget { u64::from(by) } else { 0 };
            prop_assert_eq!(fixup.local + moved, fixup.target, "{}", resolver.describe(&relo));
            prop_assert!(fixup.memory.is_none_or(|m| m.resize == Resize::Same));
            prop_assert_eq!(resolver.explain(&relo, &fixup), None);
        }
    }
}
