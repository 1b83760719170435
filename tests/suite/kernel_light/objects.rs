//! The objects of the fixtures, and loader programs of them.

use std::sync::OnceLock;

use anyhow::{Context as _, Result};
use loader::light::{LightOptions, LightProgram, generate};
use loader::model::{Object, ParseOptions};
use loader::target::Running;
use rbpftool_tests::fixture;

/// The object of a fixture.
pub(crate) fn object(name: &str) -> Result<Object> {
    parse(name, &bytes(name)?)
}

/// The file of a fixture.
pub(crate) fn bytes(name: &str) -> Result<Vec<u8>> {
    let path = fixture(&format!("bpf/{name}.bpf.o"));
    std::fs::read(&path).with_context(|| format!("read {}", path.display()))
}

pub(crate) fn parse(name: &str, bytes: &[u8]) -> Result<Object> {
    let options = ParseOptions::for_file(&format!("{name}.bpf.o"));
    Object::parse(bytes, &options).with_context(|| format!("parse {name}"))
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
