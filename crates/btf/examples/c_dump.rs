//! Writes the types of a file as C declarations: `c_dump FILE [unsorted]`.

use std::io::Write as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let path = args
        .next()
        .unwrap_or_else(|| "/sys/kernel/btf/vmlinux".into());
    let options = btf::c_dump::Options {
        sorted: args.next().is_none(),
        ..Default::default()
    };
    let btf = btf::Btf::parse(std::fs::read(path)?)?;
    let mut out = std::io::stdout().lock();
    btf::c_dump::write(&btf, options, |text| out.write_all(text))?;
    Ok(())
}
