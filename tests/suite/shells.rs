//! Words completed in real shells, with objects that exist in this kernel.
//!
//! Each line is given to bash, zsh and fish, with the script that the tool
//! prints for them.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, ensure};
use bpfsys::cmd::{MapCreate, ObjPin};
use bpfsys::{MapFd, MapType, ProgFd, ProgType};
use rbpftool_tests::compile::is_there;
use rbpftool_tests::state::progs::simple_of;
use rbpftool_tests::{Place, Private, Suite, ensure_eq, requires, run, tool_path};

fn main() -> ExitCode {
    let place = Place::enter();
    let mut suite = Suite::new("shells").serial();
    let shells: [(&str, Shell); 3] = [("bash", bash), ("zsh", zsh), ("fish", fish)];
    for (name, shell) in shells {
        let test = move |private: &Private| {
            requires!(is_there(name), "{name} is not installed");
            completes(private, shell)
        };
        suite.add(name, place.test(test));
    }
    suite.add("scripts_are_those_of_known_shells", || {
        let output = rbpftool_tests::run_tool(["completion", "csh"])?;
        ensure!(output.status != 0 && output.out().is_empty());
        Ok(())
    });
    suite.run()
}

/// Completes the last word of a line: what is offered, or for shells of which only that can be
/// seen, the line that comes of the only candidate.
type Shell = fn(&Path, &[String]) -> Result<Vec<Answer>>;

enum Answer {
    Offered(Vec<String>),
    Line(String),
}

/// Objects to find, and where they are pinned.
struct Objects {
    _prog: ProgFd,
    _map: MapFd,
    prog_id: u32,
    tag: String,
    prog_pin: String,
    map_pin: String,
}

impl Drop for Objects {
    fn drop(&mut self) {
        for pin in [&self.prog_pin, &self.map_pin] {
            let _removed = std::fs::remove_file(pin);
        }
    }
}

const MAP_NAME: &str = "shells_find_me";

fn objects(private: &Private) -> Result<Objects> {
    let prog = simple_of(ProgType::SOCKET_FILTER)?;
    let map = MapCreate::new(MapType::ARRAY, 4, 8, 4)
        .name(MAP_NAME)
        .run()?;
    let pin = |name: &str| private.bpffs().join(name);
    let (prog_pin, map_pin) = (pin("one_prog"), pin("one_map"));
    ObjPin::new(&prog, &prog_pin).run()?;
    ObjPin::new(&map, &map_pin).run()?;
    let info = prog.info()?;
    Ok(Objects {
        prog_id: info.id().context("no id")?.get(),
        tag: info.tag.iter().map(|byte| format!("{byte:02x}")).collect(),
        prog_pin: prog_pin.to_str().context("a path")?.to_owned(),
        map_pin: map_pin.to_str().context("a path")?.to_owned(),
        _prog: prog,
        _map: map,
    })
}

fn completes(private: &Private, shell: Shell) -> Result<()> {
    let made = objects(private)?;
    let cut = |word: &str, bytes: usize| word.get(..bytes).map(str::to_owned);
    let tag = cut(&made.tag, 12).context("a tag")?;
    let bpffs = private.bpffs();
    let bpffs = bpffs.to_str().context("a path")?;
    std::fs::write(private.dir().join("object.bpf.o"), b"")?;
    let id = made.prog_id.to_string();
    let cases: Vec<(String, Vec<&str>)> = vec![
        ("prog du".into(), vec!["dump"]),
        ("p d x".into(), vec!["xlated"]),
        ("prog dump ".into(), vec!["jited", "xlated"]),
        ("-j prog show t".into(), vec!["tag"]),
        (format!("prog show id {id}"), vec![&id]),
        (format!("prog show tag {tag}"), vec![&made.tag]),
        ("map show name shells_fin".into(), vec![MAP_NAME]),
        (format!("prog show pinned {bpffs}/o"), vec![&made.prog_pin]),
        (format!("map dump pinned {bpffs}/o"), vec![&made.map_pin]),
        ("map create /x type lru_p".into(), vec!["lru_percpu_hash"]),
        (
            "prog attach id 1 netkit_".into(),
            vec!["netkit_peer", "netkit_primary"],
        ),
        ("net show dev l".into(), vec!["lo"]),
        ("map show --js".into(), vec!["--json"]),
        ("prog load object.b".into(), vec!["object.bpf.o"]),
        ("prog shwo ".into(), vec![]),
    ];
    let lines: Vec<_> = cases
        .iter()
        .map(|(line, _)| format!("rbpftool {line}"))
        .collect();
    let answers = shell(private.dir(), &lines)?;
    ensure_eq!(answers.len(), cases.len());
    for ((line, answer), (_, expected)) in lines.iter().zip(answers).zip(cases) {
        match answer {
            Answer::Offered(mut words) => {
                words.sort();
                words.dedup();
                ensure_eq!(words, expected, "{line}");
            }
            Answer::Line(after) => {
                let before = line.rsplit_once(' ').context("a blank")?.0;
                match *expected.as_slice() {
                    [] => ensure_eq!(after.trim_end(), line.trim_end()),
                    [only] => ensure_eq!(after.trim_end(), format!("{before} {only}")),
                    // the shell asks which
                    _ => {
                        let begun = after.trim_end().strip_prefix(before).unwrap_or_default();
                        ensure!(expected.iter().all(|word| word.starts_with(begun.trim())));
                    }
                }
            }
        }
    }
    Ok(())
}

