use super::decode::node_limit;
use super::*;
use crate::testing::{Blob, FLAG, all_bytes, zoo};
use crate::{Btf, Endian};

/// A compact text of a value, to compare with.
fn show(value: &Value<'_>) -> String {
    let list = |items: Vec<String>| items.join(" ");
    match value {
        Value::Uint(v) => format!("{v}u"),
        Value::Int(v) => format!("{v}i"),
        Value::Bool(v) => v.to_string(),
        Value::Char(c) => format!("char {c}"),
        Value::Bits(b) => format!("{:#x}:{}={:?}", b.raw(), b.width, b.value()),
        Value::Enum(e) => match e.name {
            Some(name) => name.to_text().into_owned(),
            None => format!("enum {}", e.value()),
        },
        Value::Float { value, size } => format!("f{size} {value}"),
        Value::RawFloat(bytes) => format!("float {bytes:02x?}"),
        Value::Ptr { value, pointee } => format!("{value:#x}->{pointee}"),
        Value::Str(text) => format!("{:?}", String::from_utf8_lossy(text)),
        Value::Array(items) => format!("[{}]", list(items.iter().map(show).collect())),
        Value::Struct(s) => {
            let show = |m: &Field<'_>| format!("{}:{}", m.name.to_text(), show(&m.value));
            format!("{{{}}}", list(s.members.iter().map(show).collect()))
        }
        Value::Var { name, value } => format!("{}={}", name.to_text(), show(value)),
        Value::Datasec { name, vars } => {
            format!(
                "{}({})",
                name.to_text(),
                list(vars.iter().map(show).collect())
            )
        }
        Value::Opaque { kind, bytes, .. } => format!("<{kind} {}>", bytes.len()),
        Value::Truncated { need, bytes } => format!("<{} of {need}>", bytes.len()),
        Value::Invalid { error, .. } => format!("<{error}>"),
        Value::Omitted => "<...>".to_owned(),
    }
}

fn shown(endian: Endian, id: u32, bytes: &[u8]) -> String {
    let blob = zoo(endian).build();
    let btf = Btf::parse(&blob).unwrap();
    show(&decode(&btf, id, bytes))
}

#[test]
fn decode_when_either_order_then_the_same_values() {
    for endian in [Endian::Little, Endian::Big] {
        let bytes = all_bytes(endian);
        let all = "{a:-5i f1:0x5:3=Some(-3) f2:0x13:5=Some(19) flag:true c:GREEN \
                   p:0xffff888012345678->1 :{n:N text:\"hi\"} d:f8 1.5}";
        let n = match endian {
            Endian::Little => i32::from_le_bytes(*b"hi\0\xff"),
            Endian::Big => i32::from_be_bytes(*b"hi\0\xff"),
        };
        let all = all.replace(":N", &format!(":{n}i"));
        for id in [13, 15, 16, 17] {
            assert_eq!(shown(endian, id, &bytes), all);
        }
        assert_eq!(shown(endian, 21, &bytes), format!("state={all}"));
        assert_eq!(shown(endian, 22, &bytes), format!(".data(state={all})"));
    }
}

#[test]
fn decode_scalars() {
    let le = |id, bytes: &[u8]| shown(Endian::Little, id, bytes);
    assert_eq!(le(2, &[0xff]), "-1i");
    assert_eq!(le(3, &[0xff]), "255u");
    assert_eq!(le(4, &[2]), "true");
    assert_eq!(le(4, &[0]), "false");
    assert_eq!(le(5, &[0xff; 16]), format!("{:#x}:128=None", u128::MAX));
    assert_eq!(
        le(25, &[1, 0, 0, 0, 9]),
        "1i",
        "through a type tag, surplus left alone"
    );
    assert_eq!(le(29, &1.25f32.to_le_bytes()), "f4 1.25");
    assert_eq!(le(26, &[7; 16]), format!("float {:02x?}", [7; 16]));
    assert_eq!(
        shown(Endian::Big, 5, &1u128.to_be_bytes()),
        "0x1:128=Some(1)"
    );
}

#[test]
fn decode_enums_by_name_or_number() {
    let le = |id, bytes: &[u8]| shown(Endian::Little, id, bytes);
    assert_eq!(le(9, &[0; 4]), "RED");
    assert_eq!(le(9, &[0xff; 4]), "GREEN");
    assert_eq!(le(9, &0x8000_0000u32.to_le_bytes()), "enum 2147483648");
    assert_eq!(le(10, &[0xfe]), "LOW");
    assert_eq!(le(10, &[0xff]), "enum -1");
    assert_eq!(le(11, &0x8000_0000_0000_0001u64.to_le_bytes()), "BIG");
    assert_eq!(le(11, &[0xff; 8]), "enum 18446744073709551615");

    // One byte, not marked as signed, with a constant of -1: as compilers wrote it before
    // there was a mark.
    let mut blob = Blob::new(Endian::Little);
    let name = blob.str(b"MINUS");
    blob.record(b"old", 6, 1, 1, &[name, u32::MAX]);
    let blob = blob.build();
    let btf = Btf::parse(&blob).unwrap();
    assert_eq!(show(&decode(&btf, 1, &[0xff])), "MINUS");
    assert_eq!(show(&decode(&btf, 1, &[0xfe])), "enum 254");
}

