//! `raw_dump BTF [BASE]`: the types of a blob as `bpftool btf dump file … format raw` prints them.

use std::error::Error;
use std::io::Write;
use std::sync::Arc;

use btf::Btf;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args_os().skip(1);
    let data = std::fs::read(args.next().ok_or("usage: raw_dump BTF [BASE]")?)?;
    let btf = match args.next() {
        Some(base) => Btf::parse_split(data, Arc::new(Btf::parse(std::fs::read(base)?)?))?,
        None => Btf::parse(data)?,
    };
    let mut out = std::io::stdout().lock();
    btf::raw_dump::write_all(&btf, |block| out.write_all(block))?;
    Ok(())
}
