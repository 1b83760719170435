//! Resolves the CO-RE relocations of an object against a target: `core_reloc OBJECT.BTF
//! OBJECT.BTF.ext TARGET [RUNS]`, the first two being dumps of those sections. Prints a line
//! for each relocation (number, kind, old value, new value, whether it is validated, whether it
//! is poisoned, whether its width is unsafe), or with RUNS how long it takes.
#![allow(clippy::print_stdout, reason = "an example shows what it finds")]

use std::time::{Duration, Instant};

use btf::core_reloc::{Memory, Resize, Resolver};
use btf::ext::Ext;
use btf::{Btf, core_reloc::CoreRelo};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [local, ext, target, runs @ ..] = args.as_slice() else {
        return Err("core_reloc OBJECT.BTF OBJECT.BTF.ext TARGET [RUNS]".into());
    };
    let local = std::fs::read(local)?;
    let local = Btf::parse(&local)?;
    let ext = std::fs::read(ext)?;
    let relos: Vec<CoreRelo> = Ext::parse(&ext)?.core_relos().records().collect();
    if let Some(runs) = runs.first() {
        return measure(&local, &relos, target, runs.parse()?);
    }
    let bytes = std::fs::read(target)?;
    let target = Btf::parse(&bytes)?;
    let mut resolver = Resolver::new(&local, &target);
    resolver.prepare(relos.iter().copied());
    for (index, relo) in relos.iter().enumerate() {
        let kind = relo.kind.raw();
        match resolver.resolve(relo) {
            Err(_) => println!("{index} {kind} error"),
            Ok(fixup) => {
                let resize = fixup.memory.map(|Memory { resize, .. }| resize);
                println!(
                    "{index} {kind} {} {} {} {} {}",
                    fixup.local,
                    fixup.target,
                    u8::from(fixup.sure),
                    u8::from(fixup.poison),
                    u8::from(resize == Some(Resize::Unsafe))
                );
            }
        }
    }
    Ok(())
}

fn measure(
    local: &Btf<'_>,
    relos: &[CoreRelo],
    target: &str,
    runs: u32,
) -> Result<(), Box<dyn std::error::Error>> {
    let (mut alone, mut whole) = (Duration::MAX, Duration::MAX);
    for _ in 0..runs {
        let start = Instant::now();
        let bytes = std::fs::read(target)?;
        let target = Btf::parse(&bytes)?;
        let parsed = Instant::now();
        let fixups = Resolver::new(local, &target).resolve_all(relos.iter().copied());
        alone = alone.min(parsed.elapsed());
        whole = whole.min(start.elapsed());
        drop(fixups);
    }
    println!(
        "{} relocations: {:.3} ms, with reading and parsing the target {:.3} ms",
        relos.len(),
        alone.as_secs_f64() * 1e3,
        whole.as_secs_f64() * 1e3
    );
    Ok(())
}