#[test]
fn decode_arrays_of_characters() {
    let le = |bytes: &[u8]| shown(Endian::Little, 7, bytes);
    assert_eq!(le(b"hello\0\xff\xff"), "\"hello\"");
    assert_eq!(le(b"\0\x01\x02\x03\x04\x05\x06\x07"), "\"\"");
    assert_eq!(le(b"no_nul!!"), "[110i 111i 95i 110i 117i 108i 33i 33i]");
    assert!(le(b"tab\t\0\0\0\0").starts_with("[116i"));
    assert!(le(b"h\xc3\xa9\0\0\0\0\0").starts_with("[104i -61i"));
    assert_eq!(le(b"abc"), "[97i 98i 99i <0 of 5>]");
    assert_eq!(le(b"ab\0"), "[97i 98i 0i <0 of 5>]", "not a whole array");
    assert_eq!(shown(Endian::Big, 8, &[0; 24]), "[[0i 0i] [0i 0i] [0i 0i]]");
}

#[test]
fn decode_when_bytes_are_few_then_says_so_in_place() {
    let bytes = all_bytes(Endian::Little);
    assert_eq!(
        shown(Endian::Little, 13, &bytes[..18]),
        "{a:-5i f1:0x5:3=Some(-3) f2:0x13:5=Some(19) flag:true c:GREEN p:<2 of 8> \
         :{n:<0 of 4> text:[<0 of 8>]} d:<0 of 8>}"
    );
    assert_eq!(shown(Endian::Little, 8, &[0; 10]), "[[0i 0i] <2 of 16>]");
    assert_eq!(shown(Endian::Little, 1, &[0; 3]), "<3 of 4>");
    assert_eq!(shown(Endian::Little, 22, &[]).matches("of").count(), 9);
}

#[test]
fn decode_when_member_has_no_value_then_the_rest_stays() {
    let mut blob = Blob::new(Endian::Little);
    blob.int("int", 4, 1, 0, 32);
    blob.record(b"later", 7, 0, 0, &[]);
    blob.record(b"", 13, 0, 1, &[]);
    blob.record(b"run", 12, 1, 3, &[]);
    blob.record(b"double", 16, 0, 8, &[]);
    let members = [
        ("l", 2, 0),
        ("f", 4, 0),
        ("v", 0, 32),
        ("none", 77, 32),
        ("d", 5, 0),
        ("i", 1, 32),
    ];
    blob.composite(4, "s", 8, &members);
    let blob = blob.build();
    let btf = Btf::parse(&blob).unwrap();
    assert_eq!(
        show(&decode(&btf, 6, &1.5f64.to_le_bytes())),
        "{l:<FWD 8> f:<FUNC 8> v:<void 4> none:<no type with id 77: ids end at 7> d:f8 1.5 \
         i:1073217536i}"
    );
}

#[test]
fn decode_old_bit_fields() {
    // Width and offset in the integer: 4 bits from bit 2, in a member at bit 100.
    for (endian, byte) in [(Endian::Little, 0b1011_0000u8), (Endian::Big, 0b0000_1011)] {
        let mut blob = Blob::new(endian);
        blob.int("bits", 4, 0, 2, 4);
        blob.int("one", 1, 0, 0, 1);
        blob.composite(4, "s", 16, &[("b", 1, 98), ("o", 2, 100)]);
        let blob = blob.build();
        let btf = Btf::parse(&blob).unwrap();
        let mut bytes = [0u8; 16];
        bytes[12] = byte;
        assert_eq!(
            show(&decode(&btf, 3, &bytes)),
            "{b:0xb:4=Some(11) o:0x1:1=Some(1)}"
        );
    }
}

#[test]
fn bits_extend_their_sign() {
    #[expect(clippy::cast_possible_truncation, reason = "both halves are kept")]
    let bits = |raw: u128, width, signed| Bits {
        low: raw as u64,
        high: (raw >> 64) as u64,
        width,
        signed,
        type_id: TypeId(1),
    };
    assert_eq!(bits(0b101, 3, true).value(), Some(-3));
    assert_eq!(bits(0b101, 3, false).value(), Some(5));
    assert_eq!(bits(u128::MAX, 128, true).value(), Some(-1));
    assert_eq!(bits(u128::MAX, 128, false).value(), None);
    assert_eq!(bits(0, 0, true).value(), Some(0));
    assert_eq!(bits(1 << 127, 128, true).value(), Some(i128::MIN));
}

