use super::*;
use crate::Endian;
use crate::testing::{Blob, zoo};

#[test]
fn hash_ends_at_nul_or_at_the_end() {
    for len in 0..40 {
        let name = vec![b'x'; len];
        let mut more = name.clone();
        more.extend_from_slice(b"\0something else that does not count");
        assert_eq!(hash(&name), hash(&more), "{len}");
        assert_ne!(hash(&name), hash(&[&name[..], b"y"].concat()), "{len}");
    }
}

#[test]
fn hash_of_long_names_is_that_of_their_first_bytes() {
    for len in 60..80 {
        let name = vec![b'x'; len];
        let more = [&name[..], b"\0and more"].concat();
        assert_eq!(hash(&name), hash(&more), "{len}");
        let same = hash(&name) == hash(&[&name[..], b"y"].concat());
        assert_eq!(same, len >= HASHED, "{len}");
    }
}

#[test]
fn find_when_long_names_differ_late() {
    let long = "n".repeat(COMPARED);
    // in order, but that shows only behind what is compared
    for order in [0, 1] {
        let blob = typedefs(1000, |n| format!("{long}{:05}", n ^ order));
        let names = ["00000", "00001", "00500", "00999", "01000", "", "0"];
        let names = names.map(|end| format!("{long}{end}").into_bytes());
        let mut names: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
        names.extend([&b"n"[..], &long.as_bytes()[1..]]);
        check(&blob, &names);
    }
    // one of them only: then the order is known
    let blob = typedefs(1000, |n| match n {
        999 => long.clone(),
        n => format!("a{n:05}"),
    });
    check(
        &blob,
        &[b"a00000", b"a00998", long.as_bytes(), &[b'n'; 300]],
    );
    assert!(matches!(
        Btf::parse(&blob).unwrap().build_index(),
        Index::Sorted { first: 0 }
    ));
}

#[test]
fn find_when_all_names_share_one_long_string_then_soon() {
    const LONG: usize = 2 << 20;
    let mut blob = Blob::new(Endian::Little);
    let at = blob.str(&vec![b'a'; LONG]);
    for n in 0..20_000 {
        // the same name, then names that are ends of it
        let off = at + n / 10_000 * n;
        blob.word(off).word(1 << 24).word(4).word(32);
    }
    blob.record(b"array", 3, 0, 0, &[1, 1, 4]);
    let bytes = blob.build();
    let btf = Btf::parse(&bytes).unwrap();
    let start = std::time::Instant::now();
    for _ in 0..3 {
        assert_eq!(btf.find_by_name(b"aaaa").next(), None);
        assert_eq!(btf.find_by_name(b"array").next(), Some(TypeId(20_001)));
    }
    let queries: [(&[u8], Option<Kind>); 2] = [(b"aaaa", None), (b"array", None)];
    let fresh = Btf::parse(&bytes).unwrap();
    assert_eq!(fresh.find_many(&queries), [None, Some(TypeId(20_001))]);
    assert_eq!(btf.pointer_size(), 8);
    for _ in 0..20_000 {
        assert!(!crate::value::decode(&btf, 20_001, &[0; 16]).is_incomplete());
    }
    // looking for the ends would take 40 GB of reading for each
    let took = start.elapsed();
    assert!(took < std::time::Duration::from_secs(2), "{took:?}");
}

#[test]
fn partition_is_the_first_not_before() {
    let sorted = [1, 3, 3, 5];
    for (wanted, at) in [(0, 0), (1, 0), (2, 1), (3, 1), (4, 3), (6, 4)] {
        assert_eq!(partition(0, 4, |i| sorted[i] < wanted), at);
    }
}

/// The answer that a plain loop gives.
fn slow(btf: &Btf<'_>, name: &[u8]) -> Vec<TypeId> {
    if name.is_empty() {
        return Vec::new();
    }
    btf.types()
        .filter(|(_, ty)| ty.name() == name)
        .map(|(id, _)| id)
        .collect()
}

/// Asks for each name often enough to go through every way of finding it.
fn check(blob: &[u8], names: &[&[u8]]) {
    let fresh = || Btf::parse(blob).unwrap();
    let used = fresh();
    for name in names {
        let wanted = slow(&used, name);
        let first: Vec<_> = fresh().find_by_name(name).collect();
        assert_eq!(first, wanted, "first look-up of {name:?}");
        let later: Vec<_> = used.find_by_name(name).collect();
        assert_eq!(later, wanted, "later look-up of {name:?}");
    }
    let queries: Vec<_> = names.iter().map(|name| (*name, None)).collect();
    let wanted: Vec<_> = names
        .iter()
        .map(|name| slow(&used, name).first().copied())
        .collect();
    assert_eq!(fresh().find_many(&queries), wanted);
    assert_eq!(used.find_many(&queries), wanted);
    // of one kind, and of kinds in turn
    for kinds in [
        &[Kind::Typedef][..],
        &[Kind::Int, Kind::Struct, Kind::Typedef],
    ] {
        let kinds = kinds.iter().copied().cycle();
        let queries: Vec<_> = names.iter().copied().zip(kinds.map(Some)).collect();
        let is = |id: &TypeId, kind| used.type_by_id(*id).is_ok_and(|ty| Some(ty.kind()) == kind);
        let wanted: Vec<_> = queries
            .iter()
            .map(|(name, kind)| slow(&used, name).into_iter().find(|id| is(id, *kind)))
            .collect();
        assert_eq!(fresh().find_many(&queries), wanted);
        assert_eq!(used.find_many(&queries), wanted);
    }
}

