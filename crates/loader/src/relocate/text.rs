//! Plans in words, for people and for comparison.

use super::{
    AttachPlan, LoadPlan, MapAction, MapPlan, MapSpec, ModuleIdx, Operand, OperandKind, Poison,
    ProgPlan, SourceLine, shown,
};
use crate::model::{MapIdx, Pinning, ProgIdx, SlotValue};
use bpfsys::insn::{CallKind, Insn, Pseudo, disasm};
use bpfsys::{AttachType, ProgType};
use btf::{Btf, TypeId, escape};
use std::borrow::Cow;
use std::fmt::{self, Display, Formatter};

/// Bytes of a value that are shown.
const SHOWN: usize = 64;

impl Display for LoadPlan {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "object '{}'", shown(&self.object))?;
        let license = escape(&self.license);
        write!(f, ", license '{license}'")?;
        let [_, major, minor, patch] = self.kern_version.to_be_bytes();
        write!(f, ", kernel {major}.{minor}.{patch}")?;
        if self.endian != HOST {
            f.write_str(", of the other byte order")?;
        }
        f.write_str("\n")?;
        match &self.btf {
            None => f.write_str("no types\n")?,
            Some(btf) => {
                write!(f, "types: {} bytes", btf.data.len())?;
                f.write_str(if btf.required { ", required\n" } else { "\n" })?;
            }
        }
        for (at, module) in self.modules.iter().enumerate() {
            write!(f, "module {at} '{}'", shown(&module.name))?;
            if module.btf_id != 0 {
                write!(f, ", types {}", module.btf_id)?;
            }
            f.write_str("\n")?;
        }
        for map in &self.maps {
            self.write_map(f, map)?;
        }
        let btf = self.btf.as_ref().and_then(|btf| Btf::parse(&btf.data).ok());
        for program in &self.programs {
            self.write_program(f, program, btf.as_ref())?;
        }
        if !self.downgrades.is_empty() {
            f.write_str("\nthe kernel lacks:\n")?;
        }
        for downgrade in &self.downgrades {
            let name = downgrade.feature.name();
            writeln!(f, "    {name}: {}", shown(&downgrade.what))?;
        }
        if !self.notes.is_empty() {
            f.write_str("\nnotes:\n")?;
        }
        for note in &self.notes {
            writeln!(f, "    {}", shown(note))?;
        }
        Ok(())
    }
}

const HOST: btf::Endian = if cfg!(target_endian = "little") {
    btf::Endian::Little
} else {
    btf::Endian::Big
};

