//! Logs of the programs of `err_calls`, as kernels write them at both levels.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use super::super::failed_insn;
use super::*;
use crate::kernel::error::ProgramError;
use crate::model::{Object, ParseOptions};
use crate::relocate::{LoadPlan, PlanOptions, ProgPlan};
use crate::target::Described;
use bpfsys::{Cmd, LoadError, Op, SysError};
use std::path::PathBuf;

fn logs() -> Vec<PathBuf> {
    let dir = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/fixtures/verifier_logs/calls"
    );
    let mut logs: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    logs.sort();
    logs
}

fn explained(plan: &LoadPlan, program: &ProgPlan, text: &str) -> ProgramError {
    let log = VerifierLog::from_buffer(text.as_bytes(), 0, false);
    let error = SysError::from_raw(Op::Bpf(Cmd::PROG_LOAD), 13);
    let types = plan.btf.as_ref().map(|btf| btf.data.as_slice());
    super::super::explain(program, types, &LoadError::with_log(error, log))
}

#[test]
fn ways_to_where_the_verifier_stopped() {
    let object = include_bytes!("../../../../../../tests/fixtures/bpf/err_calls.bpf.o");
    let object = Object::parse(&object[..], &ParseOptions::named("err_calls")).unwrap();
    let plan = LoadPlan::new(&object, &Described::default(), &PlanOptions::default()).unwrap();
    let mut kernels = Vec::new();
    for path in logs() {
        let file = path.file_name().unwrap().to_str().unwrap();
        let (name, kernel) = file.split_once('.').unwrap();
        let program = plan.programs.iter().find(|program| program.name == name);
        let text = std::fs::read_to_string(&path).unwrap();
        let error = explained(&plan, program.unwrap(), &text);
        assert_eq!(error.at.as_ref().unwrap().function, "picks", "{file}");
        let expect = match name {
            "after_others" => {
                "called from 'finds' at ./err_calls.bpf.c:48, \
                 from 'after_others' at ./err_calls.bpf.c:67"
            }
            "second_way" => "called from 'second_way' at ./err_calls.bpf.c:81",
            "called_back" => {
                "called from 'finds' at ./err_calls.bpf.c:48, from 'each' at \
                 ./err_calls.bpf.c:87, from 'called_back' at ./err_calls.bpf.c:96"
            }
            // nothing calls it: it runs later
            "on_timer" => {
                "called from 'finds' at ./err_calls.bpf.c:48, \
                 from 'on_time' at ./err_calls.bpf.c:101"
            }
            "of_global" => {
                "called from 'finds' at ./err_calls.bpf.c:48, from 'global' at \
                 ./err_calls.bpf.c:121; 'global' is global, and verified by itself, for any \
                 arguments"
            }
            other => panic!("{other}"),
        };
        assert_eq!(error.path().as_deref(), Some(expect), "{file}");
        assert!(!error.to_string().contains("called from"), "{error}");
        assert!(format!("{error:#}").starts_with(&format!("{error}\n{expect}\n")));
        kernels.push(kernel.to_owned());
    }
    kernels.sort();
    kernels.dedup();
    let expect = [
        "5.10.level1.log",
        "5.10.level2.log",
        "6.18.level1.log",
        "6.18.level2.log",
        "7.2.level1.log",
        "7.2.level2.log",
    ];
    assert_eq!(kernels, expect);
}

/// Functions that start at 0, 10, 20 and 30.
fn parts() -> Vec<Part> {
    ["main", "one", "two", "three"]
        .into_iter()
        .zip((0..).step_by(10))
        .map(|(function, start)| Part {
            start,
            function: function.into(),
            section: "tc".into(),
            section_off: 0,
        })
        .collect()
}

#[track_caller]
fn check(text: &str, expect: Option<(&[u32], bool)>) {
    let log = VerifierLog::from_buffer(text.as_bytes(), 0, false);
    let found = failed_insn(&log).and_then(|insn| read(&log, &parts(), insn));
    let expect = expect.map(|(sites, alone)| Calls {
        sites: sites.to_vec(),
        alone,
    });
    assert_eq!(found, expect, "{text}");
}

