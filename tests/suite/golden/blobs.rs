//! The BTF files that command lines are tried on: `tests/fixtures/btf`.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail, ensure};
use rbpftool_tests::{blessing, fixture};

use crate::forge::{Blob, FLAG, Order, elf, patched};

/// Every file with what must be in it.
pub(crate) fn all() -> Vec<(&'static str, Vec<u8>)> {
    use Order::{Big, Little};
    let kinds = kinds().bytes(Little);
    let small = small().bytes(Little);
    let split = split().bytes(Little);
    vec![
        // well-formed
        ("kinds.btf", kinds.clone()),
        ("kinds-be.btf", self::kinds().bytes(Big)),
        ("empty.btf", Blob::new().bytes(Little)),
        ("base.btf", small.clone()),
        ("base-be.btf", self::small().bytes(Big)),
        ("split.btf", split.clone()),
        ("split-be.btf", self::split().bytes(Big)),
        ("layout.btf", layout().bytes(Little)),
        ("layout-be.btf", layout().bytes(Big)),
        ("names.btf", names().bytes(Little)),
        ("odd-links.btf", odd_links().bytes(Little)),
        // ELF files
        (
            "kinds.o",
            elf(Little, &[(".text", b"code"), (".BTF", &kinds)]),
        ),
        (
            "kinds-be.o",
            elf(Big, &[(".BTF", &self::kinds().bytes(Big))]),
        ),
        ("none.o", elf(Little, &[(".text", b"code")])),
        (
            "based.o",
            elf(Little, &[(".BTF", &split), (".BTF.base", &small)]),
        ),
        (
            "bad-base.o",
            elf(Little, &[(".BTF", &split), (".BTF.base", b"not types")]),
        ),
        ("cut.o", elf(Little, &[(".BTF", &kinds)])[..100].to_vec()),
        // malformed
        ("bad-magic.btf", patched(small.clone(), 0, &[0x9e, 0xeb])),
        ("bad-version.btf", patched(small.clone(), 2, &[2])),
        (
            "bad-header-len.btf",
            patched(small.clone(), 4, &20_u32.to_le_bytes()),
        ),
        ("short-header.btf", small[..23].to_vec()),
        (
            "types-past-end.btf",
            patched(small.clone(), 12, &4096_u32.to_le_bytes()),
        ),
        (
            "types-unaligned.btf",
            patched(small.clone(), 8, &2_u32.to_le_bytes()),
        ),
        (
            "strings-past-end.btf",
            patched(small.clone(), 20, &4096_u32.to_le_bytes()),
        ),
        (
            "strings-overlap.btf",
            patched(small.clone(), 16, &8_u32.to_le_bytes()),
        ),
        (
            "strings-open.btf",
            patched(small.clone(), small.len() - 1, b"x"),
        ),
        ("strings-none.btf", strings_none(small.clone())),
        ("type-cut.btf", type_cut().bytes(Little)),
        ("kind-unknown.btf", unknown().bytes(Little)),
        ("layout-odd-len.btf", layout_odd_len()),
        ("layout-odd-size.btf", layout_odd_size().bytes(Little)),
    ]
}

/// All kinds in the order of their numbers, then those that have a second form.
fn kinds() -> Blob {
    let mut blob = Blob::new();
    let [a, b, c, d] = [&b"a"[..], b"b", b"BIG", b"NEG"].map(|name| blob.name(name));
    blob.add(b"int", 1, 0, 4, &[1 << 24 | 32]); // 1
    blob.add(b"", 2, 0, 1, &[]);
    blob.add(b"", 3, 0, 0, &[1, 1, 10]);
    blob.add(b"s", 4, 2, 8, &[a, 1, 0, 0, 2, 32]);
    blob.add(b"u", 5, 1, 4, &[b, 1, 0]); // 5
    blob.add(b"e", 6, 2, 4, &[a, 1, c, u32::MAX]);
    blob.add(b"f", 7, 0, 0, &[]);
    blob.add(b"t", 8, 0, 1, &[]);
    blob.add(b"", 9, 0, 1, &[]);
    blob.add(b"", 10, 0, 0, &[]); // 10
    blob.add(b"", 11, 0, 2, &[]);
    blob.add(b"fn", 12, 1, 13, &[]);
    blob.add(b"", 13, 3, 1, &[a, 1, b, 2, 0, 0]);
    blob.add(b"v", 14, 0, 1, &[1]);
    blob.add(b".data", 15, 1, 4, &[14, 0, 4]); // 15
    blob.add(b"double", 16, 0, 8, &[]);
    blob.add(b"tag", 17, 0, 4, &[u32::MAX]);
    blob.add(b"user", 18, 0, 1, &[]);
    blob.add(b"e64", 19, 2, 8, &[c, 1, 0x8000_0000, a, 7, 0]);
    // bit fields
    blob.add(b"bits", 4 | FLAG, 2, 4, &[a, 1, 3 << 24, b, 1, 5 << 24 | 3]); // 20
    blob.add(b"e-", 6 | FLAG, 2, 4, &[d, u32::MAX, a, 1]);
    blob.add(b"e64-", 19 | FLAG, 1, 8, &[d, 0, 0x8000_0000]);
    blob.add(b"fu", 7 | FLAG, 0, 0, &[]);
    blob.add(b"empty", 4, 0, 0, &[]);
    blob.add(b"arg", 17, 0, 12, &[1]); // 25
    blob.add(b"static_fn", 12, 0, 13, &[]);
    blob.add(b"extern_fn", 12, 2, 13, &[]);
    blob.add(b"odd_fn", 12, 3, 13, &[]);
    blob.add(b"static_v", 14, 0, 1, &[0]);
    blob.add(b"extern_v", 14, 0, 1, &[2]); // 30
    blob.add(b"char", 1, 0, 1, &[2 << 24 | 8]);
    blob.add(b"_Bool", 1, 0, 1, &[4 << 24 | 8]);
    blob.add(b"plain", 1, 0, 4, &[3 << 16 | 29]);
    blob.add(b"odd", 1, 0, 4, &[9 << 24 | 32]);
    blob.add(b".ksyms", 15, 2, 0, &[12, 0, 0, 30, 0, 4]); // 35
    blob.add(b"attribute", 18 | FLAG, 0, 1, &[]);
    blob
}

