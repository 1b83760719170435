//! What a kernel can do as text, laid out as bpftool does.

use std::io::{self, Write};

use super::view::{FeatureView, SystemConfig, Types};
use crate::render::View;

impl View for FeatureView {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        if let Some(config) = &self.system_config {
            section(out, "Scanning system configuration...", |out| {
                config.text(out)
            })?;
        }
        section(out, "Scanning system call availability...", |out| {
            available(out, "bpf() syscall", self.syscall_config.have_bpf_syscall)
        })?;
        self.types.as_ref().map_or(Ok(()), |types| types.text(out))
    }
}

fn section(
    out: &mut dyn Write,
    title: &str,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    writeln!(out, "{title}")?;
    content(out)?;
    writeln!(out)
}

fn available(out: &mut dyn Write, what: &str, yes: bool) -> io::Result<()> {
    writeln!(out, "{what} is {}available", if yes { "" } else { "NOT " })
}

/// What the values of a setting mean: unreadable, 0, 1, 2; then what precedes other values.
struct Meaning {
    unreadable: &'static str,
    values: &'static [&'static str],
    other: &'static str,
}

const MEANINGS: [Meaning; 4] = [
    Meaning {
        unreadable: "Unable to retrieve required privileges for bpf() syscall",
        values: &[
            "bpf() syscall for unprivileged users is enabled",
            "bpf() syscall restricted to privileged users (without recovery)",
            "bpf() syscall restricted to privileged users (admin can change)",
        ],
        other: "bpf() syscall restriction has unknown value",
    },
    Meaning {
        unreadable: "Unable to retrieve JIT-compiler status",
        values: &[
            "JIT compiler is disabled",
            "JIT compiler is enabled",
            "JIT compiler is enabled with debugging traces in kernel logs",
        ],
        other: "JIT-compiler status has unknown value",
    },
    Meaning {
        unreadable: "Unable to retrieve JIT hardening status",
        values: &[
            "JIT compiler hardening is disabled",
            "JIT compiler hardening is enabled for unprivileged users",
            "JIT compiler hardening is enabled for all users",
        ],
        other: "JIT hardening status has unknown value",
    },
    Meaning {
        unreadable: "Unable to retrieve JIT kallsyms export status",
        values: &[
            "JIT compiler kallsyms exports are disabled",
            "JIT compiler kallsyms exports are enabled for root",
        ],
        other: "JIT kallsyms exports status has unknown value",
    },
];

const LIMIT: &str = "lobal memory limit for JIT compiler for unprivileged users";

impl SystemConfig {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        if let Some([settings @ .., limit]) = self.sysctls {
            for (value, meaning) in settings.iter().zip(&MEANINGS) {
                let known = usize::try_from(*value).ok();
                match known.and_then(|value| meaning.values.get(value)) {
                    Some(words) => writeln!(out, "{words}")?,
                    None if *value == -1 => writeln!(out, "{}", meaning.unreadable)?,
                    None => writeln!(out, "{} {value}", meaning.other)?,
                }
            }
            match limit {
                -1 => writeln!(out, "Unable to retrieve g{LIMIT}")?,
                bytes => writeln!(out, "G{LIMIT} is {bytes} bytes")?,
            }
        }
        for (name, value) in self.options.iter().flatten() {
            match value {
                Some(value) => writeln!(out, "{name} is set to {value}")?,
                None => writeln!(out, "{name} is not set")?,
            }
        }
        Ok(())
    }
}

impl Types {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        section(out, "Scanning eBPF program types...", |out| {
            self.program_types.iter().try_for_each(|answer| {
                let what = format!("eBPF program_type {}", answer.name);
                available(out, &what, answer.yes)
            })
        })?;
        section(out, "Scanning eBPF map types...", |out| {
            self.map_types.iter().try_for_each(|answer| {
                available(out, &format!("eBPF map_type {}", answer.name), answer.yes)
            })
        })?;
        section(out, "Scanning eBPF helper functions...", |out| {
            for of in &self.helpers {
                let name = of.prog_type.name;
                write!(out, "eBPF helpers supported for program type {name}:")?;
                let mut any = false;
                for helper in of.helpers.iter().filter(|helper| helper.yes) {
                    any = true;
                    write!(out, "\n\t- {}", helper.name)?;
                }
                writeln!(out)?;
                match (of.prog_type.yes, any) {
                    (_, true) => {}
                    (false, _) => writeln!(out, "\tProgram type not supported")?,
                    (true, _) => {
                        writeln!(out, "\tCould not determine which helpers are available")?;
                    }
                }
            }
            Ok(())
        })?;
        section(out, "Scanning miscellaneous eBPF features...", |out| {
            self.misc
                .iter()
                .try_for_each(|feature| available(out, feature.what, feature.yes))
        })
    }
}
