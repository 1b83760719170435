//! Why objects cannot be linked: which object, and where in it.

use core::fmt;

use btf::ext::ExtError;
use btf::{BtfError, Endian, Kind, TypeId};

use super::map_def::{MapDefect, MapMismatch};

/// Objects that cannot be linked.
#[derive(Debug)]
pub struct LinkError {
    object: Option<String>,
    kind: Box<LinkErrorKind>,
}

impl LinkError {
    /// The object that was added when it was noticed; `None` for the result as a whole.
    pub fn object(&self) -> Option<&str> {
        self.object.as_deref()
    }

    /// What is wrong.
    pub fn kind(&self) -> &LinkErrorKind {
        &self.kind
    }

    /// Both parts.
    pub fn into_parts(self) -> (Option<String>, LinkErrorKind) {
        (self.object, *self.kind)
    }
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.object {
            Some(object) => write!(f, "{object}: {}", self.kind),
            None => self.kind.fmt(f),
        }
    }
}

impl core::error::Error for LinkError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        core::error::Error::source(&*self.kind)
    }
}

impl LinkErrorKind {
    /// The same, of one object.
    pub(super) fn of(self, object: &str) -> LinkError {
        LinkError {
            object: Some(object.into()),
            kind: Box::new(self),
        }
    }

    /// The same, of no object in particular.
    pub(super) fn of_all(self) -> LinkError {
        LinkError {
            object: None,
            kind: Box::new(self),
        }
    }
}

/// A section, symbol or relocation of an object, as messages name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its number in the ELF table.
    pub index: usize,
    /// Its name, fit for a terminal.
    pub name: String,
}

impl Named {
    pub(super) fn new(index: usize, name: &[u8]) -> Self {
        Self {
            index,
            name: btf::escape(name).into_owned(),
        }
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ('{}')", self.index, self.name)
    }
}

