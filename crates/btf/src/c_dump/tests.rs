#![allow(clippy::cast_possible_truncation, reason = "test blobs are small")]

use std::sync::Arc;

use expect_test::{Expect, expect};

use super::*;
use crate::Endian;
use crate::testing::{Blob, FLAG, zoo};

const PTR: u32 = 2;
const ARRAY: u32 = 3;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const ENUM: u32 = 6;
const FWD: u32 = 7;
const TYPEDEF: u32 = 8;
const VOLATILE: u32 = 9;
const CONST: u32 = 10;
const RESTRICT: u32 = 11;
const FUNC: u32 = 12;
const PROTO: u32 = 13;
const DECL_TAG: u32 = 17;
const TYPE_TAG: u32 = 18;
const ENUM64: u32 = 19;

/// Types 1 int, 2 char, 3 long; the tests add from 4 on.
fn start() -> Blob {
    let mut b = Blob::new(Endian::Little);
    b.int("int", 4, 1, 0, 32);
    b.int("char", 1, 1, 0, 8);
    b.int("long int", 8, 1, 0, 64);
    b
}

fn reference(b: &mut Blob, kind: u32, name: &str, to: u32) {
    b.record(name.as_bytes(), kind, 0, to, &[]);
}

fn array(b: &mut Blob, of: u32, len: u32) {
    b.record(b"", ARRAY, 0, 0, &[of, 1, len]);
}

fn proto(b: &mut Blob, result: u32, params: &[(&str, u32)]) {
    let words: Vec<u32> = params
        .iter()
        .flat_map(|(name, ty)| [b.str(name.as_bytes()), *ty])
        .collect();
    b.record(b"", PROTO, params.len() as u32, result, &words);
}

fn enumeration(b: &mut Blob, kind: u32, name: &str, size: u32, values: &[(&str, u64)]) {
    let mut words = Vec::new();
    for (name, value) in values {
        words.extend([b.str(name.as_bytes()), *value as u32]);
        if kind & 0x7f == ENUM64 {
            words.push((value >> 32) as u32);
        }
    }
    b.record(name.as_bytes(), kind, values.len() as u32, size, &words);
}

/// The text of all types, in the order of their ids.
fn all(b: &Blob) -> Result<String, BtfError> {
    let blob = b.build();
    let btf = Btf::parse(&blob).unwrap();
    let mut types = Declarations::new(&btf);
    let mut text = Vec::new();
    for id in btf.ids() {
        types.write_type(&mut text, id)?;
    }
    Ok(String::from_utf8(text).unwrap())
}

#[track_caller]
fn check(b: &Blob, expect: &Expect) {
    expect.assert_eq(&all(b).unwrap());
}

#[track_caller]
fn declared(b: &Blob, id: u32, name: &str, expect: &Expect) {
    let blob = b.build();
    let btf = Btf::parse(&blob).unwrap();
    let mut text = Vec::new();
    let how = Declarator {
        name: name.as_bytes(),
        ..Declarator::default()
    };
    let mut types = Declarations::new(&btf);
    types.write_declarator(&mut text, id, how).unwrap();
    expect.assert_eq(&String::from_utf8(text).unwrap());
}

