//! Programs, BTF, links and events.

use super::{require_bpf, skip};
use crate::cmd::{
    BtfLoad, EnableStats, LinkCreate, LinkDetach, LinkKind, LinkTarget, LinkUpdate, LogLevel,
    MapCreate, ObjGet, ObjPin, PerfEventLink, ProgAttach, ProgBindMap, ProgLoad, ProgParts,
    ProgQuery, ProgStreamRead, ProgTestRun, RawTracepointOpen, Target, TaskFdQuery, TokenCreate,
};
use crate::error::{ErrorKind, Refusal};
use crate::fd::{AnyFd, BtfFd, LinkFd, MapFd, ProgFd};
use crate::insn::{Insn, Reg, Size, asm};
use crate::sys::perf_event::{self, PerfEvent};
use crate::uapi::enums::{AttachType, MapType, ProgType, StatsType, StreamId, TaskFdType};
use crate::uapi::flags::UprobeMultiFlags;
use crate::uapi::info::FuncInfo;
use crate::uapi::perf::{self, PerfEventAttr};
use nix::errno::Errno;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

fn returns(value: i32) -> Vec<Insn> {
    vec![asm::mov64_imm(Reg::R0, value), asm::exit()]
}

fn load(prog_type: ProgType, insns: &[Insn]) -> ProgFd {
    ProgLoad::new(prog_type, insns)
        .name("bpfsys_test")
        .run()
        .unwrap_or_else(|error| panic!("{error:#}"))
}

/// A program that reads a map and has a second function, for information with everything in it.
fn with_map_and_function(map: &MapFd) -> Vec<Insn> {
    let mut insns = asm::ld_map_value(Reg::R1, map.as_raw_fd(), 0).to_vec();
    insns.extend([
        asm::ldx(Size::Dw, Reg::R0, Reg::R1, 0),
        asm::call_rel(1),
        asm::exit(),
        asm::mov64_imm(Reg::R0, 7),
        asm::exit(),
    ]);
    insns
}

#[test]
fn program_tells_all_about_itself() {
    require_bpf!();
    let map = MapCreate::new(MapType::ARRAY, 4, 8, 1).run().unwrap();
    let prog = load(ProgType::SOCKET_FILTER, &with_map_and_function(&map));
    let info = prog.info().unwrap();
    assert_eq!(info.type_(), ProgType::SOCKET_FILTER);
    assert_eq!(info.name(), b"bpfsys_test");
    assert!(info.gpl_compatible());
    let details = prog.details(ProgParts::all()).unwrap();
    assert_eq!(details.map_ids, [map.info().unwrap().id().unwrap()]);
    assert_eq!(details.xlated.len() * 8, info.xlated_prog_len as usize);
    assert!(!details.xlated_hidden);
    assert_eq!(details.prog_tags.len(), 2);
    assert_eq!(details.info.tag, info.tag);
    if !details.jited_hidden {
        assert_eq!(details.jited.len(), info.jited_prog_len as usize);
        assert_eq!(details.jited_ksyms.len(), 2);
        let total: u32 = details.jited_func_lens.iter().sum();
        assert_eq!(total, info.jited_prog_len);
    }
    let maps = prog.details(ProgParts::MAP_IDS).unwrap();
    assert_eq!(maps.map_ids, details.map_ids);
    assert!(maps.xlated.is_empty());
    let id = info.id().unwrap();
    assert!(crate::prog_ids().any(|found| found.unwrap() == id));
    assert_eq!(ProgFd::by_id(id).unwrap().info().unwrap().tag, info.tag);
}

#[test]
fn bound_map_shows_up_even_past_the_first_guess() {
    require_bpf!();
    let prog = load(ProgType::SOCKET_FILTER, &returns(0));
    let maps: Vec<MapFd> = (0..70)
        .map(|_| MapCreate::new(MapType::ARRAY, 4, 4, 1).run().unwrap())
        .collect();
    for map in &maps {
        ProgBindMap::new(&prog, map).run().unwrap();
    }
    let details = prog.details(ProgParts::MAP_IDS).unwrap();
    assert_eq!(details.map_ids.len(), 70);
}

#[test]
fn refused_program_has_a_log() {
    require_bpf!();
    // R0 is never set.
    let error = ProgLoad::new(ProgType::SOCKET_FILTER, &[asm::exit()])
        .run()
        .unwrap_err();
    assert!(error.sys().is(Errno::EACCES));
    assert_eq!(error.log().summary(), "R0 !read_ok");
    assert!(!error.log().is_truncated());
    let error = ProgLoad::new(ProgType::SOCKET_FILTER, &[asm::exit()])
        .log_level(LogLevel::Off)
        .run()
        .unwrap_err();
    assert!(error.log().is_empty());
    let (_prog, log) = ProgLoad::new(ProgType::SOCKET_FILTER, &returns(1))
        .log_level(LogLevel::Level(2))
        .run_with_log()
        .unwrap();
    assert!(log.as_str().contains("r0 = 1"), "{log}");
}

