//! Functions and programs, from symbols and the names of sections.

use super::sections::Role;
use super::source::{Log, Source, linkage, shown};
use crate::elf::{Section, Symbol, SymbolKind};
use crate::model::sec_defs::SecDef;
use crate::model::{
    AttachTo, CodeRef, FuncIdx, Function, Linkage, ModelError, ProgIdx, Program, RefTarget,
};
use bpfsys::insn::{ByteOrder, Insn, stream};
use bpfsys::uapi::flags::ProgLoadFlags;
use bpfsys::{AttachType, ProgType};
use btf::Endian;
use std::collections::HashMap;
use std::ops::Range;

/// Bytes of an instruction.
pub(super) const SLOT: u64 = Insn::SIZE as u64;
/// Names that one and the same function may have.
const MAX_ALIASES: u32 = 8;

/// Functions and programs, and where they are.
#[derive(Debug, Default)]
pub(super) struct Functions {
    pub(super) functions: Vec<Function>,
    pub(super) programs: Vec<Program>,
    /// Where each function is; ascending.
    spans: Vec<Span>,
    by_symbol: HashMap<u32, FuncIdx>,
}

/// Where a function is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// Its section.
    pub(super) section: u32,
    /// Its first byte.
    pub(super) start: u64,
    /// The byte behind its last. That of a broken function is its first.
    pub(super) end: u64,
    /// The program it is, if it is one.
    pub(super) program: Option<ProgIdx>,
}

impl Functions {
    /// The first function that starts at a byte of a section.
    pub(super) fn starting_at(&self, section: u32, start: u64) -> Option<FuncIdx> {
        let at = self
            .spans
            .partition_point(|span| (span.section, span.start) < (section, start));
        let span = self.spans.get(at)?;
        (span.section == section && span.start == start).then_some(index(at))
    }

    /// The function that a symbol names.
    pub(super) fn of_symbol(&self, symbol: u32) -> Option<FuncIdx> {
        self.by_symbol.get(&symbol).copied()
    }

    /// Where a function is.
    pub(super) fn span(&self, function: FuncIdx) -> Option<Span> {
        self.spans.get(function.index()).copied()
    }

    /// The program that starts at a byte of a section.
    pub(super) fn program_at(&self, section: u32, start: u64) -> Option<ProgIdx> {
        self.span(self.starting_at(section, start)?)?.program
    }

    /// Functions of a section, by number.
    pub(super) fn in_section(&self, section: u32) -> Range<usize> {
        let start = self.spans.partition_point(|span| span.section < section);
        let end = self.spans.partition_point(|span| span.section <= section);
        start..end
    }

    /// Makes whoever needs a function fail.
    pub(super) fn break_function(&mut self, function: FuncIdx, why: String) {
        let Some(function) = self.functions.get_mut(function.index()) else {
            return;
        };
        let broken = CodeRef {
            insn: 0,
            target: RefTarget::Broken(why),
        };
        match function.refs.first_mut() {
            Some(first) if first.insn == 0 => *first = broken,
            _ => function.refs.insert(0, broken),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "no more functions than symbols, which are counted in 32 bits"
)]
const fn index(at: usize) -> FuncIdx {
    FuncIdx(at as u32)
}

/// All functions of sections with instructions, ascending by section and place.
pub(super) fn collect(source: &Source<'_>, log: &mut Log) -> Result<Functions, ModelError> {
    let mut out = Functions::default();
    let sections = source.elf.sections().iter();
    for section in sections.filter(|section| source.role(section.index).is_code()) {
        let code = Code {
            section,
            data: section.data()?,
            order: match source.elf.endian() {
                Endian::Little => ByteOrder::Little,
                Endian::Big => ByteOrder::Big,
            },
        };
        let symbols = source.symbols_in(section.index);
        let mut last = Last::default();
        for (number, symbol) in symbols.filter(|(_, symbol)| symbol.kind == SymbolKind::Func) {
            let name = log.own(symbol.name.unwrap_or(b"?"))?;
            let (insns, broken) = match last.admit(symbol).and_then(|()| code.decode(symbol)) {
                Ok(insns) => (insns, None),
                Err(why) => (Vec::new(), Some(why)),
            };
            log.take(insns.len() * Insn::SIZE)?;
            let at = index(out.functions.len());
            let linkage = linkage(symbol);
            let program = if source.role(section.index) == Role::Programs {
                program(section, &name, at, symbol, log)?
            } else {
                None
            };
            let number_of_program = program.map(|program| {
                let number = ProgIdx(u32::try_from(out.programs.len()).unwrap_or(u32::MAX));
                out.programs.push(program);
                number
            });
            out.spans.push(Span {
                section: section.index,
                start: symbol.value,
                end: symbol.value.saturating_add(insns.len() as u64 * SLOT),
                program: number_of_program,
            });
            out.by_symbol.insert(number, at);
            out.functions.push(Function {
                name,
                section: log.own(section.name)?,
                section_off: u32::try_from(symbol.value / SLOT).unwrap_or(u32::MAX),
                linkage,
                insns,
                refs: Vec::new(),
                func_info: Vec::new(),
                line_info: Vec::new(),
                core_relos: Vec::new(),
            });
            if let Some(why) = broken {
                log.note(|| {
                    let (name, section) = (source.symbol_name(symbol), section.name);
                    format!(
                        "function '{}' of section '{}': {why}",
                        shown(name),
                        shown(section)
                    )
                });
                out.break_function(at, why);
            }
        }
    }
    Ok(out)
}

/// The instructions of a section.
struct Code<'a> {
    section: &'a Section<'a>,
    data: &'a [u8],
    order: ByteOrder,
}

