//! Headers in the hands of a C compiler, with the libbpf that the reference was built with; and
//! of what that makes in the hands of the kernel.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use btf::c_dump::Declarations;
use btf::{Kind, Type};
use rbpftool_tests::compile::is_there;
use rbpftool_tests::{Place, Suite, ensure_eq, fixture, oracle, requires, run};

use crate::{object, object_path, written};

/// Objects that this kernel's oldest companion loads too.
const LOADED: &[&str] = &[
    "arena_plain",
    "callbacks",
    "data",
    "inner_maps",
    "instructions",
    "kconfig",
    "ksyms",
    "map_extra",
    "maps",
    "minimal",
    "no_btf",
    "resizable",
    "skeleton",
    "static_data",
    "strings",
    "struct_ops",
    "struct_ops_dummy",
    "subprogs",
    "tail_calls",
];

/// Objects whose types are no trouble to the kernel's headers, for C++.
const CPP: &[&str] = &[
    "data",
    "kconfig",
    "maps",
    "minimal",
    "skeleton",
    "struct_ops",
];

pub(crate) fn add(suite: &mut Suite, place: &Place) {
    for name in LOADED {
        suite.add(format!("c/load/{name}"), place.test(move |_| loaded(name)));
    }
    for name in CPP {
        suite.add(format!("c/plus_plus/{name}"), move || plus_plus(name));
    }
    suite.add("c/use", place.test(|_| used()));
    suite.add("c/light", place.test(|_| light()));
    suite.add("c/signed", signed);
}

/// A type that libbpf's header declares.
const TRISTATE: &str = "enum libbpf_tristate {
\tTRISTATE_NO = 0,
\tTRISTATE_YES = 1,
\tTRISTATE_MODULE = 2,
};
";

/// A directory to compile in.
struct Bench {
    dir: tempfile::TempDir,
    /// The reference's sources and what was built of them.
    oracle: PathBuf,
}

impl Bench {
    fn new(name: &str) -> Result<Self> {
        requires!(is_there("cc"), "no C compiler is there");
        let oracle = oracle()?;
        let oracle = oracle
            .parent()
            .context("a tool in no directory")?
            .to_owned();
        requires!(
            oracle.join("bpftool-build/libbpf/libbpf.a").is_file(),
            "the reference's libbpf is not there (cargo xtask oracle builds it)"
        );
        let bench = Self {
            dir: tempfile::tempdir().context("make a directory")?,
            oracle,
        };
        bench.write("types.h", &types(name)?)?;
        Ok(bench)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        std::fs::write(self.path(name), text).with_context(|| format!("write {name}"))
    }

    /// A compiler with the headers; every warning counts.
    fn compiler(&self, compiler: &str) -> Command {
        let mut command = Command::new(compiler);
        command
            .args(["-g", "-O1", "-Wall", "-Wextra", "-Werror"])
            .args(["-Wno-unused-function", "-Wno-unused-parameter"])
            .arg("-I")
            .arg(self.dir.path())
            .arg("-I")
            .arg(self.oracle.join("bpftool-build/libbpf/include"))
            .arg("-I")
            .arg(self.oracle.join("source/tools/include/uapi"));
        command
    }

    /// Compiles a program of `tests/fixtures/skeleton`.
    fn compile(&self, source: &str, more: &[&str]) -> Result<PathBuf> {
        let program = self.path("program");
        let mut command = self.compiler("cc");
        command
            .args(["-std=gnu11", "-o"])
            .arg(&program)
            .args(more)
            .arg(fixture("skeleton").join(source))
            .arg(self.oracle.join("bpftool-build/libbpf/libbpf.a"))
            .args(["-lelf", "-lz"]);
        succeeds(&mut command)?;
        Ok(program)
    }
}

fn succeeds(command: &mut Command) -> Result<String> {
    let output = run(command, b"")?;
    ensure!(
        output.status == 0,
        "{command:?} ended with {}:\n{}{}",
        output.status,
        output.out(),
        output.err()
    );
    Ok(output.out())
}

/// Declarations of everything that the variables of an object, and what it implements, consist
/// of: skeletons leave them to whoever includes them.
fn types(name: &str) -> Result<String> {
    let object = object(name)?;
    let mut out = Vec::new();
    if let Some(btf) = object.btf.as_deref() {
        let mut all = Declarations::new(btf);
        for (_, ty) in btf.types() {
            let Type::Datasec(section) = ty else {
                continue;
            };
            let is_seen = [
                &b".data"[..],
                b".rodata",
                b".bss",
                b".kconfig",
                b".struct_ops",
            ];
            if !is_seen
                .iter()
                .any(|front| section.name().or_empty().starts_with(front))
            {
                continue;
            }
            for info in section.vars() {
                if let Type::Var(var) = btf.type_by_id(info.type_id)? {
                    all.write_type(&mut out, var.type_id())?;
                }
            }
        }
        // What else a program might want.
        if let Some(id) = btf.find_by_name_kind(b"event", Kind::Struct) {
            all.write_type(&mut out, id)?;
        }
    }
    let types = String::from_utf8(out).context("types that are no text")?;
    // What every program has already.
    let known = ["typedef _Bool bool;\n", TRISTATE];
    let types = known
        .iter()
        .fold(types, |types, known| types.replace(known, ""));
    Ok(format!("#pragma once\n#include <stdbool.h>\n\n{types}"))
}

