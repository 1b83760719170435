#![allow(
    clippy::cast_possible_truncation,
    reason = "numbers of tests are small"
)]

use proptest::prelude::*;

use super::*;
use crate::TypeId;

fn put(endian: Endian, out: &mut Vec<u8>, words: &[u32]) {
    for word in words {
        out.extend(match endian {
            Endian::Little => word.to_le_bytes(),
            Endian::Big => word.to_be_bytes(),
        });
    }
}

/// A section with tables of the given words, one behind the other.
fn section(endian: Endian, header: u32, tables: [&[u32]; 3]) -> Vec<u8> {
    let mut out = match endian {
        Endian::Little => vec![0x9f, 0xeb, 1, 0],
        Endian::Big => vec![0xeb, 0x9f, 1, 0],
    };
    put(endian, &mut out, &[header]);
    let mut off = 0;
    for table in tables {
        let len = 4 * table.len() as u32;
        put(endian, &mut out, &[off, len]);
        off += len;
    }
    out.resize(header as usize, 0);
    for table in tables {
        put(endian, &mut out, table);
    }
    out
}

#[test]
fn all_tables_are_read_in_both_orders() {
    let func = [8, 1, 2, 0, 7, 16, 8, 9, 1, 24, 3];
    let line = [16, 1, 1, 8, 20, 30, 5 << 10 | 3];
    let core = [16, 1, 2, 8, 4, 40, 0, 16, 5, 50, 12];
    for endian in [Endian::Little, Endian::Big] {
        let data = section(endian, 32, [&func, &line, &core]);
        let ext = Ext::parse(&data).unwrap();
        assert_eq!(ext.endian(), endian);
        let blocks: Vec<_> = ext
            .func_info()
            .blocks()
            .map(|b| (b.section_name_off(), b.offset(), b.records().len()))
            .collect();
        assert_eq!(blocks, [(1, 44, 2), (9, 68, 1)]);
        let starts: Vec<_> = ext.func_info().records().map(|f| f.insn_off).collect();
        assert_eq!(starts, [0, 16, 24]);
        let line = ext.line_info().records().next().unwrap();
        assert_eq!((line.line(), line.column(), line.file_name_off), (5, 3, 20));
        let kinds: Vec<_> = ext.core_relos().records().map(|r| r.kind).collect();
        assert_eq!(kinds, [RelocKind::FieldByteOffset, RelocKind::TypeMatches]);
    }
}

#[test]
fn longer_records_and_headers_are_tolerated() {
    let func = [12, 1, 2, 0, 7, 99, 16, 8, 99];
    let core = [24, 1, 1, 8, 4, 40, 99, 77, 77];
    let data = section(Endian::Little, 40, [&func, &[], &core]);
    let ext = Ext::parse(&data).unwrap();
    assert_eq!(ext.func_info().record_size(), 12);
    let ids: Vec<_> = ext.func_info().records().map(|f| f.type_id.0).collect();
    assert_eq!(ids, [7, 8]);
    let relo = ext.core_relos().records().next().unwrap();
    assert_eq!(relo.kind, RelocKind::Unknown(99));
    assert!(ext.line_info().is_empty());
    // the header of before CO-RE says nothing of the third table
    let old = section(Endian::Little, 24, [&func, &[], &core]);
    assert!(Ext::parse(&old).unwrap().core_relos().is_empty());
}

#[test]
fn defects_are_told_with_their_place() {
    let check = |data: &[u8], expect: &str| {
        assert_eq!(Ext::parse(data).unwrap_err().to_string(), expect);
    };
    let le = |header, tables: [&[u32]; 3]| section(Endian::Little, header, tables);
    check(
        &[],
        ".BTF.ext header needs 8 bytes at offset 0, 0 are there",
    );
    check(
        &[1, 2, 3, 4, 5, 6, 7, 8],
        "not .BTF.ext: magic 0x0201 at offset 0 instead of 0xeb9f",
    );
    let mut wrong = le(32, [&[], &[], &[]]);
    wrong[2] = 2;
    check(&wrong, ".BTF.ext version 2 at offset 2 is not supported");
    wrong[2] = 1;
    wrong[3] = 0x80;
    check(&wrong, ".BTF.ext flags 0x80 at offset 3 are not supported");
    wrong[3] = 0;
    wrong[4] = 20;
    check(&wrong, ".BTF.ext header length 20 at offset 4 is below 24");
    wrong[4] = 33;
    check(
        &wrong,
        ".BTF.ext header needs 33 bytes at offset 0, 32 are there",
    );
    check(
        &le(32, [&[4, 1, 0], &[], &[]]),
        ".BTF.ext func_info record size 4 at offset 32 is below 8 or no multiple of 4",
    );
    check(
        &le(32, [&[10, 1, 0], &[], &[]]),
        ".BTF.ext func_info record size 10 at offset 32 is below 8 or no multiple of 4",
    );
    check(
        &le(32, [&[8, 1, u32::MAX, 0, 0], &[], &[]]),
        ".BTF.ext func_info block at offset 36 needs 34359738368 bytes, the table has 16 left",
    );
    check(
        &le(32, [&[8, 1], &[], &[]]),
        ".BTF.ext func_info block at offset 36 needs 8 bytes, the table has 4 left",
    );
    check(
        &le(32, [&[u32::MAX - 3, 1, 1], &[], &[]]),
        ".BTF.ext func_info block at offset 36 needs 4294967300 bytes, the table has 8 left",
    );
    let mut cut = le(32, [&[], &[16, 1, 1, 0, 0, 0, 0], &[]]);
    cut.truncate(50);
    check(
        &cut,
        ".BTF.ext line_info table of 28 bytes at offset 32 ends past the section of 50 bytes",
    );
    let mut odd = le(32, [&[8, 1, 0], &[], &[]]);
    odd[8] = 2;
    check(
        &odd,
        ".BTF.ext func_info table at offset 34 is not 4-byte aligned",
    );
}

