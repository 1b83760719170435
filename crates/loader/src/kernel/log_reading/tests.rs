//! Logs as kernels write them, and what is to be read in them.

use super::*;
use crate::model::ProgIdx;
use crate::relocate::{AttachPlan, Poison, Poisoned};
use bpfsys::insn::Insn;
use bpfsys::uapi::flags::ProgLoadFlags;
use bpfsys::{Cmd, Op, ProgType, SysError};

macro_rules! log {
    ($name:literal) => {
        include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/fixtures/verifier_logs/",
            $name,
            ".log"
        ))
    };
}

fn read(text: &str) -> VerifierLog {
    VerifierLog::from_buffer(text.as_bytes(), 0, false)
}

fn check(text: &str, insn: Option<u32>, message: &str) {
    let log = read(text);
    assert_eq!(log.summary(), message);
    assert_eq!(failed_insn(&log), insn, "{message}");
}

#[test]
fn the_last_instruction_is_the_one() {
    check(log!("uninitialized"), Some(0), "R7 !read_ok");
    check(
        log!("context"),
        Some(0),
        "invalid bpf_context access off=4096 size=8",
    );
    check(
        log!("null"),
        Some(7),
        "R0 invalid mem access 'map_value_or_null'",
    );
    check(
        log!("deep"),
        Some(28),
        "R1 unbounded memory access, make sure to bounds check any such access",
    );
    check(
        log!("too_many"),
        Some(1),
        "BPF program is too large. Processed 1000001 insn",
    );
}

#[test]
fn messages_may_name_the_instruction() {
    check(log!("unreachable"), Some(2), "unreachable insn 2");
    check(
        log!("jump_out"),
        Some(1),
        "jump out of range from insn 1 to 22",
    );
    check(log!("loop"), Some(1), "infinite loop detected at insn 1");
    check(
        "back-edge from insn 7 to 3\n",
        Some(7),
        "back-edge from insn 7 to 3",
    );
}

#[test]
fn some_logs_name_none() {
    check(log!("no_exit"), None, "last insn is not an exit or jmp");
    check("", None, "");
    check(
        "Tracing programs must provide btf_id\nprocessed 0 insns\n",
        None,
        "Tracing programs must provide btf_id",
    );
}

#[test]
fn newer_verifiers_say_it_in_sections() {
    check(
        log!("diagnosed"),
        Some(0),
        "unreadable register: R0 has never been initialized on this path, so the verifier cannot \
         use it as an input",
    );
    check(
        log!("diagnosed_source"),
        Some(7),
        "invalid dereference: R0 may be NULL here (a nullable map value pointer). The program \
         could dereference NULL on this path, so the verifier cannot prove this access is safe",
    );
    let found = read(log!("diagnosed_source")).diagnosis().unwrap();
    assert_eq!(
        found.source.as_deref(),
        Some("broken @ err_null.bpf.c:18:9")
    );
    assert!(found.suggestion.starts_with("Add a NULL check"));
}

/// A program of two functions, whose second begins at instruction 3.
fn program(poisoned: Vec<Poisoned>) -> ProgPlan {
    let part = |start, function: &str| Part {
        start,
        function: function.to_owned(),
        section: "tc".to_owned(),
        section_off: 0,
    };
    ProgPlan {
        prog: ProgIdx(0),
        name: "main".to_owned(),
        named: true,
        section: "tc".to_owned(),
        prog_type: ProgType::SCHED_CLS,
        expected_attach_type: None,
        flags: ProgLoadFlags::empty(),
        ifindex: 0,
        insns: vec![Insn::default(); 40],
        operands: Vec::new(),
        fd_array: Vec::new(),
        func_info: Vec::new(),
        line_info: Vec::new(),
        attach: AttachPlan::None,
        jump_tables: Vec::new(),
        bind: Vec::new(),
        log_level: None,
        parts: vec![part(0, "main"), part(3, "sub")],
        core: Vec::new(),
        poisoned,
        externs: Vec::new(),
    }
}

fn explained(plan: &ProgPlan, text: &str) -> ProgramError {
    let error = SysError::from_raw(Op::Bpf(Cmd::PROG_LOAD), 22);
    explain(plan, None, &LoadError::with_log(error, read(text)))
}

#[test]
fn instructions_belong_to_functions() {
    let error = explained(&program(Vec::new()), log!("deep"));
    assert_eq!(
        error.to_string(),
        "program 'main' (tc) was refused: R1 unbounded memory access, make sure to bounds check \
         any such access, at instruction 25 of 'sub'"
    );
    let whole = format!("{error:#}");
    assert!(
        whole.starts_with(&format!("{error}\n")) && whole.contains("\n0: R1=ctx()"),
        "{whole}"
    );
    let error = explained(&program(Vec::new()), log!("uninitialized"));
    assert_eq!(
        error.to_string(),
        "program 'main' (tc) was refused: R7 !read_ok, at instruction 0 of 'main'"
    );
    let error = explained(&program(Vec::new()), "99: (95) exit\nbad\n");
    assert_eq!(error.to_string(), "program 'main' (tc) was refused: bad");
    let error = explained(&program(Vec::new()), "");
    assert_eq!(error.to_string(), "program 'main' (tc) was refused");
}

#[test]
fn instructions_that_must_not_be_reached_have_causes() {
    let check = |insn, why: Poison, text: &str, expect: &str| {
        let plan = program(vec![Poisoned { insn, why }]);
        assert_eq!(explained(&plan, text).to_string(), expect);
    };
    check(
        6,
        Poison::CoreRelo {
            what: "<byte_off> struct s.x (0:1)".into(),
            why: "struct s has no member x".into(),
        },
        log!("core_poisoned"),
        "program 'main' (tc) needs <byte_off> struct s.x (0:1), which this kernel does not have: \
         struct s has no member x, at instruction 3 of 'sub'",
    );
    check(
        4,
        Poison::Map("counts".into()),
        log!("map_poisoned"),
        "program 'main' (tc) uses map 'counts', which was not made, at instruction 1 of 'sub'",
    );
    check(
        3,
        Poison::Map("counts".into()),
        log!("map_poisoned"),
        "program 'main' (tc) uses map 'counts', which was not made, at instruction 1 of 'sub'",
    );
    check(
        1,
        Poison::Kfunc("bpf_f".into()),
        log!("kfunc_poisoned"),
        "program 'main' (tc) calls kernel function 'bpf_f', which this kernel does not have, at \
         instruction 1 of 'main'",
    );
    // Another instruction, or another complaint about this one.
    check(
        5,
        Poison::Kfunc("bpf_f".into()),
        log!("kfunc_poisoned"),
        "program 'main' (tc) was refused: invalid func unknown#2002000000, at instruction 1 of \
         'main'",
    );
    check(
        7,
        Poison::Kfunc("bpf_f".into()),
        log!("null"),
        "program 'main' (tc) was refused: R0 invalid mem access 'map_value_or_null', at \
         instruction 4 of 'sub'",
    );
}
