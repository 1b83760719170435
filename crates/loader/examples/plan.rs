//! Prints what loading an object would ask of a kernel of these types: `plan OBJECT [BTF]`.

use btf::Btf;
use loader::model::{Object, ParseOptions};
use loader::relocate::{LoadPlan, PlanOptions};
use loader::target::Described;
use std::error::Error;
use std::io::Write as _;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let path = args.next().ok_or("usage: plan OBJECT [BTF]")?;
    let bytes = std::fs::read(&path)?;
    let object = Object::parse(&bytes, &ParseOptions::for_file(&path))?;
    let target = match args.next() {
        Some(btf) => Described::of(Btf::parse(std::fs::read(btf)?)?),
        None => Described::default(),
    };
    let options = PlanOptions {
        explain: true,
        ..PlanOptions::default()
    };
    let plan = match LoadPlan::new(&object, &target, &options) {
        Ok(plan) => plan,
        Err(error) => {
            let mut text = error.to_string();
            let mut next = error.source();
            while let Some(cause) = next {
                text += &format!(": {cause}");
                next = cause.source();
            }
            return Err(text.into());
        }
    };
    write!(std::io::stdout().lock(), "{plan}")?;
    Ok(())
}
