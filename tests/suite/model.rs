//! Objects as data: what the loader reads in each object of `tests/fixtures/bpf`, as text in
//! `tests/golden/model`; and libbpf's opinion on which programs and maps there are.
//!
//! `RBPF_BLESS=1` rewrites the texts.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, ensure};
use loader::model::{Function, Object, ParseOptions, Program, RefTarget};
use rbpftool_tests::{Expected, Suite, ensure_eq, fixture, oracle, root};

/// Where the texts are.
const TEXTS: &str = "tests/golden/model";

fn main() -> ExitCode {
    let mut suite = Suite::new("model");
    match objects() {
        Ok(names) => fill(&mut suite, &names),
        Err(e) => suite.add("objects", move || Err(e)),
    }
    suite.run()
}

fn fill(suite: &mut Suite, names: &[String]) {
    for name in names {
        let own = name.clone();
        suite.add(format!("{name}/text"), move || text(&own));
        let own = name.clone();
        suite.add(format!("{name}/libbpf"), move || same_as_libbpf(&own));
        if let Some(plain) = name.strip_suffix(".eb") {
            let (plain, own) = (plain.to_owned(), name.clone());
            suite.add(format!("{name}/order"), move || same_in_both(&plain, &own));
        }
    }
    let all = names.to_vec();
    suite.add("texts_have_objects", move || no_more_texts(&all));
}

/// Names of the objects, without `.bpf.o`.
fn objects() -> Result<Vec<String>> {
    let mut names: Vec<String> = names_in(fixture("bpf"), ".bpf.o")?;
    // the byte order stands in front of the ending
    names.sort();
    ensure!(names.len() > 50, "there are {} objects", names.len());
    Ok(names)
}

fn names_in(dir: PathBuf, ending: &str) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&dir).with_context(|| format!("read {}", dir.display()))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if let Some(name) = name.strip_suffix(ending) {
            names.push(name.to_owned());
        } else if let Some(name) = name.strip_suffix(".eb.bpf.o")
            && ending == ".bpf.o"
        {
            names.push(format!("{name}.eb"));
        }
    }
    Ok(names)
}

fn path(name: &str) -> PathBuf {
    fixture(&format!("bpf/{name}.bpf.o"))
}

fn parse(name: &str) -> Result<Result<Object, String>> {
    let path = path(name);
    let bytes = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
    let options = ParseOptions::for_file(&path.to_string_lossy());
    Ok(Object::parse(&bytes, &options).map_err(|error| format!("{:#}", anyhow::Error::new(error))))
}

/// The text of the model, or the error.
fn text(name: &str) -> Result<()> {
    let text = match parse(name)? {
        Ok(object) => object.to_string(),
        Err(error) => format!("error: {error}\n"),
    };
    Expected::at(format!("{TEXTS}/{name}.txt")).check(&text)
}

/// No text is left over from an object that is gone.
fn no_more_texts(names: &[String]) -> Result<()> {
    let texts: BTreeSet<_> = names_in(root().join(TEXTS), ".txt")?.into_iter().collect();
    let names: BTreeSet<_> = names.iter().cloned().collect();
    ensure_eq!(texts, names);
    Ok(())
}

/// Both byte orders of an object have the same programs, maps and references.
fn same_in_both(little: &str, big: &str) -> Result<()> {
    let (Ok(little), Ok(big)) = (parse(little)?, parse(big)?) else {
        ensure!(
            parse(little)?.is_err() && parse(big)?.is_err(),
            "one of them is no object"
        );
        return Ok(());
    };
    ensure_eq!(little.functions().len(), big.functions().len());
    for (one, other) in little.functions().iter().zip(big.functions()) {
        ensure_eq!(one.name, other.name);
        // the compiler may need an instruction more for one of them
        let targets = |function: &Function| -> Vec<RefTarget> {
            function.refs.iter().map(|r| r.target.clone()).collect()
        };
        ensure_eq!(targets(one), targets(other), "references of {}", one.name);
    }
    let programs = |object: &Object| -> Vec<_> {
        let shape = |p: &Program| (p.name.clone(), p.section.clone(), p.prog_type);
        object.programs().iter().map(shape).collect()
    };
    ensure_eq!(programs(&little), programs(&big));
    let maps = |object: &Object| -> Vec<_> {
        let maps = object.maps().iter();
        maps.map(|m| {
            (
                m.name.clone(),
                m.spec.map_type,
                m.spec.value_size,
                m.spec.flags,
                m.slots.clone(),
            )
        })
        .collect()
    };
    ensure_eq!(maps(&little), maps(&big));
    Ok(())
}

/// What libbpf says of an object: names of programs and of maps, in its order.
#[derive(Debug, PartialEq, Eq)]
struct Names {
    programs: Vec<String>,
    maps: Vec<String>,
}

/// Objects that one of the two does not take, or in which they do not see the same, and why.
const OTHER: [(&str, &str); 8] = [
    (
        "err_static_entry",
        "libbpf refuses static programs, we leave them out",
    ),
    ("legacy_maps", "libbpf has given up maps by numbers"),
    ("legacy_maps.eb", "libbpf has given up maps by numbers"),
    (
        "link_a",
        "libbpf refuses what other objects define, we note it",
    ),
    (
        "link_a.eb",
        "libbpf refuses what other objects define, we note it",
    ),
    ("link_b", "neither takes a map that another object defines"),
    (
        "link_b.eb",
        "neither takes a map that another object defines",
    ),
    ("static_map", "neither takes static maps"),
];

/// The names in the skeleton that the reference makes of an object.
fn same_as_libbpf(name: &str) -> Result<()> {
    let oracle = oracle()?;
    let output = Command::new(&oracle)
        .args(["gen", "skeleton"])
        .arg(path(name))
        .args(["name", name.split('.').next().unwrap_or(name)])
        .output()
        .context("start bpftool")?;
    let theirs = output.status.success().then(|| {
        let text = String::from_utf8_lossy(&output.stdout);
        Names {
            programs: assigned(&text, "s->progs["),
            maps: assigned(&text, "map->name"),
        }
    });
    let ours = parse(name)?.ok().map(|object| Names {
        programs: object.programs().iter().map(|p| p.name.clone()).collect(),
        maps: object
            .maps()
            .iter()
            // the skeleton has whole names, but for maps of sections
            .map(|map| {
                if map.symbol.starts_with('.') {
                    map.name.clone()
                } else {
                    map.symbol.clone()
                }
            })
            .collect(),
    });
    match OTHER.iter().find(|(other, _)| *other == name) {
        Some((_, why)) => ensure!(theirs.is_none(), "not so any longer: {why}"),
        None => ensure_eq!(ours, theirs, "{}", String::from_utf8_lossy(&output.stderr)),
    }
    Ok(())
}

/// Strings that are assigned to names in lines that begin so.
fn assigned(text: &str, start: &str) -> Vec<String> {
    text.lines()
        .filter(|line| line.trim_start().starts_with(start))
        .filter_map(|line| {
            let (place, value) = line.split_once(" = \"")?;
            place.ends_with("name").then_some(())?;
            Some(value.strip_suffix("\";")?.to_owned())
        })
        .collect()
}