impl Code<'_> {
    /// The instructions of a function, or what is wrong with its place.
    fn decode(&self, symbol: &Symbol<'_>) -> Result<Vec<Insn>, String> {
        let (start, size) = (symbol.value, symbol.size);
        if size == 0 || size % SLOT != 0 || start % SLOT != 0 {
            return Err(format!(
                "{size} bytes at offset {start} are not a number of instructions"
            ));
        }
        let bytes = usize::try_from(start)
            .ok()
            .zip(usize::try_from(size).ok())
            .and_then(|(start, size)| self.data.get(start..)?.get(..size));
        let Some(bytes) = bytes else {
            return Err(format!(
                "{size} bytes at offset {start} end past the section of {} bytes",
                self.section.size
            ));
        };
        stream::decode(bytes, self.order).map_err(|error| error.to_string())
    }
}

/// The last functions of a section, to see that they do not share instructions. Functions that
/// do could be made many times the file.
#[derive(Default)]
struct Last {
    start: u64,
    end: u64,
    names: u32,
}

impl Last {
    fn admit(&mut self, symbol: &Symbol<'_>) -> Result<(), String> {
        let (start, end) = (symbol.value, symbol.value.saturating_add(symbol.size));
        if start >= self.end {
            *self = Self {
                start,
                end,
                names: 1,
            };
            return Ok(());
        }
        // two names of one function
        if (start, end) == (self.start, self.end) && self.names < MAX_ALIASES {
            self.names += 1;
            return Ok(());
        }
        Err(format!(
            "it overlaps with the function at offset {}",
            self.start
        ))
    }
}

/// The program that a function outside of `.text` is.
fn program(
    section: &Section<'_>,
    name: &str,
    func: FuncIdx,
    symbol: &Symbol<'_>,
    log: &mut Log,
) -> Result<Option<Program>, ModelError> {
    if linkage(symbol) == Linkage::Static || symbol.name.is_none_or(<[u8]>::is_empty) {
        log.note(|| {
            let section = shown(section.name);
            let name = shown(name.as_bytes());
            format!("function '{name}' of section '{section}' is static: it is no program")
        });
        return Ok(None);
    }
    let full = log.own(section.name)?;
    let (section, autoload) = match full.strip_prefix('?') {
        Some(rest) => (rest.to_owned(), false),
        None => (full, true),
    };
    let def = SecDef::find(&section);
    let mut flags = ProgLoadFlags::empty();
    flags.set(
        ProgLoadFlags::SLEEPABLE,
        def.is_some_and(|def| def.sleepable),
    );
    flags.set(
        ProgLoadFlags::XDP_HAS_FRAGS,
        def.is_some_and(|def| def.frags),
    );
    let attach_to = def.map_or(AttachTo::None, |def| attach_to(def, &section));
    Ok(Some(Program {
        name: name.to_owned(),
        func,
        prog_type: def.map_or(ProgType::UNSPEC, |def| def.prog_type),
        expected_attach_type: def.map_or(AttachType(0), |def| def.attach_type),
        attach_type_optional: def.is_some_and(|def| def.attach_type_optional),
        flags,
        autoload,
        attach_to,
        usdt: def.is_some_and(|def| def.usdt),
        ifindex: 0,
        exception_callback: None,
        log_level: None,
        section,
    }))
}

/// What the section's name says that programs attach to.
fn attach_to(def: &SecDef, section: &str) -> AttachTo {
    let target = section.split_once('/').map(|(_, target)| target);
    let (module, name) = match target.and_then(|target| target.split_once(':')) {
        Some((module, name)) => (Some(module), Some(name)),
        None => (None, target),
    };
    let of_many = [
        AttachType::TRACE_FENTRY_MULTI,
        AttachType::TRACE_FEXIT_MULTI,
        AttachType::TRACE_FSESSION_MULTI,
    ];
    if of_many.contains(&def.attach_type) {
        return match module {
            Some(module) if module != "vmlinux" => AttachTo::Module(module.to_owned()),
            _ => AttachTo::None,
        };
    }
    match name {
        _ if !def.needs_btf => AttachTo::None,
        // the program is named later
        _ if def.prog_type == ProgType::EXT => AttachTo::Missing,
        None | Some("") => AttachTo::Missing,
        Some(name) => AttachTo::Kernel {
            module: module.map(str::to_owned),
            name: name.to_owned(),
        },
    }
}
