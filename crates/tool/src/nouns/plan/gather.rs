//! Plans, as views.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;

use bpfsys::ProgType;
use bpfsys::insn::disasm::{References, disasm_one};
use btf::{Btf, Endian};
use loader::model::{LineInfo, MapIdx, Pinning, ProgIdx, SlotValue};
use loader::relocate::{
    AttachPlan, LoadPlan, MapAction, MapPlan, MapSpec, ModuleIdx, OperandKind, Poison, ProgPlan,
    SourceLine, StructOpsPlan,
};

use super::view::{
    ArenaView, BtfView, CoreView, DowngradeView, FunctionView, InsnView, JumpTableView, MapView,
    MemberView, ModuleView, PlanView, ProgramView, SlotView, SpecView, StructOpsView, TargetView,
};
use crate::nouns::NameOrNumber;
use crate::nouns::prog::view::SourceView;
use crate::render::escape::Text;
use crate::render::json::HexBytes;

/// Everything that is said about a plan.
#[must_use]
pub fn view(plan: &LoadPlan) -> PlanView {
    let btf = plan.btf.as_ref();
    let names = Names {
        plan,
        btf: btf.and_then(|btf| Btf::parse(btf.data.as_slice()).ok()),
    };
    PlanView {
        object: text(&plan.object),
        endian: match plan.endian {
            Endian::Little => "little",
            Endian::Big => "big",
        },
        license: Text::from(plan.license.as_slice()),
        kern_version: Some(plan.kern_version).filter(|version| *version != 0),
        btf: plan.btf.as_ref().map(|btf| BtfView {
            bytes: btf.data.len(),
            required: btf.required,
        }),
        modules: plan
            .modules
            .iter()
            .map(|module| ModuleView {
                name: text(&module.name),
                btf_id: Some(module.btf_id).filter(|id| *id != 0),
            })
            .collect(),
        maps: plan.maps.iter().map(|map| names.map_view(map)).collect(),
        programs: plan
            .programs
            .iter()
            .map(|prog| names.program_view(prog))
            .collect(),
        downgrades: plan
            .downgrades
            .iter()
            .map(|downgrade| DowngradeView {
                feature: downgrade.feature.name(),
                what: text(&downgrade.what),
            })
            .collect(),
        notes: plan.notes.iter().map(|note| text(note)).collect(),
    }
}

fn text(text: &str) -> Text {
    Text::from(text)
}

/// What is not zero.
fn some<T: Default + PartialEq>(value: T) -> Option<T> {
    Some(value).filter(|value| *value != T::default())
}

fn spec(spec: &MapSpec) -> SpecView {
    SpecView {
        r#type: NameOrNumber::new(spec.map_type.name(), spec.map_type.0),
        flags: spec.flags.bits(),
        bytes_key: spec.key_size,
        bytes_value: spec.value_size,
        max_entries: spec.max_entries,
        numa_node: spec.numa_node,
        ifindex: some(spec.ifindex),
        map_extra: some(spec.map_extra),
        btf_key_type_id: some(spec.key_type.get()),
        btf_value_type_id: some(spec.value_type.get()),
    }
}

/// Names for the indices of a plan.
struct Names<'p> {
    plan: &'p LoadPlan,
    /// The types that the plan loads, for the texts of source lines.
    btf: Option<Btf<'p>>,
}

