//! Debian packages: what a step needs, and installing it where that is allowed.

use std::path::Path;
use std::process::Command;

use crate::ctx::Ctx;
use crate::run;

mod private;

pub(crate) use private::PrivateApt;

/// Something a step cannot do without.
pub(crate) struct Need {
    /// What is looked for, as told to the reader.
    pub(crate) what: &'static str,
    /// Is it there?
    pub(crate) found: fn() -> bool,
    /// The Debian packages that bring it.
    pub(crate) packages: &'static [&'static str],
}

/// Installs what is missing; the error names everything that still is.
pub(crate) fn ensure(ctx: &Ctx, needs: &[Need]) -> Result<(), String> {
    let missing: Vec<&Need> = needs.iter().filter(|n| !(n.found)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().flat_map(|n| n.packages).copied().collect();
    let told = format!("apt-get install {}", packages.join(" "));
    if !ctx.is_root {
        return Err(format!("needs {}; as root: {told}", names(&missing)));
    }
    if !run::on_path("apt-get") {
        return Err(format!("needs {}; on Debian: {told}", names(&missing)));
    }
    println!("   installing {}", packages.join(" "));
    let mut said = String::new();
    for args in [
        &["update"][..],
        &["install", "-y", "--no-install-recommends"],
    ] {
        let mut cmd = Command::new("apt-get");
        cmd.env("DEBIAN_FRONTEND", "noninteractive").args(args);
        if args.len() > 1 {
            cmd.args(&packages);
        }
        // A failing update may still leave lists good enough to install from.
        if let Err(e) = run::must(&mut cmd, &ctx.log(&format!("apt-{}", args[0]))) {
            said = format!(" ({})", e.to_string().lines().last().unwrap_or_default());
        }
    }
    let still: Vec<&Need> = missing.into_iter().filter(|n| !(n.found)()).collect();
    if still.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "needs {}; {told} did not bring it{said}",
            names(&still)
        ))
    }
}

fn names(needs: &[&Need]) -> String {
    needs.iter().map(|n| n.what).collect::<Vec<_>>().join(", ")
}

/// A Debian mirror as this machine's own apt knows it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mirror {
    pub(crate) uri: String,
    pub(crate) signed_by: Option<String>,
}

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The first mirror in apt's configuration that is not the security archive.
pub(crate) fn mirror() -> Option<Mirror> {
    let mut files = vec![Path::new("/etc/apt/sources.list").to_owned()];
    if let Ok(dir) = std::fs::read_dir("/etc/apt/sources.list.d") {
        let mut more: Vec<_> = dir.flatten().map(|e| e.path()).collect();
        more.sort();
        files.extend(more);
    }
    let found = files.iter().find_map(|file| {
        let text = std::fs::read_to_string(file).ok()?;
        match file.extension()?.to_str()? {
            "sources" => from_deb822(&text),
            "list" => from_one_line(&text),
            _ => None,
        }
    });
    found.map(|mut m| {
        if m.signed_by.is_none() && Path::new(KEYRING).is_file() {
            m.signed_by = Some(KEYRING.to_owned());
        }
        m
    })
}

fn from_deb822(text: &str) -> Option<Mirror> {
    text.split("\n\n").find_map(|stanza| {
        let field = |name: &str| {
            stanza
                .lines()
                .find_map(|l| Some(l.strip_prefix(name)?.strip_prefix(':')?.trim()))
        };
        let uri = field("URIs")?.split_whitespace().next()?;
        let main = field("Components").is_some_and(|c| c.split_whitespace().any(|w| w == "main"));
        let usable = main
            && field("Types")?.split_whitespace().any(|w| w == "deb")
            && field("Enabled") != Some("no")
            && !field("Suites")?.contains("-security");
        usable.then(|| Mirror {
            uri: uri.to_owned(),
            signed_by: field("Signed-By")
                .filter(|s| s.starts_with('/'))
                .map(str::to_owned),
        })
    })
}

fn from_one_line(text: &str) -> Option<Mirror> {
    text.lines().find_map(|line| {
        let mut rest = line.trim().strip_prefix("deb ")?.trim_start();
        let mut signed_by = None;
        if let Some(options) = rest.strip_prefix('[') {
            let (options, after) = options.split_once(']')?;
            signed_by = options
                .split_whitespace()
                .find_map(|o| o.strip_prefix("signed-by="))
                .map(str::to_owned);
            rest = after;
        }
        let mut words = rest.split_whitespace();
        let (uri, suite) = (words.next()?, words.next()?);
        (words.any(|w| w == "main") && !suite.contains("security")).then(|| Mirror {
            uri: uri.to_owned(),
            signed_by,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::{Mirror, from_deb822, from_one_line};

    #[test]
    fn the_security_archive_and_disabled_stanzas_are_passed_over() {
        let text = "Types: deb\nURIs: http://m/debian-security\nSuites: x-security\n\
                    Components: main\n\n# a comment\nTypes: deb\nEnabled: no\nURIs: http://off/\n\
                    Suites: x\nComponents: main\n\nTypes: deb\nURIs: http://m/debian\nSuites: x\n\
                    Components: main\nSigned-By: /k.gpg\n";
        let want = Mirror {
            uri: "http://m/debian".into(),
            signed_by: Some("/k.gpg".into()),
        };
        assert_eq!(from_deb822(text), Some(want));
    }

    #[test]
    fn one_line_form_with_options() {
        let text = "# deb http://no/ x main\ndeb [arch=amd64 signed-by=/k.gpg] http://m/d x main\n";
        let want = Mirror {
            uri: "http://m/d".into(),
            signed_by: Some("/k.gpg".into()),
        };
        assert_eq!(from_one_line(text), Some(want));
        assert_eq!(from_one_line("deb http://other/ x contrib\n"), None);
    }
}