/// What is wrong with an object, alone or beside the others.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkErrorKind {
    /// Headers or tables that are not where the file says.
    #[error("not a sound elf file")]
    Elf(#[source] object::read::Error),
    /// A sound ELF file of another sort.
    #[error("{field} of the elf header is {found} instead of {want}")]
    NotRelocatable {
        /// The header's field.
        field: &'static str,
        /// Its value.
        found: u32,
        /// The value of relocatable BPF objects.
        want: u32,
    },
    /// Objects of both byte orders.
    #[error("the object is {}-endian and '{first}' is {}-endian", order(*.found), order(*.want))]
    ByteOrder {
        /// The order of this object.
        found: Endian,
        /// The order of the first.
        want: Endian,
        /// The first object.
        first: String,
    },
    /// No symbol table.
    #[error("there is no symbol table")]
    NoSymbols,
    /// A section that cannot be linked.
    #[error("section {section} {why}")]
    Section {
        /// Which one.
        section: Named,
        /// Why not.
        why: SectionDefect,
    },
    /// A symbol that cannot be linked.
    #[error("symbol {symbol} {why}")]
    Symbol {
        /// Which one.
        symbol: Named,
        /// Why not.
        why: SymbolDefect,
    },
    /// A relocation that cannot be linked.
    #[error("relocation {index} of section {section} at offset {offset:#x} {why}")]
    Reloc {
        /// Its number in the table.
        index: usize,
        /// The section that is relocated.
        section: Named,
        /// Where in the section.
        offset: u64,
        /// Why not.
        why: RelocDefect,
    },
    /// Types that cannot be read.
    #[error("cannot read section .BTF")]
    Btf(#[source] BtfError),
    /// Types that cannot be taken over.
    #[error("cannot take over type {id} of section .BTF")]
    Type {
        /// Which one.
        id: u32,
        /// Why not.
        #[source]
        why: BtfError,
    },
    /// A type that refers to none, or to a section.
    #[error("type {id} of section .BTF refers to type {to}, which cannot be referred to")]
    Reference {
        /// The type.
        id: u32,
        /// What it refers to.
        to: u32,
    },
    /// What is said about instructions cannot be read.
    #[error("cannot read section .BTF.ext")]
    BtfExt(#[source] ExtError),
    /// A `.BTF.ext` section without types.
    #[error("there is a section .BTF.ext and no .BTF")]
    ExtWithoutBtf,
    /// A record of `.BTF.ext` about nothing.
    #[error("{table} record of .BTF.ext for section '{section}' at offset {offset:#x} {why}")]
    ExtRecord {
        /// The table.
        table: &'static str,
        /// The section with the instruction.
        section: String,
        /// The instruction's offset.
        offset: u64,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A block of `.BTF.ext` for a section that is not there.
    #[error("{table} table of .BTF.ext is about section '{section}', which is not there")]
    ExtSection {
        /// The table.
        table: &'static str,
        /// The section's name.
        section: String,
    },
    /// Sections of one name that cannot be one.
    #[error("section {section} has {field} {found:#x}, and {want:#x} in '{other}'")]
    SectionsDiffer {
        /// The section.
        section: Named,
        /// What differs.
        field: &'static str,
        /// The value here.
        found: u64,
        /// The value there.
        want: u64,
        /// The object that has it otherwise.
        other: String,
    },
    /// A section that all objects must have alike.
    #[error("section {section} holds '{}', and '{}' in '{other}'", contents(.found), contents(.want))]
    ContentsDiffer {
        /// The section.
        section: Named,
        /// The bytes here.
        found: Vec<u8>,
        /// The bytes there.
        want: Vec<u8>,
        /// The object that has it otherwise.
        other: String,
    },
    /// Two definitions of one name.
    #[error("symbol {symbol} is defined in '{other}' too, and neither is weak")]
    Duplicate {
        /// The symbol.
        symbol: Named,
        /// The other object with it.
        other: String,
    },
    /// A symbol without type that another object has too, or that is not defined here.
    #[error("symbol {symbol} has no type in section .BTF{}", also(.other.as_deref()))]
    NoType {
        /// The symbol.
        symbol: Named,
        /// The other object with it.
        other: Option<String>,
    },
    /// A symbol that several types may stand for.
    #[error("symbol {symbol} has types {one} and {two} in section .BTF")]
    TwoTypes {
        /// The symbol.
        symbol: Named,
        /// One type.
        one: u32,
        /// The other.
        two: u32,
    },
    /// One name in different sections.
    #[error("symbol {symbol} is {}, and {} in '{other}'", home(.found.as_deref()), home(.want.as_deref()))]
    HomesDiffer {
        /// The symbol.
        symbol: Named,
        /// The section here.
        found: Option<String>,
        /// The section there.
        want: Option<String>,
        /// The object that has it there.
        other: String,
    },
    /// One name of different types.
    #[error("symbol {symbol} has another type in '{other}'")]
    TypesDiffer {
        /// The symbol.
        symbol: Named,
        /// The other object with it.
        other: String,
        /// What differs.
        #[source]
        why: Box<Mismatch>,
    },
    /// A map definition that is none.
    #[error("map '{}' is not well defined in '{object}'", .symbol.name)]
    BadMap {
        /// The map's symbol.
        symbol: Named,
        /// The object whose definition it is.
        object: String,
        /// What is wrong with it.
        #[source]
        why: Box<MapDefect>,
    },
    /// One map defined in two ways.
    #[error("map '{}' is another in '{other}'", .symbol.name)]
    MapsDiffer {
        /// The map's symbol.
        symbol: Named,
        /// The other object with it.
        other: String,
        /// What differs.
        #[source]
        why: Box<MapMismatch>,
    },
    /// A variable of `.BTF` that no symbol stands for.
    #[error("variable '{variable}' of section '{section}' in .BTF has no symbol")]
    NoSymbol {
        /// The variable.
        variable: String,
        /// The section it should be in.
        section: String,
    },
    /// More sections, symbols or bytes than the format can have.
    #[error("the linked object would have {what}")]
    TooLarge {
        /// Of what there is too much.
        what: &'static str,
    },
    /// Linked types that are not sound.
    #[error("cannot write section .BTF")]
    WriteBtf(#[source] BtfError),
    /// Linked records that are too many.
    #[error("cannot write section .BTF.ext")]
    WriteExt(#[source] ExtError),
    /// Nothing to link.
    #[error("there is no object to link")]
    Nothing,
}

const fn order(endian: Endian) -> &'static str {
    match endian {
        Endian::Little => "little",
        Endian::Big => "big",
    }
}

/// The first bytes of a section of text, without the NUL at its end.
fn contents(bytes: &[u8]) -> String {
    let text = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    btf::escape(text.get(..64).unwrap_or(text)).into_owned()
}

fn also(other: Option<&str>) -> String {
    match other {
        Some(other) => format!(" to compare with that in '{other}'"),
        None => String::new(),
    }
}

fn home(section: Option<&str>) -> String {
    match section {
        Some(section) => format!("in section '{section}'"),
        None => "in no section".into(),
    }
}

/// Why a section cannot be linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SectionDefect {
    /// A type that BPF objects do not have.
    #[error("has type {0:#x}, which bpf objects do not have")]
    Type(u32),
    /// No name.
    #[error("has no name")]
    NoName,
    /// An alignment that is none.
    #[error("has alignment {0}, which is not a power of two")]
    Alignment(u64),
    /// An alignment that no page has.
    #[error("has alignment {0}, which is above 65536")]
    Aligned(u64),
    /// A second table of symbols.
    #[error("is a second symbol table")]
    SecondSymbols,
    /// Code that ends inside an instruction.
    #[error("has code of {0} bytes, which is not a multiple of 8")]
    Code(u64),
    /// More than 4 GiB.
    #[error("would have 4 gib or more")]
    TooLarge,
    /// Entries of another size than the format's.
    #[error("has entries of {found} bytes instead of {want}")]
    EntrySize {
        /// Their size.
        found: u64,
        /// The format's.
        want: u64,
    },
    /// A table that ends inside an entry.
    #[error("of {len} bytes is not a multiple of its entries of {entry} bytes")]
    Entries {
        /// Its length.
        len: u64,
        /// The size of entries.
        entry: u64,
    },
    /// A table of symbols whose names are nowhere.
    #[error("has its names in section {0}, which is no string table")]
    Strings(u32),
    /// Relocations of other symbols.
    #[error("has its symbols in section {found}, the symbol table is {want}")]
    Symbols {
        /// The section named.
        found: u32,
        /// The symbol table.
        want: usize,
    },
    /// Relocations of no section.
    #[error("relocates section {0}, which is not there")]
    Target(u32),
    /// Relocations of a section of another name.
    #[error("is not named after the section that it relocates, {0}")]
    Name(u32),
    /// Relocations of a section that has nothing to relocate.
    #[error("relocates section {0}, which is neither code nor data")]
    NotData(u32),
}

/// Why a symbol cannot be linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SymbolDefect {
    /// The first symbol is not empty.
    #[error("is the first and not empty")]
    NotNull,
    /// Neither local, global nor weak.
    #[error("has binding {0}")]
    Binding(u8),
    /// Neither default nor hidden.
    #[error("has visibility {0}")]
    Visibility(u8),
    /// An undefined symbol with a value, size or type, or a local one.
    #[error("is undefined and not a plain external name")]
    Extern,
    /// In a section that is not there.
    #[error("is in section {0}, which is not there")]
    NoSection(u16),
    /// Global in a section with a reserved number.
    #[error("is global and in reserved section {0:#x}")]
    Reserved(u16),
    /// The symbol of a section with a value.
    #[error("stands for a section and has value {0:#x}")]
    SectionValue(u64),
    /// An address beyond 64 bits.
    #[error("has value {0:#x}, which overflows when its section is moved")]
    Value(u64),
    /// A variable beyond what `.BTF` can say.
    #[error("is 4 gib or more from the start of its section")]
    Far,
}

/// Why a relocation cannot be linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RelocDefect {
    /// A kind of relocation that is not for code or data.
    #[error("has type {0}, which is not one of 1, 2, 3 and 10")]
    Type(u32),
    /// Of no symbol.
    #[error("is against symbol {0}, which is not there")]
    NoSymbol(u32),
    /// Between instructions.
    #[error("is not at an instruction")]
    Unaligned,
    /// Outside the section.
    #[error("is outside the section of {0} bytes")]
    Outside(u64),
    /// In a section without bytes, relative to a section.
    #[error("has no bytes to change")]
    NoBytes,
    /// Of a symbol that is in no linked section.
    #[error("is against symbol {0}, whose section is not linked")]
    NotLinked(u32),
    /// A jump table whose place and size no symbol tells.
    #[error("is against a jump table without a symbol that tells its size")]
    TableUnknown,
    /// A jump table that is used by code in two sections.
    #[error("is against a jump table that code of another section uses too")]
    TableShared,
    /// A jump table that is no table.
    #[error(
        "is against a jump table that is not inside its section, overlaps another, or is no array of 64-bit offsets"
    )]
    TableShape,
}

