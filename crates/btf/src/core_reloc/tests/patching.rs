//! Answers in instructions.

use super::*;

/// An answer to a question about a field's offset.
fn fixup(local: u64, target: u64) -> Fixup {
    Fixup {
        kind: RelocKind::FieldByteOffset,
        local,
        target,
        sure: true,
        poison: false,
        memory: None,
        candidate: None,
        candidates: 1,
        rejected: Vec::new(),
    }
}

fn sized(fixup: Fixup, local: u64, target: u64, resize: Resize) -> Fixup {
    let field = |size| Field {
        type_id: TypeId(1),
        size,
        signed: false,
    };
    Fixup {
        memory: Some(Memory {
            local: field(local),
            target: field(target),
            resize,
        }),
        ..fixup
    }
}

fn insn(code: u8, off: i16, imm: i32) -> Insn {
    Insn {
        code,
        dst: 1,
        src: 0,
        off,
        imm,
    }
}

/// Patches in both byte orders; what was done and the instructions after.
#[track_caller]
fn apply(insns: &[Insn], fixup: &Fixup) -> Result<(Patched, Vec<Insn>), PatchError> {
    let [little, big] = [Endian::Little, Endian::Big].map(|endian| {
        let mut bytes: Vec<[u8; 8]> = insns.iter().map(|i| i.encode(endian)).collect();
        let before = bytes.clone();
        let done = patch(&mut bytes, 0, endian, fixup);
        if done.is_err() {
            assert_eq!(bytes, before);
        }
        done.map(|done| {
            let after = bytes.iter().map(|b| Insn::decode(*b, endian)).collect();
            (done, after)
        })
    });
    assert_eq!(little, big);
    little
}

const MOV64: u8 = 0xb7;
const ADD64: u8 = 0x07;
const MOV32: u8 = 0xb4;
const LDX: [(u8, u64); 4] = [(0x61, 4), (0x69, 2), (0x71, 1), (0x79, 8)];
const POISON: Insn = Insn {
    code: 0x85,
    dst: 0,
    src: 0,
    off: 0,
    imm: 195_896_080,
};

#[test]
fn instructions_have_the_bytes_of_their_order() {
    let one = Insn {
        code: 0x79,
        dst: 1,
        src: 2,
        off: -2,
        imm: 0x0102_0304,
    };
    assert_eq!(
        one.encode(Endian::Little),
        [0x79, 0x21, 0xfe, 0xff, 4, 3, 2, 1]
    );
    assert_eq!(
        one.encode(Endian::Big),
        [0x79, 0x12, 0xff, 0xfe, 1, 2, 3, 4]
    );
    for endian in [Endian::Little, Endian::Big] {
        assert_eq!(Insn::decode(one.encode(endian), endian), one);
    }
}

#[test]
fn constants_of_arithmetic_are_replaced() {
    for code in [MOV64, ADD64, MOV32] {
        let (done, after) = apply(&[insn(code, 0, 8)], &fixup(8, 16)).unwrap();
        assert_eq!(done, Patched::Imm { from: 8, to: 16 });
        assert_eq!(after, [insn(code, 0, 16)]);
    }
    let wrong = apply(&[insn(MOV64, 0, 9)], &fixup(8, 16)).unwrap_err();
    assert_eq!(
        wrong.to_string(),
        "instruction 0 holds 9, the object's types give 8"
    );
    let unsure = Fixup {
        sure: false,
        ..fixup(8, 16)
    };
    assert!(apply(&[insn(MOV64, 0, 9)], &unsure).is_ok());
    // a register is no constant
    let register = apply(&[insn(MOV64 | 8, 0, 8)], &fixup(8, 16)).unwrap_err();
    assert_eq!(
        register.to_string(),
        "instruction 0 with opcode 0xbf cannot be relocated"
    );
}

#[test]
fn constants_must_fit_with_their_sign() {
    let minus_one = apply(&[insn(MOV64, 0, -1)], &fixup(u64::MAX, u64::MAX - 1)).unwrap();
    assert_eq!(minus_one.1, [insn(MOV64, 0, -2)]);
    let wide = fixup(1, 0x8000_0000);
    assert_eq!(
        apply(&[insn(MOV64, 0, 1)], &wide).unwrap_err().to_string(),
        "value 2147483648 does not fit in instruction 0"
    );
    assert_eq!(
        apply(&[insn(MOV32, 0, 1)], &wide).unwrap().1,
        [insn(MOV32, 0, i32::MIN)]
    );
    assert!(apply(&[insn(MOV32, 0, 1)], &fixup(1, 1 << 32)).is_err());
}

#[test]
fn offsets_of_loads_and_stores_are_replaced() {
    for class in [0, 1, 2] {
        for (code, _) in LDX {
            let code = code + class;
            let (done, after) = apply(&[insn(code, 8, 5)], &fixup(8, 16)).unwrap();
            let expect = Patched::Offset {
                from: 8,
                to: 16,
                width: None,
            };
            assert_eq!((done, after), (expect, vec![insn(code, 16, 5)]));
        }
    }
    let far = apply(&[insn(0x61, 8, 0)], &fixup(8, 32768)).unwrap_err();
    assert_eq!(far.to_string(), "value 32768 does not fit in instruction 0");
    assert!(apply(&[insn(0x61, 8, 0)], &fixup(8, 32767)).is_ok());
    assert!(apply(&[insn(0x61, 9, 0)], &fixup(8, 16)).is_err());
}

