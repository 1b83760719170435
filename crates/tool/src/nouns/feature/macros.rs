//! What a kernel can do as macros for C, laid out as bpftool does.

use std::io::{self, Write};

use super::view::{FeatureView, Types};
use crate::render::escape::Escaped;

/// Options that are of use to programs in C.
const OPTIONS: [&str; 1] = ["CONFIG_HZ"];

/// Writes all of it; `prefix` goes before each name.
pub(super) fn write(view: &FeatureView, prefix: &[u8], out: &mut dyn Write) -> io::Result<()> {
    let prefix = Escaped(prefix).to_string();
    let mut out = Macros { prefix, out };
    if let Some(config) = &view.system_config {
        out.section("Misc kernel config items", |out| {
            for (name, value) in config.options.iter().flatten() {
                match value {
                    _ if !OPTIONS.contains(name) => {}
                    Some(value) => writeln!(out.out, "#define {}{name} {value}", out.prefix)?,
                    None => writeln!(out.out, "/* {}{name} is not set */", out.prefix)?,
                }
            }
            Ok(())
        })?;
    }
    out.section("System call availability", |out| {
        out.have("BPF_SYSCALL", view.syscall_config.have_bpf_syscall)
    })?;
    view.types.as_ref().map_or(Ok(()), |types| out.types(types))
}

struct Macros<'o> {
    prefix: String,
    out: &'o mut dyn Write,
}

impl Macros<'_> {
    fn section(
        &mut self,
        title: &str,
        content: impl FnOnce(&mut Self) -> io::Result<()>,
    ) -> io::Result<()> {
        writeln!(self.out, "/*** {title} ***/")?;
        content(self)?;
        writeln!(self.out)
    }

    fn have(&mut self, name: &str, yes: bool) -> io::Result<()> {
        let no = if yes { "" } else { "NO_" };
        let name = name.to_ascii_uppercase();
        writeln!(self.out, "#define {}{no}HAVE_{name}", self.prefix)
    }

    fn types(&mut self, types: &Types) -> io::Result<()> {
        self.section("eBPF program types", |out| {
            types
                .program_types
                .iter()
                .try_for_each(|answer| out.have(&format!("{}_prog_type", answer.name), answer.yes))
        })?;
        self.section("eBPF map types", |out| {
            types
                .map_types
                .iter()
                .try_for_each(|answer| out.have(&format!("{}_map_type", answer.name), answer.yes))
        })?;
        self.section("eBPF helper functions", |out| {
            out.helper_macro()?;
            for of in &types.helpers {
                for helper in &of.helpers {
                    let (prog_type, name) = (of.prog_type.name, helper.name);
                    let yes = u8::from(helper.yes);
                    let prefix = &out.prefix;
                    writeln!(
                        out.out,
                        "#define {prefix}BPF__PROG_TYPE_{prog_type}__HELPER_{name} {yes}"
                    )?;
                }
            }
            Ok(())
        })?;
        self.section("eBPF misc features", |out| {
            types
                .misc
                .iter()
                .try_for_each(|feature| out.have(feature.name, feature.yes))
        })
    }

    /// The macro that puts the names of helpers together, with how it is used.
    fn helper_macro(&mut self) -> io::Result<()> {
        let prefix = &self.prefix;
        let lines = [
            "/*".to_owned(),
            format!(" * Use {prefix}HAVE_PROG_TYPE_HELPER(prog_type_name, helper_name)"),
            " * to determine if <helper_name> is available for <prog_type_name>,".to_owned(),
            " * e.g.".to_owned(),
            format!(" *\t#if {prefix}HAVE_PROG_TYPE_HELPER(xdp, bpf_redirect)"),
            " *\t\t// do stuff with this helper".to_owned(),
            " *\t#elif".to_owned(),
            " *\t\t// use a workaround".to_owned(),
            " *\t#endif".to_owned(),
            " */".to_owned(),
            format!("#define {prefix}HAVE_PROG_TYPE_HELPER(prog_type, helper)\t\\"),
            format!("\t{prefix}BPF__PROG_TYPE_ ## prog_type ## __HELPER_ ## helper"),
        ];
        lines
            .iter()
            .try_for_each(|line| writeln!(self.out, "{line}"))
    }
}
