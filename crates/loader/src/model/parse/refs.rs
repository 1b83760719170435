//! What instructions refer to: relocations of code, and calls inside of a section, which have
//! none.

use super::ModelError;
use super::externs::Externs;
use super::functions::{Functions, SLOT};
use super::jump_tables::Tables;
use super::map_defs::Maps;
use super::sections::Role;
use super::source::{Log, Source, shown};
use crate::elf::{Reloc, Section, Symbol, SymbolKind};
use crate::model::{CodeRef, FuncIdx, JumpTable, RefTarget};
use bpfsys::insn::{Insn, Pseudo};

/// `call`.
const CALL: u8 = 0x85;
/// What the source register of a call says when it calls a function of the object.
const LOCAL_CALL: u8 = 1;

/// Fills in the references of all functions; gives the jump tables they need.
pub(super) fn collect(
    source: &Source<'_>,
    externs: &Externs,
    maps: &Maps,
    functions: &mut Functions,
    log: &mut Log,
) -> Result<Vec<JumpTable>, ModelError> {
    let mut relocs: Vec<(u32, Reloc)> = Vec::new();
    for (table, section) in source.reloc_tables(Role::is_code) {
        let entries = source.elf.relocs(table)?;
        log.take(table.data()?.len())?;
        relocs.extend(entries.map(|reloc| (section.index, reloc)));
    }
    relocs.sort_by_key(|(section, reloc)| (*section, reloc.offset));
    unapplied(source, log)?;

    let mut tables = Tables::new(source)?;
    let sections = source.elf.sections().iter();
    for section in sections.filter(|section| source.role(section.index).is_code()) {
        for at in functions.in_section(section.index) {
            let Ok(at) = u32::try_from(at) else { break };
            let refs = Resolver {
                source,
                externs,
                maps,
                functions,
                section,
            }
            .function(FuncIdx(at), &relocs, &mut tables);
            if let Some(function) = functions.functions.get_mut(at as usize)
                && !function.insns.is_empty()
            {
                function.refs = refs;
            }
        }
    }
    Ok(tables.finish(log))
}

/// Notes relocations of variables: nothing applies them, as in libbpf.
fn unapplied(source: &Source<'_>, log: &mut Log) -> Result<(), ModelError> {
    for (table, section) in source.reloc_tables(Role::is_data) {
        if source.elf.relocs(table)?.len() > 0 {
            log.note(|| {
                let section = shown(section.name);
                format!("addresses in section '{section}' are left as they are in the file")
            });
        }
    }
    Ok(())
}

/// What relocations of one section refer to.
struct Resolver<'r, 'a> {
    source: &'r Source<'a>,
    externs: &'r Externs,
    maps: &'r Maps,
    functions: &'r Functions,
    section: &'r Section<'a>,
}

