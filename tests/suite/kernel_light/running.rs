//! Loader programs that run, and those that give up half-way.

use std::os::fd::AsRawFd as _;

use anyhow::{Context as _, Result, bail, ensure};
use bpfsys::cmd::{LoaderMapInput, LoaderRun, MapCreate, MapLookupElem, ProgLoad, ProgTestRun};
use bpfsys::insn::{Size, asm};
use bpfsys::uapi::flags::ProgLoadFlags;
use bpfsys::{MapFd, MapType, ProgFd, ProgType, Refusal, probe};
use btf::Kind;
use loader::light::{LightLoaded, LightProgram, MapInput, RunError, RunOptions, Step};
use loader::model::Object;
use loader::target::Target as _;
use nix::errno::Errno;
use rbpftool_tests::{ensure_eq, requires};

use crate::{Bench, objects};

pub(crate) fn add(bench: &mut Bench) {
    // Each program of these says 0 when all is as it should be.
    for (name, programs) in [
        ("data", &["sums"][..]),
        ("inner_maps", &[]),
        ("kfuncs", &["asks"]),
        ("ksyms", &[]),
        ("maps", &[]),
        ("static_data", &[]),
        ("strings", &[]),
        ("callbacks", &[]),
        ("subprogs", &[]),
        ("tail_calls", &["middle", "last"]),
    ] {
        bench.one(&format!("programs_work::{name}"), move || {
            requires!(
                name != "kfuncs" || knows("bpf_task_from_pid")?,
                "this kernel has no bpf_task_from_pid"
            );
            works(name, programs)
        });
    }
    bench.one("programs_work::jump_tables", || {
        requires!(
            !probe::map_type(MapType::INSN_ARRAY).is_no(),
            "this kernel has no instruction arrays"
        );
        works("jump_tables", &[])
    });
    bench.one("only_new_descriptors_are_taken", only_new);
    bench.one("values_and_sizes_are_taken", values_and_sizes);
    bench.one("given_values_must_fit", refusals);
    bench.one("weak_symbols_may_be_missing", weak_symbols);
    bench.one("a_failure_names_its_step_and_leaves_nothing", failure);
    bench.one(
        "programs_that_are_switched_off_are_not_loaded",
        switched_off,
    );
}

/// Whether the kernel proper has a function of this name.
fn knows(name: &str) -> Result<bool> {
    let types = objects::target().vmlinux()?;
    Ok(types
        .find_by_name_kind(name.as_bytes(), Kind::Func)
        .is_some())
}

fn load(object: &Object) -> Result<(LightProgram, LightLoaded)> {
    let program = objects::program(object, false)?;
    let loaded = program.run(&RunOptions::default())?;
    Ok((program, loaded))
}

/// The value that a run gives, for types that can be run so.
fn retval(prog: &ProgFd) -> Result<Option<u32>> {
    let data = [0; 64];
    let run = ProgTestRun::new(prog);
    let run = match prog.info()?.type_() {
        ProgType::SYSCALL | ProgType::RAW_TRACEPOINT => run,
        ProgType::SCHED_CLS | ProgType::SCHED_ACT | ProgType::XDP | ProgType::SOCKET_FILTER => {
            run.data_in(&data)
        }
        _ => return Ok(None),
    };
    Ok(Some(run.run()?.retval))
}

fn works(name: &str, but: &[&str]) -> Result<()> {
    let (program, loaded) = load(&objects::object(name)?)?;
    let mut ran = 0;
    for (prog, fd) in program.progs.iter().zip(&loaded.progs) {
        if but.contains(&&*prog.name) {
            continue;
        }
        if let Some(retval) = retval(fd)? {
            ensure_eq!(retval, 0, "program {}: line {retval}", prog.name);
            ran += 1;
        }
    }
    ensure!(ran > 0, "no program could be run");
    Ok(())
}

fn map<'l>(program: &LightProgram, loaded: &'l LightLoaded, name: &str) -> Result<&'l MapFd> {
    let at = place(program, name)?;
    let made = loaded.maps.get(at).and_then(Option::as_ref);
    made.with_context(|| format!("map {name} was not made"))
}

fn place(program: &LightProgram, name: &str) -> Result<usize> {
    let mut maps = program.maps.iter();
    maps.position(|map| map.symbol == name)
        .with_context(|| format!("no map {name}"))
}

fn value(map: &MapFd) -> Result<Vec<u8>> {
    let mut value = vec![0; map.shape()?.value_buf_len];
    MapLookupElem::new(map, &[0; 4]).run(&mut value)?;
    Ok(value)
}

