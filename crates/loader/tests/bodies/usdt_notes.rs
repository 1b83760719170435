//! Bytes as a program with static probes, and as the text of arguments: what is read can be
//! described to programs, in each form of the description.

use btf::Endian;
use loader::symbols::ElfFile;
use loader::symbols::usdt::{self, Layout, MAX_ARGUMENTS, Probe, Spec};

/// x86-64, i386, aarch64, arm, riscv, s390x, and one that is not known.
const MACHINES: [u16; 7] = [62, 3, 183, 40, 243, 22, 1];

pub(crate) fn run(data: &[u8]) {
    describe(&Probe {
        provider: String::new(),
        name: String::new(),
        address: 0,
        semaphore: None,
        arguments: String::from_utf8_lossy(data).into_owned(),
    });
    let Ok(file) = ElfFile::parse(data) else {
        return;
    };
    let Ok(probes) = usdt::probes(&file) else {
        return;
    };
    assert!(probes.len() <= data.len() / 12);
    for probe in probes.iter().take(64) {
        describe(probe);
        if let Ok(place) = probe.place(&file) {
            assert_eq!(file.file_offset(probe.address), Some(place.offset));
            usdt::has_fast_nop(&file, place.offset);
        }
    }
}

fn describe(probe: &Probe) {
    for machine in MACHINES {
        let Ok(spec) = Spec::of(probe, machine, 7) else {
            continue;
        };
        assert!(spec.arguments.len() <= MAX_ARGUMENTS);
        for layout in [Layout::Plain, Layout::Indexed] {
            for endian in [Endian::Little, Endian::Big] {
                if let Some(bytes) = spec.encode(layout, endian) {
                    assert_eq!(bytes.len(), layout.value_size());
                }
            }
        }
    }
}
