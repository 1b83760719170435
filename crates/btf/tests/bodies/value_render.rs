//! Bytes as values of sound types, and of types that are arbitrary too.

use btf::value::{Value, decode};
use btf::{Btf, Endian};

use crate::testing::zoo;

pub(crate) fn run(data: &[u8]) {
    let Some((choice, data)) = data.split_first() else {
        return;
    };
    let endian = if choice & 1 == 0 {
        Endian::Little
    } else {
        Endian::Big
    };
    if choice & 2 == 0 {
        let blob = zoo(endian).build();
        let btf = Btf::parse(&blob).expect("a sound blob");
        all_types(&btf, data, true);
    } else {
        // The last bytes are a value of each type that the others describe.
        let (blob, value) = data.split_at(data.len() - data.len().min(64));
        if let Ok(btf) = Btf::parse(blob) {
            all_types(&btf, value, false);
        }
    }
}

fn all_types(btf: &Btf<'_>, bytes: &[u8], sound: bool) {
    for id in 0..btf.len().min(64) {
        let value = decode(btf, id, bytes);
        let nodes = value.nodes();
        assert!(
            nodes <= 2048 + 17 * bytes.len(),
            "{nodes} nodes for {} bytes",
            bytes.len()
        );
        visit(&value, bytes);
        let size = btf
            .size_of(id)
            .ok()
            .and_then(|size| usize::try_from(size).ok());
        if let (true, Some(size)) = (sound, size) {
            assert_eq!(
                value.is_incomplete(),
                bytes.len() < size,
                "type {id}: {value:?}"
            );
        }
    }
}

/// Every slice in the value is one of the bytes.
fn visit(value: &Value<'_>, bytes: &[u8]) {
    let inside = |part: &[u8]| part.is_empty() || bytes.as_ptr_range().contains(&part.as_ptr());
    match value {
        Value::Bits(bits) => {
            assert!(bits.width == 128 || bits.raw() >> bits.width == 0);
            assert!(bits.value().is_some() || bits.raw() >> 127 == 1);
        }
        Value::Enum(e) => {
            assert!(e.signed || e.value() >= 0);
            drop(e.name.map(btf::types::Name::to_text));
        }
        Value::Str(part)
        | Value::RawFloat(part)
        | Value::Opaque { bytes: part, .. }
        | Value::Truncated { bytes: part, .. } => assert!(inside(part)),
        Value::Invalid { error, bytes: part } => {
            assert!(inside(part));
            let text = error.to_string();
            assert!(!text.is_empty() && !text.contains('\n') && !text.ends_with('.'));
        }
        Value::Array(items) | Value::Datasec { vars: items, .. } => {
            items.iter().for_each(|item| visit(item, bytes));
        }
        Value::Struct(s) => s.members.iter().for_each(|m| visit(&m.value, bytes)),
        Value::Var { value, .. } => visit(value, bytes),
        _ => {}
    }
}
