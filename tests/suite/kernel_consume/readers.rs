//! Text that programs print, and text of iterators.

use std::io::Read as _;

use anyhow::{Context as _, Result, ensure};
use bpfsys::cmd::{IterTargetSpec, LinkCreate, LinkTarget, MapCreate};
use bpfsys::uapi::enums::StreamId;
use bpfsys::uapi::flags::ElemFlags;
use bpfsys::{ErrorKind, KernelVersion, MapType};
use loader::maps::TypedMap;
use loader::streams::{IterReader, ProgStream};
use rbpftool_tests::{ensure_eq, requires, skip};

use crate::support::{Bench, globals, loaded, prog, run};

pub(crate) fn add(bench: &mut Bench) {
    bench.one("streams::both_are_read", streams);
    bench.one("iter::tasks_are_text", tasks);
    bench.one("iter::elements_are_text", elements);
}

const ENOMEM: i32 = 12;

fn streams() -> Result<()> {
    if KernelVersion::running()? < KernelVersion::new(6, 17, 0) {
        return Err(skip("streams of programs need Linux 6.17"));
    }
    let loaded = loaded("streams")?;
    let prog = prog(&loaded, "both")?;
    let text = |mut stream: ProgStream<'_>| -> Result<String> {
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    };
    ensure_eq!(text(ProgStream::stdout(prog))?, "");
    for _ in 0..3 {
        let line = run(&loaded, "both", 1)?;
        let said: i32 = globals(&loaded, ".bss")?.variable("result")?.get();
        // Some kernels give programs that may not sleep no memory.
        requires!(
            said != -ENOMEM,
            "this kernel has no memory for streams (ENOMEM)"
        );
        ensure_eq!((line, said), (0, 0));
    }
    ensure_eq!(text(ProgStream::stdout(prog))?, "run 1\nrun 2\nrun 3\n");
    ensure_eq!(text(ProgStream::stdout(prog))?, "", "it was taken");
    // A byte at a time.
    let mut stderr = ProgStream::stderr(prog);
    ensure_eq!(stderr.read(&mut [])?, 0);
    let mut bytes = Vec::new();
    let mut one = [0];
    while stderr.read(&mut one)? == 1 {
        bytes.extend(one);
    }
    ensure_eq!(String::from_utf8(bytes)?, "oops 1\noops 2\noops 3\n");
    let error = ProgStream::new(prog, StreamId(9)).take_text(&mut one);
    let kind = error.map_err(|error| error.kind());
    ensure_eq!(kind, Err(ErrorKind::NotFound));
    let error = ProgStream::new(prog, StreamId(9)).read(&mut one);
    let kind = error.map_err(|error| error.kind());
    ensure_eq!(kind, Err(std::io::ErrorKind::NotFound));
    Ok(())
}

fn tasks() -> Result<()> {
    let loaded = loaded("iterates")?;
    let prog = prog(&loaded, "tasks")?;
    let link = LinkCreate::new(prog, LinkTarget::Iter(IterTargetSpec::All)).run()?;
    let me = format!("{0} of {0}", std::process::id());
    for _ in 0..2 {
        let text = std::io::read_to_string(IterReader::new(&link)?)?;
        ensure!(text.lines().any(|line| line == me), "no '{me}' in {text}");
    }
    let mut start = [0; 4];
    let mut fd = IterReader::new(&link)?.into_fd();
    fd.read_exact(&mut start).context("the beginning")?;
    let rest = std::io::read_to_string(IterReader::from(fd))?;
    ensure!(rest.lines().any(|line| line == me), "no '{me}' in {rest}");
    Ok(())
}

fn elements() -> Result<()> {
    let loaded = loaded("iterates_map")?;
    let prog = prog(&loaded, "elements")?;
    let map = MapCreate::new(MapType::HASH, 4, 8, 2000).run()?;
    let map = TypedMap::<u32, u64>::new(map)?;
    let mut expect = Vec::new();
    for n in 0..1000 {
        map.insert(&n, &(u64::from(n) * 7), ElemFlags::empty())?;
        expect.push(format!("{n}: {}", n * 7));
    }
    let target = LinkTarget::Iter(IterTargetSpec::Map(map.map()));
    let link = LinkCreate::new(prog, target).run()?;
    let text = std::io::read_to_string(IterReader::new(&link)?)?;
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines.sort_unstable();
    expect.sort_unstable();
    ensure_eq!(lines, expect);
    Ok(())
}
