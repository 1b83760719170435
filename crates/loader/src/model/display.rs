//! An object as text: all of it, in a fixed order, for people and for tests.

use super::{
    AttachTo, ExternIdx, ExternKind, FuncIdx, Function, KconfigType, Linkage, Map, MapIdx,
    MapOrigin, MapSpec, Object, Pinning, ProgIdx, Program, RefTarget, SlotValue, TableIdx,
};
use bpfsys::AttachType;
use bpfsys::uapi::flags::{MapFlags, ProgLoadFlags};
use btf::{Endian, TypeId};
use std::fmt::{Display, Formatter, Result};

/// Bytes of a type's name.
const NAME: usize = 80;
/// Entries of a table in a line.
const PER_LINE: usize = 12;

impl Display for Object {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let order = match self.endian {
            Endian::Little => "little-endian",
            Endian::Big => "big-endian",
        };
        let license = self.license.escape_ascii();
        write!(f, "object '{}', {order}, license \"{license}\"", self.name)?;
        if let Some(version) = self.kern_version {
            write!(f, ", version {version:#x}")?;
        }
        match &self.btf {
            Some(btf) => writeln!(f, ", {} types", btf.ids().len())?,
            None => writeln!(f, ", no types")?,
        }
        for (at, program) in self.programs.iter().enumerate() {
            self.program_text(f, at, program)?;
        }
        for (at, map) in self.maps.iter().enumerate() {
            self.map_text(f, at, map)?;
        }
        for variable in &self.variables {
            let map = self.map_name(variable.map);
            let linkage = linkage(variable.linkage);
            let (name, offset, size) = (&variable.name, variable.offset, variable.size);
            write!(
                f,
                "variable '{name}': {map} at {offset}, {size} bytes, {linkage}"
            )?;
            if let Some(id) = variable.type_id {
                write!(f, ", {}", self.type_text(id))?;
            }
            writeln!(f)?;
        }
        for (at, ext) in self.externs.iter().enumerate() {
            let weak = if ext.weak { " weak" } else { "" };
            write!(f, "extern {at}{weak} '{}': ", ext.name)?;
            match &ext.kind {
                ExternKind::Kconfig { ty, size, offset } => {
                    let ty = kconfig(*ty);
                    writeln!(f, "option, {ty}, {size} bytes at {offset}")?;
                }
                ExternKind::Ksym { type_id } => writeln!(f, "ksym {}", self.type_text(*type_id))?,
                ExternKind::KsymAddr => writeln!(f, "ksym")?,
                ExternKind::Kfunc { proto } => writeln!(f, "kfunc {}", self.type_text(*proto))?,
                ExternKind::Broken(why) => writeln!(f, "broken: {why}")?,
            }
        }
        for (at, table) in self.jump_tables.iter().enumerate() {
            writeln!(
                f,
                "jump table {at} '{}' of section '{}':",
                table.name, table.section
            )?;
            for line in table.entries.chunks(PER_LINE) {
                let line: Vec<_> = line.iter().map(ToString::to_string).collect();
                writeln!(f, "    {}", line.join(" "))?;
            }
        }
        for (at, function) in self.functions.iter().enumerate() {
            self.function_text(f, at, function)?;
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        Ok(())
    }
}

impl Object {
    fn program_text(&self, f: &mut Formatter<'_>, at: usize, program: &Program) -> Result {
        let Program { name, section, .. } = program;
        write!(
            f,
            "program {at} '{name}': section '{section}', type {}",
            program.prog_type
        )?;
        if program.expected_attach_type != AttachType(0) || program.attach_type_optional {
            let optional = if program.attach_type_optional {
                "?"
            } else {
                ""
            };
            write!(f, ", hook {}{optional}", program.expected_attach_type)?;
        }
        match &program.attach_to {
            AttachTo::None => {}
            AttachTo::Missing => write!(f, ", of something to be named")?,
            AttachTo::Kernel { module: None, name } => write!(f, ", of '{name}'")?,
            AttachTo::Kernel {
                module: Some(module),
                name,
            } => write!(f, ", of '{name}' in module '{module}'")?,
            AttachTo::Module(module) => write!(f, ", of module '{module}'")?,
            AttachTo::Prog { func: None, .. } => write!(f, ", of a program")?,
            AttachTo::Prog {
                func: Some(func), ..
            } => write!(f, ", of '{func}' in a program")?,
        }
        if program.flags != ProgLoadFlags::empty() {
            write!(f, ", flags {:#x}", program.flags.bits())?;
        }
        if program.usdt {
            write!(f, ", usdt")?;
        }
        if program.ifindex != 0 {
            write!(f, ", interface {}", program.ifindex)?;
        }
        if let Some(callback) = program.exception_callback {
            write!(f, ", exceptions to {}", self.function_name(callback))?;
        }
        if !program.autoload {
            write!(f, ", off")?;
        }
        writeln!(f, ", function {}", program.func.0)
    }