#[test]
fn kinds_have_their_numbers() {
    for (raw, kind) in (0..).zip(RelocKind::ALL) {
        assert_eq!((kind.raw(), RelocKind::from_raw(raw)), (raw, kind));
        let classes = [kind.is_field(), kind.is_type(), kind.is_enumval()];
        assert_eq!(classes.iter().filter(|c| **c).count(), 1, "{kind}");
    }
    assert_eq!(RelocKind::from_raw(13), RelocKind::Unknown(13));
    assert_eq!(RelocKind::Unknown(13).to_string(), "unknown(13)");
}

type Blocks<T> = Vec<(u32, Vec<T>)>;

fn blocks(records: usize) -> impl Strategy<Value = Blocks<[u32; 4]>> {
    let record = any::<[u32; 4]>();
    prop::collection::vec(
        (any::<u32>(), prop::collection::vec(record, 1..records)),
        0..4,
    )
}

proptest! {
    #[test]
    fn what_was_written_is_read(
        big in any::<bool>(),
        func in blocks(5),
        line in blocks(5),
        core in blocks(5),
    ) {
        let endian = if big { Endian::Big } else { Endian::Little };
        let func: Blocks<_> = func.into_iter().map(|(n, r)| (n, r.into_iter()
            .map(|[a, b, ..]| FuncInfo { insn_off: a, type_id: TypeId(b) }).collect())).collect();
        let line: Blocks<_> = line.into_iter().map(|(n, r)| (n, r.into_iter()
            .map(|[a, b, c, d]| LineInfo { insn_off: a, file_name_off: b, line_off: c, line_col: d })
            .collect())).collect();
        let core: Blocks<_> = core.into_iter().map(|(n, r)| (n, r.into_iter()
            .map(|[a, b, c, d]| CoreRelo {
                insn_off: a, type_id: TypeId(b), access_str_off: c, kind: RelocKind::from_raw(d),
            }).collect())).collect();
        let mut builder = ExtBuilder::new(endian);
        for (name, records) in &func { builder.func_info(*name, records.iter().copied()); }
        for (name, records) in &line { builder.line_info(*name, records.iter().copied()); }
        for (name, records) in &core { builder.core_relos(*name, records.iter().copied()); }
        let data = builder.finish().unwrap();
        let ext = Ext::parse(&data).unwrap();
        fn read<R: Record>(table: Table<'_, R>) -> Blocks<R> {
            table.blocks().map(|b| (b.section_name_off(), b.records().collect())).collect()
        }
        prop_assert_eq!(read(ext.func_info()), func);
        prop_assert_eq!(read(ext.line_info()), line);
        prop_assert_eq!(read(ext.core_relos()), core);
        // to the other order and back
        let other = if big { Endian::Little } else { Endian::Big };
        let swapped = ExtBuilder::copy(&ext, other).finish().unwrap();
        let back = ExtBuilder::copy(&Ext::parse(&swapped).unwrap(), endian).finish().unwrap();
        prop_assert_eq!(back, data);
    }

    #[test]
    fn any_bytes_are_read_or_refused(mut data in prop::collection::vec(any::<u8>(), 0..200), sound in any::<bool>()) {
        if sound && data.len() >= 32 {
            data[..8].copy_from_slice(&[0x9f, 0xeb, 1, 0, 32, 0, 0, 0]);
            for at in [9, 10, 11, 13, 14, 15, 17, 18, 19, 21, 22, 23, 25, 26, 27, 29, 30, 31] {
                data[at] = 0;
            }
        }
        if let Ok(ext) = Ext::parse(&data) {
            let count = ext.func_info().records().count()
                + ext.line_info().records().count() + ext.core_relos().records().count();
            prop_assert!(count <= data.len());
        }
    }
}
