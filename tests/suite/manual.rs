//! The examples of the manual, run as they are written, and its pages as man(1)
//! reads them.

use std::fmt::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, ensure};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use rbpftool_tests::compile::is_there;
use rbpftool_tests::{
    Output, Place, Private, Suite, ensure_eq, fixture, netlink, requires, root, run, run_tool,
    skip, tool_path,
};

/// Where the prose is.
const PAGES: &str = "crates/tool/src/manual/pages";

/// What the examples call objects.
const OBJECTS: [(&str, &str); 7] = [
    ("packet.bpf.o", "sections_net"),
    ("group.bpf.o", "sections_cgroup"),
    ("data.bpf.o", "data"),
    ("link_a.bpf.o", "link_a"),
    ("link_b.bpf.o", "link_b"),
    ("tasks.bpf.o", "iterates"),
    ("core.bpf.o", "core_kernel"),
];

fn main() -> ExitCode {
    let place = Place::enter();
    let mut suite = Suite::new("manual").serial();
    match topics() {
        Ok(topics) => {
            for topic in topics {
                let test = {
                    let topic = topic.clone();
                    move |private: &Private| examples(private, &topic)
                };
                suite.add(format!("examples::{topic}"), place.test(test));
                suite.add(format!("help::{topic}"), move || help(&topic));
            }
        }
        Err(error) => suite.add("topics", move || Err(error)),
    }
    suite.add("pages_are_well_formed", lint);
    suite.run()
}

fn topics() -> Result<Vec<String>> {
    let mut topics = Vec::new();
    for entry in std::fs::read_dir(root().join(PAGES)).context("list the pages")? {
        let path = entry?.path();
        let name = path.file_stem().context("a name")?;
        topics.push(name.to_str().context("a name")?.to_owned());
    }
    topics.sort();
    ensure!(topics.len() >= 18, "{topics:?}");
    Ok(topics)
}

/// The lines for a shell, in order.
fn script(topic: &str) -> Result<String> {
    let path = root().join(PAGES).join(format!("{topic}.txt"));
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {topic}"))?;
    let mut script = String::new();
    let mut open = false;
    for line in text.lines() {
        let command = line.strip_prefix("$ ");
        if open || command.is_some() {
            let command = command.unwrap_or(line);
            writeln!(script, "{command}")?;
            open = command.ends_with('\\');
        }
    }
    Ok(script)
}

fn examples(private: &Private, topic: &str) -> Result<()> {
    let script = script(topic)?;
    ensure!(script.contains("rbpftool"), "no example");
    let dir = private.dir().join(format!("examples-{topic}"));
    std::fs::create_dir(&dir)?;
    for (name, of) in OBJECTS {
        symlink(fixture(&format!("bpf/{of}.bpf.o")), dir.join(name))?;
    }
    let cgroup = private.cgroup().context("make a cgroup")?;
    symlink(&cgroup, dir.join("mygroup"))?;
    // the examples have it where everybody has it
    let usual = Path::new("/sys/fs/bpf");
    let none: Option<&str> = None;
    mount(Some("bpf"), usual, Some("bpf"), MsFlags::empty(), none).context("mount a bpffs")?;
    if script.contains("demo0") {
        let made = netlink::device("veth", "demo0");
        made.context("make a device")?;
    }
    let output = shell(&dir, &script);
    let entries = std::fs::read_dir(usual)?.flatten();
    // the kernel's own iterators are in each of these
    let own = |name: &std::ffi::OsString| name.to_string_lossy().ends_with(".debug");
    let left: Vec<_> = entries
        .map(|entry| entry.file_name())
        .filter(|name| !own(name))
        .collect();
    umount2(usual, MntFlags::empty()).context("unmount the bpffs")?;
    let output = output?;
    if output.status != 0 {
        let told = output.err();
        // the kernel's own limits, and no others
        let lacking = ["Hint: needs Linux ", "(EOPNOTSUPP)", "maps of type"];
        if lacking.iter().any(|sign| told.contains(sign)) {
            let last = told.lines().rev().take(2).collect::<Vec<_>>();
            return Err(skip(format!("this kernel cannot: {last:?}")));
        }
        anyhow::bail!("ends with {}:\n{told}", output.status);
    }
    ensure!(left.is_empty(), "left pinned: {left:?}");
    Ok(())
}

fn shell(dir: &Path, script: &str) -> Result<Output> {
    let tool = std::fs::canonicalize(tool_path()?).context("find the tool")?;
    let mut path = std::ffi::OsString::from(tool.parent().context("a directory")?);
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let mut cmd = Command::new("sh");
    cmd.args(["-e", "-u", "-x", "-c", script])
        .current_dir(dir)
        .env("PATH", path);
    run(&mut cmd, b"")
}

/// `help TOPIC` goes to standard output, and as JSON it is a page too.
fn help(topic: &str) -> Result<()> {
    let output = run_tool(["help", topic])?;
    ensure_eq!(output.status, 0, "{}", output.err());
    ensure!(output.err().is_empty(), "{}", output.err());
    let text = output.out();
    for heading in ["Name\n", "\nSynopsis\n", "\nOptions\n", "\nExamples\n"] {
        ensure!(text.contains(heading), "no {heading:?} in {text}");
    }
    let wide = text.lines().find(|line| line.chars().count() > 100);
    ensure!(wide.is_none(), "too wide: {wide:?}");
    let json = run_tool(["-j", "help", topic])?.json()?;
    ensure_eq!(json.get("topic").and_then(|t| t.as_str()), Some(topic));
    Ok(())
}

/// What man(1) would not understand.
fn lint() -> Result<()> {
    requires!(is_there("mandoc"), "mandoc is not installed");
    let names = run_tool(["__man"])?.out();
    ensure!(names.lines().count() >= 18, "{names}");
    for name in names.lines() {
        let page = run_tool(["__man", name])?;
        ensure_eq!(page.status, 0, "{name}");
        let mut cmd = Command::new("mandoc");
        cmd.args(["-T", "lint", "-W", "warning"]);
        let told = run(&mut cmd, page.out().as_bytes())?;
        ensure!(
            told.status == 0 && told.out().is_empty(),
            "{name}: {}",
            told.out()
        );
        let mut cmd = Command::new("mandoc");
        cmd.args(["-T", "utf8"]);
        let shown = run(&mut cmd, page.out().as_bytes())?.out();
        ensure!(
            shown.contains("SEE ALSO") || shown.contains("S\u{8}SE\u{8}E"),
            "{name}"
        );
    }
    Ok(())
}