/// How two types differ that should be the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Mismatch {
    /// Types of different kinds.
    #[error("{found} instead of {want}")]
    Kind {
        /// The kind here.
        found: Kind,
        /// The kind there.
        want: Kind,
    },
    /// Types of different names.
    #[error("{kind} '{found}' instead of '{want}'")]
    Name {
        /// Their kind.
        kind: Kind,
        /// The name here.
        found: String,
        /// The name there.
        want: String,
    },
    /// A declared struct that is a union, or the other way.
    #[error("'{name}' is declared as {declared} and defined as {defined}")]
    Declared {
        /// The name.
        name: String,
        /// What is declared.
        declared: Kind,
        /// What is defined.
        defined: Kind,
    },
    /// Numbers of different sizes.
    #[error("{kind} '{name}' of {found} bytes instead of {want}")]
    Size {
        /// Their kind.
        kind: Kind,
        /// The name here.
        name: String,
        /// The size here.
        found: u32,
        /// The size there.
        want: u32,
    },
    /// One of them is static.
    #[error("{kind} '{name}' is static in one of them")]
    Linkage {
        /// Their kind.
        kind: Kind,
        /// Their name.
        name: String,
    },
    /// Another number of members or parameters.
    #[error("{kind} '{name}' with {found} {what} instead of {want}")]
    Count {
        /// Their kind.
        kind: Kind,
        /// The name here.
        name: String,
        /// What is counted.
        what: &'static str,
        /// The number here.
        found: u32,
        /// The number there.
        want: u32,
    },
    /// A member of another name.
    #[error("member {index} of {kind} '{name}' is '{found}' instead of '{want}'")]
    Member {
        /// Kind of what has the member.
        kind: Kind,
        /// Its name.
        name: String,
        /// The member's number.
        index: usize,
        /// The member here.
        found: String,
        /// The member there.
        want: String,
    },
    /// A member at another place.
    #[error("member '{member}' of {kind} '{name}' is at bit {found} instead of {want}")]
    Offset {
        /// Kind of what has the member.
        kind: Kind,
        /// Its name.
        name: String,
        /// The member.
        member: String,
        /// Its first bit here.
        found: u32,
        /// Its first bit there.
        want: u32,
    },
    /// A kind that no variable, function or parameter has.
    #[error("{0} cannot be compared")]
    Unsupported(Kind),
    /// Types that contain each other in more ways than compilers make.
    #[error("type {0} cannot be compared in as many steps as there are types")]
    TooComplex(TypeId),
    /// A reference that leads nowhere.
    #[error(transparent)]
    Btf(#[from] BtfError),
}
