//! The types of whole kernels and of modules: shown as bpftool shows them, written as they were
//! read, and with nothing to take out.
//!
//! Those of the running kernel, and those in `$RBPF_BTF_DIR`.

#[path = "oracle/compare.rs"]
#[expect(dead_code, reason = "the rest is for the suite that has all commands")]
mod compare;
#[path = "golden/forge.rs"]
#[expect(dead_code, reason = "the rest makes files of types")]
mod forge;
#[path = "oracle/json.rs"]
mod json;
#[path = "oracle/rules.rs"]
#[expect(dead_code, reason = "the rest is for the suite that has all commands")]
mod rules;

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use btf::build::Builder;
use btf::distill::{DistillError, distill_base, relocate};
use btf::{Btf, Endian};
use rbpftool_tests::blobs::{Blob, Blobs, VMLINUX};
use rbpftool_tests::{Suite, ensure_eq, oracle, requires, run, tool_path};

use compare::{Case, Pair};
use rules::{Form, Rules};

fn main() -> ExitCode {
    let mut suite = Suite::new("btf_blobs");
    match Blobs::find() {
        Ok(blobs) => fill(&mut suite, &blobs),
        Err(e) => suite.add("files", move || Err(e)),
    }
    suite.run()
}

fn fill(suite: &mut Suite, blobs: &Blobs) {
    blobs.tell_lacking(suite);
    let groups = blobs
        .kernels
        .iter()
        .map(|kernel| (kernel.name.clone(), vec![kernel.clone()]))
        .chain(
            blobs
                .modules
                .iter()
                .map(|(kernel, modules)| (format!("{kernel}/modules"), modules.clone())),
        );
    for (name, group) in groups {
        let group: Arc<[Blob]> = group.into();
        let mut add = |what: &str, test: fn(&Blob) -> Result<()>| {
            let group = Arc::clone(&group);
            suite.add(format!("{name}::{what}"), move || {
                group.iter().try_for_each(test)
            });
        };
        add("lines_are_bpftools", raw);
        add("declarations_are_bpftools", declarations);
        add("written_as_read", written_as_read);
        add("nothing_is_there_twice", nothing_twice);
    }
    if let Some(three) = blobs.kernels.last_chunk::<3>() {
        let three = three.clone();
        suite.add("kernels_merged_as_bpftool_does", move || {
            kernels_merged(&three)
        });
    }
    for (name, modules) in &blobs.modules {
        for blob in modules {
            let blob = blob.clone();
            suite.add(
                format!("{}::distilled_and_put_back", blob.name),
                move || distilled(&blob),
            );
        }
        let modules = modules.clone();
        suite.add(
            format!("{name}/modules::merged_as_bpftool_does"),
            move || merged(&modules),
        );
    }
}

/// The words of `btf dump` for some files on one base.
fn line(blobs: &[Blob], more: &[&str]) -> Vec<OsString> {
    let mut line = Vec::new();
    if let Some(base) = blobs.first().and_then(|blob| blob.base.as_ref()) {
        line.extend(["-B".into(), base.into()]);
    }
    line.extend(["btf", "dump"].map(OsString::from));
    for blob in blobs {
        line.extend(["file".into(), OsString::from(&blob.path)]);
    }
    line.extend(more.iter().map(OsString::from));
    line
}

fn compare(blobs: &[Blob], formats: &[&[&str]], forms: &'static [Form]) -> Result<()> {
    let theirs = oracle()?;
    let case = Case {
        name: String::new(),
        lines: formats.iter().map(|more| line(blobs, more)).collect(),
        fresh: Vec::new(),
        before: Vec::new(),
        holders: false,
        forms,
        machine_code: false,
    };
    Pair::new(theirs, false)?.check(&case, &Rules::read(None)?)
}

fn raw(blob: &Blob) -> Result<()> {
    compare(
        std::slice::from_ref(blob),
        &[&["format", "raw"]],
        &[Form::Text, Form::Json],
    )
}

fn declarations(blob: &Blob) -> Result<()> {
    // With the types of a module come those of the kernel, which have been compared.
    let formats: &[&[&str]] = match blob.base {
        None => &[&["format", "c"], &["format", "c", "unsorted"]],
        Some(_) => &[&["format", "c"]],
    };
    compare(std::slice::from_ref(blob), formats, &[Form::Text])
}

fn written_as_read(blob: &Blob) -> Result<()> {
    let btf = blob.read()?;
    let written = Builder::from_btf(&btf)?.finish()?;
    ensure!(written == btf.data(), "{}: other bytes", blob.name);
    Ok(())
}

