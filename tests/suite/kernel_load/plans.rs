//! Plans made by hand: what the kernel stage makes of each part of one.

use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use bpfsys::cmd::{MapCreate, MapLookupElem};
use bpfsys::probe::Feature;
use bpfsys::uapi::flags::MapFlags;
use bpfsys::{MapFd, MapType, ProgType};
use loader::kernel::LoadOptions;
use loader::model::{AttachTo, MapIdx, ProgIdx, Slot, SlotValue};
use loader::relocate::{
    AttachPlan, BtfPlan, LoadPlan, MapAction, Operand, OperandKind, PlanOptions, StructOpsPlan,
};
use rbpftool_tests::forge::BtfForge;
use rbpftool_tests::{ensure_eq, requires};

use crate::support::{Bench, Parts, open, options, run};

pub(crate) fn add(bench: &mut Bench) {
    bench.one("plan::maps_are_filled_and_frozen", filled);
    bench.one("plan::maps_hold_maps_in_any_order", inside);
    bench.one("plan::programs_use_maps_by_descriptor", operands);
    bench.one("plan::programs_fill_prog_arrays", prog_arrays);
    bench.one("plan::names_that_are_refused_are_left_out", names);
    bench.one("plan::types_that_are_refused_are_left_out", types);
    bench.one("plan::maps_are_replaced", reused);
    bench.one("plan::maps_are_for_one_program", exclusive);
    bench.one("plan::programs_keep_maps", bound);
    bench.one("plan::preparing_loads_no_programs", prepared);
    bench.one("plan::descriptors_are_taken", taken);
    bench.one("plan::struct_ops_values_have_descriptors", struct_ops);
    bench.one("plan::arenas_are_mapped_where_they_say", arenas);
    bench.one("plan::programs_replace_functions_of_others", replaces);
    bench.one("plan::functions_of_other_programs_are_found", of_programs);
    bench.one("plan::operations_need_the_types_of_the_object", no_types);
}

fn value_of(map: &MapFd, key: u32, len: usize) -> Result<Vec<u8>> {
    let mut value = vec![0; len];
    let key = key.to_ne_bytes();
    MapLookupElem::new(map, &key).run(&mut value)?;
    Ok(value)
}

fn filled(dir: &Path) -> Result<()> {
    let mut parts = Parts::new();
    let map = parts.array("filled", 8);
    parts.plan.maps[map].value = Some(b"8 bytes!".to_vec());
    parts.plan.maps[map].freeze = true;
    let loaded = parts.plan.load(&options(dir))?;
    let fd = loaded
        .map("filled")
        .and_then(|map| map.fd())
        .context("the map")?;
    ensure_eq!(value_of(fd, 0, 8)?, b"8 bytes!");
    let update = bpfsys::cmd::MapUpdateElem::new(fd, &[0; 4], &[0; 8]).run();
    ensure!(update.is_err(), "it is not frozen");
    ensure!(loaded.map("nothing").is_none());
    ensure_eq!(
        loaded
            .map_by_index(MapIdx(0))
            .map(loader::kernel::LoadedMap::symbol),
        Some("filled")
    );
    Ok(())
}

fn inside(dir: &Path) -> Result<()> {
    let mut parts = Parts::new();
    let outer = parts.map("outer", MapType::ARRAY_OF_MAPS, 4, 3);
    let inner = parts.array("inner", 8);
    let outer = &mut parts.plan.maps[outer];
    outer.inner = Some(crate::support::spec(MapType::ARRAY, 8, 1));
    outer.slots = vec![Slot {
        index: 2,
        value: SlotValue::Map(MapIdx(u32::try_from(inner)?)),
    }];
    let loaded = parts.plan.load(&options(dir))?;
    let fd = |name| loaded.map(name).and_then(|map| map.fd()).context("a map");
    let id = fd("inner")?.info()?.id;
    ensure_eq!(value_of(fd("outer")?, 2, 4)?, id.to_ne_bytes());
    ensure!(
        value_of(fd("outer")?, 0, 4).is_err(),
        "slot 0 holds something"
    );
    Ok(())
}

