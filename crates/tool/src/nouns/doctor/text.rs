//! What `doctor` found out, as text: a line each, and below it why and what to do.

use std::io::{self, Write};

use super::view::{Area, DoctorView};
use crate::render::View;
use crate::render::escape::Escaped;

impl Area {
    fn title(self) -> &'static str {
        match self {
            Self::Access => "Access",
            Self::Settings => "Settings",
            Self::FileSystems => "File systems",
            Self::Types => "Types",
            Self::Programs => "Programs",
        }
    }
}

impl View for DoctorView {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let (release, machine) = (
            self.kernel.release.as_bytes(),
            self.kernel.machine.as_bytes(),
        );
        writeln!(out, "Linux {} ({})", Escaped(release), Escaped(machine))?;
        let width = self.checks.iter().map(|check| check.name.len()).max();
        let width = width.unwrap_or_default();
        let mut area = None;
        for check in &self.checks {
            if area != Some(check.area) {
                area = Some(check.area);
                writeln!(out, "\n{}:", check.area.title())?;
            }
            let (name, state) = (&check.name, check.state.name());
            match &check.detail {
                Some(detail) => {
                    let detail = Escaped(detail.as_bytes());
                    writeln!(out, "  {name:width$}  {state:7}  {detail}")?;
                }
                None => writeln!(out, "  {name:width$}  {state}")?,
            }
            for (word, text) in [("why", &check.why), ("do", &check.remedy)] {
                if let Some(text) = text {
                    writeln!(
                        out,
                        "  {:width$}  {word:>7}: {}",
                        "",
                        Escaped(text.as_bytes())
                    )?;
                }
            }
        }
        Ok(())
    }
}
