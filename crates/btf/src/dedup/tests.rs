use std::collections::HashMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::build::Member;
use crate::build::tests::{Step, built_zoo, run, steps, text};
use crate::testing::{Blob, zoo};
use crate::{Btf, Endian, Kind, TypeId, encoding};

fn finished(b: &Builder<'_>) -> Btf<'static> {
    Btf::parse(b.clone().finish().unwrap()).unwrap()
}

/// The own types of each kind and name.
fn count(b: &Builder<'_>, kind: Kind, name: &[u8]) -> usize {
    let btf = finished(b);
    let types = btf.types();
    types
        .filter(|(_, ty)| ty.kind() == kind && ty.name() == name)
        .count()
}

/// struct NAME { struct POINTEE *p; }, with the pointer, of which the id is given.
fn holder(b: &mut Builder<'_>, name: &[u8], pointee: TypeId) -> TypeId {
    let pointer = b.add_ptr(pointee);
    b.add_struct(name, 8, &[Member::new(b"p", pointer, 0)])
}

fn of_size(b: &mut Builder<'_>, name: &[u8], size: u32) -> TypeId {
    let int = b.add_int(b"int", 4, encoding::SIGNED);
    b.add_struct(name, size, &[Member::new(b"x", int, 0)])
}

#[test]
fn everything_twice_leaves_all_but_variables_and_sections() {
    let other = Btf::parse(zoo(Endian::Big).build()).unwrap();
    let mut b = built_zoo(Endian::Little);
    let single = finished(&b);
    let second = b.append(&other).unwrap();
    let map = b.dedup().unwrap();
    assert_eq!(map.removed(), 27);
    assert_eq!(b.len(), 31);
    for (id, ty) in single.types() {
        assert_eq!(map.map(id), id);
        let twin = map.map(second.map(id));
        let place = matches!(ty.kind(), Kind::Var | Kind::Datasec);
        assert_eq!(twin == id, !place, "{id}");
    }
    assert_eq!(map.map(TypeId::VOID), TypeId::VOID);
    let blob = b.clone().finish().unwrap();
    assert_eq!(b.dedup().unwrap().removed(), 0);
    assert_eq!(b.finish().unwrap(), blob);
}

#[test]
fn what_differs_in_anything_stays() {
    let mut b = Builder::new(Endian::Little);
    let int = b.add_int(b"int", 4, encoding::SIGNED);
    let before = b.len();
    b.add_int(b"int", 4, 0);
    b.add_int(b"int", 8, encoding::SIGNED);
    b.add_int_bits(b"int", 4, encoding::SIGNED, 1, 31);
    b.add_float(b"int", 4);
    b.add_ptr(0);
    b.add_ptr(int);
    b.add_const(int);
    b.add_volatile(int);
    b.add_restrict(int);
    b.add_array(int, int, 2);
    b.add_array(int, int, 3);
    b.add_array(int, 2, 3);
    b.add_array(2, int, 3);
    b.add_typedef(b"t", int);
    b.add_typedef(b"t", 2);
    b.add_typedef(b"u", int);
    b.add_type_tag(b"t", int);
    b.add_type_attr(b"t", int);
    b.add_decl_tag(b"t", int, -1);
    b.add_decl_tag(b"t", int, 0);
    b.add_decl_attr(b"t", int, 0);
    b.add_func_proto(int, &[]);
    b.add_func_proto(0, &[]);
    b.add_func_proto(0, &[(b"a", int)]);
    b.add_func_proto(0, &[(b"b", int)]);
    let proto = b.add_func_proto(0, &[(b"b", TypeId(2))]);
    b.add_func(b"f", 0, proto);
    b.add_func(b"f", 1, proto);
    b.add_enum(b"e", 4, false, &[(b"A", 1)]);
    b.add_enum(b"e", 4, true, &[(b"A", 1)]);
    b.add_enum(b"e", 4, false, &[(b"A", 2)]);
    b.add_enum64(b"e", 8, false, &[(b"A", 1)]);
    b.add_enum64(b"e", 8, false, &[(b"A", 1 << 32 | 1)]);
    let member = |name, id: u32, bit, bitfield_size| Member {
        bitfield_size,
        ..Member::new(name, TypeId(id), bit)
    };
    b.add_struct(b"s", 4, &[member(b"m", 1, 0, 0)]);
    b.add_union(b"s", 4, &[member(b"m", 1, 0, 0)]);
    b.add_struct(b"s", 8, &[member(b"m", 1, 0, 0)]);
    b.add_struct(b"s", 4, &[member(b"m", 1, 0, 4)]);
    b.add_struct(b"s", 4, &[member(b"m", 1, 1, 0)]);
    b.add_struct(b"s", 4, &[member(b"n", 1, 0, 0)]);
    b.add_struct(b"s", 4, &[member(b"m", 2, 0, 0)]);
    b.add_struct(b"s", 4, &[]);
    b.add_fwd(b"s2", false);
    b.add_fwd(b"s2", true);
    assert!(b.len() > before);
    assert_eq!(b.dedup().unwrap().removed(), 0);
}

/// Lists of one shape are one, also where it is written out twice.
#[test]
fn cycles_are_the_same_when_they_say_the_same() {
    let mut b = Builder::new(Endian::Little);
    for length in [1, 2, 3] {
        let first = b.next_id();
        for at in 0..length {
            let next = first + 2 * ((at + 1) % length);
            holder(&mut b, b"node", TypeId(next + 1));
        }
    }
    assert_eq!(b.len(), 12);
    b.dedup().unwrap();
    assert_eq!(b.len(), 2);

    // without any name
    let mut b = Builder::new(Endian::Little);
    for length in [1, 2, 5] {
        let first = b.next_id();
        for at in 0..length {
            b.add_ptr(first + (at + 1) % length);
        }
    }
    let into = b.add_const(3);
    let other = b.add_const(5);
    let map = b.dedup().unwrap();
    assert_eq!((b.len(), map.map(into)), (2, map.map(other)));
}

#[test]
fn a_difference_far_away_is_seen() {
    let mut b = Builder::new(Endian::Little);
    for size in [4, 8] {
        let mut last = of_size(&mut b, b"end", size);
        for name in [b"a", b"b", b"c", b"d"] {
            last = holder(&mut b, name, last);
        }
    }
    assert_eq!(b.dedup().unwrap().removed(), 1);
    assert_eq!(count(&b, Kind::Struct, b"d"), 2);
}

#[test]
fn a_chain_of_any_length_is_walked() {
    for start in [0, 1] {
        let mut b = Builder::new(Endian::Little);
        for _ in 0..2 {
            let mut id = b.add_int(b"int", 4, 0);
            if start == 1 {
                // what is referred to comes later
                for _ in 0..50_000 {
                    b.add_ptr(b.next_id() + 1);
                }
                b.add_float(b"end", 4);
            } else {
                for _ in 0..50_000 {
                    id = b.add_ptr(id);
                }
            }
        }
        let all = b.len();
        assert_eq!(b.dedup().unwrap().removed(), all / 2);
    }
}

#[test]
fn a_declaration_is_the_definition_when_there_is_one() {
    let mut b = Builder::new(Endian::Little);
    let forward = b.add_fwd(b"s", false);
    let union = b.add_fwd(b"s", true);
    let open = b.add_fwd(b"nowhere", false);
    let short = b.add_enum(b"e", 4, false, &[]);
    let user = holder(&mut b, b"user", forward);
    let other = holder(&mut b, b"other", union);
    let full = of_size(&mut b, b"s", 4);
    let full_user = holder(&mut b, b"user", full);
    let long = b.add_enum(b"e", 4, false, &[(b"A", 1)]);
    let map = b.dedup().unwrap();
    assert_eq!(map.map(forward), map.map(full));
    assert_eq!(map.map(user), map.map(full_user));
    assert_eq!(map.map(short), map.map(long));
    assert_ne!(map.map(union), map.map(full));
    assert_eq!(count(&b, Kind::Struct, b"other"), 1);
    assert_eq!(finished(&b).kind_of(map.map(union)), Ok(Kind::Fwd));
    assert_eq!(finished(&b).kind_of(map.map(open)), Ok(Kind::Fwd));
    assert_ne!(map.map(user), map.map(other));
}

/// Three definitions: what the declaration stands for is told by the struct that uses it.
#[test]
fn a_declaration_with_many_definitions_is_told_by_its_use() {
    let mut b = Builder::new(Endian::Little);
    let mut users = Vec::new();
    for size in [4, 8, 12] {
        let full = of_size(&mut b, b"s", size);
        let extra = b.add_array(full, 0, size);
        let pointer = b.add_ptr(full);
        let members = [
            Member::new(b"p", pointer, 0),
            Member::new(b"more", extra, 64),
        ];
        users.push((b.add_struct(b"user", 32, &members), full));
    }
    // as the second
    let forward = b.add_fwd(b"s", false);
    let pointer = b.add_ptr(forward);
    let full = of_size(&mut b, b"s", 8);
    let extra = b.add_array(full, 0, 8);
    let members = [
        Member::new(b"p", pointer, 0),
        Member::new(b"more", extra, 64),
    ];
    let user = b.add_struct(b"user", 32, &members);
    // nothing tells
    let lost = b.add_fwd(b"s", false);
    let stranger = holder(&mut b, b"stranger", lost);
    let map = b.dedup().unwrap();
    assert_eq!(map.map(user), map.map(users[1].0));
    assert_eq!(map.map(forward), map.map(users[1].1));
    assert_eq!(count(&b, Kind::Struct, b"user"), 3);
    assert_eq!(count(&b, Kind::Fwd, b"s"), 1);
    let btf = finished(&b);
    assert_eq!(btf.kind_of(map.map(lost)), Ok(Kind::Fwd));
    assert!(btf.type_by_id(map.map(stranger)).is_ok());
    assert_eq!(b.dedup().unwrap().removed(), 0);
}

#[test]
fn split_types_of_the_base_are_used_from_there() {
    let base = Btf::parse(zoo(Endian::Big).build()).unwrap();
    let mut b = Builder::split(&base);
    let again = b.append(&Btf::parse(zoo(Endian::Little).build()).unwrap());
    let again = again.unwrap();
    let fresh = holder(&mut b, b"fresh", again.map(TypeId(13)));
    let map = b.dedup().unwrap();
    // the variable, its section, the new struct and the pointer in it
    assert_eq!(b.len(), 4);
    assert_eq!(map.map(again.map(TypeId(13))), TypeId(13));
    assert_eq!(map.map(TypeId(13)), TypeId(13));
    let blob = b.clone().finish().unwrap();
    assert_eq!(b.dedup().unwrap().removed(), 0);
    assert_eq!(b.finish().unwrap(), blob);
    let base = Arc::new(Btf::parse(base.data()).unwrap());
    let split = Btf::parse_split(blob, base).unwrap();
    assert_eq!(split.find_by_name(b"fresh").next(), Some(map.map(fresh)));
    assert_eq!(split.strings(), b"fresh\0");
}

/// As a struct that is declared, and not defined, for itself.
#[test]
fn split_on_itself_with_a_declaration_leaves_nothing() {
    let mut base = Builder::new(Endian::Little);
    let next = base.next_id() + 1;
    base.add_struct(b"s", 8, &[Member::new(b"p", TypeId(next), 0)]);
    base.add_fwd(b"s", false);
    let base = finished(&base);
    let mut b = Builder::split(&base);
    b.append(&base).unwrap();
    b.dedup().unwrap();
    assert!(b.is_empty());
}

/// The base's declaration stays: what refers to it is not what refers to the definition.
#[test]
fn split_a_declaration_of_the_base_stands_for_itself() {
    let mut base = Builder::new(Endian::Little);
    let forward = base.add_fwd(b"s", false);
    let user = holder(&mut base, b"user", forward);
    let base = finished(&base);
    let mut b = Builder::split(&base);
    let own_forward = b.add_fwd(b"s", false);
    let own_user = holder(&mut b, b"user", own_forward);
    b.dedup().unwrap();
    assert!(b.is_empty(), "{own_user} is {user}");

    let mut b = Builder::split(&base);
    let full = of_size(&mut b, b"s", 4);
    let own_user = holder(&mut b, b"user", full);
    let map = b.dedup().unwrap();
    assert_eq!(map.removed(), 0);
    assert!(map.map(own_user).0 >= base.len());
}

#[test]
fn strings_without_use_are_dropped() {
    let mut blob = Blob::new(Endian::Little);
    blob.str(b"unused");
    blob.int("int", 4, 1, 0, 32);
    blob.int("char", 1, 1, 0, 8);
    blob.int("int", 4, 1, 0, 32);
    // the end of another name
    let tail = blob.str(b"pint") + 1;
    blob.word(tail).word(1 << 24).word(4).word(1 << 24 | 32);
    let btf = Btf::parse(blob.build()).unwrap();
    let mut b = Builder::from_btf(&btf).unwrap();
    assert_eq!(b.dedup().unwrap().removed(), 2);
    assert_eq!(finished(&b).strings(), b"\0int\0char\0");
    assert_eq!(b.string(b"char").0, 5);
    assert_eq!(b.string(b"new").0, 10);
}

#[test]
fn what_cannot_be_renumbered_is_told_and_nothing_changed() {
    let mut b = built_zoo(Endian::Little);
    b.add_ptr(99);
    let before = b.clone().finish().unwrap();
    assert_eq!(b.dedup(), Err(BtfError::NoSuchType { id: 99, end: 31 }));
    assert_eq!(b.finish().unwrap(), before);

    let mut b = built_zoo(Endian::Little);
    b.add_struct(b"s", 8, &[Member::new(b"m", TypeId(31), 0)]);
    assert_eq!(b.dedup(), Err(BtfError::NoSuchType { id: 31, end: 31 }));

    // in front of a cycle
    let mut b = Builder::new(Endian::Little);
    b.add_ptr(77);
    b.add_ptr(2);
    assert_eq!(b.dedup(), Err(BtfError::NoSuchType { id: 77, end: 3 }));

    let mut unknown = zoo(Endian::Little).header_len(32).layout(&[(0, 0); 30]);
    unknown.record(b"newer", 29, 0, 1, &[]);
    let unknown = Btf::parse(unknown.build()).unwrap();
    let mut b = Builder::from_btf(&unknown).unwrap();
    let error = b.dedup().unwrap_err();
    assert!(matches!(
        error,
        BtfError::UnknownReferences { kind: 29, .. }
    ));
    // in a base it does not matter
    let mut b = Builder::split(&unknown);
    let ptr = b.add_ptr(1);
    assert_eq!(b.dedup().unwrap().map(ptr), TypeId(6));

    let mut b = Builder::new(Endian::Little);
    b.add_int(b"a\0", 4, 0);
    assert_eq!(b.dedup(), Err(BtfError::NameWithNul));
}

/// Classes as the definition says: start with one, split as long as anything differs.
fn naive(records: &Records<'_>) -> Vec<u32> {
    let mut class: Vec<u32> = vec![0; records.len()];
    loop {
        let mut firsts: Vec<u32> = Vec::new();
        let next: Vec<u32> = (0..records.len())
            .map(|id| {
                let same = |first: &&u32| {
                    let first = **first as usize;
                    let (one, other) = (records.get(first), records.get(id));
                    let same = |one: u32, other: u32| class[one as usize] == class[other as usize];
                    first == id || equal(one, other, same)
                };
                let first = firsts.iter().find(same).copied();
                first.unwrap_or_else(|| {
                    firsts.push(offset(id));
                    offset(id)
                })
            })
            .collect();
        if next == class {
            return class;
        }
        class = next;
    }
}

fn without_declarations(steps: Vec<Step>) -> Vec<Step> {
    let keep = |step: &Step| match step {
        Step::Refer(8, ..) => false,
        Step::Enum(_, _, values) => !values.is_empty(),
        _ => true,
    };
    steps.into_iter().filter(keep).collect()
}

/// A random blob with all references inside.
fn built(steps: &[Step]) -> Builder<'static> {
    let mut b = Builder::new(Endian::Little);
    run(&mut b, steps);
    let end = b.next_id();
    for at in 0..b.starts.len() {
        let first = b.starts[at] as usize;
        let stop = b
            .starts
            .get(at + 1)
            .map_or(b.words.len(), |at| *at as usize);
        let record = &mut b.words[first..stop];
        let shape = shape(kind_of(record)).unwrap();
        shape.refs_mut(record, |id| *id %= end);
    }
    b
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: 1000,
        ..ProptestConfig::default()
    })]

    /// Exactly what the definition says, also when hashes are equal for different types.
    #[test]
    fn classes_are_those_of_the_definition(
        one in steps(),
        other in steps(),
        bits in prop_oneof![Just(0), Just(1), Just(14), Just(u64::MAX)],
    ) {
        let steps = without_declarations([one.clone(), other, one].concat());
        let b = built(&steps);
        let base = Builder::new(Endian::Little);
        let records = Records::new(base, &b.words, &b.starts);
        let found = canonical(&records, Key::weak(bits)).unwrap();
        prop_assert_eq!(found, naive(&records));
    }

    /// With declarations: once is enough, and no type is taken for one that says another thing.
    #[test]
    fn declarations_leave_a_fixed_point(
        one in steps(),
        other in steps(),
        bits in prop_oneof![Just(0), Just(1), Just(u64::MAX)],
    ) {
        let mut b = built(&[one.clone(), other, one].concat());
        let base = Builder::new(Endian::Little);
        let records = Records::new(base, &b.words, &b.starts);
        let found = canonical(&records, Key::weak(bits)).unwrap();
        prop_assert!(is_sound(&records, &found));
        for (id, other) in found.iter().enumerate() {
            prop_assert_eq!(found[*other as usize], *other, "{}", id);
        }
        let before = b.clone();
        let map = b.dedup().unwrap();
        prop_assert!(b.len() + map.removed() == before.len());
        let (old, new) = (finished(&before), finished(&b));
        let mut kinds: HashMap<TypeId, Kind> = HashMap::new();
        for (id, ty) in old.types() {
            let to = new.type_by_id(map.map(id)).unwrap();
            prop_assert_eq!(to.name(), ty.name());
            kinds.insert(map.map(id), ty.kind());
        }
        prop_assert_eq!(kinds.len(), b.len());
        let blob = b.clone().finish().unwrap();
        let again = b.dedup().unwrap();
        prop_assert_eq!(again.removed(), 0, "{}", text(&new));
        prop_assert_eq!(b.finish().unwrap(), blob);
    }

    /// Split on itself nothing but variables and sections is left.
    #[test]
    fn split_on_the_same_leaves_places(steps in steps()) {
        let b = built(&without_declarations(steps));
        let base = finished(&b);
        let mut split = Builder::split(&base);
        split.append(&base).unwrap();
        split.dedup().unwrap();
        let places = base.types().filter(|(_, ty)| is_place(&base, ty.kind()));
        prop_assert!(split.len() >= places.count());
        let map = split.clone().finish().unwrap();
        let split = Btf::parse_split(map, Arc::new(Btf::parse(base.data()).unwrap())).unwrap();
        for (_, ty) in split.types() {
            let refers = reaches_place(&split, ty.record().unwrap().id());
            prop_assert!(refers, "{:?}", ty);
        }
    }
}

fn is_place(_btf: &Btf<'_>, kind: Kind) -> bool {
    matches!(kind, Kind::Var | Kind::Datasec)
}

/// Whether a type is or refers to a variable or section of its own blob.
fn reaches_place(btf: &Btf<'_>, id: TypeId) -> bool {
    let mut seen = vec![id];
    let mut at = 0;
    while let Some(id) = seen.get(at).copied() {
        at += 1;
        if id.0 < btf.start_id() {
            continue;
        }
        let record = btf.record(id).unwrap();
        if is_place(btf, record.kind()) {
            return true;
        }
        let words: Vec<u32> = record
            .raw()
            .as_chunks::<4>()
            .0
            .iter()
            .map(|word| u32::from_le_bytes(*word))
            .collect();
        shape(record.kind()).unwrap().refs(&words, |kid| {
            if !seen.contains(&TypeId(kid)) {
                seen.push(TypeId(kid));
            }
        });
    }
    false
}
