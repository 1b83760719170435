//! CO-RE on what a compiler makes: the programs of `tests/fixtures/core`, relocated for two
//! targets each and run in an interpreter, in both byte orders. They return the line of the
//! check that failed.
//!
//! `RBPF_BLESS=1` compiles them anew.

#[path = "core/compile.rs"]
mod compile;
#[path = "core/document.rs"]
mod document;
#[path = "core/interp.rs"]
mod interp;
#[path = "core/object.rs"]
mod object_file;

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail, ensure};
use btf::core_reloc::{CoreRelo, Patched, Resolver, patch};
use btf::ext::Ext;
use btf::min_btf::MinBtf;
use btf::{Btf, Endian};
use interp::{End, Machine};
use object_file::Object;
use rbpftool_tests::{Suite, ensure_eq, fixture, run_tool};

/// Programs that end well, by the name of their source.
const PROGRAMS: [&str; 5] = ["bits", "constants", "fields", "flavours", "types"];
/// One that must not.
const POISONED: &str = "err_missing";
const ORDERS: [(&str, Endian); 2] = [("el", Endian::Little), ("eb", Endian::Big)];

fn main() -> ExitCode {
    if rbpftool_tests::blessing()
        && let Err(e) = compile::all()
    {
        return Suite::new("core").test("compile", move || Err(e)).run();
    }
    let mut suite = Suite::new("core")
        .test("interpreter", interp::knows_its_instructions)
        .test("documented_rules_have_tests", document::rules_have_tests)
        .test("objects_are_what_the_compiler_makes", compile::unchanged);
    for (order, endian) in ORDERS {
        for name in PROGRAMS {
            for target in ["1", "2"] {
                suite.add(format!("{name}/{order}/{target}"), move || {
                    runs(name, order, target, endian)
                });
            }
            suite.add(format!("{name}/{order}/least_by_the_tool"), move || {
                runs_with_least(name, order, endian)
            });
            suite.add(format!("{name}/{order}/itself"), move || {
                stays(name, order, endian)
            });
        }
        for target in ["1", "2"] {
            suite.add(format!("{POISONED}/{order}/{target}"), move || {
                is_poisoned(order, target, endian)
            });
        }
    }
    suite.run()
}

/// A program and what says how to change it.
struct Program {
    insns: Vec<[u8; 8]>,
    btf: Vec<u8>,
    relos: Vec<CoreRelo>,
}

impl Program {
    fn open(name: &str, order: &str) -> Result<Self> {
        let object = Object::open(&format!("{name}.{order}.o"))?;
        let (insns, rest) = object.section("program")?.as_chunks::<8>();
        ensure!(rest.is_empty(), "a program of whole instructions");
        let ext = Ext::parse(object.section(".BTF.ext")?)?;
        ensure!(
            ext.func_info().records().count() == 1 && !ext.line_info().is_empty(),
            "one function with lines"
        );
        Ok(Self {
            insns: insns.to_vec(),
            btf: object.section(".BTF")?.to_vec(),
            relos: ext.core_relos().records().collect(),
        })
    }

    /// The instructions for a target; what was done to each relocated one, and why.
    fn relocate(&self, target: &Btf<'_>, endian: Endian) -> Result<Relocated> {
        let local = Btf::parse(&self.btf)?;
        ensure_eq!(local.endian(), endian);
        let mut resolver = Resolver::new(&local, target);
        resolver.prepare(self.relos.iter().copied());
        let mut out = Relocated {
            insns: self.insns.clone(),
            done: Vec::new(),
        };
        for relo in &self.relos {
            let what = resolver.describe(relo);
            let fixup = resolver.resolve(relo).with_context(|| what.clone())?;
            let at = usize::try_from(relo.insn_off)? / 8;
            let done = patch(&mut out.insns, at, endian, &fixup).with_context(|| what.clone())?;
            let why = resolver.explain(relo, &fixup).unwrap_or_default();
            out.done.push((at, done, format!("{what}: {why}")));
        }
        Ok(out)
    }
}

struct Relocated {
    insns: Vec<[u8; 8]>,
    done: Vec<(usize, Patched, String)>,
}

impl Relocated {
    fn run(&self, target: &Object, endian: Endian) -> Result<End> {
        let args = [
            target.section("target.want")?,
            target.section("target.data")?,
        ];
        Machine::new(endian, &args).run(&self.insns)
    }
}