#[test]
fn long_log_grows_its_buffer() {
    require_bpf!();
    let mut insns = vec![asm::mov64_imm(Reg::R0, 0)];
    insns.extend((0..3000).map(|i| asm::mov64_imm(Reg::R1, i)));
    insns.push(asm::exit());
    let (_prog, log) = ProgLoad::new(ProgType::SOCKET_FILTER, &insns)
        .log_level(LogLevel::Level(2))
        .run_with_log()
        .unwrap();
    assert!(log.as_str().len() > 64 << 10);
    assert!(!log.is_truncated());
    assert!(log.as_str().starts_with("func#0") || log.as_str().contains("0: R1=ctx"));
}

#[test]
fn test_run_moves_data_both_ways() {
    require_bpf!();
    let prog = load(ProgType::SCHED_CLS, &returns(42));
    let packet = [0x5a; 64];
    let run = ProgTestRun::new(&prog)
        .data_in(&packet)
        .data_out_len(128)
        .repeat(3)
        .run()
        .unwrap();
    assert_eq!((run.retval, run.truncated), (42, false));
    assert_eq!(run.data_out.len(), 64);
    let short = ProgTestRun::new(&prog)
        .data_in(&packet)
        .data_out_len(10)
        .run()
        .unwrap();
    assert!(short.truncated);
    assert_eq!((short.data_out.len(), short.data_size), (10, 64));
    let refused = ProgTestRun::new(&prog).data_in(&[0; 3]).run().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
}

#[test]
fn syscall_program_writes_a_copy_of_its_context() {
    require_bpf!();
    let insns = [
        asm::st(Size::W, Reg::R1, 0, 0x1234),
        asm::mov64_imm(Reg::R0, 0),
        asm::exit(),
    ];
    let prog = match ProgLoad::new(ProgType::SYSCALL, &insns)
        .flags(crate::uapi::flags::ProgLoadFlags::SLEEPABLE)
        .run()
    {
        Ok(prog) => prog,
        Err(error) => return skip(&error.to_string()),
    };
    let context = [0; 8];
    let run = ProgTestRun::new(&prog).ctx_in(&context).run().unwrap();
    assert_eq!(run.ctx_in[..4], 0x1234u32.to_ne_bytes());
    assert_eq!(context, [0; 8]);
}

#[test]
fn wrong_kinds_of_descriptor_are_refused() {
    require_bpf!();
    let prog = load(ProgType::SOCKET_FILTER, &returns(0));
    let raw = OwnedFd::from(prog.try_clone().unwrap());
    let error = MapFd::try_from(raw).unwrap_err();
    assert_eq!(error.refusal(), Some(Refusal::WrongKind));
    let raw = OwnedFd::from(prog.try_clone().unwrap());
    assert!(LinkFd::try_from(raw).is_err());
    let raw = OwnedFd::from(prog.try_clone().unwrap());
    assert!(ProgFd::try_from(raw).is_ok());
    assert!(matches!(
        AnyFd::try_from(OwnedFd::from(prog)).unwrap(),
        AnyFd::Prog(_)
    ));
}

/// BTF with the type `int`, and a function `f` of no parameters that returns it.
fn small_btf() -> Vec<u8> {
    let types: [u32; 4 + 3 + 3] = [
        1,
        1 << 24,
        4,
        1 << 24 | 32, // INT "int", 4 bytes, signed
        0,
        13 << 24,
        1, // FUNC_PROTO returning it
        5,
        12 << 24,
        2, // FUNC "f", static
    ];
    let strings = b"\0int\0f\0";
    let mut blob = Vec::new();
    blob.extend_from_slice(&0xeb9f_u16.to_ne_bytes());
    blob.extend_from_slice(&[1, 0]);
    let type_len = u32::try_from(size_of_val(&types)).unwrap();
    for word in [24, 0, type_len, type_len, 7] {
        blob.extend_from_slice(&word.to_ne_bytes());
    }
    for word in types {
        blob.extend_from_slice(&word.to_ne_bytes());
    }
    blob.extend_from_slice(strings);
    blob
}