/// What libbpf finds twice is all that there is: in the kernel's own types because the compiler of
/// the time left it, in those of modules because the kernel's were changed after them.
fn nothing_twice(blob: &Blob) -> Result<()> {
    let btf = blob.read()?;
    let mut builder = Builder::from_btf(&btf)?;
    let removed = builder.dedup()?.removed();
    let start = builder.finish()?;
    let once = match btf.base() {
        None => Btf::parse(&start)?,
        Some(base) => Btf::parse_split(&start, Arc::new(Btf::parse(base.data())?))?,
    };
    ensure_eq!(u32::try_from(removed)?, btf.len() - once.len());
    let mut builder = Builder::from_btf(&once)?;
    ensure_eq!(builder.dedup()?.removed(), 0, "{}", blob.name);
    let twice = builder.finish()?;
    ensure!(twice == once.data(), "{}: other bytes", blob.name);
    // The reference says the same of the blob put together with itself.
    let dir = tempfile::tempdir()?;
    let same = on_base(blob, dir.path())?;
    compare(&[same.clone(), same], &[&["format", "raw"]], &[Form::Text])
}

/// The same types as split ones, on a base with nothing in it.
fn on_base(blob: &Blob, dir: &Path) -> Result<Blob> {
    if blob.base.is_some() {
        return Ok(blob.clone());
    }
    let btf = blob.read()?;
    requires!(
        btf.endian() == Endian::NATIVE,
        "the reference needs this machine's byte order"
    );
    let mut data = btf.data().to_vec();
    // The base has the first string, the empty one.
    for (at, add) in [(16, 1), (20, u32::MAX)] {
        let field = data.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<4>);
        let field = field.context("a short header")?;
        *field = u32::from_ne_bytes(*field).wrapping_add(add).to_ne_bytes();
    }
    let split = Blob {
        name: blob.name.clone(),
        path: dir.join(format!("{}.btf", blob.name)),
        base: Some(dir.join("empty.btf")),
    };
    std::fs::write(&split.path, data)?;
    std::fs::write(
        dir.join("empty.btf"),
        Builder::new(Endian::NATIVE).finish()?,
    )?;
    Ok(split)
}

/// The types of three kernels together, each once.
fn kernels_merged(kernels: &[Blob]) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let split: Vec<Blob> = kernels
        .iter()
        .map(|kernel| on_base(kernel, dir.path()))
        .collect::<Result<_>>()?;
    compare(&split, &[&["format", "raw"]], &[Form::Text])
}

/// The types of several modules together, each once.
fn merged(modules: &[Blob]) -> Result<()> {
    for some in modules.chunks(4) {
        compare(some, &[&["format", "raw"], &["format", "c"]], &[Form::Text])?;
    }
    Ok(())
}

/// A module with a distilled base, as it would be shipped, on the kernel that it is from and on the
/// running one: found there as bpftool finds it, and where it was split from the same as before.
fn distilled(blob: &Blob) -> Result<()> {
    let btf = blob.read()?;
    let own = btf.base().context("a module without base")?;
    let parts = distill_base(&btf)?;
    let small = Arc::new(Btf::parse(parts.base.clone())?);
    let apart = Btf::parse_split(parts.split.clone(), small)?;
    let order = match btf.endian() {
        Endian::Little => forge::Order::Little,
        Endian::Big => forge::Order::Big,
    };
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("module.ko");
    let sections = [(".BTF", &parts.split[..]), (".BTF.base", &parts.base[..])];
    std::fs::write(&path, forge::elf(order, &sections))?;
    let alone = Blob {
        name: blob.name.clone(),
        path: path.clone(),
        base: None,
    };
    compare(&[alone], &[&["format", "raw"]], &[Form::Text])?;

    if let Ok(moved) = relocate(&apart, own) {
        let own = Arc::new(Btf::parse(own.data().to_vec())?);
        let back = Btf::parse_split(moved.into_data(), Arc::clone(&own))?;
        ensure_eq!(once(&back, &own)?, once(&btf, &own)?, "{}", blob.name);
    }
    for base in [blob.base.clone(), Some(VMLINUX.into())]
        .into_iter()
        .flatten()
    {
        let bytes = std::fs::read(&base).with_context(|| base.display().to_string())?;
        let there = Blob {
            name: blob.name.clone(),
            path: path.clone(),
            base: Some(base),
        };
        match relocate(&apart, &Btf::parse(bytes)?) {
            Ok(_) => compare(&[there], &[&["format", "raw"]], &[Form::Text])?,
            Err(error) => refused(&there, &error)?,
        }
    }
    Ok(())
}

/// The lines of types, each once.
fn once(btf: &Btf<'_>, base: &Arc<Btf<'static>>) -> Result<String> {
    let mut builder = Builder::from_btf(btf)?;
    builder.dedup()?;
    let once = Btf::parse_split(builder.finish()?, Arc::clone(base))?;
    let mut lines = Vec::new();
    for id in once.ids() {
        btf::raw_dump::write_type(&mut lines, &once, id)?;
    }
    Ok(String::from_utf8_lossy(&lines).into_owned())
}

/// Both say that types cannot be put on a base.
fn refused(blob: &Blob, why: &DistillError) -> Result<()> {
    let line = line(std::slice::from_ref(blob), &[]);
    for tool in [tool_path()?, oracle()?] {
        let out = run(Command::new(&tool).args(&line), b"")?;
        ensure_eq!(out.status, 234, "{why}: {}", tool.display());
    }
    Ok(())
}
