//! Loading, running and finding programs, and what hangs on them.

use std::os::fd::AsRawFd as _;

use anyhow::{Context as _, Result, bail, ensure};
use bpfsys::cmd::{
    EnableStats, MapCreate, ProgAssocStructOps, ProgBindMap, ProgLoad, ProgParts, ProgStreamRead,
    ProgTestRun, RawTracepointOpen, TaskFdQuery,
};
use bpfsys::uapi::enums::{StatsType, StreamId, TaskFdType};
use bpfsys::uapi::flags::{ProgLoadFlags, TestRunFlags};
use bpfsys::{ErrorKind, KernelVersion, MapType, ProgFd, ProgId, ProgType};
use rbpftool_tests::state::links::{QUIET_TRACEPOINT, congestion_control};
use rbpftool_tests::state::progs::{asm, described, returning, simple_of, simples};
use rbpftool_tests::state::types::Types;
use rbpftool_tests::{Private, ensure_eq};

use crate::support::{Bench, older_than, only_since, refused, since};

pub(crate) fn add(bench: &mut Bench) {
    bench.cmd("prog_load", load, load_errors);
    bench.one("prog_load::every_simple_type", load_every_simple_type);
    bench.one("prog_load::described_by_btf", load_described);
    bench.one("prog_load::log_grows", load_log_grows);
    bench.cmd("prog_test_run", run, run_errors);
    bench.one("prog_test_run::syscall", run_syscall);
    bench.cmd("prog_get_next_id", next_id, next_id_ends);
    bench.cmd("prog_get_fd_by_id", by_id, by_id_errors);
    bench.cmd("prog_bind_map", bind, bind_errors);
    bench.cmd("prog_stream_read_by_fd", stream, stream_errors);
    bench.cmd("prog_assoc_struct_ops", assoc, assoc_errors);
    bench.cmd("enable_stats", stats, stats_errors);
    bench.cmd("task_fd_query", task_fd, task_fd_errors);
}

fn load(_: &Private) -> Result<()> {
    let insns = asm("r0 = 7\nexit")?;
    let prog = ProgLoad::new(ProgType::SOCKET_FILTER, &insns)
        .license("MIT")
        .name("seven")
        .run()?;
    let info = prog.info()?;
    ensure_eq!(
        (info.type_(), info.name()),
        (ProgType::SOCKET_FILTER, &b"seven"[..])
    );
    ensure!(!info.gpl_compatible(), "MIT counts as GPL");
    ensure_eq!(prog.details(ProgParts::XLATED)?.xlated.len(), 2);
    Ok(())
}

fn load_every_simple_type(_: &Private) -> Result<()> {
    let mut failed = Vec::new();
    for kind in simples() {
        match returning(&kind, kind.ret) {
            Ok(prog) => {
                ensure!(
                    !older_than(kind.since)?,
                    "{} is older than was thought",
                    kind.name
                );
                ensure_eq!(prog.info()?.type_(), kind.prog_type);
            }
            Err(_) if older_than(kind.since)? => {}
            Err(e) => failed.push(format!("{e:#}")),
        }
    }
    ensure!(failed.is_empty(), "{}", failed.join("; "));
    Ok(())
}

fn load_described(_: &Private) -> Result<()> {
    let types = Types::load()?;
    let map = MapCreate::new(MapType::ARRAY, 4, 8, 4).run()?;
    let prog = described(&types, &map)?;
    let all = prog.details(ProgParts::all())?;
    ensure_eq!(all.map_ids, vec![map.info()?.id().context("no id")?]);
    ensure_eq!((all.func_info.len(), all.line_info.len()), (2, 2));
    ensure_eq!(all.prog_tags.len(), 2, "a tag for each function");
    if all.info.jited_prog_len > 0 {
        ensure_eq!(all.jited_func_lens.len(), 2);
        let sum: u32 = all.jited_func_lens.iter().sum();
        ensure_eq!(usize::try_from(sum)?, all.jited.len());
    }
    Ok(())
}

