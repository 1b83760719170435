//! What programs read to find arguments: `struct __bpf_usdt_spec` of `usdt.bpf.h`.
//!
//! The header is compiled into objects, and the structure changed with libbpf 1.7, when arguments
//! at two registers came. The size of the map's values tells which one an object has.

use super::super::SymbolError;
use super::Probe;
use super::args::{Argument, Location};
use btf::Endian;

/// How many arguments programs can look at.
#[doc(alias = "BPF_USDT_MAX_ARG_CNT")]
pub const MAX_ARGUMENTS: usize = 12;

/// Which form of the structure an object has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layout {
    /// Of libbpf 0.8 to 1.6: no arguments at two registers.
    Plain,
    /// Since libbpf 1.7.
    Indexed,
}

impl Layout {
    /// The form with values of this size.
    #[must_use]
    pub fn of_value_size(size: u32) -> Option<Self> {
        [Self::Plain, Self::Indexed]
            .into_iter()
            .find(|layout| u32::try_from(layout.value_size()) == Ok(size))
    }

    const fn argument_size(self) -> usize {
        match self {
            Self::Plain => 16,
            Self::Indexed => 24,
        }
    }

    /// Bytes of the structure: the arguments, the cookie, their number.
    #[must_use]
    pub const fn value_size(self) -> usize {
        MAX_ARGUMENTS * self.argument_size() + 16
    }
}

/// Where the arguments of a probe are at one or more places, and the value that programs get of
/// the attachment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spec {
    /// The arguments.
    pub arguments: Vec<Argument>,
    /// The value.
    pub cookie: u64,
}

/// What `arg_type` is for each kind of place.
const CONST: u8 = 0;
const REG: u8 = 1;
const REG_DEREF: u8 = 2;
const SIB: u8 = 3;

impl Spec {
    /// Of a probe on a machine.
    ///
    /// # Errors
    /// Its arguments are not understood.
    pub fn of(probe: &Probe, machine: u16, cookie: u64) -> Result<Self, SymbolError> {
        let arguments = probe.arguments(machine)?;
        Ok(Self { arguments, cookie })
    }

    /// The bytes of the structure; `None` when an argument cannot be told in this form.
    #[must_use]
    pub fn encode(&self, layout: Layout, endian: Endian) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(layout.value_size());
        for argument in self
            .arguments
            .get(..MAX_ARGUMENTS)
            .unwrap_or(&self.arguments)
        {
            encode(argument, layout, endian, &mut out)?;
        }
        out.resize(MAX_ARGUMENTS * layout.argument_size(), 0);
        put(&mut out, self.cookie, 8, endian);
        put(&mut out, self.arguments.len() as u64, 2, endian);
        out.resize(layout.value_size(), 0);
        Some(out)
    }
}

/// Appends the lowest `size` bytes of a number.
fn put(out: &mut Vec<u8>, value: u64, size: usize, endian: Endian) {
    match endian {
        Endian::Little => out.extend(value.to_le_bytes().iter().take(size)),
        Endian::Big => out.extend(value.to_be_bytes().iter().skip(8 - size)),
    }
}

fn encode(argument: &Argument, layout: Layout, endian: Endian, out: &mut Vec<u8>) -> Option<()> {
    let (kind, value, register, index, shift) = match argument.location {
        Location::Constant(value) => (CONST, value, 0, 0, 0),
        Location::Register(register) => (REG, 0, register, 0, 0),
        Location::Memory { base, offset } => (REG_DEREF, offset, base, 0, 0),
        Location::Indexed {
            base,
            index,
            shift,
            offset,
        } => (SIB, offset, base, index, shift),
    };
    put(out, value.cast_unsigned(), 8, endian);
    match (layout, endian) {
        (Layout::Plain, _) => {
            if kind == SIB {
                return None;
            }
            put(out, u64::from(kind), 4, endian);
        }
        // Bit fields: the type, a hole up to the next unit of 16 bits, 12 bits and 4, a byte that
        // is not used, a hole. The unit's bits are counted from its other end in the other order.
        (Layout::Indexed, Endian::Little) => {
            out.extend([kind, 0]);
            put(
                out,
                u64::from(index & 0xfff | u16::from(shift) << 12),
                2,
                endian,
            );
            out.extend([0, 0]);
        }
        (Layout::Indexed, Endian::Big) => {
            out.extend([0, 0]);
            put(
                out,
                u64::from(index << 4 | u16::from(shift & 0xf)),
                2,
                endian,
            );
            out.extend([kind, 0]);
        }
    }
    put(out, u64::from(register), 2, endian);
    out.extend([
        u8::from(argument.signed),
        64u8.saturating_sub(argument.size.saturating_mul(8)),
    ]);
    let size = layout.argument_size();
    out.resize(out.len().next_multiple_of(size), 0);
    Some(())
}
