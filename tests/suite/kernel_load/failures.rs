//! Every way in which the kernel stage can fail: the error says what it was
//! about, and nothing is left. (Descriptors, mappings and pins are looked for
//! after each test; here also between the failures of one.)

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use bpfsys::{ErrorKind, MapType};
use loader::kernel::{KernelError, MapStep};
use loader::model::{MapIdx, ProgIdx, Slot, SlotValue};
use loader::relocate::{
    AttachPlan, BtfPlan, JumpTablePlan, MapAction, ModuleIdx, ModulePlan, Operand, OperandKind,
};
use rbpftool_tests::{FdSnapshot, ensure_eq};

use crate::support::{Bench, Parts, open, options, pins_below, spec};

pub(crate) fn add(bench: &mut Bench) {
    bench.one("failure::maps", maps);
    bench.one("failure::slots", slots);
    bench.one("failure::types", types);
    bench.one("failure::programs", programs);
    bench.one("failure::inconsistent_plans", inconsistent);
    bench.one("failure::objects_of_the_other_byte_order", endian);
    bench.one("failure::hints", hints);
}

/// The error of a plan that has a pinned map besides what is wrong with it; nothing else of it
/// must be there.
fn fails(parts: &mut Parts, dir: &Path) -> Result<KernelError> {
    let before = FdSnapshot::take();
    let first = parts.array("pinned", 8);
    parts.plan.maps[first].pin_path = Some(dir.join("of_this/pinned"));
    // It is made before whatever fails.
    parts.plan.maps.rotate_right(1);
    let result = parts.plan.load(&options(dir));
    parts.plan.maps.rotate_left(1);
    parts.plan.maps.pop();
    let error = match result {
        Ok(_) => anyhow::bail!("it was loaded"),
        Err(error) => error,
    };
    before.check().with_context(|| error.to_string())?;
    ensure!(pins_below(dir).is_empty(), "{error}: {:?}", pins_below(dir));
    ensure!(
        !dir.join("of_this").exists(),
        "{error}: the directory is still there"
    );
    let text = error.to_string();
    ensure!(!text.contains('\n') && !text.ends_with('.'), "{text:?}");
    Ok(error)
}

fn maps(dir: &Path) -> Result<()> {
    let mut parts = Parts::new();
    let map = parts.array("m", 0);
    let error = fails(&mut parts, dir)?;
    ensure_eq!(error.to_string(), "cannot create map 'm'");
    ensure_eq!(error.sys().map(|sys| sys.kind()), Some(ErrorKind::Invalid));

    parts.plan.maps[map].spec = spec(MapType::ARRAY, 8, 1);
    parts.plan.maps[map].value = Some(vec![0; 7]);
    let error = fails(&mut parts, dir)?;
    ensure!(
        matches!(
            error,
            KernelError::Map {
                step: MapStep::Fill,
                ..
            }
        ),
        "{error}"
    );

    parts.plan.maps[map].value = None;
    parts.plan.maps[map].pin_path = Some(dir.join("not/there/m"));
    let error = fails(&mut parts, dir)?;
    ensure!(matches!(error, KernelError::Directory { .. }), "{error}");

    parts.plan.maps[map].pin_path = Some("/proc/m".into());
    let error = fails(&mut parts, dir)?;
    ensure_eq!(
        error.to_string(),
        "cannot pin map 'm' at /proc/m: that is not in a bpf file system"
    );

    parts.plan.maps[map].pin_path = Some(dir.join("has.dot"));
    let error = fails(&mut parts, dir)?;
    ensure_eq!(error.to_string(), "cannot open the pin of map 'm'");

    parts.plan.maps[map].pin_path = None;
    parts.plan.maps[map].spec = spec(MapType::ARRAY_OF_MAPS, 4, 1);
    parts.plan.maps[map].inner = Some(spec(MapType::ARRAY, 0, 1));
    let error = fails(&mut parts, dir)?;
    ensure_eq!(error.to_string(), "cannot create the inner map of map 'm'");
    Ok(())
}

fn slots(dir: &Path) -> Result<()> {
    let mut parts = Parts::new();
    let outer = parts.map("outer", MapType::ARRAY_OF_MAPS, 4, 1);
    let inner = parts.array("inner", 8);
    // `fails` puts one in front.
    let of_inner = MapIdx(u32::try_from(inner)? + 1);
    parts.plan.maps[outer].inner = Some(spec(MapType::ARRAY, 8, 1));
    let slot = |index| Slot {
        index,
        value: SlotValue::Map(of_inner),
    };
    parts.plan.maps[outer].slots = vec![slot(1)];
    let error = fails(&mut parts, dir)?;
    ensure_eq!(
        error.to_string(),
        "cannot put map 'inner' into slot 1 of map 'outer'"
    );

    parts.plan.maps[outer].slots = vec![slot(0)];
    parts.plan.maps[inner].action = MapAction::Skip("nobody wants it".into());
    let error = fails(&mut parts, dir)?;
    ensure_eq!(
        error.to_string(),
        "map 'outer' needs map 'inner', which was not made: nobody wants it"
    );

    let mut parts = Parts::new();
    let steps = parts.map("steps", MapType::PROG_ARRAY, 4, 1);
    parts.plan.maps[steps].slots = vec![Slot {
        index: 0,
        value: SlotValue::Prog(ProgIdx(7)),
    }];
    parts.program("p", "r0 = 0\nexit")?;
    let error = fails(&mut parts, dir)?;
    ensure_eq!(
        error.to_string(),
        "slot 0 of map 'steps' should be program 'number 7', which was not loaded"
    );
    Ok(())
}