const ONE: &str = "1: (85) call pc+8\ncaller:\n R10=fp0\ncallee:\n frame1: R10=fp0\n";
const TWO: &str = "11: (85) call pc+8\ncaller:\n frame1: R10=fp0\ncallee:\n frame2: R10=fp0\n";
const BACK: &str = "21: (95) exit\nreturning from callee:\n frame2: R0=0\nto caller at 12:\n";

#[test]
fn calls_are_open_until_they_return() {
    let bad = "bad\nprocessed 3 insns\n";
    check(&format!("{ONE}10: (61) r1\n{bad}"), Some((&[1], false)));
    check(
        &format!("{ONE}{TWO}20: (61) r1\n{bad}"),
        Some((&[11, 1], false)),
    );
    let back = format!("{ONE}{TWO}{BACK}12: (61) r1\n{bad}");
    check(&back, Some((&[1], false)));
    // source lines and other words say what they want
    let words = format!("{ONE}; callee: @ a.c:1\n; from 1 to 2:\n10: (61) r1\n{bad}");
    check(&words, Some((&[1], false)));
}

#[test]
fn ways_are_taken_up_where_they_were_left() {
    let branch = "10: (15) if r1 == 0x0 goto pc+2\n";
    let rest = "11: (95) exit\nreturning from callee:\n frame1: R0=0\nto caller at 2:\n";
    let bad = "bad\n";
    let text = format!(
        "{ONE}{branch}{rest}2: (95) exit\n\nfrom 10 to 13: frame1: R1=0\n13: (61) r1\n{bad}"
    );
    check(&text, Some((&[1], false)));
    // where the registers are of another depth, nobody knows
    let text = text.replace("13: frame1:", "13: frame2:");
    check(&text, None);
    // Linux 5.10 says where it starts
    let text = format!("from -1 to 0: R1=ctx\n{ONE}10: (61) r1\n{bad}");
    check(&text, Some((&[1], false)));
    // an instruction that was never come to
    check("from 7 to 12: frame1: R1=0\n12: (61) r1\nbad\n", None);
}

#[test]
fn functions_that_are_passed_on_are_called_by_helpers_or_by_nobody() {
    let sync = "1: (85) call bpf_loop#181 10: frame1: R1=scalar() cb\n10: (61) r1\nbad\n";
    check(sync, Some((&[1], false)));
    let later =
        "1: (85) call bpf_timer_set_callback#170 10: R1=map_ptr() async_cb\n10: (61) r1\nbad\n";
    check(later, Some((&[], false)));
    let later = "1: (85) call bpf_timer_set_callback#170\n10: (61) r1  ; R1=0 async_cb\nbad\n";
    check(later, Some((&[], false)));
    let whole = "1: (85) call bpf_loop#181\nfrom 1 to 10: frame1: R1=0\n10: (61) r1\nbad\n";
    check(whole, Some((&[1], false)));
    // a function that goes on without being called
    check("1: (61) r1\n10: (61) r1\nbad\n", None);
}

#[test]
fn listings_of_the_code_are_no_way_through_it() {
    let listing =
        "subprog#0 main:\n  1: (85) call pc+8\nsubprog#1 one:\n 10: (95) exit\n 20: (95) exit\n";
    let text = format!("{listing}0: R1=ctx() R10=fp0\n{ONE}10: (61) r1\nbad\n");
    check(&text, Some((&[1], false)));
    let text = format!("{listing}{ONE}10: (61) r1\nbad\n");
    check(&text, None);
}

#[test]
fn global_functions_are_begun_anew() {
    let alone = format!("{ONE}10: (95) exit\nValidating two() func#2...\n20: (61) r1\nbad\n");
    check(&alone, Some((&[], true)));
    let after = "Validating two() func#2...\n20: (95) exit\nFunc#2 ('two') is safe for any args \
                 that match its prototype\n0: (61) r1\nbad\n";
    check(after, Some((&[], false)));
    check("", None);
    check("bad\n", None);
    // what is wrong elsewhere was not come to by these calls
    check(&format!("{ONE}10: (61) r1\nbad insn 25\n"), None);
    // more calls than there can be
    check(&ONE.repeat(1000), None);
}