#[test]
fn decode_when_width_is_above_128_then_invalid() {
    let mut blob = Blob::new(Endian::Little);
    blob.int("wide", 32, 0, 0, 255);
    blob.composite(4 | FLAG, "s", 32, &[("w", 1, 200 << 24)]);
    let blob = blob.build();
    let btf = Btf::parse(&blob).unwrap();
    let value = decode(&btf, 1, &[0; 32]);
    assert!(matches!(&value, Value::Invalid { error, .. }
        if **error == BtfError::BitWidth { id: TypeId(1), bits: 255 }));
    assert!(decode(&btf, 2, &[0; 32]).is_incomplete());
}

/// Types that would make far more nodes than there are bytes.
fn bombs() -> Vec<u8> {
    let mut blob = Blob::new(Endian::Little);
    blob.composite(4, "empty", 0, &[]); // 1
    blob.record(b"", 3, 0, 0, &[1, 1, u32::MAX]); // 2: huge array of nothing
    blob.record(b"", 3, 0, 0, &[2, 1, u32::MAX]); // 3: and of those
    blob.composite(4, "loop", 8, &[("a", 4, 0), ("b", 4, 0)]); // 4: twice itself
    for id in 5..45 {
        blob.composite(5, "", 8, &[("", id + 1, 0), ("", id + 1, 0)]); // 5: 2^40 members
    }
    blob.int("int", 4, 1, 0, 32); // 45
    blob.record(b"", 3, 0, 0, &[45, 1, u32::MAX]); // 46
    blob.record(b"v", 14, 0, 47, &[1]); // 47: variable of itself
    blob.record(b"", 3, 0, 0, &[48, 1, 0]); // 48: no elements of itself
    blob.record(b".bss", 15, 2, 0, &[49, 0, 8, 49, 0, 8]); // 49: section of itself
    blob.build()
}

#[test]
fn decode_when_type_is_a_bomb_then_nodes_are_bounded() {
    let blob = bombs();
    let btf = Btf::parse(&blob).unwrap();
    for len in [0, 1, 8, 100, 5000] {
        let bytes = vec![0; len];
        for id in 0..btf.len() + 2 {
            let nodes = decode(&btf, id, &bytes).nodes();
            // Where the limit is met, each open level may add a last node.
            assert!(
                nodes <= node_limit(len) + 70,
                "type {id}, {len} bytes: {nodes} nodes"
            );
        }
    }
    assert!(decode(&btf, 2, &[]).is_incomplete());
    assert!(decode(&btf, 5, &[0; 8]).is_incomplete());
}

#[test]
fn values_stay_small() {
    assert!(size_of::<Value<'_>>() <= 40);
}

/// Counts what a large value has, and stops at some point.
struct Counter {
    leaves: usize,
    open: Vec<&'static str>,
    stop: usize,
}

impl<'a> Visitor<'a> for Counter {
    type Error = usize;

    fn leaf(&mut self, value: Value<'a>) -> Result<(), usize> {
        assert!(matches!(value, Value::Uint(7) | Value::Truncated { .. }));
        self.leaves += 1;
        if self.leaves == self.stop {
            return Err(self.leaves);
        }
        Ok(())
    }

    fn begin(&mut self, group: Group<'a>, _: usize) -> Result<(), usize> {
        self.open.push(match group {
            Group::Array => "array",
            Group::Struct { .. } => "struct",
            Group::Var { .. } => "var",
            Group::Datasec { .. } => "section",
        });
        Ok(())
    }

    fn member(&mut self, name: Name<'a>) -> Result<(), usize> {
        assert!(name.is(b"items"));
        assert_eq!(self.open, ["section", "var", "struct"]);
        Ok(())
    }

    fn end(&mut self, _: Group<'a>) -> Result<(), usize> {
        self.open.pop();
        Ok(())
    }
}

#[test]
fn visit_when_stopped_then_at_once() {
    let mut blob = Blob::new(Endian::Little);
    blob.int("u8", 1, 0, 0, 8);
    blob.record(b"", 3, 0, 0, &[1, 1, 1000]);
    let items = blob.str(b"items");
    blob.record(b"s", 4, 1, 1000, &[items, 2, 0]);
    blob.record(b"v", 14, 0, 3, &[1]);
    blob.record(b".bss", 15, 1, 1000, &[4, 0, 1000]);
    let blob = blob.build();
    let btf = Btf::parse(&blob).unwrap();
    for (stop, bytes, result, leaves) in [
        (0, 1000, Ok(()), 1000),
        (0, 999, Ok(()), 1000),
        (10, 1000, Err(10), 10),
    ] {
        let mut counter = Counter {
            leaves: 0,
            open: Vec::new(),
            stop,
        };
        let bytes = vec![7; bytes];
        assert_eq!(visit(&btf, 5, &bytes, &mut counter), result);
        assert_eq!(counter.leaves, leaves);
        assert_eq!(counter.open.is_empty(), result.is_ok());
        if result.is_ok() {
            assert_eq!(decode(&btf, 5, &bytes).nodes(), leaves + 4);
        }
    }
}
