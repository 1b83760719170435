//! Names of the kernel functions that a program calls, from `/proc/kallsyms`.

use std::collections::HashMap;
use std::path::Path;

use bpfsys::insn::Insn;
use bpfsys::insn::disasm::Symbols;
use memchr::memmem;

use crate::render::escape::Escaped;

/// The symbol that helper calls are relative to.
const CALL_BASE: &[u8] = b" __bpf_call_base\n";
/// Source register of a call to a function of the same program.
const PSEUDO_CALL: u8 = 1;

/// The text of kallsyms, searched when asked.
#[derive(Debug, Default)]
pub struct KernelSymbols {
    text: Vec<u8>,
    call_base: u64,
}

impl KernelSymbols {
    /// Reads the symbols; none where they are missing or their addresses are hidden.
    #[must_use]
    pub fn read(proc_root: &Path) -> Self {
        std::fs::read(proc_root.join("kallsyms")).map_or_else(|_| Self::default(), Self::parse)
    }

    pub(crate) fn parse(text: Vec<u8>) -> Self {
        let call_base = memmem::find(&text, CALL_BASE)
            .and_then(|at| {
                let line = memchr::memrchr(b'\n', text.get(..at)?).map_or(0, |end| end + 1);
                Symbol::parse(text.get(line..)?)
            })
            .map_or(0, |symbol| symbol.address);
        if call_base == 0 {
            // kernel.kptr_restrict: every address reads as zero
            return Self::default();
        }
        Self { text, call_base }
    }

    /// All symbols, in the order of the file.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Symbol<'_>> {
        self.text
            .split(|byte| *byte == b'\n')
            .filter_map(Symbol::parse)
    }

    /// The names of functions at these addresses; an empty one where there is none.
    pub(crate) fn names_of(&self, addresses: &[u64]) -> HashMap<u64, String> {
        self.names(addresses.iter().map(|at| (*at, String::new())).collect())
    }

    /// The first name of each of these addresses.
    fn names(&self, mut wanted: HashMap<u64, String>) -> HashMap<u64, String> {
        let mut missing = wanted.len();
        for symbol in self.iter() {
            if missing == 0 {
                break;
            }
            if let Some(name) = wanted.get_mut(&symbol.address)
                && name.is_empty()
            {
                *name = Escaped(symbol.name).to_string();
                missing -= 1;
            }
        }
        wanted
    }
}

/// A line of kallsyms: `address type name [module]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Symbol<'a> {
    pub(crate) address: u64,
    pub(crate) name: &'a [u8],
    /// The module it is in; `None` for the kernel itself.
    pub(crate) module: Option<&'a [u8]>,
}

impl<'a> Symbol<'a> {
    fn parse(line: &'a [u8]) -> Option<Self> {
        let line = line.split(|byte| *byte == b'\n').next()?;
        let (address, rest) = line.split_at_checked(memchr::memchr(b' ', line)?)?;
        let address = std::str::from_utf8(address).ok()?;
        let name = rest.get(3..)?;
        let end = name
            .iter()
            .position(|byte| matches!(byte, b'\t' | b' '))
            .unwrap_or(name.len());
        let (name, module) = name.split_at_checked(end)?;
        Some(Self {
            address: u64::from_str_radix(address, 16).ok()?,
            name,
            module: module
                .trim_ascii()
                .strip_prefix(b"[")
                .and_then(|module| module.strip_suffix(b"]")),
        })
    }
}

/// The names of everything that one program calls.
#[derive(Debug)]
pub struct CallNames<'a> {
    call_base: u64,
    functions: &'a [u64],
    names: HashMap<u64, String>,
}

impl<'a> CallNames<'a> {
    /// Names for the calls in `insns`, a program whose functions were compiled at the
    /// addresses `functions`.
    #[must_use]
    pub fn new(symbols: &KernelSymbols, functions: &'a [u64], insns: &[Insn]) -> Self {
        let mut names = Self {
            call_base: symbols.call_base,
            functions,
            names: HashMap::new(),
        };
        if symbols.call_base != 0 {
            let wanted = insns.iter().filter(|insn| is_call(insn));
            let wanted = wanted.map(|insn| (names.address(insn), String::new()));
            names.names = symbols.names(wanted.collect());
        }
        names
    }