impl<'a> Resolver<'_, 'a> {
    /// The references of a function; `relocs` are those of all sections.
    fn function(
        &self,
        at: FuncIdx,
        relocs: &[(u32, Reloc)],
        tables: &mut Tables<'a>,
    ) -> Vec<CodeRef> {
        let (Some(span), Some(function)) = (
            self.functions.span(at),
            self.functions.functions.get(at.index()),
        ) else {
            return Vec::new();
        };
        let own = (span.section, span.start);
        let first = relocs.partition_point(|(section, reloc)| (*section, reloc.offset) < own);
        let own = relocs
            .get(first..)
            .unwrap_or_default()
            .iter()
            .take_while(|(section, reloc)| *section == span.section && reloc.offset < span.end);
        let mut refs: Vec<CodeRef> = Vec::new();
        for (_, reloc) in own {
            let offset = reloc.offset.saturating_sub(span.start);
            let insn = u32::try_from(offset / SLOT).unwrap_or(u32::MAX);
            let target = if offset.is_multiple_of(SLOT) {
                self.target(&function.insns, insn, reloc, tables)
            } else {
                Err("it is for a place inside of an instruction".to_owned())
            };
            let target = target.unwrap_or_else(|why| {
                let symbol = self.source.elf.symbol(reloc.symbol);
                let name = symbol.map_or(&b"?"[..], |symbol| self.source.symbol_name(symbol));
                let name = shown(name);
                RefTarget::Broken(format!("relocation against '{name}': {why}"))
            });
            match refs.last_mut() {
                Some(last) if last.insn == insn => {
                    if last.target != target {
                        let why = "two relocations are for one instruction".to_owned();
                        last.target = RefTarget::Broken(why);
                    }
                }
                _ => refs.push(CodeRef { insn, target }),
            }
        }
        self.inside(function.insns.as_slice(), span.start, &mut refs);
        refs
    }

    /// Adds what needs no relocation: calls of functions in the same section.
    fn inside(&self, insns: &[Insn], start: u64, refs: &mut Vec<CodeRef>) {
        let known = refs.len();
        let mut next = 0;
        for (at, insn) in (0u32..).zip(insns) {
            let callback = insn.is_wide() && insn.pseudo() == Some(Pseudo::Func);
            let call = insn.code == CALL && insn.src() == LOCAL_CALL;
            if !call && !callback {
                continue;
            }
            let mut has_reloc = false;
            while let Some(reference) = refs.get(next).filter(|_| next < known) {
                if reference.insn > at {
                    break;
                }
                has_reloc = reference.insn == at;
                next += 1;
            }
            if has_reloc {
                continue;
            }
            let place = i64::try_from(start)
                .ok()
                .and_then(|start| start.checked_add((i64::from(at) + i64::from(insn.imm) + 1) * 8))
                .and_then(|place| u64::try_from(place).ok());
            let function = place
                .filter(|_| call)
                .and_then(|place| self.functions.starting_at(self.section.index, place));
            let target = match function {
                Some(function) => RefTarget::Call(function),
                None if call => RefTarget::Broken("no function starts where it calls".to_owned()),
                None => RefTarget::Broken(
                    "it takes the address of a function without a relocation".to_owned(),
                ),
            };
            refs.push(CodeRef { insn: at, target });
        }
        if refs.len() > known {
            refs.sort_by_key(|reference| reference.insn);
        }
    }

    /// What a relocation of an instruction refers to.
    fn target(
        &self,
        insns: &[Insn],
        at: u32,
        reloc: &Reloc,
        tables: &mut Tables<'a>,
    ) -> Result<RefTarget, String> {
        let symbol = self
            .source
            .elf
            .symbol(reloc.symbol)
            .ok_or_else(|| format!("there is no symbol {}", reloc.symbol))?;
        let insn = insns
            .get(at as usize)
            .ok_or("there is no such instruction")?;
        let is_call = insn.code == CALL;
        if !is_call && !insn.is_wide() {
            return Err(format!(
                "it is for an instruction with code {:#04x}, which has no address",
                insn.code
            ));
        }
        if insn.is_wide() && insns.len() - at as usize == 1 {
            return Err("the instruction is cut".to_owned());
        }
        if symbol.is_extern() {
            let found = self.externs.of_symbol(reloc.symbol);
            return found
                .map(RefTarget::Extern)
                .ok_or_else(|| "the extern has no name".to_owned());
        }
        if !symbol.is_defined() {
            return Err(if symbol.section == 0 {
                "the symbol is defined nowhere".to_owned()
            } else {
                format!(
                    "the symbol is in special section {:#x}: was a variable left without a value?",
                    symbol.section
                )
            });
        }
        if is_call {
            if insn.src() != LOCAL_CALL {
                return Err("it is for a call of a helper".to_owned());
            }
            // the distance is that from the next instruction
            let addend = reloc.addend.unwrap_or((i64::from(insn.imm) + 1) * 8);
            return self.call(reloc.symbol, symbol, addend).map(RefTarget::Call);
        }
        let addend = reloc.addend.unwrap_or_else(|| insn.imm.into());
        self.address(reloc.symbol, symbol, addend, tables)
    }

    /// The function that a symbol and what is added to it lead to.
    fn call(&self, number: u32, symbol: &Symbol<'_>, addend: i64) -> Result<FuncIdx, String> {
        if !self.source.role(symbol.section).is_code() {
            return Err("it leads to a section without functions".to_owned());
        }
        if addend == 0
            && symbol.kind == SymbolKind::Func
            && let Some(function) = self.functions.of_symbol(number)
        {
            return Ok(function);
        }
        let place = place(symbol, addend)?;
        self.functions
            .starting_at(symbol.section, place)
            .ok_or_else(|| format!("no function starts at offset {place} of its section"))
    }

    /// What the address in a wide load is that of.
    fn address(
        &self,
        number: u32,
        symbol: &Symbol<'_>,
        addend: i64,
        tables: &mut Tables<'a>,
    ) -> Result<RefTarget, String> {
        let role = self.source.role(symbol.section);
        match role {
            Role::Programs | Role::Subprograms => {
                self.call(number, symbol, addend).map(RefTarget::FuncAddr)
            }
            Role::Maps | Role::LegacyMaps => {
                let place = place(symbol, addend)?;
                let map = self.maps.defined_at(symbol.section, place);
                map.map(RefTarget::Map)
                    .ok_or_else(|| format!("no map is defined at offset {place} of its section"))
            }
            Role::Data | Role::Constants | Role::Zeros | Role::Arena => {
                let place = place(symbol, addend)?;
                let offset = u32::try_from(place)
                    .map_err(|_error| format!("offset {place} is beyond all sections"))?;
                match self.maps.of_section(symbol.section) {
                    Some(map) => Ok(RefTarget::MapValue { map, offset }),
                    None if role == Role::Arena => {
                        Err("there is not exactly one arena to hold it".to_owned())
                    }
                    None => Err("no map holds its section".to_owned()),
                }
            }
            Role::JumpTables => tables
                .table(symbol, addend, self.section.name)
                .map(RefTarget::JumpTable),
            _ => Err(format!(
                "section '{}' is none that a program can refer to",
                shown(
                    self.source
                        .elf
                        .section(symbol.section)
                        .map_or(b"?", |s| s.name)
                )
            )),
        }
    }
}

/// Where a symbol and what is added to it lead, in bytes from the start of the section.
pub(super) fn place(symbol: &Symbol<'_>, addend: i64) -> Result<u64, String> {
    symbol.value.checked_add_signed(addend).ok_or_else(|| {
        format!(
            "offset {} with {addend} added is in no section",
            symbol.value
        )
    })
}