fn values_and_sizes() -> Result<()> {
    let object = objects::object("data")?;
    let program = objects::program(&object, false)?;
    let mut given = Vec::new();
    for name in [".data", ".bss", ".rodata"] {
        let at = place(&program, name)?;
        let size = program.maps.get(at).context("no map")?.value_size;
        given.push((name, at, vec![0xa5; size as usize]));
    }
    let mut options = RunOptions::default();
    options.maps.resize(program.maps.len(), MapInput::default());
    for (_, at, value) in &given {
        if let Some(input) = options.maps.get_mut(*at) {
            input.value = Some(value);
        }
    }
    // The programs no longer agree with their constants, but they load or fail with a word on it.
    let loaded = program.run(&options)?;
    for (name, _, expected) in &given {
        ensure_eq!(&value(map(&program, &loaded, name)?)?, expected, "{name}");
    }

    let object = objects::object("callbacks")?;
    let program = objects::program(&object, false)?;
    let at = place(&program, "numbers")?;
    let mut options = RunOptions::default();
    options.maps.resize(at + 1, MapInput::default());
    if let Some(input) = options.maps.get_mut(at) {
        input.max_entries = Some(17);
    }
    let loaded = program.run(&options)?;
    ensure_eq!(map(&program, &loaded, "numbers")?.info()?.max_entries, 17);
    Ok(())
}

fn refusals() -> Result<()> {
    let object = objects::object("data")?;
    let program = objects::program(&object, false)?;
    let at = place(&program, ".data")?;
    let mut options = RunOptions::default();
    options.maps.resize(at + 1, MapInput::default());
    if let Some(input) = options.maps.get_mut(at) {
        input.value = Some(b"short");
    }
    match program.run(&options) {
        Err(RunError::ValueSize { given: 5, .. }) => {}
        other => bail!("a short value: {other:?}"),
    }
    let hashed = objects::program(&object, true)?;
    match hashed.run(&options) {
        Err(RunError::NotTaken(_)) => Ok(()),
        other => bail!("a value for signed data: {other:?}"),
    }
}

fn weak_symbols() -> Result<()> {
    let mut object = objects::object("kfuncs")?;
    for program in object.programs_mut() {
        // The others need functions that older kernels lack.
        program.autoload = program.name == "asks";
    }
    let (program, loaded) = load(&object)?;
    let at = program.progs.iter().position(|prog| prog.name == "asks");
    let prog = loaded.progs.get(at.context("no program asks")?);
    ensure_eq!(retval(prog.context("not loaded")?)?, Some(0));
    Ok(())
}

fn failure() -> Result<()> {
    let mut object = objects::object("data")?;
    let wanted = "sums";
    let program = object.program_mut(wanted).context("no such program")?;
    // No hook of cgroups fits a program of another type.
    program.prog_type = ProgType::CGROUP_SKB;
    program.expected_attach_type = bpfsys::AttachType::XDP;
    let program = objects::program(&object, false)?;
    let mut options = RunOptions::default();
    options.log_level = 1;
    let error = match program.run(&options) {
        Err(RunError::Step(error)) => error,
        other => bail!("not a failed step: {other:?}"),
    };
    ensure_eq!(error.step, Some(Step::LoadProgram(wanted.to_owned())));
    ensure_eq!(error.errno, Errno::EINVAL);
    let text = error.to_string();
    ensure!(
        text.starts_with("load of program 'sums' failed: invalid argument (EINVAL)"),
        "{text}"
    );
    Ok(())
}

fn switched_off() -> Result<()> {
    let mut object = objects::object("tail_calls")?;
    for program in object.programs_mut() {
        program.autoload = program.name == "last";
    }
    for map in object.maps_mut() {
        map.autocreate = false;
    }
    let (program, loaded) = load(&object)?;
    let names: Vec<_> = program.progs.iter().map(|prog| &*prog.name).collect();
    ensure_eq!(names, ["last"]);
    ensure!(!loaded.maps.is_empty(), "no map is told");
    ensure!(loaded.maps.iter().all(Option::is_none), "a map was made");
    Ok(())
}

/// A program cannot hand over what it did not make, nor the same thing twice.
fn only_new() -> Result<()> {
    let map = MapCreate::new(MapType::ARRAY, 4, 4, 1).run()?;
    let hands_over = |number: i32| -> Result<_> {
        let insns = [
            // Immediates cannot be stored to a context before Linux 6.3.
            asm::mov64_imm(asm::R0, number),
            asm::stx(Size::W, asm::R1, asm::R0, 24),
            asm::mov64_imm(asm::R0, 0),
            asm::exit(),
        ];
        let prog = ProgLoad::new(ProgType::SYSCALL, &insns)
            .flags(ProgLoadFlags::SLEEPABLE)
            .run()?;
        Ok(LoaderRun::new(&prog, &[LoaderMapInput::default()], 0).run())
    };
    for number in [map.as_raw_fd(), 0xffff] {
        match hands_over(number)? {
            Err(error) => ensure_eq!(error.refusal(), Some(Refusal::NotNew)),
            Ok(outcome) => bail!("took {number}: {outcome:?}"),
        }
    }
    let nothing = hands_over(0)??;
    ensure!(matches!(*nothing.maps, [None]), "{nothing:?}");
    let insns = [asm::mov64_imm(asm::R0, 0), asm::exit()];
    let other = ProgLoad::new(ProgType::SOCKET_FILTER, &insns).run()?;
    let refused = LoaderRun::new(&other, &[], 0).run();
    ensure_eq!(
        refused.err().and_then(|error| error.refusal()),
        Some(Refusal::WrongKind)
    );
    Ok(())
}
