//! Loads an object by a loader program, and says what it made:
//! `cargo run --example light -- FILE.bpf.o [LOG_LEVEL]`.

use bpfsys::MapFd;
use loader::light::{LightOptions, RunOptions, generate};
use loader::model::{Object, ParseOptions};
use loader::target::Running;
use std::error::Error;

#[expect(clippy::print_stdout, reason = "what an example is for")]
fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("which object?")?;
    let object = Object::parse(&std::fs::read(&path)?, &ParseOptions::for_file(&path))?;
    let target = Running::default();
    let mut options = LightOptions::default();
    options.target = Some(&target);
    let program = generate(&object, &options)?;
    println!(
        "{}: {} instructions, {} bytes of data, {} steps",
        program.name,
        program.insns.len(),
        program.data.len(),
        program.steps.len()
    );
    let mut run = RunOptions::default();
    run.log_level = std::env::args()
        .nth(2)
        .map_or(Ok(0), |level| level.parse())?;
    let loaded = program.run(&run).map_err(|error| format!("{error:#}"))?;
    for (map, made) in program.maps.iter().zip(&loaded.maps) {
        let id = made.as_ref().map(MapFd::info).transpose()?;
        println!("map {}: id {:?}", map.name, id.map(|info| info.id));
    }
    for (prog, made) in program.progs.iter().zip(&loaded.progs) {
        println!("program {}: id {}", prog.name, made.info()?.id);
    }
    Ok(())
}