#[test]
fn widths_of_loads_and_stores_follow_the_target() {
    for (code, size) in LDX {
        for (other, new) in LDX {
            let resize = sized(fixup(8, 16), size, new, Resize::Adjust);
            let (done, after) = apply(&[insn(code + 2, 8, 0)], &resize).unwrap();
            let width = (size != new).then_some((size as u8, new as u8));
            let expect = Patched::Offset {
                from: 8,
                to: 16,
                width,
            };
            assert_eq!((done, after), (expect, vec![insn(other + 2, 16, 0)]));
        }
    }
    // loads with sign keep being that
    let signed = sized(fixup(8, 16), 4, 2, Resize::Adjust);
    assert_eq!(
        apply(&[insn(0x81, 8, 0)], &signed).unwrap().1,
        [insn(0x89, 16, 0)]
    );
    let wrong = sized(fixup(8, 16), 8, 4, Resize::Adjust);
    assert_eq!(
        apply(&[insn(0x61, 8, 0)], &wrong).unwrap_err().to_string(),
        "instruction 0 accesses 4 bytes, the object's types give 8"
    );
    let odd = sized(fixup(8, 16), 4, 16, Resize::Adjust);
    assert_eq!(
        apply(&[insn(0x61, 8, 0)], &odd).unwrap_err().to_string(),
        "instruction 0 cannot access a field of 16 bytes"
    );
}

#[test]
fn widths_that_would_read_wrong_values_poison() {
    let unsafe_width = sized(fixup(8, 16), 4, 8, Resize::Unsafe);
    let poisoned = Patched::Poisoned { slots: 1 };
    assert_eq!(
        apply(&[insn(0x61, 8, 0)], &unsafe_width).unwrap(),
        (poisoned, vec![POISON])
    );
    // an address may be taken all the same
    assert_eq!(
        apply(&[insn(ADD64, 0, 8)], &unsafe_width).unwrap().1,
        [insn(ADD64, 0, 16)]
    );
}

#[test]
fn constants_of_64_bits_are_replaced() {
    let pair = |value: u64| {
        let (low, high) = (value as u32 as i32, (value >> 32) as u32 as i32);
        [
            insn(0x18, 0, low),
            Insn {
                imm: high,
                ..Insn::default()
            },
        ]
    };
    let (old, new) = (0x1_ffff_fffe, 0xfedc_ba98_7654_3210);
    let (done, after) = apply(&pair(old), &fixup(old, new)).unwrap();
    assert_eq!(done, Patched::Imm64 { from: old, to: new });
    assert_eq!(after, pair(new));
    assert!(apply(&pair(old), &fixup(old + 1, new)).is_err());
    for at in 0..2 {
        let mut wrong = pair(old);
        wrong[at].off = 1;
        let error = apply(&wrong, &fixup(old, new)).unwrap_err();
        assert_eq!(error, PatchError::Form { at: 0 });
    }
    let mut wrong = pair(old);
    wrong[1].code = 1;
    assert!(apply(&wrong, &fixup(old, new)).is_err());
    assert_eq!(
        apply(&pair(old)[..1], &fixup(old, new))
            .unwrap_err()
            .to_string(),
        "instruction 0 is past the end of the program's 1"
    );
}

#[test]
fn poison_is_a_call_of_a_helper_that_is_not_there() {
    let poison = Fixup {
        poison: true,
        ..fixup(8, 0)
    };
    for code in [MOV64, 0x61, 0x62, 0x7b] {
        let done = apply(&[insn(code, 1, 1)], &poison).unwrap();
        assert_eq!(done, (Patched::Poisoned { slots: 1 }, vec![POISON]));
    }
    let wide = [insn(0x18, 0, 7), Insn::default()];
    let done = apply(&wide, &poison).unwrap();
    assert_eq!(done, (Patched::Poisoned { slots: 2 }, vec![POISON, POISON]));
    for (line, expect) in [
        ("12: (85) call unknown#195896080", Some(12)),
        ("12: (85) call unknown#195896080\n", Some(12)),
        (" 0: <x> call unknown#195896080", Some(0)),
        ("12: (85) call unknown#19589608", None),
        ("12: (85) call unknown#1195896080", None),
        ("invalid func unknown#195896080", None),
        ("x: (85) call unknown#195896080", None),
        ("", None),
    ] {
        assert_eq!(poisoned_insn(line), expect, "{line}");
    }
}

#[test]
fn other_instructions_take_no_answer() {
    // exit, call, jump, LD_ABS
    for code in [0x95, 0x85, 0x15, 0x20] {
        let error = apply(&[insn(code, 0, 8)], &fixup(8, 16)).unwrap_err();
        assert_eq!(error, PatchError::Opcode { at: 0, code });
    }
    assert_eq!(
        patch(&mut [], 3, Endian::Little, &fixup(1, 2)),
        Err(PatchError::PastEnd { at: 3, len: 0 })
    );
}