impl LoadPlan {
    fn map_name(&self, map: MapIdx) -> Cow<'_, str> {
        let map = self.maps.get(map.index());
        shown(map.map_or("", |map| &map.symbol))
    }

    fn prog_name(&self, prog: ProgIdx) -> Cow<'_, str> {
        let prog = self.programs.iter().find(|plan| plan.prog == prog);
        shown(prog.map_or("(not loaded)", |prog| &prog.name))
    }

    fn module_name(&self, module: ModuleIdx) -> Cow<'_, str> {
        let module = self.modules.get(module.0 as usize);
        shown(module.map_or("", |module| &module.name))
    }

    fn write_map(&self, f: &mut Formatter<'_>, map: &MapPlan) -> fmt::Result {
        write!(f, "\nmap {} '{}'", map.map.0, shown(&map.symbol))?;
        if map.name.is_empty() {
            f.write_str(" without a name")?;
        } else if map.name != map.symbol {
            write!(f, " named '{}'", shown(&map.name))?;
        }
        match &map.action {
            MapAction::Skip(why) => return writeln!(f, ": not made, {}", shown(why)),
            MapAction::Reuse(_) => f.write_str(", which is there")?,
            MapAction::Create => {}
        }
        f.write_str(": ")?;
        write_spec(f, &map.spec)?;
        f.write_str("\n")?;
        if let Some(inner) = &map.inner {
            f.write_str("    of maps: ")?;
            write_spec(f, inner)?;
            f.write_str("\n")?;
        }
        if map.pinning == Pinning::ByName {
            f.write_str("    pinned by name\n")?;
        }
        if let Some(path) = &map.pin_path {
            writeln!(f, "    pinned at {}", shown(&path.display().to_string()))?;
        }
        for slot in &map.slots {
            write!(f, "    [{}] = ", slot.index)?;
            match slot.value {
                SlotValue::Map(inner) => writeln!(f, "map '{}'", self.map_name(inner))?,
                SlotValue::Prog(prog) => writeln!(f, "program '{}'", self.prog_name(prog))?,
            }
        }
        if let Some(value) = &map.value {
            f.write_str("    value ")?;
            write_bytes(f, value)?;
        }
        if let Some((offset, data)) = &map.arena_data {
            write!(f, "    at {offset:#x} ")?;
            write_bytes(f, data)?;
        }
        if let Some(ops) = &map.struct_ops {
            write!(f, "    value of type {}", ops.value_type)?;
            if let Some(module) = ops.module {
                write!(f, " of module '{}'", self.module_name(module))?;
            }
            f.write_str(" ")?;
            write_bytes(f, &ops.value)?;
            for (offset, prog) in &ops.progs {
                writeln!(f, "    at {offset} program '{}'", self.prog_name(*prog))?;
            }
        }
        if map.freeze {
            f.write_str("    frozen\n")?;
        }
        if let Some(prog) = map.exclusive {
            writeln!(f, "    for program '{}' only", self.prog_name(prog))?;
        }
        Ok(())
    }

    fn write_program(
        &self,
        f: &mut Formatter<'_>,
        program: &ProgPlan,
        btf: Option<&Btf<'_>>,
    ) -> fmt::Result {
        write!(f, "\nprogram {} '{}'", program.prog.0, shown(&program.name))?;
        if !program.named {
            f.write_str(" without a name")?;
        }
        write!(f, ", section '{}': ", shown(&program.section))?;
        match program.prog_type.name() {
            Some(name) => f.write_str(name)?,
            None => write!(f, "type {}", program.prog_type.0)?,
        }
        match program.expected_attach_type {
            Some(attach) if program.prog_type == ProgType::STRUCT_OPS => {
                write!(f, ", member {}", attach.0)?;
            }
            // 0 means a hook of these programs only
            Some(AttachType(0)) if program.prog_type != ProgType::CGROUP_SKB => {}
            Some(attach) => match attach.name() {
                Some(name) => write!(f, " for {name}")?,
                None => write!(f, " for hook {}", attach.0)?,
            },
            None => f.write_str(" for any hook")?,
        }
        for (name, _) in program.flags.iter_names() {
            write!(f, ", {}", name.to_ascii_lowercase())?;
        }
        if program.ifindex != 0 {
            write!(f, ", interface {}", program.ifindex)?;
        }
        if let Some(level) = program.log_level {
            write!(f, ", log level {level}")?;
        }
        f.write_str("\n")?;
        match &program.attach {
            AttachPlan::None => {}
            AttachPlan::Kernel { btf_id } => {
                writeln!(f, "    attaches to type {btf_id} of the kernel")?;
            }
            AttachPlan::Module { module, btf_id } => {
                f.write_str("    attaches to ")?;
                if *btf_id != TypeId::VOID {
                    write!(f, "type {btf_id} of ")?;
                }
                writeln!(f, "module '{}'", self.module_name(*module))?;
            }
            AttachPlan::Prog { btf_id, .. } => {
                writeln!(f, "    attaches to function {btf_id} of a program")?;
            }
        }
        for map in &program.bind {
            writeln!(f, "    holds map '{}'", self.map_name(*map))?;
        }
        for (slot, module) in program.fd_array.iter().enumerate() {
            let module = self.module_name(*module);
            writeln!(f, "    calls module '{module}' as {}", slot + 1)?;
        }
        for (at, table) in program.jump_tables.iter().enumerate() {
            let entries: Vec<String> = table.entries.iter().map(u32::to_string).collect();
            let name = shown(&table.name);
            writeln!(f, "    jump table {at} '{name}': {}", entries.join(" "))?;
        }
        if !program.func_info.is_empty() {
            f.write_str("    functions:")?;
            for info in &program.func_info {
                write!(f, " {}: type {}", info.insn, info.type_id)?;
            }
            f.write_str("\n")?;
        }
        self.write_code(f, program, btf)
    }

    fn write_code(
        &self,
        f: &mut Formatter<'_>,
        program: &ProgPlan,
        btf: Option<&Btf<'_>>,
    ) -> fmt::Result {
        let names = Names {
            plan: self,
            program,
        };
        let mut parts = program.parts.iter().peekable();
        let mut lines = program.line_info.iter().peekable();
        let mut core = program.core.iter().peekable();
        let mut poisoned = program.poisoned.iter().peekable();
        let mut at = 0;
        while at < program.insns.len() {
            let here = u32::try_from(at).unwrap_or(u32::MAX);
            while let Some(part) = parts.next_if(|part| part.start <= here) {
                writeln!(f, "  {}:", shown(&part.function))?;
            }
            while let Some(line) = lines.next_if(|line| line.insn <= here) {
                let line =
                    btf.and_then(|btf| SourceLine::of(btf, std::slice::from_ref(line), line.insn));
                if let Some(line) = line {
                    writeln!(f, "    ; {line}")?;
                }
            }
            let line = disasm::disasm_one(&program.insns, at, &names);
            writeln!(f, "    {at}: {line}")?;
            let end = here.saturating_add(u32::try_from(line.slots).unwrap_or(1).max(1));
            while let Some(note) = core.next_if(|note| note.insn < end) {
                writeln!(f, "        core {}: {}", note.what, note.done)?;
            }
            while let Some(note) = poisoned.next_if(|note| note.insn < end) {
                f.write_str("        must not be reached: ")?;
                match &note.why {
                    Poison::CoreRelo { what, why } => {
                        writeln!(f, "{what}: {}", why.replace('\n', "; "))?;
                    }
                    Poison::Map(name) => writeln!(f, "map '{}' is not made", shown(name))?,
                    Poison::Kfunc(name) => {
                        writeln!(f, "the kernel has no function '{}'", shown(name))?;
                    }
                }
            }
            at += line.slots.max(1);
        }
        Ok(())
    }
}

