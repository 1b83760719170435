//! Maps of functions as text, laid out as bpftool does.

use std::io::{self, Write};

use super::view::StructOpsView;
use crate::render::View;

impl View for StructOpsView {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let (name, kind) = (self.name.to_string(), self.kernel_struct_ops.to_string());
        writeln!(out, "{}: {name:<15} {kind:<32}", self.id)
    }
}