fn types(dir: &Path) -> Result<()> {
    let mut parts = Parts::new();
    parts.plan.btf = Some(BtfPlan {
        data: vec![0xff; 32],
        required: true,
    });
    let error = fails(&mut parts, dir)?;
    ensure_eq!(error.to_string(), "the types of object 'plan' were refused");

    parts.plan.btf = None;
    for (id, text) in [
        (
            0,
            "the plan does not say which types those of module 'm' are in this kernel",
        ),
        (u32::MAX - 1, "cannot open the types of module 'm'"),
    ] {
        parts.plan.modules = vec![ModulePlan {
            name: "m".into(),
            btf_id: id,
        }];
        ensure_eq!(fails(&mut parts, dir)?.to_string(), text);
    }
    Ok(())
}

fn programs(dir: &Path) -> Result<()> {
    let mut parts = Parts::new();
    parts.program("good", "r0 = 0\nexit")?;
    parts.program("bad", "r0 = r7\nexit")?;
    let error = fails(&mut parts, dir)?;
    let KernelError::Program(refused) = &error else {
        anyhow::bail!("{error}");
    };
    ensure_eq!(refused.program, "bad");
    ensure_eq!(refused.sys.kind(), ErrorKind::Denied);
    let at = refused.at.as_ref().context("no position")?;
    ensure_eq!((at.insn, at.offset, &*at.function), (0, 0, "bad"));
    ensure!(error.to_string().contains("R7"), "{error}");
    ensure!(format!("{error:#}").contains("\n0: "), "{error:#}");

    parts.plan.programs.pop();
    let map = parts.array("m", 8);
    parts.plan.maps[map].action = MapAction::Skip("the kernel is too old".into());
    parts.program("uses", "r1 = map[id:0]\nr0 = 0\nexit")?;
    parts.plan.programs[1].operands = vec![Operand {
        insn: 0,
        kind: OperandKind::Map(MapIdx(1)),
    }];
    let error = fails(&mut parts, dir)?;
    ensure_eq!(
        error.to_string(),
        "program 'uses' needs map 'm', which was not made: the kernel is too old"
    );

    parts.plan.programs.pop();
    parts.program("jumps", "r0 = 0\nexit")?;
    parts.plan.programs[1].jump_tables = vec![JumpTablePlan {
        name: "table".into(),
        entries: Vec::new(),
    }];
    let error = fails(&mut parts, dir)?;
    ensure_eq!(
        error.to_string(),
        "cannot make jump table 'table' of program 'jumps'"
    );
    Ok(())
}

fn inconsistent(dir: &Path) -> Result<()> {
    type Damage = fn(&mut Parts);
    let cases: [(Damage, &str); 5] = [
        (
            |parts| {
                parts.plan.programs[0].operands = vec![Operand {
                    insn: 0,
                    kind: OperandKind::ModuleBtf(ModuleIdx(3)),
                }];
            },
            "there is no module 3",
        ),
        (
            |parts| {
                parts.plan.programs[0].operands = vec![Operand {
                    insn: 99,
                    kind: OperandKind::Map(MapIdx(0)),
                }];
            },
            "program 'p' has no instruction 99",
        ),
        (
            |parts| {
                parts.plan.programs[0].operands = vec![Operand {
                    insn: 0,
                    kind: OperandKind::JumpTable(2),
                }];
            },
            "program 'p' has no jump table 2",
        ),
        (
            |parts| parts.plan.programs[0].fd_array = vec![ModuleIdx(1)],
            "there is no module 1",
        ),
        (
            |parts| {
                parts.plan.programs[0].attach = AttachPlan::Module {
                    module: ModuleIdx(0),
                    btf_id: btf::TypeId(1),
                };
            },
            "there is no module 0",
        ),
    ];
    for (damage, text) in cases {
        let mut parts = Parts::new();
        parts.program("p", "r0 = 0\nexit")?;
        damage(&mut parts);
        let error = fails(&mut parts, dir)?;
        ensure_eq!(
            error.to_string(),
            format!("the plan is inconsistent: {text}")
        );
    }
    let mut parts = Parts::new();
    let outer = parts.map("outer", MapType::ARRAY_OF_MAPS, 4, 1);
    parts.plan.maps[outer].slots = vec![Slot {
        index: 0,
        value: SlotValue::Map(MapIdx(50)),
    }];
    let error = fails(&mut parts, dir)?;
    ensure!(
        error.to_string().contains("maps hold each other"),
        "{error}"
    );
    Ok(())
}

fn endian(dir: &Path) -> Result<()> {
    let other = if cfg!(target_endian = "little") {
        "minimal.eb"
    } else {
        "minimal"
    };
    let error = open(other)?
        .load(&options(dir))
        .err()
        .context("it was loaded")?;
    let text = format!("{error:#}");
    ensure!(
        text.ends_with("was compiled for machines of the other byte order"),
        "{text}"
    );
    Ok(())
}

fn hints(dir: &Path) -> Result<()> {
    let mut parts = Parts::new();
    parts.plan.modules = vec![ModulePlan {
        name: "m".into(),
        btf_id: 0,
    }];
    let error = fails(&mut parts, dir)?;
    ensure!(
        error
            .hint()
            .is_some_and(|hint| hint.contains("CAP_SYS_ADMIN"))
    );
    // The verifier's own words are advice enough, unless it gives some.
    let mut parts = Parts::new();
    parts.program("bad", "r0 = r7\nexit")?;
    let error = fails(&mut parts, dir)?;
    let advised = error
        .log()
        .and_then(bpfsys::VerifierLog::diagnosis)
        .is_some();
    ensure_eq!(error.hint().is_some(), advised, "{:?}", error.hint());
    Ok(())
}
