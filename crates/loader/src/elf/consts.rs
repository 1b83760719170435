//! Numbers of the format that mean something for BPF objects.

/// `EI_CLASS` of a 64-bit file.
pub const ELFCLASS64: u8 = 2;
/// `EI_DATA`: least significant byte first.
pub const ELFDATA2LSB: u8 = 1;
/// `EI_DATA`: most significant byte first.
pub const ELFDATA2MSB: u8 = 2;
/// `e_type` of a file that is not linked.
pub const ET_REL: u16 = 1;
/// `e_machine` of compilers older than BPF's own number.
pub const EM_NONE: u16 = 0;
/// `e_machine` of BPF.
pub const EM_BPF: u16 = 247;

/// Bytes of the program's own.
pub const SHT_PROGBITS: u32 = 1;
/// Symbols.
pub const SHT_SYMTAB: u32 = 2;
/// Names.
pub const SHT_STRTAB: u32 = 3;
/// Relocations that say what to add.
pub const SHT_RELA: u32 = 4;
/// Bytes that are not in the file, because they are zero.
pub const SHT_NOBITS: u32 = 8;
/// Relocations that find what to add at the place.
pub const SHT_REL: u32 = 9;
/// Symbols of which the address matters.
pub const SHT_LLVM_ADDRSIG: u32 = 0x6fff_4c03;

/// The section has instructions.
pub const SHF_EXECINSTR: u64 = 1 << 2;
/// The section's bytes are compressed.
pub const SHF_COMPRESSED: u64 = 1 << 11;

/// No section: the symbol is defined elsewhere.
pub const SHN_UNDEF: u32 = 0;
/// The first number that is none of a section.
pub const SHN_LORESERVE: u32 = 0xff00;
/// The number does not fit, it is elsewhere.
pub const SHN_XINDEX: u32 = 0xffff;

/// Bindings.
pub const STB_LOCAL: u8 = 0;
/// See [`Binding`](super::Binding).
pub const STB_GLOBAL: u8 = 1;
/// See [`Binding`](super::Binding).
pub const STB_WEAK: u8 = 2;
/// Kinds of symbols.
pub const STT_NOTYPE: u8 = 0;
/// See [`SymbolKind`](super::SymbolKind).
pub const STT_OBJECT: u8 = 1;
/// See [`SymbolKind`](super::SymbolKind).
pub const STT_FUNC: u8 = 2;
/// See [`SymbolKind`](super::SymbolKind).
pub const STT_SECTION: u8 = 3;
/// Visibilities.
pub const STV_INTERNAL: u8 = 1;
/// See [`Visibility`](super::Visibility).
pub const STV_HIDDEN: u8 = 2;
/// See [`Visibility`](super::Visibility).
pub const STV_PROTECTED: u8 = 3;