    fn map_text(&self, f: &mut Formatter<'_>, at: usize, map: &Map) -> Result {
        write!(f, "map {at} '{}'", map.name)?;
        if map.symbol != map.name {
            write!(f, " ('{}')", map.symbol)?;
        }
        write!(f, ": ")?;
        match &map.origin {
            MapOrigin::Definition => {}
            MapOrigin::Legacy => write!(f, "legacy, ")?,
            MapOrigin::Data => write!(f, "data, ")?,
            MapOrigin::Constants => write!(f, "constants, ")?,
            MapOrigin::Kconfig => write!(f, "options, ")?,
            MapOrigin::StructOps(ops) => {
                let link = if ops.link { " by link" } else { "" };
                write!(f, "'{}'{link}, ", ops.type_name)?;
            }
        }
        self.spec(f, &map.spec)?;
        if map.pinning == Pinning::ByName {
            write!(f, ", pinned by name")?;
        }
        if let Some(path) = &map.pin_path {
            write!(f, ", pinned at '{}'", path.display())?;
        }
        if map.reuse.is_some() {
            write!(f, ", reused")?;
        }
        if let Some(program) = map.exclusive {
            write!(f, ", only for {}", self.program_name(program))?;
        }
        if !map.autocreate {
            write!(f, ", off")?;
        }
        writeln!(f)?;
        if let Some(inner) = &map.inner {
            write!(f, "    inside: ")?;
            self.spec(f, inner)?;
            writeln!(f)?;
        }
        for slot in &map.slots {
            let value = match slot.value {
                SlotValue::Map(map) => self.map_name(map),
                SlotValue::Prog(program) => self.program_name(program),
            };
            writeln!(f, "    slot {}: {value}", slot.index)?;
        }
        if let MapOrigin::StructOps(ops) = &map.origin {
            for (member, program) in &ops.progs {
                writeln!(f, "    member {member}: {}", self.program_name(*program))?;
            }
        }
        bytes(f, &map.data)
    }

