//! `version`: which interface this tool speaks, and what it is.

use std::borrow::Cow;
use std::io::{self, Write};

use serde::Serialize;

use crate::command::Context;
use crate::failure::Result;
use crate::render::View;
use crate::words::Words;

/// The bpftool whose command lines and JSON are followed.
const BPFTOOL: &str = "7.8.0";
/// The libbpf whose reading of object files is followed.
const LIBBPF: &str = "1.8";

/// The answer, in bpftool's keys. Scripts compare `version`, so it is that of the interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
pub struct VersionView {
    /// The bpftool that is followed.
    pub version: Cow<'static, str>,
    /// The libbpf that is followed.
    pub libbpf_version: Cow<'static, str>,
    /// What was built in.
    pub features: Features,
    /// What answers.
    pub implementation: Implementation,
}

/// What bpftool may have been built with. This tool links none of these libraries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
pub struct Features {
    /// A disassembler of binutils.
    pub libbfd: bool,
    /// A disassembler of LLVM.
    pub llvm: bool,
    /// Signatures by OpenSSL.
    pub crypto: bool,
    /// Programs that are loaded to look at others.
    pub skeletons: bool,
    /// Only what the kernel's own build needs.
    pub bootstrap: bool,
}

/// The program behind the interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
pub struct Implementation {
    /// Its name.
    pub name: Cow<'static, str>,
    /// Its version.
    pub version: Cow<'static, str>,
}

impl View for VersionView {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let Implementation { name, version } = &self.implementation;
        writeln!(out, "{name} v{version}")?;
        writeln!(
            out,
            "compatible with bpftool v{}, libbpf v{}",
            self.version, self.libbpf_version
        )?;
        let features = &self.features;
        let names = [
            (features.libbfd, "libbfd"),
            (features.llvm, "llvm"),
            (features.crypto, "crypto"),
            (features.skeletons, "skeletons"),
            (features.bootstrap, "bootstrap"),
        ];
        let present: Vec<_> = names
            .iter()
            .filter(|(has, _)| *has)
            .map(|(_, name)| format!(" {name}"))
            .collect();
        writeln!(out, "features:{}", present.join(","))
    }
}

/// `version`
pub fn run(context: &mut Context<'_, '_>, _words: Words<'_>) -> Result<()> {
    context.output.show(&VersionView {
        version: BPFTOOL.into(),
        libbpf_version: LIBBPF.into(),
        features: Features::default(),
        implementation: Implementation {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
        },
    })
}
