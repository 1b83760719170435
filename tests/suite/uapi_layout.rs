//! Every structure `bpfsys` passes to the kernel, against the running kernel's
//! own description of it, read by our own parser.

#[path = "uapi_layout/kernel.rs"]
mod kernel;
#[path = "uapi_layout/table.rs"]
mod table;

use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use bpfsys::KernelVersion;
use kernel::Place;
use rbpftool_tests::{Suite, skip};
use table::{Row, rows};

const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// From here on, a field that is missing and not marked as newer is a mistake
/// in the table.
const BASELINE: (u16, u16) = (6, 18);

fn main() -> ExitCode {
    let mut suite = Suite::new("uapi_layout");
    match std::fs::read(VMLINUX) {
        Err(e) => {
            let reason = format!("{VMLINUX} cannot be read: {e}");
            suite.add("kernel_btf", move || Err(skip(reason)));
        }
        Ok(bytes) => match btf::Btf::parse(bytes).context("parse the kernel's BTF") {
            Err(e) => suite.add("kernel_btf", move || Err(e)),
            Ok(btf) => rows()
                .into_iter()
                .for_each(|row| add(&mut suite, &btf, row)),
        },
    }
    suite.run()
}

/// One test for what can be compared, one counted skip for each field that cannot.
fn add(suite: &mut Suite, btf: &btf::Btf<'_>, row: Row) {
    let name = format!("{} = {}", row.ours, row.kernel);
    let base = match Place::find(btf, row.kernel) {
        Ok(Some(base)) => base,
        Ok(None) => {
            suite.add(name.clone(), move || missing(row.since, &name));
            return;
        }
        Err(e) => {
            suite.add(name, move || Err(e));
            return;
        }
    };
    let mut wrong = Vec::new();
    let mut all_there = true;
    let mut end = 0;
    for field in &row.fields {
        if field.kernel.is_empty() {
            continue;
        }
        end = field.offset + field.size;
        match base.member(btf, field.kernel) {
            Ok(Some(there)) => {
                let (offset, size) = (there.offset - row.origin(btf, &base), there.size);
                if (offset, size) != (field.offset, field.size) {
                    wrong.push(format!(
                        "{}: ours is {} bytes at {}, the kernel's {size} at {offset}",
                        field.kernel, field.size, field.offset
                    ));
                }
            }
            Ok(None) => {
                all_there = false;
                let name = format!("{name}.{}", field.kernel);
                let since = field.since.or(row.since);
                suite.add(name.clone(), move || missing(since, &name));
            }
            Err(e) => wrong.push(format!("{}: {e:#}", field.kernel)),
        }
    }
    suite.add(name, move || {
        ensure!(wrong.is_empty(), "{}", wrong.join("; "));
        let sum: usize = row.fields.iter().map(|f| f.size).sum();
        ensure!(
            sum == row.size,
            "the table names {sum} of {} bytes",
            row.size
        );
        if let Some(announced) = row.announced {
            ensure!(
                announced == end,
                "{announced} bytes are announced, the fields end at {end}"
            );
        }
        if row.whole && all_there {
            ensure!(
                row.size == base.size,
                "{} bytes, the kernel's has {}",
                row.size,
                base.size
            );
        }
        Ok(())
    });
}

fn missing(since: Option<&str>, what: &str) -> Result<()> {
    let running = KernelVersion::running().context("read the kernel's version")?;
    let first = match since {
        Some(version) => KernelVersion::parse(version).context("a version in the table")?,
        None => KernelVersion::new(BASELINE.0, BASELINE.1, 0),
    };
    ensure!(
        running < first,
        "Linux {}.{} should have {what}",
        running.major,
        running.minor
    );
    let since = since.unwrap_or("a version before 6.18");
    Err(skip(format!(
        "Linux {}.{} lacks a field of {since}",
        running.major, running.minor
    )))
}