fn small() -> Blob {
    let mut blob = Blob::new();
    blob.add(b"int", 1, 0, 4, &[1 << 24 | 32]);
    blob.add(b"float", 16, 0, 4, &[]);
    blob
}

/// On top of [`small`]: names and types of both.
fn split() -> Blob {
    let mut blob = Blob::split(&small());
    blob.add(b"own", 8, 0, 1, &[]); // 3
    blob.raw(&[1, 8 << 24, 3]);
    blob.add(b"pair", 4, 2, 8, &[1, 3, 0, 5, 2, 32]); // 5
    blob
}

/// A kind of the future between two known ones.
fn layout() -> Blob {
    let mut blob = small();
    blob.add(b"future", 30, 2, 77, &[1, 2, 3]);
    blob.add(b"after", 8, 0, 1, &[]);
    let mut sizes = [(0, 0); 31];
    sizes[1] = (4, 0);
    sizes[30] = (4, 4);
    blob.layout(&sizes);
    blob
}

/// Names that neither a terminal nor JSON takes as they are.
fn names() -> Blob {
    let mut blob = Blob::new();
    for name in [
        &b"\x1b[31mred"[..],
        b"a\"b\\c",
        b"line\nbreak\ttab",
        b"\xff\xc3\xa9",
        "\u{9b}1m\u{202e}rtl".as_bytes(),
        b"del\x7f",
        b"back\\\xfe",
        "\u{e9}\u{4e2d}".as_bytes(),
    ] {
        blob.add(name, 16, 0, 4, &[]);
    }
    blob.raw(&[9999, 16 << 24, 4]);
    blob.raw(&[u32::MAX, 16 << 24, 4]);
    let member = blob.name(b"m\x1b");
    blob.add(b"s", 4, 1, 4, &[member, 1, 0]);
    blob.add(b"e", 6, 1, 4, &[member, 1]);
    blob.add(b"", 13, 1, 0, &[member, 1]);
    blob
}

/// Ids that no type has, and types that refer to themselves: shown as they are.
fn odd_links() -> Blob {
    let mut blob = Blob::new();
    blob.add(b"self", 8, 0, 1, &[]);
    blob.add(b"", 2, 0, 4096, &[]);
    blob.add(b"", 3, 0, 0, &[3, 3, u32::MAX]);
    blob.add(
        b".bss",
        15,
        3,
        4,
        &[4096, 0, 4, 1, 4, 4, 4, u32::MAX, u32::MAX],
    );
    blob.add(b"huge", 4, 1, u32::MAX, &[0, 5, u32::MAX]);
    blob
}

/// No strings at all: not even the empty one.
fn strings_none(small: Vec<u8>) -> Vec<u8> {
    patched(small, 20, &[0; 4])
}

/// A struct whose members are more than there is room for.
fn type_cut() -> Blob {
    let mut blob = small();
    blob.add(b"cut", 4, 2, 8, &[0, 1, 0]);
    blob
}

fn unknown() -> Blob {
    let mut blob = small();
    blob.add(b"future", 30, 0, 0, &[]);
    blob
}

/// A layout section that ends within an entry.
fn layout_odd_len() -> Vec<u8> {
    let bytes = layout().bytes(Order::Little);
    patched(bytes, 28, &123_u32.to_le_bytes())
}

/// An entry that would put the next record off its place.
fn layout_odd_size() -> Blob {
    let mut blob = layout();
    let mut sizes = [(0, 0); 31];
    sizes[30] = (4, 3);
    blob.layout(&sizes);
    blob
}

/// The committed files are these, no more and no less.
pub(crate) fn check() -> Result<()> {
    let dir = fixture("btf");
    if blessing() {
        std::fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
    }
    let mut names = BTreeSet::new();
    for (name, bytes) in all() {
        ensure!(names.insert(name.to_owned()), "{name} is made twice");
        let path = dir.join(name);
        if blessing() {
            std::fs::write(&path, &bytes).with_context(|| format!("write {name}"))?;
        }
        let found = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        if found != bytes {
            bail!("{name} is not what the forge makes (`cargo xtask golden` rewrites it)");
        }
    }
    for path in crate::list(&dir)? {
        let name = crate::file_name(&path);
        ensure!(names.contains(&name), "nothing makes {}", path.display());
    }
    // A file that no command line reads checks nothing.
    let mut lines = String::new();
    for path in crate::list(&rbpftool_tests::root().join("tests/cli"))? {
        lines +=
            &std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    }
    for name in names {
        ensure!(
            lines.contains(&format!("$FIXTURES/btf/{name}")),
            "no case in tests/cli uses {name}"
        );
    }
    Ok(())
}
