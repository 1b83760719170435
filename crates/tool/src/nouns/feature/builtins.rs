//! `feature list_builtins`: the names this tool knows, whatever the kernel.

use std::borrow::Cow;
use std::io::{self, Write};

use bpfsys::uapi::helpers::HelperId;
use bpfsys::{AttachType, LinkType, MapType, ProgType};
use serde::Serialize;

use crate::command::Context;
use crate::failure::{Failure, Result};
use crate::render::View;
use crate::words::{Words, shown};

/// Names, in the order of the kernel's numbers.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct NamesView(Vec<Cow<'static, str>>);

impl View for NamesView {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        self.0.iter().try_for_each(|name| writeln!(out, "{name}"))
    }
}

/// `feature list_builtins GROUP`
pub(super) fn list(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    let Some(word) = words.peek() else {
        return Err(Failure::usage(
            "expected 'prog_types', 'map_types', 'attach_types', 'link_types' or 'helpers', got \
             nothing",
        ));
    };
    let names: Vec<Cow<'static, str>> = if words.accept("prog_types") {
        known(ProgType::ALL, ProgType::name)
    } else if words.accept("map_types") {
        known(MapType::ALL, MapType::name)
    } else if words.accept("attach_types") {
        known(AttachType::ALL, AttachType::name)
    } else if words.accept("link_types") {
        known(LinkType::ALL, LinkType::name)
    } else if words.accept("helpers") {
        known(HelperId::ALL, HelperId::bpf_name)
    } else {
        return Err(Failure::new(format_args!(
            "expected 'prog_types', 'map_types', 'attach_types', 'link_types' or 'helpers', got: {}",
            shown(word)
        )));
    };
    context.output.show(&NamesView(names))
}

fn known<T: Copy>(all: &[T], name: impl Fn(T) -> Option<&'static str>) -> Vec<Cow<'static, str>> {
    all.iter()
        .filter_map(|one| name(*one))
        .map(Cow::Borrowed)
        .collect()
}
