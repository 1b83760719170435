use expect_test::expect;

use super::*;
use crate::Endian;
use crate::testing::{Blob, zoo};

fn dumped(blob: &[u8]) -> String {
    let btf = Btf::parse(blob).unwrap();
    let mut all = Vec::new();
    write_all(&btf, |block| {
        all.extend_from_slice(block);
        Ok::<(), ()>(())
    })
    .unwrap();
    let mut one_by_one = Vec::new();
    for id in btf.ids() {
        write_type(&mut one_by_one, &btf, id).unwrap();
    }
    assert_eq!(all, one_by_one);
    String::from_utf8(all).unwrap()
}

#[test]
fn every_kind_as_bpftool_prints_it() {
    let little = dumped(&zoo(Endian::Little).build());
    assert_eq!(dumped(&zoo(Endian::Big).build()), little);
    expect![[r#"
        [1] INT 'int' size=4 bits_offset=0 nr_bits=32 encoding=SIGNED
        [2] INT 'char' size=1 bits_offset=0 nr_bits=8 encoding=SIGNED
        [3] INT 'unsigned char' size=1 bits_offset=0 nr_bits=8 encoding=(none)
        [4] INT '_Bool' size=1 bits_offset=0 nr_bits=8 encoding=BOOL
        [5] INT 'unsigned __int128' size=16 bits_offset=0 nr_bits=128 encoding=(none)
        [6] PTR '(anon)' type_id=1
        [7] ARRAY '(anon)' type_id=2 index_type_id=1 nr_elems=8
        [8] ARRAY '(anon)' type_id=27 index_type_id=1 nr_elems=3
        [9] ENUM 'colour' encoding=UNSIGNED size=4 vlen=2
        	'RED' val=0
        	'GREEN' val=4294967295
        [10] ENUM 'level' encoding=SIGNED size=1 vlen=1
        	'LOW' val=-2
        [11] ENUM64 'huge' encoding=UNSIGNED size=8 vlen=1
        	'BIG' val=9223372036854775809ULL
        [12] UNION '(anon)' size=8 vlen=2
        	'n' type_id=1 bits_offset=0
        	'text' type_id=7 bits_offset=0
        [13] STRUCT 'all' size=40 vlen=8
        	'a' type_id=1 bits_offset=0
        	'f1' type_id=1 bits_offset=32 bitfield_size=3
        	'f2' type_id=3 bits_offset=35 bitfield_size=5
        	'flag' type_id=4 bits_offset=40
        	'c' type_id=9 bits_offset=64
        	'p' type_id=6 bits_offset=128
        	'(anon)' type_id=12 bits_offset=192
        	'd' type_id=23 bits_offset=256
        [14] FWD 'later' fwd_kind=struct
        [15] TYPEDEF 'all_t' type_id=13
        [16] VOLATILE '(anon)' type_id=15
        [17] CONST '(anon)' type_id=16
        [18] RESTRICT '(anon)' type_id=6
        [19] FUNC_PROTO '(anon)' ret_type_id=1 vlen=2
        	'x' type_id=6
        	'(anon)' type_id=0
        [20] FUNC 'run' type_id=19 linkage=global
        [21] VAR 'state' type_id=17, linkage=global
        [22] DATASEC '.data' size=40 vlen=1
        	type_id=21 offset=0 size=40 (VAR 'state')
        [23] FLOAT 'double' size=8
        [24] DECL_TAG 'tag' type_id=13 component_idx=-1
        [25] TYPE_TAG 'user' type_id=1
        [26] FLOAT 'long double' size=16
        [27] ARRAY '(anon)' type_id=1 index_type_id=1 nr_elems=2
        [28] INT 'long int' size=8 bits_offset=0 nr_bits=64 encoding=SIGNED
        [29] FLOAT 'float' size=4
    "#]]
    .assert_eq(&little);
}

#[test]
fn split_btf_dumps_its_own_types_with_names_of_both() {
    let base = zoo(Endian::Big);
    let mut own = Blob::split(&base);
    own.record(b"mine", 14, 0, 13, &[1]);
    own.record(b".bss", 15, 2, 44, &[30, 0, 40, 21, 40, 4]);
    own.word(1).word(8 << 24).word(30);
    let (base, own) = (base.build(), own.build());
    let base = std::sync::Arc::new(Btf::parse(&base).unwrap());
    let btf = Btf::parse_split(&own, base).unwrap();
    let mut out = Vec::new();
    write_all(&btf, |block| {
        out.extend_from_slice(block);
        Ok::<(), ()>(())
    })
    .unwrap();
    expect![[r#"
        [30] VAR 'mine' type_id=13, linkage=global
        [31] DATASEC '.bss' size=44 vlen=2
        	type_id=30 offset=0 size=40 (VAR 'mine')
        	type_id=21 offset=40 size=4 (VAR 'state')
        [32] TYPEDEF 'int' type_id=30
    "#]]
    .assert_eq(&String::from_utf8(out).unwrap());
}

#[test]
fn void_and_missing_types() {
    let blob = zoo(Endian::Little).build();
    let btf = Btf::parse(&blob).unwrap();
    let mut out = b"before ".to_vec();
    write_type(&mut out, &btf, 0).unwrap();
    assert_eq!(out, b"before [0] UNKNOWN '(anon)'\n");
    assert_eq!(
        write_type(&mut out, &btf, 30),
        Err(BtfError::NoSuchType { id: 30, end: 30 })
    );
    assert_eq!(out.len(), 28, "nothing was added");
}

#[test]
fn unknown_kind_shows_its_number() {
    let mut blob = Blob::new(Endian::Little)
        .header_len(32)
        .layout(&[(0, 0); 24]);
    blob.record(b"new", 23, 5, 7, &[]);
    assert_eq!(
        dumped(&blob.build()),
        "[1] UNKNOWN(kind=23) 'new' size/type=7 vlen=5\n"
    );
}

#[test]
fn names_when_hostile_then_escaped() {
    let mut blob = Blob::new(Endian::Little);
    blob.record(b"plain_name_longer_than_eight", 8, 0, 0, &[]);
    blob.record(b"\x1b]0;x\x07", 8, 0, 0, &[]);
    blob.record(b"12345678\xff", 8, 0, 0, &[]);
    blob.record(b"1234567\x7f", 8, 0, 0, &[]);
    blob.record("größe".as_bytes(), 8, 0, 0, &[]);
    blob.word(9999).word(8 << 24).word(0);
    blob.record(b"x", 8, 0, 0, &[]);
    assert_eq!(
        dumped(&blob.build()),
        "[1] TYPEDEF 'plain_name_longer_than_eight' type_id=0\n\
         [2] TYPEDEF '\\x1b]0;x\\x07' type_id=0\n\
         [3] TYPEDEF '12345678\\xff' type_id=0\n\
         [4] TYPEDEF '1234567\\x7f' type_id=0\n\
         [5] TYPEDEF 'größe' type_id=0\n\
         [6] TYPEDEF '(invalid)' type_id=0\n\
         [7] TYPEDEF 'x' type_id=0\n"
    );
}

#[test]
fn numbers_of_every_length() {
    let mut samples: Vec<u32> = (0..10)
        .flat_map(|n| [10u32.pow(n) - 1, 10u32.pow(n)])
        .collect();
    samples.extend([
        7,
        12,
        345,
        1205,
        67_890,
        4_000_000_001,
        u32::MAX - 1,
        u32::MAX,
    ]);
    for value in samples {
        let mut out = Vec::new();
        number(&mut out, value);
        assert_eq!(out, value.to_string().as_bytes());
    }
}

#[test]
fn copied_names_are_those_that_need_no_escape() {
    for byte in 1..=255u8 {
        for at in 0..9 {
            let mut name = *b"abcdefghi\0~~~~~~~~";
            name[at] = byte;
            let mut out = Vec::new();
            let copied = copy_name(&mut out, &name);
            assert_eq!(copied, (0x20..0x7f).contains(&byte), "{byte:#x} at {at}");
            assert_eq!(out, if copied { &name[..9] } else { &[][..] });
        }
    }
}

#[test]
fn pieces_of_one_type_are_bounded() {
    let mut blob = Blob::new(Endian::Little);
    let name = "n".repeat(300);
    blob.record(name.as_bytes(), 1, 0, 4, &[32]);
    // elements that share the name: offset 1
    let members =
        |words: u32| (0..1000).flat_map(move |n| [1, 1, n].into_iter().take(words as usize));
    let mut add = |kind: u32, words: u32, size: u32| {
        let rest: Vec<u32> = members(words).collect();
        blob.record(b"", kind, 1000, size, &rest);
    };
    add(4, 3, 4);
    add(6, 2, 4);
    add(19, 3, 8);
    add(13, 2, 0);
    let blob = blob.build();
    let btf = Btf::parse(&blob).unwrap();
    let whole = dumped(&blob);
    let mut pieces = Vec::new();
    let mut out = Vec::new();
    let ids = btf.start_id()..btf.len();
    write_types(&mut out, &btf, ids.clone(), 4096, |piece| {
        assert!((4096..4096 + 400).contains(&piece.len()), "{}", piece.len());
        pieces.extend_from_slice(piece);
        Ok::<(), ()>(())
    })
    .unwrap();
    assert!(out.capacity() < 16384, "{}", out.capacity());
    pieces.extend_from_slice(&out);
    assert!(pieces == whole.as_bytes());
    let mut calls = 0;
    let stopped = write_types(&mut Vec::new(), &btf, ids, 4096, |_| {
        calls += 1;
        Err(7)
    });
    assert_eq!((stopped, calls), (Err(7), 1));
}
