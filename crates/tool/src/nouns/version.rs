//! `version`: which interface this tool speaks, and what it is.

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
#[derive(Debug, Serialize)]
struct VersionView {
    version: &'static str,
    libbpf_version: &'static str,
    features: Features,
    implementation: Implementation,
}

/// What bpftool may have been built with. This tool links none of these libraries.
#[derive(Debug, Default, Serialize)]
struct Features {
    libbfd: bool,
    llvm: bool,
    crypto: bool,
    skeletons: bool,
    bootstrap: bool,
}

#[derive(Debug, Serialize)]
struct Implementation {
    name: &'static str,
    version: &'static str,
}

impl View for VersionView {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let Implementation { name, version } = self.implementation;
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
        version: BPFTOOL,
        libbpf_version: LIBBPF,
        features: Features::default(),
        implementation: Implementation {
            name: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
        },
    })
}