fn load_errors(_: &Private) -> Result<()> {
    let no_exit = asm("r0 = 0")?;
    let load = |insns, kind| ProgLoad::new(kind, insns).license("GPL").run();
    let Err(e) = load(&no_exit, ProgType::SOCKET_FILTER) else {
        bail!("ran off the end")
    };
    ensure_eq!(e.kind(), ErrorKind::Invalid);
    ensure!(
        !e.log().to_string().is_empty(),
        "the verifier's log is empty"
    );
    let good = asm("r0 = 0\nexit")?;
    let kind = load(&good, ProgType(4000))
        .err()
        .context("an unknown type loaded")?
        .kind();
    ensure_eq!(kind, ErrorKind::Invalid);
    let flags = ProgLoadFlags::from_bits_retain(1 << 30);
    let flagged = ProgLoad::new(ProgType::XDP, &good)
        .license("GPL")
        .flags(flags)
        .run();
    ensure_eq!(
        flagged.err().context("an unknown flag was taken")?.kind(),
        ErrorKind::Invalid
    );
    let none = load(&[], ProgType::XDP)
        .err()
        .context("no instructions loaded")?;
    ensure!(
        matches!(none.kind(), ErrorKind::TooBig | ErrorKind::Invalid),
        "{none}"
    );
    // Reads outside the stack: refused by the verifier, with words about it.
    let wild = asm("r0 = *(u64 *)(r10 -520)\nexit")?;
    let wild = load(&wild, ProgType::SOCKET_FILTER)
        .err()
        .context("a wild read loaded")?;
    ensure!(
        wild.log().to_string().contains("stack"),
        "the log says: {}",
        wild.log()
    );
    Ok(())
}

/// A program whose log is longer than any first guess: each instruction is a
/// line at least, and the verifier tells the state at branches.
fn load_log_grows(_: &Private) -> Result<()> {
    use bpfsys::cmd::LogLevel;
    let mut text = String::new();
    for _ in 0..3000 {
        text.push_str("r0 = 1\nr0 += 1\n");
    }
    let insns = asm(&format!("{text}exit"))?;
    let (prog, log) = ProgLoad::new(ProgType::SOCKET_FILTER, &insns)
        .license("GPL")
        .log_level(LogLevel::Level(2))
        .run_with_log()?;
    drop(prog);
    let log = log.to_string();
    ensure!(log.len() > 100_000, "only {} bytes of log", log.len());
    ensure!(log.contains("processed 6001 insns"), "the log has no end");
    Ok(())
}

/// A frame the kernel accepts for every network program type.
fn frame() -> Vec<u8> {
    let mut frame = vec![0xff; 12];
    frame.extend_from_slice(&[0x08, 0x00, 0x45, 0, 0, 46]);
    frame.resize(64, 0);
    frame
}

fn run(_: &Private) -> Result<()> {
    for kind in simples().iter().filter(|k| k.runs_on_data) {
        let prog = returning(kind, kind.ret)?;
        let done = ProgTestRun::new(&prog)
            .data_in(&frame())
            .data_out_len(256)
            .repeat(3)
            .run()
            .with_context(|| format!("run {}", kind.name))?;
        // Flow dissectors had their result told as a truth value, which it is not.
        let told = if kind.prog_type == ProgType::FLOW_DISSECTOR && older_than((6, 1))? {
            1
        } else {
            kind.ret
        };
        ensure_eq!(done.retval, u32::try_from(told)?, "{}", kind.name);
    }
    // XDP: the packet comes back.
    let xdp = simple_of(ProgType::XDP)?;
    let done = ProgTestRun::new(&xdp)
        .data_in(&frame())
        .data_out_len(64)
        .run()?;
    ensure_eq!(done.data_out, frame());
    Ok(())
}

fn run_syscall(_: &Private) -> Result<()> {
    let prog = simple_of(ProgType::SYSCALL).map_err(|e| since((5, 14), e))?;
    let ctx = [1_u8; 16];
    let done = ProgTestRun::new(&prog).ctx_in(&ctx).run()?;
    ensure_eq!(done.retval, 0);
    Ok(())
}

