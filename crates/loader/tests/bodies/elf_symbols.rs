//! Bytes as a program of user space: whatever is found in it is within it, and nothing takes more
//! than the bytes allow.

use loader::symbols::{
    ElfFile, Glob, Lines, Query, archive, debug_file, go, ld_cache, parse_maps, unpack_xz,
};

pub(crate) fn run(data: &[u8]) {
    as_other_files(data);
    let Ok(file) = ElfFile::parse(data) else {
        return;
    };
    assert!(file.sections().len() <= data.len() / 40 + 1);
    assert!(file.segments().len() <= data.len() / 32 + 1);
    let within = |offset: u64| offset < data.len() as u64 || segments_lie(&file, data.len());
    for pattern in [None, Some(Glob::new("*a*")), Some(Glob::new("?"))] {
        if let Ok(found) = file.functions(pattern.as_ref()) {
            assert!(found.len() <= data.len() / 16);
            let mut last = None;
            for function in found.iter() {
                assert!(function.name.len() <= data.len());
                assert!(pattern.as_ref().is_none_or(|p| p.fits(function.name)));
                assert!(within(function.offset));
                assert!(Some(function.offset) > last, "one for each place");
                last = Some(function.offset);
            }
        }
    }
    for name in ["a", "main", "api@V", "f+4"] {
        let query = Query::parse(name).expect("it names a place");
        if let Ok(found) = file.function(&query) {
            assert_eq!(file.file_offset(found.address), Some(found.offset));
        }
    }
    let mut addresses = vec![file.entry(), 0, u64::MAX];
    addresses.extend(file.segments().iter().take(4).map(|s| s.address));
    for address in &addresses {
        drop(file.function_at(*address));
        if let Some(at) = file.file_offset(*address) {
            assert!(file.address_of(at).is_some());
        }
    }
    if let Some(id) = debug_file::build_id(&file) {
        assert!(id.len() <= 64);
    }
    drop(debug_file::debug_link(&file));
    if let Ok(Some(inner)) = debug_file::mini(&file) {
        drop(inner.functions(None));
    }
    drop(go::GoTable::read(&file));
    if let Ok(lines) = Lines::read(&file) {
        if let Ok(places) = lines.places("a.c", 1) {
            assert!(places.iter().all(|place| place.line == 1));
        }
        for address in addresses {
            if let Ok(Some(place)) = lines.line_of(address) {
                assert!(place.address <= address);
            }
        }
    }
}

/// Whether a segment says it has bytes past the end of the file, which the kernel decides about.
fn segments_lie(file: &ElfFile<&[u8]>, len: usize) -> bool {
    file.segments()
        .iter()
        .any(|s| s.offset.saturating_add(s.file_size) > len as u64)
}

/// The same bytes as what else is read on the way to a program.
fn as_other_files(data: &[u8]) {
    if let Ok(member) = archive::member(data, b"a") {
        assert!(member.offset + member.size <= data.len() as u64);
    }
    assert!(ld_cache(data).count() <= data.len());
    assert!(parse_maps(data).count() <= data.len());
    if let Ok(bytes) = unpack_xz(data, "bytes") {
        assert!(bytes.len() <= (data.len() * 64).max(64 << 10));
    }
    drop(go::GoTable::parse(data.to_vec(), data.len() % 2 == 1));
}
