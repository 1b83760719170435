//! Bytes as machine code of every kind: each is in one instruction, in order, and none is without
//! text.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rbpftool::jited::disasm::{Arch, disassemble};

/// Where the kernel puts programs.
const ADDRESS: u64 = 0xffff_ffff_c000_0000;

fuzz_target!(|data: &[u8]| {
    for arch in [Arch::X86_64, Arch::Arm64, Arch::Unknown] {
        // at the end of the address space numbers wrap around
        for address in [0, ADDRESS, u64::MAX - 4] {
            covered(arch, data, address);
        }
    }
});

fn covered(arch: Arch, data: &[u8], address: u64) {
    let mut end = 0;
    for insn in disassemble(arch, data, address) {
        assert_eq!(insn.offset, end, "{arch:?}: {insn:?}");
        assert_ne!(insn.length, 0, "{arch:?}: {insn:?}");
        assert!(!insn.text.is_empty(), "{arch:?} at {end}");
        assert!(!insn.operation().is_empty(), "{arch:?}: {insn:?}");
        assert!(insn.operands().all(|part| !part.is_empty()));
        end += insn.length;
    }
    assert_eq!(end, data.len(), "{arch:?}");
}
