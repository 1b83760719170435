//! What can be wrong with a file, or not be in it.

use std::io;

/// Why something was not found in a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SymbolError {
    /// Reading failed.
    #[error("cannot read {what}")]
    Read {
        /// What was read.
        what: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Not an ELF file of a known class and byte order.
    #[error("not an elf file: {why}")]
    NotElf {
        /// What is there instead.
        why: &'static str,
    },
    /// A part goes past the end of the file, or its entries have no possible size.
    #[error("{what} of {size} bytes at offset {offset:#x} is not in the file of {have} bytes")]
    Bounds {
        /// The part.
        what: &'static str,
        /// Where it starts.
        offset: u64,
        /// Its size.
        size: u64,
        /// Bytes in the file.
        have: u64,
    },
    /// No function has this name.
    #[error("there is no function `{name}`{}", if *.stripped { "; the symbols are stripped" } else { "" })]
    NotFound {
        /// What was looked for.
        name: String,
        /// Whether there are symbols for the dynamic linker at most.
        stripped: bool,
    },
    /// The function is here in other versions.
    #[error("there is no function `{name}`, only {others}")]
    OtherVersions {
        /// What was looked for.
        name: String,
        /// What there is.
        others: String,
    },
    /// Different functions have the name.
    #[error(
        "`{name}` names two functions: `{first}` at {first_offset:#x} and `{second}` at {second_offset:#x}"
    )]
    Ambiguous {
        /// What was looked for.
        name: String,
        /// The first with its version.
        first: String,
        /// Where the first is in the file.
        first_offset: u64,
        /// The second with its version.
        second: String,
        /// Where the second is in the file.
        second_offset: u64,
    },
    /// The function is chosen when the program starts.
    #[error(
        "`{name}` is an indirect function: which one it stands for is chosen at run time, so name that one"
    )]
    Indirect {
        /// Its name.
        name: String,
    },
    /// An address that no part of the file is loaded to.
    #[error("address {address:#x} of {what} is not in a segment that is loaded from the file")]
    NotLoaded {
        /// What is there.
        what: String,
        /// The address.
        address: u64,
    },
    /// A place that is not code.
    #[error("address {address:#x} of {what} is in a segment without code")]
    NotCode {
        /// What is there.
        what: String,
        /// The address.
        address: u64,
    },
    /// No function fits a pattern.
    #[error("no function fits `{pattern}`")]
    NoMatch {
        /// The pattern.
        pattern: String,
    },
    /// A text that names no place.
    #[error("`{text}` is no place in a program: {why}")]
    BadQuery {
        /// The text.
        text: String,
        /// Why not.
        why: &'static str,
    },
    /// A part is compressed in a way that is not known.
    #[error("{what} is compressed with a method that is not known ({method})")]
    Compression {
        /// The part.
        what: &'static str,
        /// The method's number.
        method: u32,
    },
    /// A compressed part is damaged, or unpacks to more than is allowed.
    #[error("{what} cannot be unpacked: {why}")]
    Unpack {
        /// The part.
        what: &'static str,
        /// Why not.
        why: String,
    },
    /// No DWARF line information.
    #[error("no line information: the file was built without `-g`, or was stripped")]
    NoLines,
    /// Line information is damaged.
    #[error("line information: {why}")]
    Dwarf {
        /// What is wrong.
        why: String,
    },
    /// No source file has this name.
    #[error("no source file `{file}` in the line information")]
    NoSourceFile {
        /// What was looked for.
        file: String,
    },
    /// The line has no code.
    #[error("line {line} of `{file}` has no code{}", near(*.next))]
    NoCode {
        /// The file.
        file: String,
        /// The line.
        line: u64,
        /// The next line that has some.
        next: Option<u64>,
    },
    /// A note of a static probe is damaged.
    #[error("usdt note {index}: {why}")]
    BadNote {
        /// Which of the notes.
        index: usize,
        /// What is wrong.
        why: &'static str,
    },
    /// No static probe has this name.
    #[error("there is no static probe `{provider}:{name}`")]
    NoProbe {
        /// The provider.
        provider: String,
        /// The name.
        name: String,
    },
    /// An argument of a static probe is not understood.
    #[error("argument {index} of static probe `{probe}`: {why} in `{text}`")]
    BadArgument {
        /// Provider and name.
        probe: String,
        /// Which argument.
        index: usize,
        /// What is wrong.
        why: &'static str,
        /// The text.
        text: String,
    },
    /// More arguments than programs can look at.
    #[error("static probe `{probe}` has more than {max} arguments")]
    TooManyArguments {
        /// Provider and name.
        probe: String,
        /// How many are possible.
        max: usize,
    },
    /// Registers of this machine are not known.
    #[error("arguments of static probes are not known for elf machine {machine}")]
    Machine {
        /// `e_machine`.
        machine: u16,
    },
    /// An archive without the member.
    #[error("the archive has no member `{member}`")]
    NoMember {
        /// Its name.
        member: String,
    },
    /// A member that cannot be mapped.
    #[error(
        "member `{member}` of the archive is compressed or encrypted, so no process can map it"
    )]
    MemberPacked {
        /// Its name.
        member: String,
    },
    /// Not a zip archive.
    #[error("not a zip archive: {why}")]
    NotArchive {
        /// What is wrong.
        why: &'static str,
    },
}

fn near(next: Option<u64>) -> String {
    next.map(|line| format!("; the next that has is {line}"))
        .unwrap_or_default()
}

impl SymbolError {
    /// Whether the thing is simply not in this file, so that another may have it.
    #[must_use]
    pub const fn is_not_found(&self) -> bool {
        matches!(
            self,
            Self::NotFound { .. }
                | Self::NoMatch { .. }
                | Self::NoLines
                | Self::NoSourceFile { .. }
                | Self::NoProbe { .. }
        )
    }
}