fn operands(dir: &Path) -> Result<()> {
    let mut parts = Parts::new();
    let map = parts.array("counts", 8);
    parts.plan.maps[map].value = Some(41_u64.to_ne_bytes().to_vec());
    // The place in the value is in the instruction already.
    parts.program(
        "adds",
        "r1 = map[id:0][0]+0\nr0 = *(u64 *)(r1 +0)\nr0 += 1\n*(u64 *)(r1 +0) = r0\nexit",
    )?;
    parts.plan.programs[0].operands = vec![Operand {
        insn: 0,
        kind: OperandKind::Map(MapIdx(0)),
    }];
    let loaded = parts.plan.load(&options(dir))?;
    ensure_eq!(run(&loaded, "adds")?, 42);
    ensure_eq!(run(&loaded, "adds")?, 43);
    let fd = loaded
        .map("counts")
        .and_then(|map| map.fd())
        .context("the map")?;
    ensure_eq!(value_of(fd, 0, 8)?, 43_u64.to_ne_bytes());
    let program = loaded.program("adds").context("the program")?;
    let info = program.fd().context("its descriptor")?.info()?;
    ensure_eq!(info.type_(), ProgType::SCHED_CLS);
    ensure_eq!(info.name(), b"adds");
    Ok(())
}

fn prog_arrays(dir: &Path) -> Result<()> {
    let mut parts = Parts::new();
    let map = parts.map("steps", MapType::PROG_ARRAY, 4, 2);
    parts.plan.maps[map].slots = vec![Slot {
        index: 1,
        value: SlotValue::Prog(ProgIdx(0)),
    }];
    parts.program("second", "r0 = 9\nexit")?;
    parts.program(
        "first",
        "r2 = map[id:0]\nr3 = 1\ncall bpf_tail_call#12\nr0 = 1\nexit",
    )?;
    parts.plan.programs[1].operands = vec![Operand {
        insn: 0,
        kind: OperandKind::Map(MapIdx(0)),
    }];
    let loaded = parts.plan.load(&options(dir))?;
    ensure_eq!(run(&loaded, "first")?, 9);
    Ok(())
}

fn names(dir: &Path) -> Result<()> {
    let mut parts = Parts::new();
    let map = parts.array("no name: <T>", 8);
    parts.plan.maps[map].name = "no name: <T>".into();
    parts.array("longer_than_fifteen_bytes", 8);
    parts.program("also <none>", "r0 = 0\nexit")?;
    let loaded = parts.plan.load(&options(dir))?;
    let fd = |at| loaded.map_by_index(MapIdx(at)).and_then(|map| map.fd());
    ensure_eq!(fd(0).context("a map")?.info()?.name(), b"");
    ensure_eq!(fd(1).context("a map")?.info()?.name(), b"longer_than_fif");
    let program = loaded
        .program("also <none>")
        .and_then(|program| program.fd());
    ensure_eq!(program.context("the program")?.info()?.name(), b"");
    Ok(())
}

fn types(dir: &Path) -> Result<()> {
    let mut forge = BtfForge::new();
    let int = forge.int("int", 4, 1);
    let mut parts = Parts::new();
    parts.plan.btf = Some(BtfPlan {
        data: forge.bytes(),
        required: true,
    });
    let good = parts.array("typed", 4);
    parts.plan.maps[good].spec.key_type = btf::TypeId(int);
    parts.plan.maps[good].spec.value_type = btf::TypeId(int);
    // A value of eight bytes is no int.
    let bad = parts.array("untyped", 8);
    parts.plan.maps[bad].spec.key_type = btf::TypeId(int);
    parts.plan.maps[bad].spec.value_type = btf::TypeId(int);
    let loaded = parts.plan.load(&options(dir))?;
    let info = |name| -> Result<_> {
        let fd = loaded.map(name).and_then(|map| map.fd());
        Ok(fd.context("a map")?.info()?)
    };
    ensure_eq!(info("typed")?.btf_value_type_id, int);
    ensure_eq!(info("untyped")?.btf_value_type_id, 0);
    ensure!(
        loaded
            .notes()
            .iter()
            .any(|note| note.starts_with("map 'untyped' was made without types")),
        "{:?}",
        loaded.notes()
    );
    // Types that nobody must have are left out when they are refused.
    parts.plan.btf = Some(BtfPlan {
        data: b"not btf".to_vec(),
        required: false,
    });
    parts.program("plain", "r0 = 3\nexit")?;
    let loaded = parts.plan.load(&options(dir))?;
    ensure!(loaded.btf().is_none(), "there are types");
    ensure!(
        loaded
            .notes()
            .iter()
            .any(|note| note.contains("types of the object were refused"))
    );
    ensure_eq!(run(&loaded, "plain")?, 3);
    Ok(())
}

