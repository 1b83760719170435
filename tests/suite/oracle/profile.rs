//! `prog profile`, on the same runs of a program.
//!
//! The reference counts what processors count, and an emulated one counts nothing. So a program
//! of ours makes a clock of each event that is asked for, whoever asks: the numbers are those of
//! a clock, and all else is as it would be.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bpfsys::cmd::{ProgLoad, ProgTestRun};
use bpfsys::insn::asm::{
    Builder, R0, R1, R2, R3, R6, R10, alu64_imm, call_helper, exit, ldx, mov64_imm, mov64_reg, st,
};
use bpfsys::insn::opcode::{AluOp, Size};
use bpfsys::uapi::helpers::HelperId;
use bpfsys::uapi::perf::TYPE_SOFTWARE;
use bpfsys::{LinkFd, LinkId, ProgFd, ProgType};
use loader::attach::{Link, Tracepoint};
use rbpftool_tests::{Private, Suite, ensure_eq, oracle, requires, tool_path};
use serde_json::Value;

use crate::compare::guest;
use crate::streaming::{FORMS, Said, Working, load, prog};

pub(crate) fn add(suite: &mut Suite) {
    suite.add("prog profile", profile);
}

/// What is compared of a program whose id is N.
const LINES: [&str; 3] = [
    "prog profile id N cycles instructions llc_misses",
    "prog profile id N duration 0 instructions cycles dtlb_misses itlb_misses",
    "prog profile id N duration 0 l1d cycles l1d_loads",
];

/// The command lines that are compared here.
pub(crate) fn lines() -> Vec<String> {
    LINES.map(str::to_owned).to_vec()
}

/// How often the program runs while it is looked at.
const RUNS: u32 = 5;

fn profile() -> Result<()> {
    requires!(
        guest(),
        "events of the whole machine become clocks: guests only"
    );
    let theirs = oracle()?;
    let private = Private::enter()?;
    let _clocks = clocks()?;
    let loaded = load("attach")?;
    let runs = prog(&loaded, "runs")?;
    let id = runs.info()?.id.to_string();
    let before = links()?;
    for line in LINES {
        let line = line.replace("id N", &format!("id {id}"));
        for form in FORMS {
            let line = format!("{form} {line}");
            let said = |tool: &Path| -> Result<Said> {
                let said = if line.contains(" duration ") {
                    once(tool, &line)?
                } else {
                    let working = Working::start(private.dir(), tool, &line)?;
                    interrupted(working, runs, &before)?
                };
                let start = Instant::now();
                while new_links(&before)? > 0 {
                    let waited = start.elapsed();
                    ensure!(waited < Duration::from_secs(20), "links are left by {line}");
                    std::thread::sleep(Duration::from_millis(5));
                }
                Ok(said)
            };
            let (ours, mut theirs) = (said(&tool_path()?)?, said(&theirs)?);
            ensure_eq!(ours.status, Some(0), "{ours:?}");
            if !form.is_empty() {
                let all: Vec<Value> = serde_json::from_str(&ours.out).context("not JSON")?;
                ensure!(!all.is_empty(), "{ours:?}");
                // A signal ends the reference before it ends the line.
                theirs.out = format!("{}\n", theirs.out.trim_end_matches('\n'));
            }
            ensure_eq!(ours, theirs, "$ {line}");
        }
    }
    Ok(())
}