    fn address(&self, insn: &Insn) -> u64 {
        let in_program = (insn.src() == PSEUDO_CALL)
            .then(|| usize::try_from(insn.imm).ok())
            .flatten()
            .and_then(|function| self.functions.get(function));
        in_program
            .copied()
            .unwrap_or_else(|| self.call_base.wrapping_add_signed(i64::from(insn.imm)))
    }
}

/// A direct call.
fn is_call(insn: &Insn) -> bool {
    insn.code == 0x85
}

impl Symbols for CallNames<'_> {
    fn call(&self, insn: &Insn, _idx: usize) -> Option<String> {
        let address = self.address(insn);
        let name = self.names.get(&address).filter(|name| !name.is_empty());
        if insn.src() == PSEUDO_CALL {
            let off = insn.off;
            return Some(match name {
                // an interpreted program has no addresses to show
                _ if self.functions.is_empty() => format!("pc{off:+}"),
                Some(name) => format!("pc{off:+}#{name}"),
                None => format!("pc{off:+}#0x{address:x}"),
            });
        }
        let imm = insn.imm;
        Some(match name {
            Some(name) => format!("{name}#{imm}"),
            None => format!("0x{address:x}#{imm}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbols() -> KernelSymbols {
        KernelSymbols::parse(
            b"ffffffff81000000 T _stext\nffffffff81000100 T __bpf_call_base\n\
              ffffffff81000140 T helper\nffffffff81000140 T alias\n\
              ffffffffc0000000 t bpf_prog_00_sub\t[bpf]\nbroken\n"
                .to_vec(),
        )
    }

    fn call(src: u8, off: i16, imm: i32) -> Insn {
        Insn::new(0x85, 0, src, off, imm)
    }

    fn text(symbols: &KernelSymbols, functions: &[u64], insn: Insn) -> String {
        CallNames::new(symbols, functions, &[insn])
            .call(&insn, 0)
            .unwrap()
    }

    #[test]
    fn helpers_are_named_by_their_distance() {
        assert_eq!(text(&symbols(), &[], call(0, 0, 0x40)), "helper#64");
        assert_eq!(
            text(&symbols(), &[], call(2, 0, -1)),
            "0xffffffff810000ff#-1"
        );
    }

    #[test]
    fn functions_of_the_program_are_named_by_their_address() {
        let functions = [0xffff_ffff_c000_0000, 5];
        assert_eq!(
            text(&symbols(), &functions, call(1, 3, 0)),
            "pc+3#bpf_prog_00_sub"
        );
        assert_eq!(text(&symbols(), &functions, call(1, 3, 1)), "pc+3#0x5");
        assert_eq!(text(&symbols(), &[], call(1, -3, 1)), "pc-3");
    }

    #[test]
    fn symbols_may_be_as_long_as_the_kernel_makes_them() {
        let long = "s".repeat(511);
        let lines = format!(
            "ffffffff81000000 T before\nffffffff81000100 T __bpf_call_base\n\
             ffffffff81000140 T {long}\t[module]\nffffffff81000150 T after\n"
        );
        let symbols = KernelSymbols::parse(lines.into_bytes());
        assert_eq!(
            text(&symbols, &[], call(0, 0, 0x40)),
            format!("{long}#{}", 0x40)
        );
        assert_eq!(text(&symbols, &[], call(0, 0, 0x50)), "after#80");
    }

    #[test]
    fn hidden_addresses_name_nothing() {
        let hidden = KernelSymbols::parse(b"0000000000000000 T __bpf_call_base\n".to_vec());
        assert_eq!(text(&hidden, &[], call(0, 0, 64)), "0x40#64");
    }
}
