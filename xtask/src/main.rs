//! Developer tasks: `cargo xtask TASK`. One table, no argument parser.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a developer tool talks to its terminal"
)]

use std::process::ExitCode;

mod apt;
mod bench;
mod ctx;
mod dist;
mod elf;
mod fuzz;
mod golden;
mod kernel_support;
mod oracle;
mod run;
mod suites;
mod totals;
mod vm;

use ctx::Ctx;

/// One row of the table.
struct Task {
    name: &'static str,
    args: &'static str,
    help: &'static str,
    run: fn(&Ctx, &[String]) -> anyhow::Result<()>,
}

const TASKS: &[Task] = &[
    Task {
        name: "test",
        args: "[--quick]",
        help: "everything CI runs; --quick leaves out the slow steps",
        run: suites::task,
    },
    Task {
        name: "oracle",
        args: "[--llvm] [--test [FILTER]]",
        help: "build the bpftool that ours is compared with; --test runs the comparison",
        run: oracle::task,
    },
    Task {
        name: "vm",
        args: "[KERNEL...] [-- FILTER]",
        help: "the kernel suites on other kernels; --suite NAME, --kernel IMAGE, --run LINE, --shell, --self-test; --btf extracts their types",
        run: vm::task,
    },
    Task {
        name: "bench",
        args: "[FILTER]",
        help: "ours beside bpftool in one run, medians and ratios",
        run: bench::task,
    },
    Task {
        name: "dist",
        args: "",
        help: "one static binary in target/dist, checked for shared libraries, and packages of it",
        run: dist::task,
    },
    Task {
        name: "fuzz",
        args: "[SECONDS] [TARGET]",
        help: "run every fuzz target, 60 seconds each unless told",
        run: fuzz::task,
    },
    Task {
        name: "golden",
        args: "[[--case=NAME] COMMAND]",
        help: "rewrite every expected file; with a command, record what it shows as a case",
        run: golden::task,
    },
];

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let name = args.next().unwrap_or_default();
    let rest: Vec<String> = args.collect();
    let Some(task) = TASKS.iter().find(|t| t.name == name) else {
        return usage(&name);
    };
    match Ctx::new().and_then(|ctx| (task.run)(&ctx, &rest)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("xtask {name}: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn usage(name: &str) -> ExitCode {
    for t in TASKS {
        println!(
            "cargo xtask {:<32} {}",
            format!("{} {}", t.name, t.args),
            t.help
        );
    }
    if matches!(name, "" | "help" | "-h" | "--help") {
        ExitCode::SUCCESS
    } else {
        eprintln!("xtask: there is no task called '{name}'");
        ExitCode::FAILURE
    }
}