/// Makes a clock of each event that is opened.
fn clocks() -> Result<Link> {
    // `__syscall_nr`, then the arguments, the first of which is where the event is described
    const ARGUMENT: i16 = 16;
    // where its type and its number are in there; both are at the start of what is written
    const TYPE: (i32, i32) = (0, 4);
    const CONFIG: (i32, i32) = (8, 8);
    let mut code = Builder::new();
    code.push(ldx(Size::Dw, R6, R1, ARGUMENT));
    for ((at, size), value) in [(TYPE, TYPE_SOFTWARE), (CONFIG, 0)] {
        code.push(st(Size::Dw, R10, -8, i32::try_from(value)?));
        code.push(mov64_reg(R1, R6));
        code.push(alu64_imm(AluOp::Add, R1, at));
        code.push(mov64_reg(R2, R10));
        code.push(alu64_imm(AluOp::Add, R2, -8));
        code.push(mov64_imm(R3, size));
        code.push(call_helper(HelperId::PROBE_WRITE_USER));
    }
    code.push(mov64_imm(R0, 0));
    code.push(exit());
    let code = code.finish().context("assemble")?;
    let prog = ProgLoad::new(ProgType::TRACEPOINT, &code)
        .name("clocks")
        .license("GPL")
        .run()
        .context("load what makes clocks of events")?;
    Tracepoint::new("syscalls", "sys_enter_perf_event_open")
        .attach(&prog)
        .context("attach it")
}

fn links() -> Result<BTreeSet<LinkId>> {
    let all: Result<_, _> = bpfsys::link_ids().collect();
    Ok(all?)
}

/// How many links there are that were not there before: others may be on their way out.
fn new_links(before: &BTreeSet<LinkId>) -> Result<usize> {
    Ok(links()?.difference(before).count())
}

fn once(tool: &Path, line: &str) -> Result<Said> {
    let mut command = std::process::Command::new(tool);
    let output = rbpftool_tests::run(command.args(line.split_whitespace()), b"")?;
    Ok(Said {
        out: output.out(),
        err: output.err(),
        status: Some(output.status),
    })
}

/// Runs the program while a tool looks at it, and ends the tool: what it says, clocks without
/// their numbers.
fn interrupted(mut working: Working, runs: &ProgFd, before: &BTreeSet<LinkId>) -> Result<Said> {
    // A link has its number before it is attached, and can be opened after.
    let attached = |id: &&LinkId| LinkFd::by_id(**id).is_ok();
    working.until("it attaches nothing", |_| {
        Ok(links()?.difference(before).filter(attached).count() == 2)
    })?;
    for _ in 0..RUNS {
        ProgTestRun::new(runs).data_in(&[0; 64]).run()?;
    }
    let mut said = working.stop()?;
    let counts = [
        format!("{RUNS:>18} run_cnt"),
        format!("\"run_cnt\":{RUNS},"),
    ];
    let spaced = said.out.replace(": ", ":");
    ensure!(
        counts.iter().any(|count| spaced.contains(count)),
        "it did not see {RUNS} runs: {said:?}"
    );
    said.out = without_numbers(&said.out)?;
    Ok(said)
}

/// What a clock says is different each time; what it is padded to is not.
fn without_numbers(text: &str) -> Result<String> {
    /// Bytes of a line of text that a count takes.
    const COUNT: usize = 18;
    let mut out = String::new();
    for line in text.split_inclusive('\n') {
        let mut line = line.to_owned();
        let is_number = |text: &str| text.trim_start().parse::<f64>().is_ok();
        if line.get(..COUNT).is_some_and(is_number) {
            line.replace_range(..COUNT, &"_".repeat(COUNT));
        }
        // A ratio takes eight bytes, or more if it must.
        if let Some((head, ratio)) = line.split_once("# ") {
            let number = ratio.trim_start().split(' ').next().unwrap_or_default();
            let (width, end) = (number.len(), ratio.find(number).unwrap_or(0) + number.len());
            ensure!(is_number(number) && end == width.max(8), "a ratio: {line}");
            line = format!("{head}# _{}", ratio.get(end..).unwrap_or_default());
        }
        if line.contains('"') {
            let mut last = ' ';
            line = line.replace(|c: char| c.is_ascii_digit(), "0");
            line.retain(|c| std::mem::replace(&mut last, c) != '0' || c != '0');
        }
        out.push_str(&line);
    }
    Ok(out)
}
