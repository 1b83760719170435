//! Bytes as `.BTF.ext`: whatever parses can be read, written and read again.

use btf::Endian;
use btf::ext::{Ext, ExtBuilder, Record, Table};

pub(crate) fn run(data: &[u8]) {
    let Ok(ext) = Ext::parse(data) else { return };
    let records = view(&ext.func_info()) + view(&ext.line_info()) + view(&ext.core_relos());
    // tables may overlap, each is inside of the section
    assert!(records <= 3 * data.len() / 8);
    for endian in [Endian::Little, Endian::Big] {
        let written = ExtBuilder::copy(&ext, endian).finish().expect("small");
        let again = Ext::parse(&written).expect("own bytes");
        assert!(ext.func_info().records().eq(again.func_info().records()));
        assert!(ext.line_info().records().eq(again.line_info().records()));
        assert!(ext.core_relos().records().eq(again.core_relos().records()));
        let same = ExtBuilder::copy(&again, endian).finish().expect("small");
        assert_eq!(written, same);
    }
}

fn view<R: Record>(table: &Table<'_, R>) -> usize {
    let mut count = 0;
    for block in table.blocks() {
        let records = block.records();
        let len = records.len();
        assert_eq!(records.count(), len);
        count += len;
    }
    assert_eq!(count, table.records().count());
    count
}