fn reused(dir: &Path) -> Result<()> {
    let given = MapCreate::new(MapType::ARRAY, 4, 16, 3)
        .name("given")
        .run()?;
    let id = given.info()?.id;
    let mut parts = Parts::new();
    let map = parts.array("wanted", 8);
    parts.plan.maps[map].action = MapAction::Reuse(Arc::new(given));
    // It is not filled: that is for whoever made it.
    parts.plan.maps[map].value = Some(vec![1; 8]);
    let loaded = parts.plan.load(&options(dir))?;
    let map = loaded.map("wanted").context("the map")?;
    ensure!(map.is_reused());
    ensure_eq!(map.fd().context("its descriptor")?.info()?.id, id);
    ensure_eq!(
        value_of(map.fd().context("its descriptor")?, 0, 16)?,
        [0; 16]
    );
    Ok(())
}

/// A program that reads the first word of map 0.
const READS: &str = "r1 = map[id:0][0]+0\nr0 = *(u32 *)(r1 +0)\nexit";

fn exclusive(dir: &Path) -> Result<()> {
    let known = Feature::by_name("excl_map").context("the probe")?.probe();
    requires!(known.is_yes(), "maps for one program only: {known}");
    let mut parts = Parts::new();
    let map = parts.array("mine", 8);
    parts.plan.maps[map].exclusive = Some(ProgIdx(0));
    for name in ["mine", "other"] {
        parts.program(name, READS)?;
        let last = parts.plan.programs.last_mut().context("a program")?;
        last.operands = vec![Operand {
            insn: 0,
            kind: OperandKind::Map(MapIdx(0)),
        }];
    }
    // The same instructions are the same program.
    parts.plan.load(&options(dir)).context("twice the same")?;
    let other = parts.plan.programs.last_mut().context("a program")?;
    other
        .insns
        .insert(2, bpfsys::insn::asm::mov64_imm(bpfsys::insn::Reg::R2, 0));
    let error = parts
        .plan
        .load(&options(dir))
        .err()
        .context("another program uses it")?;
    ensure!(error.to_string().starts_with("program 'other'"), "{error}");
    Ok(())
}

fn bound(dir: &Path) -> Result<()> {
    let mut parts = Parts::new();
    parts.array("kept", 8);
    parts.program("alone", "r0 = 0\nexit")?;
    parts.plan.programs[0].bind = vec![MapIdx(0)];
    let mut loaded = parts.plan.load(&options(dir))?;
    let map = loaded
        .map_mut("kept")
        .and_then(loader::kernel::LoadedMap::take_fd);
    let id = map.context("the map")?.info()?.id;
    let program = loaded.program("alone").and_then(|program| program.fd());
    let maps = program
        .context("the program")?
        .details(bpfsys::cmd::ProgParts::MAP_IDS)?;
    ensure!(
        maps.map_ids.iter().any(|map| map.get() == id),
        "{:?} has not {id}",
        maps.map_ids
    );
    Ok(())
}

fn prepared(dir: &Path) -> Result<()> {
    let mut parts = Parts::new();
    let map = parts.array("shared", 8);
    parts.plan.maps[map].pin_path = Some(dir.join("shared"));
    parts.program("program", "r0 = 5\nexit")?;
    let prepared = parts.plan.prepare(&options(dir))?;
    ensure!(prepared.map("shared").is_some());
    ensure!(prepared.map_by_index(MapIdx(1)).is_none());
    ensure!(dir.join("shared").exists(), "it is not pinned");
    drop(prepared);
    ensure!(!dir.join("shared").exists(), "it is still pinned");
    let loaded = parts.plan.prepare(&options(dir))?.load(&options(dir))?;
    ensure_eq!(run(&loaded, "program")?, 5);
    ensure!(dir.join("shared").exists(), "it is not pinned");
    drop(loaded);
    let maps = parts.plan.prepare(&options(dir))?.into_maps();
    ensure!(maps.programs().is_empty());
    ensure!(
        maps.map("shared")
            .is_some_and(loader::kernel::LoadedMap::is_reused)
    );
    std::fs::remove_file(dir.join("shared"))?;
    Ok(())
}