#[test]
fn btf_loads_and_reads_back() {
    require_bpf!();
    let blob = small_btf();
    let btf = BtfLoad::new(&blob)
        .run()
        .unwrap_or_else(|error| panic!("{error:#}"));
    let details = btf.info().unwrap();
    assert!(!details.is_kernel());
    assert_eq!(details.name, b"");
    assert_eq!(btf.data().unwrap(), blob);
    let id = details.id().unwrap();
    assert!(crate::btf_ids().any(|found| found.unwrap() == id));
    assert!(BtfFd::by_id(id).is_ok());
    let insns = returns(0);
    let infos = [FuncInfo {
        insn_off: 0,
        type_id: 3,
    }];
    let prog = ProgLoad::new(ProgType::SOCKET_FILTER, &insns)
        .btf(&btf)
        .func_info(&infos)
        .run()
        .unwrap_or_else(|error| panic!("{error:#}"));
    // Records of a newer form, with more than the kernel knows.
    let longer: Vec<u8> = [0u32, 3, 77]
        .iter()
        .flat_map(|word| word.to_ne_bytes())
        .collect();
    ProgLoad::new(ProgType::SOCKET_FILTER, &insns)
        .btf(&btf)
        .func_info_raw(&longer, 12)
        .run()
        .unwrap_or_else(|error| panic!("{error:#}"));
    let details = prog
        .details(ProgParts::FUNC_INFO | ProgParts::LINE_INFO)
        .unwrap();
    assert_eq!(details.func_info.len(), 1);
    assert_eq!(details.func_info[0].type_id, 3);
    assert_eq!(details.info.btf_id(), Some(id));
}

#[test]
fn bad_btf_has_a_log() {
    require_bpf!();
    let mut blob = small_btf();
    blob[24] = 0xff; // the name of `int` lies outside the strings
    let error = BtfLoad::new(&blob).run().unwrap_err();
    assert!(error.sys().is(Errno::EINVAL));
    assert!(!error.log().is_empty());
}

#[test]
fn kernel_btf_has_a_name() {
    require_bpf!();
    let Some(id) = crate::btf_ids().next() else {
        return skip("no kernel BTF");
    };
    let btf = BtfFd::by_id(id.unwrap()).unwrap();
    let details = btf.info().unwrap();
    if details.is_kernel() {
        assert_eq!(details.name, b"vmlinux");
        let data = btf.data().unwrap();
        assert_eq!(data.len(), details.info.btf_size as usize);
        assert_eq!(data[..2], 0xeb9f_u16.to_ne_bytes());
    }
}

#[test]
fn raw_tracepoint_link_tells_its_name() {
    require_bpf!();
    let prog = load(ProgType::RAW_TRACEPOINT, &returns(0));
    let missing = RawTracepointOpen::new(Some("no such tracepoint"), &prog)
        .run()
        .unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    // Fires only when a process changes its name.
    let link = RawTracepointOpen::new(Some("task_rename"), &prog)
        .cookie(0x77)
        .run()
        .unwrap();
    let details = link.info().unwrap();
    assert_eq!(details.prog_id, prog.info().unwrap().id());
    match details.kind {
        LinkKind::RawTracepoint { name, cookie } => {
            assert_eq!(name, b"task_rename");
            assert!(cookie == 0x77 || cookie == 0);
        }
        other => panic!("{other:?}"),
    }
    assert!(crate::link_ids().any(|id| id.unwrap() == details.id));
    assert!(LinkFd::by_id(details.id).is_ok());
    let detach = LinkDetach::new(&link).run().unwrap_err();
    assert_eq!(detach.kind(), ErrorKind::Unsupported);
    let me = std::process::id();
    let behind = TaskFdQuery::new(me, link.as_raw_fd().unsigned_abs())
        .run()
        .unwrap();
    assert_eq!(behind.fd_type, TaskFdType::RAW_TRACEPOINT);
    assert_eq!(behind.name, b"task_rename");
    assert_eq!(behind.prog_id, details.prog_id);
}

fn software_event() -> Option<PerfEvent> {
    let mut attr = PerfEventAttr::new(perf::TYPE_SOFTWARE, perf::SW_DUMMY);
    attr.flags = perf::FLAG_DISABLED;
    attr.sample_period = 1;
    let target = perf_event::Target { pid: 0, cpu: -1 };
    PerfEvent::open(attr, target)
        .map_err(|error| skip(&error.to_string()))
        .ok()
}

#[test]
fn perf_event_link_tells_its_event() {
    require_bpf!();
    let prog = load(ProgType::PERF_EVENT, &returns(0));
    let Some(event) = software_event() else {
        return;
    };
    let target = LinkTarget::PerfEvent {
        event: event.as_fd(),
        cookie: 5,
    };
    let link = LinkCreate::new(&prog, target).run().unwrap();
    event.enable().unwrap();
    event.disable().unwrap();
    match link.info().unwrap().kind {
        LinkKind::PerfEvent(PerfEventLink::Event { type_, config, .. }) => {
            assert_eq!((type_, config), (perf::TYPE_SOFTWARE, perf::SW_DUMMY));
        }
        LinkKind::PerfEvent(PerfEventLink::Unknown(_)) => skip("kernel does not tell"),
        other => panic!("{other:?}"),
    }
    let busy = event.set_bpf(&prog).unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::Exists);
    let other = load(ProgType::PERF_EVENT, &returns(1));
    // Perf event links keep their program.
    let update = LinkUpdate::new(&link, &other).expect_prog(&prog).run();
    assert_eq!(update.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(link.info().unwrap().prog_id, prog.info().unwrap().id());
}