fn write_spec(f: &mut Formatter<'_>, spec: &MapSpec) -> fmt::Result {
    match spec.map_type.name() {
        Some(name) => f.write_str(name)?,
        None => write!(f, "type {}", spec.map_type.0)?,
    }
    let (key, value, entries) = (spec.key_size, spec.value_size, spec.max_entries);
    write!(f, ", key {key}, value {value}, entries {entries}")?;
    let mut rest = spec.flags;
    for (name, flag) in spec.flags.iter_names() {
        write!(f, ", {}", name.to_ascii_lowercase())?;
        rest.remove(flag);
    }
    if !rest.is_empty() {
        write!(f, ", flags {:#x}", rest.bits())?;
    }
    if let Some(node) = spec.numa_node {
        write!(f, ", node {node}")?;
    }
    if spec.ifindex != 0 {
        write!(f, ", interface {}", spec.ifindex)?;
    }
    if spec.map_extra != 0 {
        write!(f, ", extra {:#x}", spec.map_extra)?;
    }
    if spec.key_type != TypeId::VOID || spec.value_type != TypeId::VOID {
        write!(f, ", types {} and {}", spec.key_type, spec.value_type)?;
    }
    Ok(())
}

/// Bytes but for long runs of zeros: behind those `@` says where the next one is.
fn write_bytes(f: &mut Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    write!(f, "of {} bytes:", bytes.len())?;
    let mut shown = 0;
    let mut next = 0;
    while let Some(zeros) = bytes.get(next..).map(count_zeros) {
        if zeros >= GAP || next + zeros == bytes.len() {
            next += zeros;
            if next == bytes.len() {
                return f.write_str(if shown == 0 { " zeros\n" } else { "\n" });
            }
            write!(f, " @{next}")?;
        }
        if shown == SHOWN {
            return f.write_str(" …\n");
        }
        if let Some(byte) = bytes.get(next) {
            write!(f, " {byte:02x}")?;
        }
        next += 1;
        shown += 1;
    }
    Ok(())
}

