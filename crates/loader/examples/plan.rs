//! Prints what loading an object would ask of a kernel of these types, or with RUNS how long it
//! takes to find out: `plan OBJECT [BTF [RUNS]]`.
#![allow(clippy::print_stdout, reason = "an example shows what it finds")]

use btf::Btf;
use loader::model::{Object, ParseOptions};
use loader::relocate::{LoadPlan, PlanOptions};
use loader::target::Described;
use std::error::Error;
use std::io::Write as _;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let path = args.next().ok_or("usage: plan OBJECT [BTF [RUNS]]")?;
    let bytes = std::fs::read(&path)?;
    let object = Object::parse(&bytes, &ParseOptions::for_file(&path))?;
    let kernel = args.next().map(std::fs::read).transpose()?;
    if let (Some(kernel), Some(runs)) = (&kernel, args.next()) {
        return measure(&bytes, &path, kernel, runs.parse()?);
    }
    let target = match kernel {
        Some(kernel) => Described::of(Btf::parse(kernel)?),
        None => Described::default(),
    };
    let options = PlanOptions {
        explain: true,
        ..PlanOptions::default()
    };
    let plan = LoadPlan::new(&object, &target, &options).map_err(|error| chain(&error))?;
    write!(std::io::stdout().lock(), "{plan}")?;
    Ok(())
}

/// An error with its causes.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text += &format!(": {cause}");
        next = cause.source();
    }
    text
}

/// The shortest time of each step, each of which starts from nothing.
fn measure(bytes: &[u8], path: &str, kernel: &[u8], runs: u32) -> Result<(), Box<dyn Error>> {
    let mut best = [Duration::MAX; 3];
    for _ in 0..runs {
        let start = Instant::now();
        let object = Object::parse(bytes, &ParseOptions::for_file(path))?;
        let parsed = start.elapsed();
        let copy = kernel.to_vec();
        let start = Instant::now();
        let target = Described::of(Btf::parse(copy)?);
        let read = start.elapsed();
        let start = Instant::now();
        let plan = LoadPlan::new(&object, &target, &PlanOptions::default());
        let planned = start.elapsed();
        plan.map_err(|error| chain(&error))?;
        for (best, now) in best.iter_mut().zip([parsed, read, planned]) {
            *best = (*best).min(now);
        }
    }
    let [parsed, read, planned] = best;
    println!("object read in {parsed:?}, kernel's types in {read:?}, planned in {planned:?}");
    Ok(())
}