fn run_errors(_: &Private) -> Result<()> {
    // Old kernels make room for more than that around an XDP frame.
    let cls = simple_of(ProgType::SCHED_CLS)?;
    let short = ProgTestRun::new(&cls).data_in(&[0; 4]).run();
    refused("a frame of 4 bytes", short, ErrorKind::Invalid)?;
    let flags = TestRunFlags::from_bits_retain(1 << 20);
    let flagged = ProgTestRun::new(&cls).data_in(&frame()).flags(flags).run();
    refused("an unknown flag", flagged, ErrorKind::Invalid)?;
    let kprobe = simple_of(ProgType::KPROBE)?;
    let unsupported = ProgTestRun::new(&kprobe).run();
    refused("a kprobe program", unsupported, ErrorKind::Unsupported)?;
    let xdp = simple_of(ProgType::XDP)?;
    let cut = ProgTestRun::new(&xdp)
        .data_in(&frame())
        .data_out_len(10)
        .run()?;
    ensure!(cut.truncated && cut.data_size == 64, "{cut:?}");
    Ok(())
}

fn next_id(_: &Private) -> Result<()> {
    let prog = simple_of(ProgType::XDP)?;
    let id = prog.info()?.id().context("no id")?;
    let ids: Vec<ProgId> = bpfsys::prog_ids().collect::<Result<_, _>>()?;
    ensure!(ids.contains(&id), "program {id} is not listed");
    Ok(())
}

fn next_id_ends(_: &Private) -> Result<()> {
    let mut ids = bpfsys::prog_ids();
    while ids.next().transpose()?.is_some() {}
    ensure!(ids.next().is_none(), "the walk went on after its end");
    Ok(())
}

fn by_id(_: &Private) -> Result<()> {
    let prog = simple_of(ProgType::XDP)?;
    let info = prog.info()?;
    let again = ProgFd::by_id(info.id().context("no id")?)?;
    ensure_eq!(again.info()?.tag, info.tag);
    ensure!(
        again.as_raw_fd() > 2 && again.as_raw_fd() != prog.as_raw_fd(),
        "{again:?}"
    );
    Ok(())
}

fn by_id_errors(_: &Private) -> Result<()> {
    let none = ProgId::new(u32::MAX - 1).context("not zero")?;
    refused(
        "an id that is not used",
        ProgFd::by_id(none),
        ErrorKind::NotFound,
    )
}

fn bind(_: &Private) -> Result<()> {
    let prog = simple_of(ProgType::XDP)?;
    let map = MapCreate::new(MapType::ARRAY, 4, 4, 1).run()?;
    ProgBindMap::new(&prog, &map).run()?;
    ensure_eq!(
        prog.details(ProgParts::MAP_IDS)?.map_ids,
        vec![map.info()?.id().context("no id")?]
    );
    Ok(())
}

fn bind_errors(_: &Private) -> Result<()> {
    let prog = simple_of(ProgType::XDP)?;
    let map = MapCreate::new(MapType::ARRAY, 4, 4, 1).run()?;
    let flagged = ProgBindMap::new(&prog, &map).flags(1).run();
    refused("an unknown flag", flagged, ErrorKind::Invalid)
}

fn stream(_: &Private) -> Result<()> {
    let prog = simple_of(ProgType::XDP)?;
    let mut buffer = [0; 128];
    let got = ProgStreamRead::new(&prog, StreamId::STDERR).run(&mut buffer);
    let len = only_since((6, 17), "PROG_STREAM_READ_BY_FD", got)?;
    ensure_eq!(len, 0, "a program that printed nothing");
    Ok(())
}

fn stream_errors(_: &Private) -> Result<()> {
    let prog = simple_of(ProgType::XDP)?;
    let mut buffer = [0; 16];
    let got = ProgStreamRead::new(&prog, StreamId(7)).run(&mut buffer);
    if KernelVersion::running()? < KernelVersion::new(6, 17, 0) {
        return only_since((6, 17), "PROG_STREAM_READ_BY_FD", got).map(drop);
    }
    refused("a third stream", got, ErrorKind::NotFound)
}

fn kernel_btf() -> Result<btf::Btf<'static>> {
    let bytes = std::fs::read("/sys/kernel/btf/vmlinux").context("read the kernel's BTF")?;
    btf::Btf::parse(bytes).context("parse the kernel's BTF")
}