fn taken(dir: &Path) -> Result<()> {
    let mut loaded = open("minimal")?.load(&LoadOptions::new())?;
    let fd = loaded
        .program_mut("pass")
        .and_then(loader::kernel::LoadedProgram::take_fd);
    let fd = fd.context("the program")?;
    ensure!(
        loaded
            .program("pass")
            .is_some_and(|program| program.fd().is_none())
    );
    let error = loaded.pin_program("pass", &dir.join("pass"));
    ensure_eq!(
        error
            .err()
            .context("a program that was taken was pinned")?
            .to_string(),
        "there is no program 'pass'"
    );
    loaded.pin_programs(dir)?;
    drop(loaded);
    ensure_eq!(fd.info()?.name(), b"pass");
    Ok(())
}

fn struct_ops(dir: &Path) -> Result<()> {
    let object = open("struct_ops")?;
    let mut loaded = match object.load(&options(dir)) {
        Ok(loaded) => loaded,
        Err(error) if crate::support::older_than((6, 18))? => {
            return Err(rbpftool_tests::skip(format!("{error:#}")));
        }
        Err(error) => return Err(error.into()),
    };
    let maps: Vec<String> = loaded
        .maps()
        .iter()
        .filter(|map| map.is_struct_ops())
        .map(|map| map.symbol().to_owned())
        .collect();
    ensure!(!maps.is_empty(), "no struct_ops maps");
    for map in &maps {
        let value = loaded.struct_ops_value(map)?;
        let info = loaded
            .map(map)
            .and_then(|map| map.fd())
            .context("the map")?
            .info()?;
        ensure_eq!(value.len(), info.value_size as usize);
        let fds: Vec<u64> = value
            .chunks_exact(8)
            .filter_map(|word| word.try_into().ok().map(u64::from_ne_bytes))
            .collect();
        let has = |program: &loader::kernel::LoadedProgram| {
            let number = program
                .fd()
                .map(|fd| u64::from(fd.as_raw_fd().unsigned_abs()));
            number.is_some_and(|number| fds.contains(&number))
        };
        ensure!(loaded.programs().iter().any(has), "{map} has no programs");
    }
    let taken = loaded
        .programs_mut()
        .iter_mut()
        .filter_map(loader::kernel::LoadedProgram::take_fd);
    drop(taken.collect::<Vec<_>>());
    ensure!(
        loaded.struct_ops_value(&maps[0]).is_err(),
        "a value without programs"
    );
    ensure!(loaded.struct_ops_value("nothing").is_err());
    Ok(())
}

fn arenas(dir: &Path) -> Result<()> {
    let known = bpfsys::probe::map_type(MapType::ARENA);
    requires!(known.is_yes(), "arenas: {known}");
    let address = 1 << 44;
    let mut parts = Parts::new();
    let map = parts.map("arena", MapType::ARENA, 0, 4);
    let plan = &mut parts.plan.maps[map];
    plan.spec.key_size = 0;
    plan.spec.flags = MapFlags::MMAPABLE;
    plan.spec.map_extra = address;
    plan.arena_data = Some((4096, b"data".to_vec()));
    let loaded = parts.plan.load(&options(dir))?;
    let arena = loaded
        .map("arena")
        .and_then(|map| map.arena())
        .context("the arena")?;
    ensure_eq!(arena.address() as u64, address);
    let mut data = [0; 4];
    arena.read(4096, &mut data).context("read it")?;
    ensure_eq!(&data, b"data");
    // The address is taken until the first is gone.
    let error = parts
        .plan
        .load(&options(dir))
        .err()
        .context("two at one address")?;
    ensure_eq!(error.to_string(), "cannot mmap map 'arena'");
    drop(loaded);
    parts.plan.load(&options(dir))?;
    parts.plan.maps[map].arena_data = Some((4 * 4096 - 2, b"data".to_vec()));
    let error = parts
        .plan
        .load(&options(dir))
        .err()
        .context("data past the end")?;
    ensure!(
        error.to_string().contains("longer than the arena"),
        "{error}"
    );
    parts.plan.maps[map].arena_data = Some((0, b"data".to_vec()));
    parts.plan.maps[map].spec.flags |= MapFlags::SEGV_ON_FAULT;
    let error = parts
        .plan
        .load(&options(dir))
        .err()
        .context("data without pages")?;
    ensure!(error.to_string().contains("no pages"), "{error}");
    Ok(())
}

