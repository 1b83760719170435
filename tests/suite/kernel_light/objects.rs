//! The objects of the fixtures, and loader programs of them.

use std::path::PathBuf;
use std::sync::OnceLock;

use anyhow::{Context as _, Result};
use loader::light::{LightOptions, LightProgram, generate};
use loader::model::{Object, ParseOptions};
use loader::target::Running;
use rbpftool_tests::fixture;

pub(crate) fn path(name: &str) -> PathBuf {
    fixture(&format!("bpf/{name}.bpf.o"))
}

/// The object of a fixture.
pub(crate) fn object(name: &str) -> Result<Object> {
    let path = path(name);
    let bytes = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
    let options = ParseOptions::for_file(&format!("{name}.bpf.o"));
    Object::parse(&bytes, &options).with_context(|| format!("parse {name}"))
}

/// The kernel this runs on.
pub(crate) fn target() -> &'static Running {
    static TARGET: OnceLock<Running> = OnceLock::new();
    TARGET.get_or_init(Running::default)
}

/// Its loader program.
pub(crate) fn program(object: &Object, hash: bool) -> Result<LightProgram> {
    let mut options = LightOptions::default();
    options.target = Some(target());
    options.hash = hash;
    generate(object, &options).with_context(|| format!("generate for {}", object.name))
}