fn assoc(_: &Private) -> Result<()> {
    let prog = simple_of(ProgType::XDP)?;
    let (map, _progs) = congestion_control(&kernel_btf()?, &Types::load()?, "rbpf_assoc")
        .map_err(|e| since((6, 4), e))?;
    let result = ProgAssocStructOps::new(&prog, &map).run();
    only_since((7, 0), "PROG_ASSOC_STRUCT_OPS", result)
}

fn assoc_errors(_: &Private) -> Result<()> {
    // Known or not, no kernel takes a map that is none of struct_ops.
    let prog = simple_of(ProgType::XDP)?;
    let map = MapCreate::new(MapType::ARRAY, 4, 4, 1).run()?;
    refused(
        "an array",
        ProgAssocStructOps::new(&prog, &map).run(),
        ErrorKind::Invalid,
    )
}

fn stats(_: &Private) -> Result<()> {
    let prog = simple_of(ProgType::XDP)?;
    let on = EnableStats::new(StatsType::RUN_TIME).run()?;
    ProgTestRun::new(&prog)
        .data_in(&frame())
        .repeat(100)
        .run()?;
    drop(on);
    // A test run does not pass where statistics are taken; the call's effect
    // is seen on a program that the kernel runs.
    let socket = attached_filter()?;
    let on = EnableStats::new(StatsType::RUN_TIME).run()?;
    socket.exercise()?;
    let counted = socket.prog.info()?.run_cnt;
    drop(on);
    ensure!(counted > 0, "no run was counted");
    socket.exercise()?;
    ensure_eq!(
        socket.prog.info()?.run_cnt,
        counted,
        "counted with statistics off"
    );
    Ok(())
}

/// A raw tracepoint program that a call of ours makes the kernel run.
struct Exercised {
    prog: ProgFd,
    _link: bpfsys::LinkFd,
}

impl Exercised {
    fn exercise(&self) -> Result<()> {
        // Each makes a tracepoint of the task family fire in this process.
        for name in ["rbpf-a", "rbpf-b", "kernel_cmds"] {
            std::fs::write("/proc/thread-self/comm", name).context("rename this thread")?;
        }
        Ok(())
    }
}

fn attached_filter() -> Result<Exercised> {
    let prog = simple_of(ProgType::RAW_TRACEPOINT)?;
    let link = RawTracepointOpen::new(Some("task_rename"), &prog).run()?;
    Ok(Exercised { prog, _link: link })
}

fn stats_errors(_: &Private) -> Result<()> {
    let unknown = EnableStats::new(StatsType(99)).run();
    refused("unknown statistics", unknown, ErrorKind::Invalid)
}

fn task_fd(_: &Private) -> Result<()> {
    let prog = simple_of(ProgType::RAW_TRACEPOINT)?;
    let link = RawTracepointOpen::new(Some(QUIET_TRACEPOINT), &prog).run()?;
    let fd = u32::try_from(link.as_raw_fd())?;
    let found = TaskFdQuery::new(std::process::id(), fd).run()?;
    ensure_eq!(found.prog_id, prog.info()?.id());
    ensure_eq!(found.fd_type, TaskFdType::RAW_TRACEPOINT);
    ensure_eq!(String::from_utf8_lossy(&found.name), QUIET_TRACEPOINT);
    Ok(())
}

fn task_fd_errors(_: &Private) -> Result<()> {
    let pid = std::process::id();
    refused(
        "a closed descriptor",
        TaskFdQuery::new(pid, 9999).run(),
        ErrorKind::BadFd,
    )?;
    refused(
        "no process",
        TaskFdQuery::new(0x3fff_ffff, 0).run(),
        ErrorKind::NotFound,
    )?;
    let file = std::fs::File::open("/proc/self/status").context("open a file")?;
    let plain = TaskFdQuery::new(pid, u32::try_from(file.as_raw_fd())?).run();
    refused("a plain file", plain, ErrorKind::Unsupported)?;
    let flagged = TaskFdQuery::new(pid, 0).flags(1).run();
    refused("an unknown flag", flagged, ErrorKind::Invalid)
}