/// `count` typedefs with names made by `name`.
fn typedefs(count: u32, name: impl Fn(u32) -> String) -> Vec<u8> {
    let mut blob = Blob::new(Endian::Big);
    for n in 0..count {
        blob.record(name(n).as_bytes(), 8, 0, n, &[]);
    }
    blob.build()
}

#[test]
fn find_when_small_or_large_then_as_a_plain_loop() {
    let some: [&[u8]; 6] = [b"int", b"all", b"no such name", b"", b"in", b"in\0t"];
    check(&zoo(Endian::Little).build(), &some);
    check(&zoo(Endian::Big).build(), &some);
    // 1000 types, three of each name, in no order.
    let blob = typedefs(1000, |n| format!("type_name_{}", n * 7 % 334));
    let names: [&[u8]; 5] = [
        b"type_name_0",
        b"type_name_333",
        b"type_name_334",
        b"type_name_",
        b"e_0",
    ];
    check(&blob, &names);
}

#[test]
fn find_when_sorted_by_name_then_binary_search() {
    let blob = typedefs(2000, |n| match n {
        0..500 => String::new(),
        n => format!("name{:05}", n / 2),
    });
    let names: [&[u8]; 6] = [
        b"name00250",
        b"name00999",
        b"name01000",
        b"name00700",
        b"a",
        b"z",
    ];
    check(&blob, &names);
    let btf = Btf::parse(&blob).unwrap();
    assert!(matches!(btf.build_index(), Index::Sorted { first: 500 }));
}

#[test]
fn find_when_nearly_sorted_then_hashed() {
    // In order but for one name between two samples.
    let blob = typedefs(2000, |n| {
        format!("name{:05}", if n == 1003 { 1 } else { n })
    });
    check(&blob, &[b"name00001", b"name01003", b"name01004"]);
    let btf = Btf::parse(&blob).unwrap();
    assert!(matches!(btf.build_index(), Index::Hashed(_)));
}

#[test]
fn find_when_names_share_their_tails_then_both_count() {
    let mut blob = Blob::new(Endian::Little);
    for n in 0..600 {
        blob.record(format!("f{n}").as_bytes(), 8, 0, 0, &[]);
    }
    let at = blob.str(b"long_name");
    blob.word(at).word(8 << 24).word(0);
    blob.word(at + 5).word(8 << 24).word(0);
    check(&blob.build(), &[b"name", b"long_name", b"ame"]);
}

#[test]
fn find_when_all_names_are_equal_then_no_quadratic_cost() {
    let mut blob = Blob::new(Endian::Little);
    let at = blob.str(b"same");
    for _ in 0..200_000 {
        blob.word(at).word(8 << 24).word(0);
    }
    let bytes = blob.build();
    let btf = Btf::parse(&bytes).unwrap();
    for _ in 0..3 {
        assert_eq!(btf.find_by_name(b"same").count(), 200_000);
        assert_eq!(btf.find_by_name_kind(b"same", Kind::Struct), None);
    }
    assert!(matches!(Chains::build(&btf), Chains { heads, .. } if heads.len() == 262_144));
}

#[test]
fn find_own_when_split_then_not_in_the_base() {
    let mut base = Blob::new(Endian::Little);
    base.int("int", 4, 1, 0, 32);
    base.record(b"here", 8, 0, 1, &[]);
    let mut split = Blob::split(&base);
    split.record(b"there", 8, 0, 1, &[]);
    split.record(b"here", 4, 0, 0, &[]);
    let base = std::sync::Arc::new(Btf::parse(base.build()).unwrap());
    let split = Btf::parse_split(split.build(), base).unwrap();
    let queries: [(&[u8], Option<Kind>); 4] = [
        (b"int", None),
        (b"here", Some(Kind::Typedef)),
        (b"here", None),
        (b"there", Some(Kind::Typedef)),
    ];
    let ids = |answers: Vec<Option<TypeId>>| -> Vec<u32> {
        answers.iter().map(|id| id.map_or(0, |id| id.0)).collect()
    };
    assert_eq!(ids(split.find_many_own(&queries)), [0, 0, 4, 3]);
    assert_eq!(ids(split.find_many(&queries)), [1, 2, 4, 3]);
}