#[test]
fn embedded_structs_come_first_and_those_behind_pointers_are_declared() {
    let mut b = start();
    b.composite(
        STRUCT,
        "outer",
        24,
        &[("in", 6, 0), ("next", 5, 64), ("p", 7, 128)],
    );
    reference(&mut b, PTR, "", 4);
    b.composite(STRUCT, "inner", 4, &[("x", 1, 0)]);
    reference(&mut b, PTR, "", 8);
    b.composite(STRUCT, "late", 8, &[("back", 5, 0)]);
    check(
        &b,
        &expect![[r#"
        struct inner {
        	int x;
        };

        struct late;

        struct outer {
        	struct inner in;
        	struct outer *next;
        	struct late *p;
        };

        struct late {
        	struct outer *back;
        };

    "#]],
    );
}

#[test]
fn anonymous_structs_behind_pointers_need_whole_types() {
    let mut b = start();
    b.composite(STRUCT, "holder", 8, &[("p", 5, 0)]);
    reference(&mut b, PTR, "", 6);
    b.composite(STRUCT, "", 4, &[("x", 7, 0)]);
    b.composite(STRUCT, "needed", 4, &[("y", 1, 0)]);
    check(
        &b,
        &expect![[r#"
        struct needed {
        	int y;
        };

        struct holder {
        	struct {
        		struct needed x;
        	} *p;
        };

    "#]],
    );
}

#[test]
fn typedefs_that_point_to_each_other_are_written_early() {
    let mut b = start();
    // typedef struct node node_t; struct node { node_t *next; void (*run)(node_t *); }
    reference(&mut b, TYPEDEF, "node_t", 5);
    b.composite(STRUCT, "node", 16, &[("next", 6, 0), ("run", 7, 64)]);
    reference(&mut b, PTR, "", 4);
    reference(&mut b, PTR, "", 8);
    proto(&mut b, 0, &[("self", 6)]);
    check(
        &b,
        &expect![[r#"
        struct node;

        typedef struct node node_t;

        struct node {
        	node_t *next;
        	void (*run)(node_t *self);
        };

    "#]],
    );
}

#[test]
fn members_off_their_alignment_make_a_struct_packed() {
    let mut b = start();
    b.composite(STRUCT, "by_offset", 5, &[("c", 2, 0), ("i", 1, 8)]);
    b.composite(STRUCT, "by_size", 6, &[("i", 1, 0), ("c", 2, 32)]);
    b.composite(UNION, "by_union", 6, &[("i", 1, 0), ("c", 7, 0)]);
    array(&mut b, 2, 6);
    check(
        &b,
        &expect![[r#"
        struct by_offset {
        	char c;
        	int i;
        } __attribute__((packed));

        struct by_size {
        	int i;
        	char c;
        	short: 0;
        } __attribute__((packed));

        union by_union {
        	int i;
        	char c[6];
        } __attribute__((packed));

    "#]],
    );
}

#[test]
fn gaps_are_filled_where_the_compiler_would_not_leave_them() {
    let mut b = start();
    b.composite(STRUCT, "natural", 16, &[("c", 2, 0), ("l", 3, 64)]);
    b.composite(STRUCT, "marked", 16, &[("c", 2, 0), ("i", 1, 64)]);
    b.composite(STRUCT, "wide", 32, &[("l", 3, 0), ("c", 2, 192)]);
    b.composite(STRUCT, "end", 64, &[("l", 3, 0)]);
    b.composite(STRUCT, "odd", 12, &[("c", 2, 0), ("d", 2, 56)]);
    b.composite(STRUCT, "only_padding", 3, &[]);
    b.composite(STRUCT, "empty", 0, &[]);
    b.composite(UNION, "free", 16, &[("i", 1, 0)]);
    check(
        &b,
        &expect![[r#"
        struct natural {
        	char c;
        	long int l;
        };

        struct marked {
        	char c;
        	long: 0;
        	int i;
        	long: 0;
        };

        struct wide {
        	long int l;
        	long: 64;
        	long: 64;
        	char c;
        };

        struct end {
        	long int l;
        	long: 64;
        	long: 64;
        	long: 64;
        	long: 64;
        	long: 64;
        	long: 64;
        	long: 64;
        };

        struct odd {
        	char c;
        	int: 0;
        	int: 24;
        	char d;
        	int: 32;
        };

        struct only_padding {
        	int: 24;
        };

        struct empty {};

        union free {
        	int i;
        };

    "#]],
    );
}

#[test]
fn large_gaps_are_arrays() {
    let mut b = start();
    let far = 8 * (1 << 20);
    b.composite(STRUCT, "far", (1 << 20) + 4, &[("i", 1, 0), ("j", 1, far)]);
    let bits = FLAG | STRUCT;
    b.composite(bits, "bits", 1 << 20, &[("f", 1, 3 << 24)]);
    check(
        &b,
        &expect![[r#"
        struct far {
        	int i;
        	char __padding_4[1048572];
        	int j;
        };

        struct bits {
        	int f: 3;
        	char: 5;
        	char __padding_1[1048575];
        };

    "#]],
    );
}

#[test]
fn bit_fields_keep_their_places() {
    let mut b = start();
    b.composite(
        FLAG | STRUCT,
        "flags",
        16,
        &[
            ("a", 1, 3 << 24),
            ("b", 1, 5 << 24 | 3),
            ("later", 1, 4 << 24 | 20),
            ("far", 3, 7 << 24 | 64),
            ("c", 2, 96),
        ],
    );
    check(
        &b,
        &expect![[r#"
        struct flags {
        	int a: 3;
        	int b: 5;
        	short: 8;
        	char: 4;
        	int later: 4;
        	long: 40;
        	long int far: 7;
        	int: 0;
        	char c;
        };

    "#]],
    );
}

#[test]
fn names_in_conflict_get_numbers() {
    let mut b = start();
    b.composite(STRUCT, "x", 4, &[("a", 1, 0)]);
    b.composite(STRUCT, "x", 8, &[("b", 3, 0)]);
    b.composite(UNION, "x", 1, &[("c", 2, 0)]);
    enumeration(&mut b, ENUM, "x", 4, &[("ONE", 1)]);
    // typedefs and enumerators have a space of their own
    reference(&mut b, TYPEDEF, "x", 5);
    enumeration(&mut b, ENUM, "y", 4, &[("ONE", 1), ("x", 2)]);
    reference(&mut b, FWD, "x", 0);
    b.composite(STRUCT, "user", 16, &[("p", 12, 0), ("q", 13, 64)]);
    reference(&mut b, PTR, "", 5);
    reference(&mut b, PTR, "", 8);
    check(
        &b,
        &expect![[r#"
        struct x {
        	int a;
        };

        struct x___2 {
        	long int b;
        };

        union x___3 {
        	char c;
        };

        enum x___4 {
        	ONE = 1,
        };

        typedef struct x___2 x;

        enum y {
        	ONE___2 = 1,
        	x___2 = 2,
        };

        struct x;

        struct user {
        	struct x___2 *p;
        	x *q;
        };

    "#]],
    );
}

#[test]
fn enumerations_have_their_size_and_sign() {
    let mut b = start();
    enumeration(&mut b, ENUM, "unsigned_values", 4, &[("BIG", 0xffff_ffff)]);
    enumeration(
        &mut b,
        FLAG | ENUM,
        "signed_values",
        4,
        &[("MINUS", 0xffff_ffff)],
    );
    enumeration(&mut b, ENUM, "one_byte", 1, &[("A", 1)]);
    enumeration(&mut b, ENUM, "two_bytes", 2, &[("B", 300)]);
    enumeration(&mut b, ENUM, "eight_bytes", 8, &[("C", 1)]);
    enumeration(&mut b, ENUM64, "small_values", 8, &[("D", 5)]);
    enumeration(&mut b, ENUM64, "large_values", 8, &[("E", 1 << 40)]);
    let minus = FLAG | ENUM64;
    enumeration(
        &mut b,
        minus,
        "signed_large_values",
        8,
        &[("F", 1 << 63), ("G", 7)],
    );
    enumeration(&mut b, ENUM, "no_values", 4, &[]);
    // by itself; the next is part of a struct and not written a second time
    enumeration(&mut b, ENUM, "", 4, &[("LOOSE", 3)]);
    enumeration(&mut b, ENUM, "", 4, &[("INSIDE", 4)]);
    b.composite(STRUCT, "s", 4, &[("e", 14, 0)]);
    check(
        &b,
        &expect![[r#"
        enum unsigned_values {
        	BIG = 4294967295,
        };

        enum signed_values {
        	MINUS = -1,
        };

        enum one_byte {
        	A = 1,
        } __attribute__((mode(byte)));

        enum two_bytes {
        	B = 300,
        } __attribute__((mode(HI)));

        enum eight_bytes {
        	C = 1,
        } __attribute__((mode(word)));

        enum small_values {
        	D = 5ULL,
        } __attribute__((mode(word)));

        enum large_values {
        	E = 1099511627776ULL,
        };

        enum signed_large_values {
        	F = -9223372036854775808LL,
        	G = 7LL,
        };

        enum no_values;

        enum {
        	LOOSE = 3,
        };

        struct s {
        	enum {
        		INSIDE = 4,
        	} e;
        };

    "#]],
    );
}

#[test]
fn declarators_are_inside_out() {
    let mut b = start();
    reference(&mut b, CONST, "", 2); // 4 const char
    reference(&mut b, PTR, "", 4); // 5 const char *
    reference(&mut b, CONST, "", 5); // 6 const char * const
    reference(&mut b, PTR, "", 6); // 7
    array(&mut b, 7, 4); // 8
    array(&mut b, 8, 3); // 9
    proto(&mut b, 1, &[("a", 5), ("", 1), ("", 0)]); // 10
    reference(&mut b, PTR, "", 10); // 11
    array(&mut b, 11, 2); // 12
    proto(&mut b, 11, &[]); // 13
    reference(&mut b, PTR, "", 13); // 14
    reference(&mut b, PTR, "", 9); // 15
    proto(&mut b, 0, &[("", 0)]); // 16
    reference(&mut b, VOLATILE, "", 1); // 17
    reference(&mut b, RESTRICT, "", 5); // 18
    reference(&mut b, CONST, "", 8); // 19
    reference(&mut b, CONST, "", 0); // 20
    reference(&mut b, PTR, "", 20); // 21
    declared(&b, 7, "v", &expect!["const char * const *v"]);
    declared(&b, 7, "", &expect!["const char * const *"]);
    declared(&b, 9, "v", &expect!["const char * const *v[3][4]"]);
    declared(&b, 10, "f", &expect!["int f(const char *a, int, ...)"]);
    declared(&b, 11, "f", &expect!["int (*f)(const char *a, int, ...)"]);
    declared(
        &b,
        12,
        "f",
        &expect!["int (*f[2])(const char *a, int, ...)"],
    );
    declared(
        &b,
        14,
        "f",
        &expect!["int (* (*f)(void))(const char *a, int, ...)"],
    );
    declared(&b, 15, "v", &expect!["const char * const *(*v)[3][4]"]);
    declared(&b, 16, "f", &expect!["void f(void)"]);
    declared(&b, 17, "v", &expect!["volatile int v"]);
    declared(&b, 18, "v", &expect!["const char * restrict v"]);
    declared(&b, 19, "v", &expect!["const char * const *v[4]"]);
    declared(&b, 21, "v", &expect!["const void *v"]);
    declared(&b, 0, "", &expect!["void"]);
}

#[test]
fn declarators_without_modifiers() {
    let mut b = start();
    reference(&mut b, CONST, "", 2);
    reference(&mut b, PTR, "", 4);
    reference(&mut b, VOLATILE, "", 5);
    let blob = b.build();
    let btf = Btf::parse(&blob).unwrap();
    let mut text = b"before ".to_vec();
    let how = Declarator {
        name: b"p",
        strip_modifiers: true,
        ..Declarator::default()
    };
    let mut types = Declarations::new(&btf);
    types.write_declarator(&mut text, 6, how).unwrap();
    assert_eq!(text, b"before char *p");
}

#[test]
fn type_tags_are_attributes() {
    let mut b = start();
    reference(&mut b, TYPE_TAG, "user", 1);
    reference(&mut b, PTR, "", 4);
    reference(&mut b, FLAG | TYPE_TAG, "address_space(1)", 1);
    reference(&mut b, PTR, "", 6);
    reference(&mut b, TYPE_TAG, "a\"b\\", 1);
    reference(&mut b, PTR, "", 8);
    reference(&mut b, CONST, "", 1);
    reference(&mut b, TYPE_TAG, "rcu", 10);
    reference(&mut b, PTR, "", 11);
    declared(
        &b,
        5,
        "p",
        &expect![[r#"int __attribute__((btf_type_tag("user"))) *p"#]],
    );
    declared(
        &b,
        7,
        "p",
        &expect!["int __attribute__((address_space(1))) *p"],
    );
    declared(
        &b,
        9,
        "p",
        &expect![[r#"int __attribute__((btf_type_tag("a\"b\\"))) *p"#]],
    );
    declared(
        &b,
        12,
        "p",
        &expect![[r#"const int __attribute__((btf_type_tag("rcu"))) *p"#]],
    );
}

#[test]
fn what_the_compiler_has_is_not_defined_again() {
    let mut b = start();
    b.composite(STRUCT, "__va_list_tag", 24, &[("l", 3, 0)]);
    array(&mut b, 4, 1);
    reference(&mut b, TYPEDEF, "__builtin_va_list", 5);
    reference(&mut b, TYPEDEF, "va_list", 6);
    b.composite(STRUCT, "args", 32, &[("p", 9, 0), ("va", 7, 64)]);
    reference(&mut b, PTR, "", 7);
    reference(&mut b, TYPEDEF, "__gnuc_va_list", 0);
    b.int("__Poly8_t", 1, 0, 0, 8);
    b.composite(STRUCT, "vector", 1, &[("lane", 11, 0)]);
    check(
        &b,
        &expect![[r#"
        struct __va_list_tag {
        	long int l;
        	long: 64;
        	long: 64;
        };

        typedef __builtin_va_list va_list;

        struct args {
        	va_list *p;
        	struct __va_list_tag va[1];
        };

        typedef __builtin_va_list __gnuc_va_list;

        typedef unsigned char __Poly8_t;

        struct vector {
        	__Poly8_t lane;
        };

    "#]],
    );
}

#[test]
fn named_structs_as_unnamed_members_are_spelled_out() {
    let mut b = start();
    b.composite(STRUCT, "part", 8, &[("x", 1, 0), ("y", 1, 32)]);
    b.composite(STRUCT, "whole", 16, &[("", 4, 0), ("l", 3, 64)]);
    reference(&mut b, TYPEDEF, "part_t", 7);
    b.composite(UNION, "", 4, &[("i", 1, 0), ("c", 2, 0)]);
    b.composite(STRUCT, "by_typedef", 8, &[("", 6, 0), ("", 9, 32)]);
    reference(&mut b, CONST, "", 10);
    b.composite(STRUCT, "", 4, &[("z", 1, 0)]);
    check(
        &b,
        &expect![[r#"
            struct part {
            	int x;
            	int y;
            };

            struct whole {
            	struct {
            		int x;
            		int y;
            	};
            	long int l;
            };

            typedef union {
            	int i;
            	char c;
            } part_t;

            struct by_typedef {
            	union {
            		int i;
            		char c;
            	};
            	const struct {
            		int z;
            	};
            };

        "#]],
    );
}

#[test]
fn unions_and_anonymous_members_are_indented() {
    let mut b = start();
    b.composite(UNION, "", 8, &[("l", 3, 0), ("", 5, 0)]);
    b.composite(STRUCT, "", 8, &[("a", 1, 0), ("b", 6, 32)]);
    enumeration(&mut b, ENUM, "", 4, &[("IN", 1)]);
    b.composite(STRUCT, "top", 16, &[("", 4, 0), ("l", 3, 64)]);
    reference(&mut b, TYPEDEF, "nameless_t", 9);
    b.composite(STRUCT, "", 4, &[("z", 1, 0)]);
    check(
        &b,
        &expect![[r#"
        struct top {
        	union {
        		long int l;
        		struct {
        			int a;
        			enum {
        				IN = 1,
        			} b;
        		};
        	};
        	long int l;
        };

        typedef struct {
        	int z;
        } nameless_t;

    "#]],
    );
}

#[test]
fn hostile_names_are_escaped() {
    let mut b = start();
    b.record(b"a\x1b[2J\n", STRUCT, 0, 0, &[]);
    check(
        &b,
        &expect![[r#"
        struct a\x1b[2J\x0a {};

    "#]],
    );
}

fn file(btf: &Btf<'_>, options: Options<'_>) -> String {
    let mut text = Vec::new();
    write(btf, options, |part| {
        text.extend_from_slice(part);
        Ok::<(), ()>(())
    })
    .unwrap();
    String::from_utf8(text).unwrap()
}

/// Functions that BPF programs may call, in an order that is not that of their names.
fn with_kfuncs() -> Blob {
    let mut b = start();
    proto(&mut b, 1, &[("x", 1)]);
    for name in ["zero", "alpha", "static_one"] {
        b.record(name.as_bytes(), FUNC, 1, 4, &[]);
    }
    b.record(b"bpf_kfunc", DECL_TAG, 0, 5, &[u32::MAX]);
    b.record(b"bpf_kfunc", DECL_TAG, 0, 6, &[u32::MAX]);
    b.record(b"bpf_fastcall", DECL_TAG, 0, 6, &[u32::MAX]);
    b.record(b"bpf_fastcall", DECL_TAG, 0, 7, &[u32::MAX]);
    // about a parameter
    b.record(b"bpf_kfunc", DECL_TAG, 0, 7, &[0]);
    b
}

#[test]
fn a_file_has_a_frame_and_the_kernels_functions() {
    let blob = with_kfuncs().build();
    let btf = Btf::parse(&blob).unwrap();
    let text = file(&btf, Options::default());
    expect![[r##"
        #ifndef __VMLINUX_H__
        #define __VMLINUX_H__

        #ifndef BPF_NO_PRESERVE_ACCESS_INDEX
        #pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)
        #endif

        #ifndef __ksym
        #define __ksym __attribute__((section(".ksyms")))
        #endif

        #ifndef __weak
        #define __weak __attribute__((weak))
        #endif

        #ifndef __bpf_fastcall
        #if __has_attribute(bpf_fastcall)
        #define __bpf_fastcall __attribute__((bpf_fastcall))
        #else
        #define __bpf_fastcall
        #endif
        #endif


        /* BPF kfuncs */
        #ifndef BPF_NO_KFUNC_PROTOTYPES
        extern __bpf_fastcall int alpha(int x) __weak __ksym;
        extern int zero(int x) __weak __ksym;
        #endif

        #ifndef BPF_NO_PRESERVE_ACCESS_INDEX
        #pragma clang attribute pop
        #endif

        #endif /* __VMLINUX_H__ */
    "##]]
    .assert_eq(&text);

    let roots = [TypeId(1)];
    let some = file(
        &btf,
        Options {
            roots: &roots,
            sorted: true,
        },
    );
    let kfuncs = text.find("\n/* BPF kfuncs */").unwrap();
    assert_eq!(text[..kfuncs], some[..kfuncs]);
    assert!(!some.contains("kfunc"));
}

#[test]
fn sorting_is_by_kind_then_name_then_hash() {
    let mut b = start();
    b.composite(STRUCT, "b", 4, &[("x", 1, 0)]); // 4
    b.composite(STRUCT, "a", 4, &[("x", 1, 0)]); // 5
    enumeration(&mut b, ENUM, "z", 4, &[("Z", 1)]); // 6
    enumeration(&mut b, ENUM, "", 4, &[("Y", 1)]); // 7
    enumeration(&mut b, ENUM64, "", 8, &[("X", 1)]); // 8
    reference(&mut b, TYPEDEF, "a_t", 5); // 9
    reference(&mut b, PTR, "", 5); // 10
    reference(&mut b, TYPEDEF, "none", 0); // 11
    proto(&mut b, 0, &[]); // 12
    reference(&mut b, TYPEDEF, "fn", 12); // 13
    b.record(b"f", FUNC, 0, 12, &[]); // 14
    b.composite(STRUCT, "a", 8, &[("first", 3, 0)]); // 15
    b.composite(STRUCT, "abcdefghij", 8, &[("l", 3, 0)]); // 16
    b.composite(STRUCT, "abcdefghi", 8, &[("l", 3, 0)]); // 17
    let blob = b.build();
    let btf = Btf::parse(&blob).unwrap();
    let ids: Vec<u32> = sorted_ids(&btf).into_iter().map(u32::from).collect();
    expect![[r#"
        [
            8,
            7,
            6,
            2,
            1,
            3,
            5,
            15,
            9,
            17,
            16,
            4,
            13,
            12,
            11,
            10,
        ]
    "#]]
    .assert_debug_eq(&ids);
}

#[test]
fn types_of_the_base_are_written_too() {
    let mut base = start();
    base.composite(STRUCT, "in_base", 4, &[("x", 1, 0)]);
    let mut split = Blob::split(&base);
    split.composite(STRUCT, "own", 4, &[("b", 4, 0)]);
    let (base, split) = (base.build(), split.build());
    let base = Arc::new(Btf::parse(&base).unwrap());
    let btf = Btf::parse_split(&split, base).unwrap();
    let text = file(&btf, Options::default());
    let at = |what| text.find(what).unwrap();
    assert!(at("struct in_base {") < at("struct own {"));
    let roots = [TypeId(5)];
    let some = Options {
        roots: &roots,
        sorted: true,
    };
    assert!(file(&btf, some).contains("struct in_base {"));
}

#[test]
fn both_byte_orders_give_the_same_text() {
    let text = |endian| {
        let blob = zoo(endian).build();
        let btf = Btf::parse(&blob).unwrap();
        file(&btf, Options::default())
    };
    let little = text(Endian::Little);
    assert_eq!(little, text(Endian::Big));
    for part in [
        "struct all {",
        "\tunsigned char f2: 5;",
        "enum level {\n\tLOW = -2,\n} __attribute__((mode(byte)))",
        "\tBIG = 9223372036854775809ULL,",
        "struct later;",
    ] {
        assert!(little.contains(part), "{part}\n{little}");
    }
}

#[test]
fn unknown_kinds_are_left_out() {
    let mut b = Blob::new(Endian::Little)
        .header_len(32)
        .layout(&[(0, 0); 32]);
    b.int("int", 4, 1, 0, 32);
    b.record(b"new", 25, 0, 0, &[]);
    b.composite(STRUCT, "s", 4, &[("x", 1, 0)]);
    reference(&mut b, TYPEDEF, "t", 2);
    let blob = b.build();
    let btf = Btf::parse(&blob).unwrap();
    let all = |sorted| {
        let mut text = Vec::new();
        let options = Options { roots: &[], sorted };
        let result = write(&btf, options, |part| {
            text.extend_from_slice(part);
            Ok::<(), ()>(())
        });
        (result, text)
    };
    for sorted in [false, true] {
        // the typedef leads to it
        let (result, _) = all(sorted);
        assert!(
            matches!(
                result,
                Err(DumpError::Btf(BtfError::NoDeclaration {
                    id: TypeId(2),
                    kind: crate::Kind::Unknown(25)
                }))
            ),
            "{result:?}"
        );
    }
    let mut types = Declarations::new(&btf);
    let mut text = Vec::new();
    types.write_type(&mut text, 3).unwrap();
    assert!(text.starts_with(b"struct s {"));
}

#[test]
fn impossible_types_are_errors() {
    let mut b = start();
    b.composite(STRUCT, "self", 4, &[("s", 4, 0)]);
    assert_eq!(all(&b), Err(BtfError::Cycle { id: TypeId(4) }));

    let mut b = start();
    reference(&mut b, CONST, "", 5);
    reference(&mut b, VOLATILE, "", 4);
    assert!(matches!(all(&b), Err(BtfError::TooDeep { .. })));

    let mut b = start();
    reference(&mut b, PTR, "", 99);
    assert_eq!(all(&b), Err(BtfError::NoSuchType { id: 99, end: 5 }));

    // a pointer to a function, not to its signature
    let mut b = start();
    b.record(b"f", FUNC, 0, 1, &[]);
    reference(&mut b, PTR, "", 4);
    reference(&mut b, TYPEDEF, "t", 5);
    let kind = crate::Kind::Func;
    let id = TypeId(4);
    assert_eq!(all(&b), Err(BtfError::NoDeclaration { id, kind }));
}

#[test]
fn text_before_an_error_stays_as_it_was() {
    let mut b = start();
    reference(&mut b, TYPEDEF, "bad", 99);
    let blob = b.build();
    let btf = Btf::parse(&blob).unwrap();
    let mut text = b"before".to_vec();
    let mut types = Declarations::new(&btf);
    assert!(types.write_type(&mut text, 4).is_err());
    assert_eq!(text, b"before");
}

/// `levels` anonymous structs, each with the one before it as two of its members.
fn doubling(levels: u32) -> Blob {
    let mut b = start();
    b.composite(STRUCT, "", 4, &[("x", 1, 0)]);
    for level in 0..levels {
        let below = 4 + level;
        b.composite(STRUCT, "", 4, &[("a", below, 0), ("b", below, 0)]);
    }
    b.composite(STRUCT, "top", 4, &[("t", 4 + levels, 0)]);
    b
}

#[test]
fn types_that_double_are_refused_when_they_are_too_many() {
    assert!(all(&doubling(4)).unwrap().matches("int x;").count() == 16);
    assert!(matches!(
        all(&doubling(40)),
        Err(BtfError::TooComplex { .. })
    ));
}

/// `levels` anonymous structs inside each other, or pointers to functions that take such.
fn nested(levels: u32, through_functions: bool) -> Blob {
    let mut b = start();
    b.composite(STRUCT, "", 8, &[("x", 3, 0)]);
    let mut last = 4;
    for _ in 0..levels {
        if through_functions {
            proto(&mut b, 0, &[("p", last)]);
            reference(&mut b, PTR, "", last + 1);
            last += 2;
        } else {
            b.composite(STRUCT, "", 8, &[("in", last, 0)]);
            last += 1;
        }
    }
    b.composite(STRUCT, "top", 8, &[("t", last, 0)]);
    b
}

#[test]
fn nesting_is_deep_enough_and_ends_before_the_stack_does() {
    for through_functions in [false, true] {
        assert!(all(&nested(60, through_functions)).is_ok());
        // a thread has two megabytes, and this is no optimized code
        for levels in (70..300).step_by(7) {
            let result = all(&nested(levels, through_functions));
            assert!(matches!(result, Ok(_) | Err(BtfError::TooDeep { .. })));
        }
        let result = all(&nested(5000, through_functions));
        assert!(matches!(result, Err(BtfError::TooDeep { .. })));
    }
}

#[test]
fn long_texts_of_small_blobs_are_refused() {
    // a long name, many times over
    let mut b = start();
    let long = vec![b'n'; 100_000];
    b.record(&long, STRUCT, 0, 0, &[]);
    let members = vec![("m", 5, 0); 2000];
    reference(&mut b, PTR, "", 4);
    b.composite(STRUCT, "many", 8, &members);
    assert!(matches!(all(&b), Err(BtfError::TooComplex { .. })));
}

#[test]
fn a_sink_that_fails_ends_it() {
    let blob = zoo(Endian::Little).build();
    let btf = Btf::parse(&blob).unwrap();
    let result = write(&btf, Options::default(), |_| Err("full"));
    assert!(matches!(result, Err(DumpError::Sink("full"))));
}