impl Names<'_> {
    fn map(&self, map: MapIdx) -> Text {
        let found = self.plan.maps.iter().find(|plan| plan.map == map);
        found.map_or_else(|| format!("map {}", map.0).into(), |map| text(&map.symbol))
    }

    fn prog(&self, prog: ProgIdx) -> Text {
        let found = self.plan.programs.iter().find(|plan| plan.prog == prog);
        found.map_or_else(
            || format!("program {} (not selected)", prog.0).into(),
            |prog| text(&prog.name),
        )
    }

    fn module(&self, module: ModuleIdx) -> Text {
        let at = usize::try_from(module.0).unwrap_or(usize::MAX);
        let found = self.plan.modules.get(at);
        found.map_or_else(
            || format!("module {}", module.0).into(),
            |module| text(&module.name),
        )
    }

    fn map_view(&self, map: &MapPlan) -> MapView {
        let (action, why) = match &map.action {
            MapAction::Create => ("create", None),
            MapAction::Reuse(_) => ("reuse", None),
            MapAction::Skip(why) => ("skip", Some(text(why))),
        };
        MapView {
            name: text(&map.name),
            symbol: text(&map.symbol),
            action,
            why,
            spec: spec(&map.spec),
            inner: map.inner.as_ref().map(spec),
            slots: map
                .slots
                .iter()
                .map(|slot| {
                    let (map, program) = match slot.value {
                        SlotValue::Map(map) => (Some(self.map(map)), None),
                        SlotValue::Prog(prog) => (None, Some(self.prog(prog))),
                    };
                    SlotView {
                        index: slot.index,
                        map,
                        program,
                    }
                })
                .collect(),
            value: map.value.clone().map(HexBytes),
            frozen: map.freeze,
            pinned_by_name: map.pinning == Pinning::ByName,
            pin_path: map
                .pin_path
                .as_ref()
                .map(|path| Text::from(path.as_os_str().as_bytes())),
            struct_ops: map.struct_ops.as_ref().map(|ops| self.struct_ops(ops)),
            arena_data: map.arena_data.as_ref().map(|(offset, data)| ArenaView {
                offset: *offset,
                value: HexBytes(data.clone()),
            }),
            exclusive: map.exclusive.map(|prog| self.prog(prog)),
        }
    }

    fn struct_ops(&self, ops: &StructOpsPlan) -> StructOpsView {
        StructOpsView {
            value_type_id: ops.value_type.get(),
            module: ops.module.map(|module| self.module(module)),
            value: HexBytes(ops.value.clone()),
            programs: ops
                .progs
                .iter()
                .map(|(offset, prog)| MemberView {
                    offset: *offset,
                    program: self.prog(*prog),
                })
                .collect(),
            link: ops.link,
        }
    }

    fn program_view(&self, prog: &ProgPlan) -> ProgramView {
        let attach_type = prog.expected_attach_type;
        ProgramView {
            name: text(&prog.name),
            named: prog.named,
            section: text(&prog.section),
            r#type: NameOrNumber::new(prog.prog_type.name(), prog.prog_type.0),
            attach_type: attach_type
                .filter(|at| at.0 != 0 || prog.prog_type == ProgType::CGROUP_SKB)
                .filter(|_| prog.prog_type != ProgType::STRUCT_OPS)
                .map(|at| NameOrNumber::new(at.name(), at.0)),
            member: attach_type
                .filter(|_| prog.prog_type == ProgType::STRUCT_OPS)
                .map(|at| at.0),
            flags: prog.flags.bits(),
            ifindex: some(prog.ifindex),
            target: self.target(&prog.attach),
            log_level: prog.log_level,
            bind: prog.bind.iter().map(|map| self.map(*map)).collect(),
            fd_array: prog
                .fd_array
                .iter()
                .map(|module| self.module(*module))
                .collect(),
            functions: prog
                .parts
                .iter()
                .map(|part| FunctionView {
                    start: part.start,
                    name: text(&part.function),
                    section: text(&part.section),
                    section_offset: part.section_off,
                })
                .collect(),
            jump_tables: prog
                .jump_tables
                .iter()
                .map(|table| JumpTableView {
                    name: text(&table.name),
                    entries: table.entries.clone(),
                })
                .collect(),
            func_infos: prog.func_info.len(),
            line_infos: prog.line_info.len(),
            insns: self.insns(prog),
        }
    }

    fn target(&self, attach: &AttachPlan) -> Option<TargetView> {
        let (btf_id, module, prog) = match attach {
            AttachPlan::None => return None,
            AttachPlan::Kernel { btf_id } => (btf_id, None, false),
            AttachPlan::Module { module, btf_id } => (btf_id, Some(self.module(*module)), false),
            AttachPlan::Prog { btf_id, .. } => (btf_id, None, true),
        };
        Some(TargetView {
            btf_id: btf_id.get(),
            module,
            prog,
        })
    }

    /// The last of the lines that begin at this instruction or before, which are used up.
    fn source(&self, lines: &mut &[LineInfo], index: usize) -> Option<SourceView> {
        let at = u32::try_from(index).ok()?;
        let end = lines.iter().take_while(|line| line.insn <= at).count();
        let (begun, rest) = lines.split_at(end);
        *lines = rest;
        let line = SourceLine::of(self.btf.as_ref()?, begun, at)?;
        Some(SourceView {
            src: text(&line.text),
            file: Some(text(&line.file)),
            line_num: Some(line.line),
            line_col: Some(line.column),
        })
    }

    fn insns(&self, prog: &ProgPlan) -> Vec<InsnView> {
        let slot = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
        let operands: HashMap<_, _> = prog
            .operands
            .iter()
            .map(|operand| (slot(operand.insn), operand.kind))
            .collect();
        let core: HashMap<_, _> = prog
            .core
            .iter()
            .map(|note| (slot(note.insn), note))
            .collect();
        let externs: HashMap<_, _> = prog
            .externs
            .iter()
            .map(|note| (slot(note.insn), text(&note.name)))
            .collect();
        let mut lines = prog.line_info.as_slice();
        let poisoned: HashMap<_, _> = prog
            .poisoned
            .iter()
            .map(|poisoned| (slot(poisoned.insn), &poisoned.why))
            .collect();
        let mut views = Vec::with_capacity(prog.insns.len());
        let mut index = 0;
        while index < prog.insns.len() {
            let line = disasm_one(&prog.insns, index, &References);
            let (mut map, mut jump_table, mut module) = (None, None, None);
            match operands.get(&index) {
                Some(OperandKind::Map(of)) => map = Some(self.map(*of)),
                Some(OperandKind::JumpTable(of)) => {
                    let table = prog.jump_tables.get(slot(*of));
                    jump_table = Some(table.map_or_else(
                        || format!("jump table {of}").into(),
                        |table| text(&table.name),
                    ));
                }
                Some(OperandKind::ModuleBtf(of)) => module = Some(self.module(*of)),
                None => {}
            }
            views.push(InsnView {
                source: self.source(&mut lines, index),
                index,
                disasm: line.to_string(),
                r#extern: externs.get(&index).cloned(),
                map,
                jump_table,
                module,
                core: core.get(&index).map(|note| CoreView {
                    what: text(&note.what),
                    done: text(&note.done),
                }),
                poisoned: poisoned.get(&index).map(|why| poison(why)),
            });
            index += line.slots.max(1);
        }
        views
    }
}

fn poison(why: &Poison) -> Text {
    match why {
        Poison::CoreRelo { what, why } => format!("{what}: {why}").into(),
        Poison::Map(map) => format!("map '{map}' is not made").into(),
        Poison::Kfunc(name) => format!("the kernel has no function '{name}'").into(),
    }
}