/// Runs a shell with the tool in its path.
fn run_in(dir: &Path, shell: &str, args: &[&str], lines: &[String]) -> Result<String> {
    let tool = tool_path()?;
    let tool = std::fs::canonicalize(&tool).context("find the tool")?;
    let bin = tool.parent().context("a directory")?;
    let mut path = OsString::from(bin);
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let mut cmd = Command::new(shell);
    cmd.args(args)
        .args(lines)
        .current_dir(dir)
        .env("PATH", path)
        .env("HOME", dir)
        .env("TERM", "dumb");
    let output = run(&mut cmd, b"")?;
    ensure!(output.status == 0, "{shell}: {}", output.err());
    Ok(output.out())
}

fn bash(dir: &Path, lines: &[String]) -> Result<Vec<Answer>> {
    // what the shell itself does with a line
    let script = r#"
        source <(rbpftool completion bash)
        [ "$(complete -p rbpftool)" = "complete -F _rbpftool rbpftool" ] || exit 3
        for line; do
            read -ra COMP_WORDS <<< "$line"
            case $line in *' ') COMP_WORDS+=("") ;; esac
            COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
            COMP_LINE=$line COMP_POINT=${#line}
            _rbpftool
            for word in "${COMPREPLY[@]}"; do printf '%s\n' "$word"; done
            echo ==
        done
    "#;
    offered(&run_in(
        dir,
        "bash",
        &["--norc", "-c", script, "bash"],
        lines,
    )?)
}

fn fish(dir: &Path, lines: &[String]) -> Result<Vec<Answer>> {
    let script = "
        rbpftool completion fish | source
        for line in $argv
            complete -C \"$line\"
            echo ==
        end
    ";
    offered(&run_in(dir, "fish", &["-N", "-c", script, "--"], lines)?)
}

/// What was offered for each line; a line of its own ends each answer.
fn offered(out: &str) -> Result<Vec<Answer>> {
    let out = out.strip_suffix("==\n").context("no end")?;
    let answers = out.split("==\n").map(|words| {
        let words = words.lines().filter_map(|line| line.split('\t').next());
        Answer::Offered(words.map(str::to_owned).collect())
    });
    Ok(answers.collect())
}

/// The lines after the key is typed in a terminal.
fn zsh(dir: &Path, lines: &[String]) -> Result<Vec<Answer>> {
    let script = r#"
        zmodload zsh/zpty
        zpty -b shell zsh -f -i
        zpty -w shell 'PS1=; autoload -U compinit; compinit -u -D'
        zpty -w shell 'source <(rbpftool completion zsh)'
        zpty -w shell 'show() { print -r -- "<<$BUFFER>>"; BUFFER=; zle accept-line }'
        zpty -w shell 'zle -N show; bindkey "^Xs" show; unsetopt beep; print -r -- BE""GUN'
        zpty -r shell begun '*BEGUN*'
        for line; do
            zpty -w -n shell "$line"$'\t\C-xs'
            zpty -r shell answer '*<<*>>*'
            print -r -- "${${answer##*<<}%%>>*}"
        done
        zpty -d shell
    "#;
    let out = run_in(dir, "zsh", &["-f", "-c", script, "zsh"], lines)?;
    Ok(out
        .lines()
        .map(|line| Answer::Line(line.to_owned()))
        .collect())
}