/// With the target's BTF, and with the least of it that is needed.
fn runs(name: &str, order: &str, target: &str, endian: Endian) -> Result<()> {
    let program = Program::open(name, order)?;
    let target = Object::open(&format!("{name}.{target}.{order}.o"))?;
    let types = Btf::parse(target.section(".BTF")?)?;
    let relocated = program.relocate(&types, endian)?;
    ends_well(name, &relocated, relocated.run(&target, endian)?)?;
    let local = Btf::parse(&program.btf)?;
    let mut min = MinBtf::new(&types);
    min.record(&local, program.relos.iter().copied())?;
    let small = min.finish()?;
    let small = Btf::parse(&small)?;
    ensure!(small.len() <= types.len(), "not more types than there were");
    let relocated = program.relocate(&small, endian)?;
    ends_well(name, &relocated, relocated.run(&target, endian)?).context("with the least BTF")
}

/// With the types that `gen min_core_btf` writes.
fn runs_with_least(name: &str, order: &str, endian: Endian) -> Result<()> {
    let program = Program::open(name, order)?;
    let dir = tempfile::tempdir()?;
    let least = dir.path().join("least.btf");
    for number in ["1", "2"] {
        let file = format!("{name}.{number}.{order}.o");
        let mut words: Vec<std::ffi::OsString> = vec!["gen".into(), "min_core_btf".into()];
        words.extend([fixture("core").join(&file).into(), least.clone().into()]);
        words.push(fixture("core").join(format!("{name}.{order}.o")).into());
        let out = run_tool(words)?;
        ensure!(out.status == 0 && out.stdout.is_empty(), "{}", out.err());
        let types = Btf::parse(std::fs::read(&least)?)?;
        let relocated = program.relocate(&types, endian)?;
        let end = relocated.run(&Object::open(&file)?, endian)?;
        ends_well(name, &relocated, end).context(file)?;
    }
    Ok(())
}

fn ends_well(name: &str, relocated: &Relocated, end: End) -> Result<()> {
    match end {
        End::Exit(0) => Ok(()),
        End::Exit(line) => bail!("the check in line {line} of {name}.c fails"),
        End::Poisoned(at) => {
            let why = relocated.done.iter().find(|(other, ..)| *other == at);
            bail!("instruction {at} is poisoned: {:?}", why.map(|w| &w.2))
        }
    }
}

/// For its own types, a program stays as it is, but for bit fields: the compiler may load
/// larger words for them.
fn stays(name: &str, order: &str, endian: Endian) -> Result<()> {
    let program = Program::open(name, order)?;
    let local = Btf::parse(&program.btf)?;
    let mut resolver = Resolver::new(&local, &local);
    let mut unsure = Vec::new();
    for relo in &program.relos {
        let fixup = resolver.resolve(relo)?;
        ensure_eq!(fixup.local, fixup.target, "{}", resolver.describe(relo));
        if !fixup.sure {
            unsure.push(usize::try_from(relo.insn_off)? / 8);
        }
    }
    ensure!(unsure.len() < program.relos.len(), "some are sure");
    let relocated = program.relocate(&local, endian)?;
    for (at, (before, after)) in program.insns.iter().zip(&relocated.insns).enumerate() {
        ensure!(
            before == after || unsure.contains(&at),
            "instruction {at} was {before:?} and is {after:?}"
        );
    }
    ensure!(!relocated.done.is_empty(), "there are relocations");
    Ok(())
}

/// The reason is told, and the program gets no further.
fn is_poisoned(order: &str, target: &str, endian: Endian) -> Result<()> {
    let program = Program::open(POISONED, order)?;
    let object = Object::open(&format!("{POISONED}.{target}.{order}.o"))?;
    let types = Btf::parse(object.section(".BTF")?)?;
    let relocated = program.relocate(&types, endian)?;
    let (at, done, why) = relocated.done.first().context("a relocation")?;
    ensure_eq!(*done, Patched::Poisoned { slots: 1 });
    ensure_eq!(relocated.run(&object, endian)?, End::Poisoned(*at));
    let reason = match target {
        "1" => "'struct thing' has no member 'value'",
        _ => "the program loads or stores a 'int' (signed, 4 bytes), the target has a 'long'",
    };
    ensure!(why.contains(reason), "{why}");
    Ok(())
}