    fn spec(&self, f: &mut Formatter<'_>, spec: &MapSpec) -> Result {
        write!(f, "{}, key {}", spec.map_type, spec.key_size)?;
        if !spec.key_type.is_void() {
            write!(f, " {}", self.type_text(spec.key_type))?;
        }
        write!(f, ", value {}", spec.value_size)?;
        if !spec.value_type.is_void() {
            write!(f, " {}", self.type_text(spec.value_type))?;
        }
        write!(f, ", entries {}", spec.max_entries)?;
        if spec.flags != MapFlags::empty() {
            write!(f, ", flags {:#x}", spec.flags.bits())?;
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
        Ok(())
    }

    fn function_text(&self, f: &mut Formatter<'_>, at: usize, function: &Function) -> Result {
        let Function {
            name,
            section,
            section_off,
            ..
        } = function;
        let linkage = linkage(function.linkage);
        let insns = function.insns.len();
        write!(
            f,
            "function {at} '{name}': section '{section}' at {section_off}, "
        )?;
        write!(f, "{linkage}, {insns} instructions")?;
        if !function.line_info.is_empty() {
            write!(f, ", {} lines", function.line_info.len())?;
        }
        for info in &function.func_info {
            write!(f, ", {}", self.type_text(info.type_id))?;
            if info.insn != 0 {
                write!(f, " at {}", info.insn)?;
            }
        }
        writeln!(f)?;
        for reference in &function.refs {
            write!(f, "    {}: ", reference.insn)?;
            match &reference.target {
                RefTarget::Call(func) => writeln!(f, "call {}", self.function_name(*func))?,
                RefTarget::FuncAddr(func) => {
                    writeln!(f, "address of {}", self.function_name(*func))?;
                }
                RefTarget::Map(map) => writeln!(f, "map {}", self.map_name(*map))?,
                RefTarget::MapValue { map, offset } => {
                    writeln!(f, "value of {} at {offset}", self.map_name(*map))?;
                }
                RefTarget::Extern(ext) => writeln!(f, "extern {}", self.extern_name(*ext))?,
                RefTarget::JumpTable(table) => {
                    writeln!(f, "jump table {}", self.table_name(*table))?;
                }
                RefTarget::Broken(why) => writeln!(f, "broken: {why}")?,
            }
        }
        for relo in &function.core_relos {
            let access = self
                .btf
                .as_ref()
                .and_then(|btf| btf.str_at(relo.access_str_off).ok())
                .unwrap_or(b"?");
            let ty = self.type_text(relo.type_id);
            let (insn, kind) = (relo.insn_off / 8, relo.kind);
            writeln!(f, "    {insn}: core {kind} {ty} ({})", btf::escape(access))?;
        }
        Ok(())
    }

    fn type_text(&self, id: TypeId) -> String {
        let ty = self.btf.as_ref().map(|btf| btf.type_by_id(id));
        match ty {
            Some(Ok(ty)) if ty.name().is_empty() => format!("{} [{id}]", ty.kind()),
            Some(Ok(ty)) => {
                let name = ty.name();
                let name = name.get(..NAME).unwrap_or(name);
                format!("{} {} [{id}]", ty.kind(), btf::escape(name))
            }
            _ => format!("[{id}]"),
        }
    }

    fn map_name(&self, map: MapIdx) -> String {
        let map = self.maps.get(map.index());
        map.map_or_else(|| "?".to_owned(), |map| format!("'{}'", map.symbol))
    }

    fn program_name(&self, program: ProgIdx) -> String {
        let program = self.programs.get(program.index());
        program.map_or_else(|| "?".to_owned(), |program| format!("'{}'", program.name))
    }

    fn function_name(&self, function: FuncIdx) -> String {
        let function = self.functions.get(function.index());
        function.map_or_else(|| "?".to_owned(), |function| format!("'{}'", function.name))
    }

    fn extern_name(&self, ext: ExternIdx) -> String {
        let ext = self.externs.get(ext.index());
        ext.map_or_else(|| "?".to_owned(), |ext| format!("'{}'", ext.name))
    }

    fn table_name(&self, table: TableIdx) -> String {
        let table = self.jump_tables.get(table.index());
        table.map_or_else(|| "?".to_owned(), |table| format!("'{}'", table.name))
    }
}

const fn linkage(linkage: Linkage) -> &'static str {
    match linkage {
        Linkage::Static => "static",
        Linkage::Global => "global",
        Linkage::Weak => "weak",
        Linkage::Hidden => "hidden",
    }
}

const fn kconfig(ty: KconfigType) -> &'static str {
    match ty {
        KconfigType::Bool => "bool",
        KconfigType::Char => "char",
        KconfigType::Int { signed: true } => "signed",
        KconfigType::Int { signed: false } => "unsigned",
        KconfigType::Tristate => "tristate",
        KconfigType::CharArray => "text",
    }
}

/// Bytes, 16 a line; lines that repeat the one in front are left out.
fn bytes(f: &mut Formatter<'_>, data: &[u8]) -> Result {
    let mut last: &[u8] = &[];
    let mut skipped = false;
    for (at, line) in data.chunks(16).enumerate() {
        if line == last {
            if !skipped {
                writeln!(f, "    *")?;
            }
            skipped = true;
            continue;
        }
        skipped = false;
        last = line;
        write!(f, "    {:04x}:", at * 16)?;
        for byte in line {
            write!(f, " {byte:02x}")?;
        }
        writeln!(f, "  {}", line.escape_ascii())?;
    }
    Ok(())
}