/// Zeros in a row that are left out.
const GAP: usize = 8;

fn count_zeros(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| **byte == 0).count()
}

/// What instructions of a program refer to, by name.
struct Names<'p> {
    plan: &'p LoadPlan,
    program: &'p ProgPlan,
}

impl Names<'_> {
    fn operand(&self, idx: usize) -> Option<&Operand> {
        let operands = &self.program.operands;
        let at = operands.binary_search_by_key(&idx, |operand| operand.insn as usize);
        operands.get(at.ok()?)
    }

    fn extern_(&self, idx: usize) -> Option<Cow<'_, str>> {
        let externs = &self.program.externs;
        let at = externs.binary_search_by_key(&idx, |note| note.insn as usize);
        Some(shown(&externs.get(at.ok()?)?.name))
    }

    /// The function that a distance leads to.
    fn function(&self, idx: usize, distance: i32) -> Option<Cow<'_, str>> {
        let to = i64::try_from(idx).ok()? + 1 + i64::from(distance);
        let parts = &self.program.parts;
        let at = parts.binary_search_by_key(&to, |part| part.start.into());
        let part = parts.get(at.ok()?)?;
        Some(shown(&part.function))
    }
}

impl disasm::Symbols for Names<'_> {
    fn call(&self, insn: &Insn, idx: usize) -> Option<String> {
        match insn.call_kind()? {
            CallKind::Helper => None,
            CallKind::Local => Some(format!(
                "pc{:+}#{}",
                insn.imm,
                self.function(idx, insn.imm)?
            )),
            CallKind::Kfunc => {
                let name = self.extern_(idx).unwrap_or("kernel-function".into());
                let id = insn.imm;
                match insn.off {
                    0 => Some(format!("{name}#{id}")),
                    slot => Some(format!("{name}#{id} of module {slot}")),
                }
            }
        }
    }

    fn imm64(&self, insn: &Insn, full: u64, idx: usize) -> Option<String> {
        let high = (full >> 32) as u32;
        match self.operand(idx).map(|operand| operand.kind) {
            Some(OperandKind::Map(map)) => {
                let name = self.plan.map_name(map);
                return Some(match insn.pseudo() {
                    Some(Pseudo::MapValue) => format!("map '{name}'[0]+{high}"),
                    _ => format!("map '{name}'"),
                });
            }
            Some(OperandKind::JumpTable(table)) => return Some(format!("jump table {table}")),
            Some(OperandKind::ModuleBtf(_)) | None => {}
        }
        let name = self.extern_(idx);
        match insn.pseudo()? {
            Pseudo::BtfId => {
                let name = name.map_or_else(String::new, |name| format!("{name}, "));
                Some(match self.operand(idx).map(|operand| operand.kind) {
                    Some(OperandKind::ModuleBtf(module)) => format!(
                        "{name}type {} of module '{}'",
                        insn.imm,
                        self.plan.module_name(module)
                    ),
                    _ => format!("{name}type {} of the kernel", insn.imm),
                })
            }
            Pseudo::Func => Some(format!("function {}", self.function(idx, insn.imm)?)),
            Pseudo::Number => Some(format!("{full:#x}, address of {}", name?)),
            _ => None,
        }
    }
}
