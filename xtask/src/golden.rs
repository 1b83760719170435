//! `cargo xtask golden`: expected files, from what the tool says now.

use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use crate::ctx::Ctx;
use crate::suites;

/// The suites that own expected files. The first makes files that the others read.
const SUITES: &[&str] = &["golden", "model", "plan", "cli", "tidy"];

/// Without words: runs those suites with `RBPF_BLESS=1`. With the words of a command: runs it
/// on this machine and keeps what it shows as a new golden case. `git diff` is the review.
pub(crate) fn task(ctx: &Ctx, args: &[String]) -> Result<()> {
    if !args.is_empty() {
        return record(ctx, args);
    }
    suites::build_tool(ctx)?;
    for suite in SUITES {
        run(ctx, suite, "", true)?;
    }
    println!("rewritten; `git diff` shows what changed");
    Ok(())
}

fn run(ctx: &Ctx, suite: &str, filter: &str, bless: bool) -> Result<()> {
    let mut cmd = suites::suite_command(ctx, &[suite], filter);
    if bless {
        cmd.env("RBPF_BLESS", "1");
    }
    let status = cmd.status().context("start cargo")?;
    ensure!(status.success(), "the suite {suite} failed ({status})");
    Ok(())
}

/// A view that is about to become a case.
#[derive(Debug, PartialEq, Eq)]
struct Recipe<'a> {
    noun: &'a str,
    case: String,
    /// The command line, without the name of the case.
    words: Vec<&'a str>,
}

fn record(ctx: &Ctx, args: &[String]) -> Result<()> {
    let recipe = recipe(args)?;
    let tool = suites::build_tool(ctx)?;
    let output = |format: &[&str]| -> Result<String> {
        let output = Command::new(&tool)
            .args(format)
            .args(&recipe.words)
            .env("TZ", "UTC")
            .env("LC_ALL", "C")
            .output()
            .context("start rbpftool")?;
        ensure!(
            output.status.success(),
            "rbpftool failed ({}): {}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).context("the output is not UTF-8")
    };
    let (json, text) = (output(&["-j"])?, output(&[])?);
    let Recipe { noun, case, .. } = &recipe;
    for (extension, content) in [("json", json), ("txt", text)] {
        let path = ctx
            .root
            .join(format!("tests/golden/{noun}/{case}.{extension}"));
        std::fs::write(&path, content).with_context(|| format!("write {}", path.display()))?;
        println!("wrote {}", path.display());
    }
    // A view that cannot be read back, or that the text above was not made from, is told now.
    run(ctx, "golden", &format!("{noun}/{case}"), false)
}

/// `[--case=NAME] WORD…`: without a name it is made of the words behind the noun.
fn recipe(args: &[String]) -> Result<Recipe<'_>> {
    let mut name = None;
    let mut words = Vec::new();
    for arg in args {
        match arg.strip_prefix("--case=") {
            Some(given) => name = Some(given.to_owned()),
            None => words.push(arg.as_str()),
        }
    }
    let mut typed = words.iter().copied().filter(|word| !word.starts_with('-'));
    let noun = typed.next().context("which command is to be recorded?")?;
    let rest: Vec<&str> = typed.collect();
    let command = match (noun, rest.first().copied()) {
        ("prog" | "map" | "link" | "btf", Some(command @ ("show" | "list")))
        | ("prog", Some(command @ "run")) => command,
        ("version", None) => "plain",
        _ => bail!(
            "'{}' shows no view: {{ prog | map | link | btf }} show, prog run and version do",
            words.join(" ")
        ),
    };
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let case = match name {
        Some(name) => name,
        None if noun == "version" => command.to_owned(),
        None => rest.join("_").chars().map(plain).collect(),
    };
    ensure!(
        case.starts_with(command) && case.chars().all(|c| c == plain(c)),
        "'{case}' is no name for a case: it begins with '{command}', then letters, digits and '_'"
    );
    Ok(Recipe { noun, case, words })
}

#[cfg(test)]
mod tests {
    use super::recipe;

    fn parse(line: &str) -> Result<(String, Vec<String>), String> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        recipe(&args)
            .map(|recipe| {
                let words = recipe.words.iter().map(|word| (*word).to_owned());
                (format!("{}/{}", recipe.noun, recipe.case), words.collect())
            })
            .map_err(|e| e.to_string())
    }

    fn case(line: &str) -> String {
        parse(line).expect("a view").0
    }

    #[test]
    fn cases_are_named_after_their_words() {
        assert_eq!(case("prog show id 5"), "prog/show_id_5");
        assert_eq!(
            case("map show pinned /sys/fs/bpf/a"),
            "map/show_pinned__sys_fs_bpf_a"
        );
        assert_eq!(case("--case=show_xdp prog show id 5"), "prog/show_xdp");
        assert_eq!(case("version"), "version/plain");
        let (name, words) = parse("-f --case=show_all link show").expect("a view");
        assert_eq!(name, "link/show_all");
        assert_eq!(words, ["-f", "link", "show"]);
    }

    #[test]
    fn only_views_are_recorded() {
        for line in [
            "-f",
            "map dump id 1",
            "prog",
            "prog help",
            "version x",
            "net",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
        for name in ["../x", "show/x", "run_x", ""] {
            assert!(
                parse(&format!("--case={name} prog show")).is_err(),
                "{name}"
            );
        }
    }
}
