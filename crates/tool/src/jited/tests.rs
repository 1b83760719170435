//! The spelling of instructions is that of LLVM 19: the tables hold what it said.

mod arm64;
mod x86;

use bpfsys::uapi::info::FuncInfo;
use btf::Endian;
use btf::build::{Builder, StrOff};

use super::*;

/// Where the tables were disassembled.
const ADDRESS: u64 = 0x1000;

fn bytes(hex: &str) -> Vec<u8> {
    hex.split(' ')
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect()
}

fn texts(arch: Arch, code: &[u8]) -> Vec<String> {
    disassemble(arch, code, ADDRESS)
        .into_iter()
        .map(|insn| insn.text)
        .collect()
}

#[track_caller]
fn check(arch: Arch, rows: &[(&str, &str)]) {
    let wrong: Vec<_> = rows
        .iter()
        .filter_map(|(hex, wanted)| {
            let said = texts(arch, &bytes(hex)).join("; ");
            (said != *wanted).then(|| format!("{hex}: {said:?}, not {wanted:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn x86_is_spelled_as_llvm_spells_it() {
    check(Arch::X86_64, x86::ROWS);
}

#[test]
fn arm64_is_spelled_as_llvm_spells_it() {
    check(Arch::Arm64, arm64::ROWS);
}

/// Checks that every byte is in one instruction, in order, and that none is without text.
#[track_caller]
fn check_covered(arch: Arch, code: &[u8]) {
    let mut end = 0;
    for insn in disassemble(arch, code, ADDRESS) {
        assert_eq!(insn.offset, end, "{arch:?} {code:02x?}");
        assert!(insn.length > 0 && !insn.text.is_empty(), "{insn:?}");
        end += insn.length;
    }
    assert_eq!(end, code.len(), "{arch:?} {code:02x?}");
}

#[test]
fn every_byte_is_in_one_instruction() {
    let x86: Vec<u8> = x86::ROWS.iter().flat_map(|(hex, _)| bytes(hex)).collect();
    let arm64: Vec<u8> = arm64::ROWS.iter().flat_map(|(hex, _)| bytes(hex)).collect();
    for code in [x86, arm64] {
        for arch in [Arch::X86_64, Arch::Arm64, Arch::Unknown] {
            for start in 0..code.len().min(64) {
                check_covered(arch, &code[start..]);
                check_covered(arch, &code[..code.len() - start]);
            }
        }
    }
    check_covered(Arch::X86_64, &[]);
}

#[test]
fn in_one_run_instructions_are_what_they_are_alone() {
    for (arch, rows) in [(Arch::X86_64, x86::ROWS), (Arch::Arm64, arm64::ROWS)] {
        // targets depend on the place
        let rows = rows.iter().filter(|(_, text)| !text.contains("0x"));
        let code: Vec<u8> = rows.clone().flat_map(|(hex, _)| bytes(hex)).collect();
        let wanted: Vec<_> = rows.flat_map(|(_, text)| text.split("; ")).collect();
        let said = texts(arch, &code);
        assert!(said.iter().eq(wanted), "{arch:?}");
    }
}

#[test]
fn bytes_that_are_no_instruction_are_shown() {
    // no such opcode in 64-bit mode: one byte, and on with the next
    assert_eq!(texts(Arch::X86_64, &[0x06, 0xc3]), ["(bad)\t0x06", "retq"]);
    // cut off: each byte is tried in turn
    assert_eq!(
        texts(Arch::X86_64, &[0xc3, 0x48, 0xb8]),
        ["retq", "(bad)\t0x48", "(bad)\t0xb8"]
    );
    assert_eq!(
        texts(
            Arch::Arm64,
            &[0xc0, 0x03, 0x5f, 0xd6, 0, 0, 0, 0, 0x1f, 0x20]
        ),
        ["ret", "udf\t#0", "(bad)\t0x1f, 0x20"]
    );
    assert_eq!(
        texts(Arch::Arm64, &[0xff, 0xff, 0xff, 0xff]),
        ["(bad)\t0xff, 0xff, 0xff, 0xff"]
    );
    // known to the decoder, but not by name
    assert_eq!(
        texts(Arch::Arm64, &[0x68, 0xf6, 0x88, 0x69]),
        ["(bad)\t0x68, 0xf6, 0x88, 0x69"]
    );
}

#[test]
fn what_nobody_knows_here_is_bytes() {
    assert_eq!(
        texts(Arch::Unknown, &[0x13, 0, 0, 0, 0x82, 0x80]),
        [".byte\t0x13, 0x00, 0x00, 0x00", ".byte\t0x82, 0x80"]
    );
}

#[test]
fn machines_have_instruction_sets() {
    assert_eq!(Arch::of_machine("x86_64"), Arch::X86_64);
    assert_eq!(Arch::of_machine("aarch64"), Arch::Arm64);
    for other in ["riscv64", "s390x", "i686", ""] {
        assert_eq!(Arch::of_machine(other), Arch::Unknown);
    }
}

#[test]
fn operands_are_taken_apart_as_bpftool_does_it() {
    let insn = |text: &str| Insn {
        offset: 0,
        length: 1,
        text: text.to_owned(),
    };
    let parts = |text: &str| {
        let insn = insn(text);
        let operands: Vec<_> = insn.operands().map(str::to_owned).collect();
        (insn.operation().to_owned(), operands.join("|"))
    };
    let wanted = |operation: &str, operands: &str| (operation.to_owned(), operands.to_owned());
    assert_eq!(parts("retq"), wanted("retq", ""));
    assert_eq!(
        parts("movl\t%edx, 256(%rdi,%rcx,4)"),
        wanted("movl", "%edx|256|%rdi|%rcx|4")
    );
    assert_eq!(
        parts("rep\t\tstosq\t%rax, %es:(%rdi)"),
        wanted("rep", "stosq|%rax|%es:|%rdi")
    );
    assert_eq!(
        parts("ldp\tx29, x30, [sp], #16"),
        wanted("ldp", "x29|x30|[sp]|#16")
    );
}

/// `xor eax, eax; ret` and a function that only returns.
const TWO_FUNCTIONS: &[u8] = &[0x31, 0xc0, 0xc3, 0xc3];
const FIRST: u64 = 0xffff_ffff_c000_1000;
const SECOND: u64 = 0xffff_ffff_c000_2000;

fn details(lengths: &[u32], addresses: &[u64]) -> ProgDetails {
    let mut details = ProgDetails::default();
    details.jited = TWO_FUNCTIONS.to_vec();
    details.jited_func_lens = lengths.to_vec();
    details.jited_ksyms = addresses.to_vec();
    details
}

fn symbols() -> KernelSymbols {
    KernelSymbols::parse(
        b"ffffffff81000100 T __bpf_call_base\n\
          ffffffffc0001000 t bpf_prog_0123456789abcdef_main\t[bpf]\n"
            .to_vec(),
    )
}

/// Names, and the instructions of each function.
fn functions(details: &ProgDetails, symbols: &KernelSymbols) -> Vec<(String, Vec<String>)> {
    match listed(details, None, symbols, Arch::X86_64) {
        Listing::Functions(functions) => functions
            .into_iter()
            .map(|function| {
                let rows = function.rows.into_iter();
                (
                    function.name.to_string(),
                    rows.map(|row| row.insn.text).collect(),
                )
            })
            .collect(),
        Listing::Insns(rows) => panic!("{rows:?}"),
    }
}

fn function(name: &str, insns: &[&str]) -> (String, Vec<String>) {
    (
        name.to_owned(),
        insns.iter().map(|insn| (*insn).to_owned()).collect(),
    )
}

#[test]
fn functions_have_their_symbol_or_their_address() {
    assert_eq!(
        functions(&details(&[3, 1], &[FIRST, SECOND]), &symbols()),
        [
            function(
                "bpf_prog_0123456789abcdef_main",
                &["xorl\t%eax, %eax", "retq"]
            ),
            function("0xffffffffc0002000", &["retq"]),
        ]
    );
    assert_eq!(
        functions(&details(&[4], &[0x1000]), &KernelSymbols::default()),
        [function(
            "0x0000000000001000",
            &["xorl\t%eax, %eax", "retq", "retq"]
        )]
    );
}

#[test]
fn without_addresses_functions_have_no_name() {
    assert_eq!(
        functions(&details(&[3, 1], &[]), &symbols()),
        [
            function("unknown", &["xorl\t%eax, %eax", "retq"]),
            function("unknown", &["retq"]),
        ]
    );
}

#[test]
fn lengths_that_do_not_fit_lose_nothing() {
    // longer than the code, and one for which nothing is left
    assert_eq!(
        functions(&details(&[3, 100, u32::MAX], &[FIRST, SECOND]), &symbols()),
        [
            function(
                "bpf_prog_0123456789abcdef_main",
                &["xorl\t%eax, %eax", "retq"]
            ),
            function("0xffffffffc0002000", &["retq"]),
            function("unknown", &[]),
        ]
    );
    // shorter than the code
    assert_eq!(
        functions(&details(&[3], &[FIRST]), &symbols()),
        [
            function(
                "bpf_prog_0123456789abcdef_main",
                &["xorl\t%eax, %eax", "retq"]
            ),
            function("unknown", &["retq"]),
        ]
    );
}

#[test]
fn without_lengths_there_is_one_run_of_instructions() {
    let Listing::Insns(rows) = listed(&details(&[], &[]), None, &symbols(), Arch::X86_64) else {
        panic!("functions without lengths");
    };
    let said: Vec<_> = rows
        .iter()
        .map(|row| (row.insn.offset, row.bytes.as_slice(), &*row.insn.text))
        .collect();
    assert_eq!(
        said,
        [
            (0, &[0x31, 0xc0][..], "xorl\t%eax, %eax"),
            (2, &[0xc3][..], "retq"),
            (3, &[0xc3][..], "retq"),
        ]
    );
}

#[test]
fn functions_have_prototypes_and_source_lines() {
    let mut types = Builder::new(Endian::NATIVE);
    let int = types.add_int(b"int", 4, 1);
    let proto = types.add_func_proto(int, &[]);
    let main = types.add_func(b"main", 0, proto);
    let [file, one, two, other] =
        [&b"a.c"[..], b"  one", b"\ttwo", b"other"].map(|text| types.string(text));
    let blob = types.finish().unwrap();
    let btf = Btf::parse(&blob[..]).unwrap();

    let line = |text: StrOff, line: u32| LineInfo {
        insn_off: 0,
        file_name_off: file.0,
        line_off: text.0,
        line_col: line << 10 | 5,
    };
    let mut details = details(&[3, 1], &[FIRST, SECOND]);
    // the second function has no record
    details.func_info = vec![FuncInfo {
        insn_off: 0,
        type_id: main.get(),
    }];
    // two lines begin at the first instruction, none at the second, and they are in no order
    details.line_info = vec![line(other, 3), line(one, 1), line(two, 2)];
    details.jited_line_info = vec![SECOND, FIRST, FIRST];

    let said = |details: &ProgDetails| -> Vec<_> {
        let Listing::Functions(functions) = listed(details, Some(&btf), &symbols(), Arch::X86_64)
        else {
            panic!("no functions");
        };
        let shown = |row: Row| {
            row.source.map(|source| {
                let (text, file) = (source.text, source.file);
                format!("{file}:{}:{} {text}", source.line, source.column)
            })
        };
        functions
            .into_iter()
            .map(|function| {
                (
                    function.proto.map(|proto| proto.to_string()),
                    function.rows.into_iter().map(shown).collect::<Vec<_>>(),
                )
            })
            .collect()
    };
    assert_eq!(
        said(&details),
        [
            (
                Some("int main()".to_owned()),
                vec![Some("a.c:2:5 two".to_owned()), None]
            ),
            (None, vec![Some("a.c:3:5 other".to_owned())]),
        ]
    );
    // without all addresses none can be told
    details.jited_line_info.truncate(1);
    assert!(
        said(&details)
            .iter()
            .all(|(_, lines)| lines.iter().all(Option::is_none))
    );
}

/// The message and the hint for a program that has no machine code to show.
fn refusal(change: impl FnOnce(&mut ProgDetails, &mut Machine)) -> (String, String) {
    let mut details = ProgDetails::default();
    details.info.id = 7;
    details.info.xlated_prog_len = 16;
    let mut machine = Machine::default();
    change(&mut details, &mut machine);
    let failure = no_image(&details, &machine);
    (
        failure.message().unwrap(),
        failure.hint().unwrap_or_default().to_owned(),
    )
}

#[test]
fn interpreted_programs_say_why_they_are() {
    for (setting, why) in [
        (Some(0), "net.core.bpf_jit_enable is 0: "),
        (Some(1), "net.core.bpf_jit_enable was 0 when it was loaded"),
        (Some(2), "net.core.bpf_jit_enable was 0 when it was loaded"),
        (None, "the kernel has no compiler (CONFIG_BPF_JIT)"),
    ] {
        let (message, hint) = refusal(|_, machine| machine.jit_enable = setting);
        assert_eq!(message, "program 7 has no machine code: it is interpreted");
        assert!(hint.starts_with(why), "{setting:?}: {hint}");
    }
}

#[test]
fn hidden_machine_code_is_not_called_missing() {
    let hidden = "the kernel does not show the machine code of program 7";
    // without capabilities not even the lengths are told
    let (message, hint) = refusal(|details, machine| {
        details.info.xlated_prog_len = 0;
        machine.capabilities = Some(0);
    });
    assert_eq!(message, hidden);
    assert!(hint.contains("CAP_BPF"), "{hint}");
    let (message, hint) = refusal(|details, machine| {
        details.jited_hidden = true;
        details.info.jited_prog_len = 24;
        machine.kptr_restrict = Some(2);
    });
    assert_eq!(message, hidden);
    assert!(hint.contains("kernel.kptr_restrict is 2"), "{hint}");
    // no reason to be seen
    let (message, hint) = refusal(|details, _| details.jited_hidden = true);
    assert_eq!((&*message, &*hint), (hidden, ""));
}
