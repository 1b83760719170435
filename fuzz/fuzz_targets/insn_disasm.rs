//! Bytes as instructions, and bytes as program text: nothing panics, and what
//! one direction writes the other reads back.

#![no_main]

use bpfsys::insn::asm::assemble;
use bpfsys::insn::disasm::{NoSymbols, References, disasm_one, is_canonical};
use bpfsys::insn::{ByteOrder, Insn, stream};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for order in [ByteOrder::Little, ByteOrder::Big] {
        from_bytes(data, order);
    }
    if let Ok(text) = std::str::from_utf8(data) {
        from_text(text);
    }
});

fn from_bytes(data: &[u8], order: ByteOrder) {
    let whole = data.len() / Insn::SIZE * Insn::SIZE;
    assert_eq!(stream::decode(data, order).is_ok(), whole == data.len());
    let insns = stream::decode(&data[..whole], order).expect("whole slots");
    assert_eq!(stream::encode(&insns, order), data[..whole]);

    for (at, slots) in stream::instructions(&insns) {
        let line = disasm_one(&insns, at, &References);
        assert_eq!(line.slots, slots.len());
        assert_eq!(disasm_one(&insns, at, &NoSymbols).slots, slots.len());
        let assembled = assemble(&line.to_string());
        if is_canonical(&insns, at) {
            assert_eq!(assembled.as_deref(), Ok(slots), "{line}");
        } else if let Ok(other) = assembled {
            assert_ne!(other, slots, "{line}");
            assert!(is_canonical(&other, 0), "{line}");
        }
    }
}

fn from_text(text: &str) {
    let Ok(insns) = assemble(text) else {
        return;
    };
    let mut listing = String::new();
    for (at, _) in stream::instructions(&insns) {
        assert!(is_canonical(&insns, at), "{text}");
        listing += &format!("{at}: {}\n", disasm_one(&insns, at, &References));
    }
    assert_eq!(assemble(&listing).as_deref(), Ok(&insns[..]), "{listing}");
}
