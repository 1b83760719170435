//! What arithmetic, comparisons and atomic accesses do.

use super::Insn;
use super::opcode::{alu, jmp};

/// Declares an operation enum with its bits and its spelling in program text.
macro_rules! operations {
    (
        $(#[$meta:meta])* $name:ident {
            $($(#[$variant_meta:meta])* $variant:ident = $value:literal, $token:literal;)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_meta])* $variant,)*
        }

        impl $name {
            /// Every operation of this kind.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// How listings write it.
            #[must_use]
            pub const fn token(self) -> &'static str {
                match self {
                    $(Self::$variant => $token,)*
                }
            }

            const fn value(self) -> i32 {
                match self {
                    $(Self::$variant => $value,)*
                }
            }

            const fn from_value(value: i32) -> Option<Self> {
                match value {
                    $($value => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

operations! {
    // The low byte is the operation, the next one the offset that goes with it.
    /// Arithmetic of the form `dst op= operand`.
    AluOp {
        /// Addition.
        #[doc(alias = "BPF_ADD")]
        Add = 0x00, "+=";
        /// Subtraction.
        #[doc(alias = "BPF_SUB")]
        Sub = 0x10, "-=";
        /// Multiplication.
        #[doc(alias = "BPF_MUL")]
        Mul = 0x20, "*=";
        /// Unsigned division; by zero gives zero.
        #[doc(alias = "BPF_DIV")]
        Div = 0x30, "/=";
        /// Signed division, marked by an offset of 1. Since Linux 6.6.
        Sdiv = 0x130, "s/=";
        /// Bitwise or.
        #[doc(alias = "BPF_OR")]
        Or = 0x40, "|=";
        /// Bitwise and.
        #[doc(alias = "BPF_AND")]
        And = 0x50, "&=";
        /// Shift to the left.
        #[doc(alias = "BPF_LSH")]
        Lsh = 0x60, "<<=";
        /// Shift to the right, filling with zeros.
        #[doc(alias = "BPF_RSH")]
        Rsh = 0x70, ">>=";
        /// Unsigned remainder; by zero leaves the value.
        #[doc(alias = "BPF_MOD")]
        Mod = 0x90, "%=";
        /// Signed remainder, marked by an offset of 1. Since Linux 6.6.
        Smod = 0x190, "s%=";
        /// Bitwise exclusive or.
        #[doc(alias = "BPF_XOR")]
        Xor = 0xa0, "^=";
        /// Copy.
        #[doc(alias = "BPF_MOV")]
        Mov = 0xb0, "=";
        /// Shift to the right, filling with the sign.
        #[doc(alias = "BPF_ARSH")]
        Arsh = 0xc0, "s>>=";
    }
}

impl AluOp {
    /// The operation bits.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.value().to_le_bytes()[0]
    }

    /// The offset that goes with it: 1 for the signed operations, else 0.
    #[must_use]
    pub const fn off(self) -> i16 {
        self.value().to_le_bytes()[1] as i16
    }

    /// The operation of an arithmetic instruction; none for negation, change of
    /// byte order and the two undefined ones.
    #[must_use]
    pub const fn of(insn: Insn) -> Option<Self> {
        let bits = insn.code & alu::MASK;
        let signed = insn.off == 1 && matches!(bits, 0x30 | 0x90);
        Self::from_value(i32::from_le_bytes([bits, signed as u8, 0, 0]))
    }
}

operations! {
    /// Comparison of a conditional jump.
    JmpOp {
        /// Equal.
        #[doc(alias = "BPF_JEQ")]
        Eq = 0x10, "==";
        /// Unsigned greater.
        #[doc(alias = "BPF_JGT")]
        Gt = 0x20, ">";
        /// Unsigned greater or equal.
        #[doc(alias = "BPF_JGE")]
        Ge = 0x30, ">=";
        /// Any bit in common.
        #[doc(alias = "BPF_JSET")]
        Set = 0x40, "&";
        /// Not equal.
        #[doc(alias = "BPF_JNE")]
        Ne = 0x50, "!=";
        /// Signed greater.
        #[doc(alias = "BPF_JSGT")]
        Sgt = 0x60, "s>";
        /// Signed greater or equal.
        #[doc(alias = "BPF_JSGE")]
        Sge = 0x70, "s>=";
        /// Unsigned less.
        #[doc(alias = "BPF_JLT")]
        Lt = 0xa0, "<";
        /// Unsigned less or equal.
        #[doc(alias = "BPF_JLE")]
        Le = 0xb0, "<=";
        /// Signed less.
        #[doc(alias = "BPF_JSLT")]
        Slt = 0xc0, "s<";
        /// Signed less or equal.
        #[doc(alias = "BPF_JSLE")]
        Sle = 0xd0, "s<=";
    }
}

impl JmpOp {
    /// The operation bits.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.value().to_le_bytes()[0]
    }

    /// The comparison of a jump; none where the jump compares nothing.
    #[must_use]
    pub const fn of(code: u8) -> Option<Self> {
        Self::from_value((code & jmp::MASK) as i32)
    }
}

operations! {
    /// Atomic access to memory, as the immediate names it.
    AtomicOp {
        /// Addition.
        #[doc(alias = "BPF_XADD")]
        Add = 0x00, "+=";
        /// Bitwise or. Since Linux 5.12, like all that follow.
        Or = 0x40, "|=";
        /// Bitwise and.
        And = 0x50, "&=";
        /// Bitwise exclusive or.
        Xor = 0xa0, "^=";
        /// Addition; the source register receives the old value.
        #[doc(alias = "BPF_FETCH")]
        FetchAdd = 0x01, "fetch_add";
        /// Bitwise or; the source register receives the old value.
        FetchOr = 0x41, "fetch_or";
        /// Bitwise and; the source register receives the old value.
        FetchAnd = 0x51, "fetch_and";
        /// Bitwise exclusive or; the source register receives the old value.
        FetchXor = 0xa1, "fetch_xor";
        /// Exchange with the source register.
        #[doc(alias = "BPF_XCHG")]
        Xchg = 0xe1, "xchg";
        /// Store the source register if the memory equals `r0`, which receives the old value.
        #[doc(alias = "BPF_CMPXCHG")]
        CmpXchg = 0xf1, "cmpxchg";
        /// Load into the destination register; the source register is the address. Since Linux 6.15.
        #[doc(alias = "BPF_LOAD_ACQ")]
        LoadAcquire = 0x100, "load_acquire";
        /// Store of the source register. Since Linux 6.15.
        #[doc(alias = "BPF_STORE_REL")]
        StoreRelease = 0x110, "store_release";
    }
}

impl AtomicOp {
    /// The immediate that names it.
    #[must_use]
    pub const fn imm(self) -> i32 {
        self.value()
    }

    /// The access that an immediate names.
    #[must_use]
    pub const fn from_imm(imm: i32) -> Option<Self> {
        Self::from_value(imm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_come_back_from_their_bits() {
        for op in AluOp::ALL {
            let insn = Insn::new(op.bits() | 7, 0, 0, op.off(), 0);
            assert_eq!(AluOp::of(insn), Some(*op));
        }
        for op in JmpOp::ALL {
            assert_eq!(JmpOp::of(op.bits() | 5), Some(*op));
        }
        for op in AtomicOp::ALL {
            assert_eq!(AtomicOp::from_imm(op.imm()), Some(*op));
        }
    }
}