#[test]
fn uprobe_multi_link_tells_its_places() {
    require_bpf!();
    let insns = returns(0);
    let prog = match ProgLoad::new(ProgType::KPROBE, &insns)
        .expected_attach_type(AttachType::TRACE_UPROBE_MULTI)
        .run()
    {
        Ok(prog) => prog,
        Err(error) => return skip(&error.to_string()),
    };
    // A file nobody runs.
    let path = std::env::temp_dir().join(format!("bpfsys-uprobe-{}", std::process::id()));
    std::fs::write(&path, [0x90; 4096]).unwrap();
    let target = LinkTarget::UprobeMulti {
        path: &path,
        offsets: &[16, 32],
        ref_ctr_offsets: &[],
        cookies: &[7, 8],
        flags: UprobeMultiFlags::empty(),
        pid: 0,
        session: false,
    };
    let link = LinkCreate::new(&prog, target).run();
    let info = link.as_ref().map(LinkFd::info);
    let result = match info {
        Ok(info) => info.unwrap().kind,
        Err(error) => {
            std::fs::remove_file(&path).unwrap();
            return skip(&error.to_string());
        }
    };
    std::fs::remove_file(&path).unwrap();
    match result {
        LinkKind::UprobeMulti {
            path: told,
            offsets,
            cookies,
            count,
            ..
        } => {
            assert_eq!(count, 2);
            assert_eq!(offsets, [16, 32]);
            assert_eq!(cookies, [7, 8]);
            assert_eq!(told, path.as_os_str().as_encoded_bytes());
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn other_commands_answer() {
    require_bpf!();
    let prog = load(ProgType::SOCKET_FILTER, &returns(0));
    let mut text = [0; 64];
    match ProgStreamRead::new(&prog, StreamId::STDOUT).run(&mut text) {
        Ok(len) => {
            assert_eq!(len, 0);
            let error = ProgStreamRead::new(&prog, StreamId(9))
                .run(&mut text)
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
        }
        Err(error) => skip(&error.to_string()),
    }
    match EnableStats::new(StatsType::RUN_TIME).run() {
        Ok(_stats) => {
            let unknown = EnableStats::new(StatsType(77)).run().unwrap_err();
            assert_eq!(unknown.kind(), ErrorKind::Invalid);
        }
        Err(error) => skip(&error.to_string()),
    }
    let file = std::fs::File::open("/dev/null").unwrap();
    assert!(TokenCreate::new(&file).run().is_err());
    let query = TaskFdQuery::new(std::process::id(), file.as_raw_fd().unsigned_abs()).run();
    assert_eq!(query.unwrap_err().kind(), ErrorKind::Unsupported);
    let query = ProgQuery::new(&file, AttachType::CGROUP_INET_INGRESS).run();
    assert!(query.is_err());
    let attach = ProgAttach::new(Target::Current, &prog, AttachType::CGROUP_INET_INGRESS).run();
    assert!(attach.is_err());
    let gone = ObjGet::new(Path::new("/no such path")).run().unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    let outside = std::env::temp_dir().join("bpfsys-pin");
    let error = ObjPin::new(&prog, &outside).run().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
}

#[test]
fn descriptor_array_names_maps() {
    require_bpf!();
    let map = MapCreate::new(MapType::ARRAY, 4, 8, 1).run().unwrap();
    let mut insns = asm::ld_map_idx(Reg::R1, 0).to_vec();
    insns.extend(returns(0));
    let fds = [map.as_fd()];
    let prog = match ProgLoad::new(ProgType::SOCKET_FILTER, &insns)
        .fd_array(&fds)
        .run()
    {
        Ok(prog) => prog,
        Err(error) => return skip(&error.to_string()),
    };
    assert_eq!(prog.details(ProgParts::MAP_IDS).unwrap().map_ids.len(), 1);
    let mut outside = asm::ld_map_idx(Reg::R1, 1).to_vec();
    outside.extend(returns(0));
    let error = ProgLoad::new(ProgType::SOCKET_FILTER, &outside)
        .fd_array(&fds)
        .run()
        .unwrap_err();
    assert_eq!(error.sys().refusal(), Some(Refusal::ArrayLength));
}