fn loaded(name: &'static str) -> Result<()> {
    let bench = Bench::new(name)?;
    bench.write("skel.h", &written(&["skeleton"], name)?)?;
    let skel = loader::skeleton::name_of_file(&object_path(name).to_string_lossy());
    let program = bench.compile("load.c", &[&format!("-DSKEL={skel}")])?;
    let said = succeeds(&mut Command::new(program))?;
    let object = object(name)?;
    let made = said.lines().filter(|line| line.ends_with(" made")).count();
    let programs = said
        .lines()
        .filter(|line| line.ends_with(" loaded"))
        .count();
    ensure_eq!(made, object.maps().len(), "{said}");
    ensure_eq!(programs, object.programs().len(), "{said}");
    let size = std::fs::metadata(object_path(name))?.len();
    ensure!(said.contains(&format!("\n{size} bytes\n")), "{said}");
    Ok(())
}

/// The same header for C++, with its methods.
fn plus_plus(name: &'static str) -> Result<()> {
    requires!(is_there("c++"), "no C++ compiler is there");
    let bench = Bench::new(name)?;
    bench.write("skel.h", &written(&["skeleton"], name)?)?;
    bench.write("sub.h", &written(&["subskeleton", "name", "sub"], name)?)?;
    let skel = loader::skeleton::name_of_file(&object_path(name).to_string_lossy());
    bench.write(
        "program.cpp",
        &format!(
            "#include \"types.h\"
#include \"skel.h\"
#include \"sub.h\"

int main()
{{
\t{skel} *skel = {skel}::open();
\tsub *part = sub::open(skel->obj);
\tsize_t size;

\tsub::destroy(part);
\t{skel}::load(skel);
\t{skel}::attach(skel);
\t{skel}::detach(skel);
\t{skel}::destroy(skel);
\treturn {skel}::elf_bytes(&size) == {skel}::open_and_load();
}}
"
        ),
    )?;
    let mut command = bench.compiler("c++");
    let program = bench.path("program.cpp");
    command.args(["-std=c++17", "-fsyntax-only"]).arg(&program);
    succeeds(&mut command)?;
    Ok(())
}

/// Variables, links and a subskeleton.
fn used() -> Result<()> {
    let bench = Bench::new("skeleton")?;
    bench.write("skel.h", &written(&["skeleton"], "skeleton")?)?;
    let sub = ["subskeleton", "name", "skeleton_sub"];
    bench.write("subskel.h", &written(&sub, "skeleton")?)?;
    let program = bench.compile("use.c", &[])?;
    succeeds(&mut Command::new(program))?;
    Ok(())
}

/// A loader program in a header.
fn light() -> Result<()> {
    requires!(
        !bpfsys::probe::prog_type(bpfsys::ProgType::SYSCALL).is_no(),
        "this kernel runs no loader programs (before Linux 5.14)"
    );
    let bench = Bench::new("skeleton")?;
    bench.write("skel.h", &written(&["-L", "skeleton"], "skeleton")?)?;
    let program = bench.compile("light.c", &[])?;
    succeeds(&mut Command::new(program))?;
    Ok(())
}

/// With a signature the header is longer by what the kernel is told; it compiles.
fn signed() -> Result<()> {
    let bench = Bench::new("minimal")?;
    let option = |short, file| format!("{short}{}", fixture(file).display());
    let key = option("-k", "keys/rsa.key.pem");
    let certificate = option("-i", "keys/rsa.cert.pem");
    let text = written(&["-S", &key, &certificate, "skeleton"], "minimal")?;
    for part in ["\t__s32 keyring_id;\n", "opts_sig[]", "opts_excl_hash[]"] {
        ensure!(text.contains(part), "no {part}");
    }
    bench.write("skel.h", &text)?;
    bench.write(
        "program.c",
        "#include \"skel.h\"\nint main(void) { return 0; }\n",
    )?;
    let mut command = bench.compiler("cc");
    command.args(["-fsyntax-only"]).arg(bench.path("program.c"));
    succeeds(&mut command)?;
    Ok(())
}