fn replaces(dir: &Path) -> Result<()> {
    let target = open("target")?;
    let loaded = target.load(&options(dir))?;
    ensure_eq!(run(&loaded, "program")?, 1064);
    let prog = loaded
        .program("program")
        .and_then(|program| program.fd())
        .context("it")?;
    let prog = Arc::new(prog.try_clone()?);
    let types = loaded.btf().context("its types")?.data()?;
    let types = Arc::new(btf::Btf::parse(types)?);
    for name in ["replaces", "traces_program"] {
        let mut object = open(name)?;
        for program in object.programs_mut() {
            let func = program
                .section
                .split_once('/')
                .map(|(_, func)| func.to_owned());
            program.attach_to = AttachTo::Prog {
                prog: Arc::clone(&prog),
                btf: Arc::clone(&types),
                func,
            };
        }
        let loaded = match object.load(&options(dir)) {
            Ok(loaded) => loaded,
            Err(error) => {
                let denied = error
                    .kernel()
                    .and_then(loader::kernel::KernelError::sys)
                    .is_some_and(|sys| sys.kind() == bpfsys::ErrorKind::Denied);
                requires!(
                    !denied,
                    "programs that run by a trampoline are forbidden here"
                );
                return Err(anyhow::anyhow!("{name}: {error:#}"));
            }
        };
        ensure_eq!(loaded.programs().len(), object.programs().len());
    }
    Ok(())
}

/// What a plan says of programs that attach to one that is loaded.
fn of_programs(dir: &Path) -> Result<()> {
    let mut parts = Parts::new();
    parts.program("any", "r0 = 0\nexit")?;
    let loaded = parts.plan.load(&options(dir))?;
    let prog = loaded.program("any").and_then(|program| program.fd());
    let prog = Arc::new(prog.context("the program")?.try_clone()?);
    let types = |functions: &[&[u8]]| -> Result<_> {
        let mut b = btf::build::Builder::new(btf::Endian::NATIVE);
        let int = b.add_int(b"int", 4, btf::encoding::SIGNED);
        // of the same name, but no function
        b.add_typedef(b"second", int);
        let proto = b.add_func_proto(int, &[]);
        for name in functions {
            b.add_func(name, 1, proto);
        }
        Ok(Arc::new(btf::Btf::parse(b.finish()?)?))
    };
    let (both, none) = (types(&[b"first", b"second"])?, types(&[])?);
    // Nothing of the kernel has to be known.
    let target = loader::target::Described::default();
    let cases = [
        (&both, None, Ok(4)),
        (&both, Some("first"), Ok(4)),
        (&both, Some("second"), Ok(5)),
        (&both, Some("third"), Err("third")),
        (&none, None, Err("(the first)")),
    ];
    for (types, func, expect) in cases {
        let mut object = open("replaces_unnamed")?;
        for program in object.programs_mut() {
            program.attach_to = AttachTo::Prog {
                prog: Arc::clone(&prog),
                btf: Arc::clone(types),
                func: func.map(str::to_owned),
            };
        }
        let plan = LoadPlan::new(&object, &target, &PlanOptions::default());
        match (plan, expect) {
            (Ok(plan), Ok(expect)) => {
                let AttachPlan::Prog {
                    prog: found,
                    btf_id,
                } = &plan.programs[0].attach
                else {
                    anyhow::bail!("{func:?}: {:?}", plan.programs[0].attach);
                };
                ensure_eq!(found.info()?.id, prog.info()?.id);
                ensure_eq!(btf_id.0, expect);
            }
            (Err(error), Err(name)) => {
                let why = std::error::Error::source(&error).context("no cause")?;
                ensure_eq!(
                    why.to_string(),
                    format!("the program to attach to has no function '{name}' in its types")
                );
            }
            (plan, _) => anyhow::bail!("{func:?}: {plan:?}"),
        }
    }
    Ok(())
}

fn no_types(dir: &Path) -> Result<()> {
    let mut parts = Parts::new();
    let map = parts.map("ops", MapType::STRUCT_OPS, 8, 1);
    parts.plan.maps[map].struct_ops = Some(StructOpsPlan {
        value_type: btf::TypeId(1),
        module: None,
        value: vec![0; 8],
        progs: Vec::new(),
        link: false,
    });
    let error = parts.plan.load(&options(dir)).err();
    ensure_eq!(
        error.context("a value of no type was made")?.to_string(),
        "map 'ops' needs the types of its object, which were not loaded"
    );
    Ok(())
}
