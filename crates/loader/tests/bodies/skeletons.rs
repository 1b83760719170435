//! Whatever is read has skeletons, or an error for the one that cannot be: well formed, of
//! identifiers, and bounded.

use loader::model::Object;
use loader::skeleton::{c, rust};

pub(crate) fn run(object: &Object, file: usize) {
    let mut options = rust::Options::default();
    options.include = Some("object.o".to_owned());
    let module = rust::skeleton(object, &[], &options);
    // A member of 12 bytes, whose long name others have too, is a function of a few lines.
    let limit = file.saturating_mul(400).saturating_add(1 << 20);
    assert!(module.len() < limit, "{} bytes of {file}", module.len());
    formed(&module, |line| line.trim_start().starts_with("///"));
    for line in module.lines() {
        let line = line.trim_start();
        assert!(!line.starts_with("/*") && !line.ends_with("*/"));
    }
    // Declarations in C have a bound of their own.
    let limit = limit.saturating_add(16 << 20);
    for header in [c::skeleton(object, &[]), c::subskeleton(object, "sub")] {
        let Ok(header) = header else {
            continue;
        };
        assert!(header.len() < limit, "{} bytes of {file}", header.len());
        // Names of types come from the object as they are.
        let own = header.split("static inline").skip(1).collect::<String>();
        formed(&own, |line| line.contains("_Static_assert"));
    }
}

/// Blocks are closed, and nothing but text is in it. `skip` tells of lines with words of others.
fn formed(text: &str, skip: impl Fn(&str) -> bool) {
    let mut depth = 0i64;
    for line in text.lines().filter(|line| !skip(line)) {
        // A name in quotes may hold anything that is escaped.
        let outside: String = line.split('"').step_by(2).collect();
        assert!(outside.is_ascii(), "{line}");
        for byte in outside.bytes() {
            depth += match byte {
                b'{' => 1,
                b'}' => -1,
                _ => 0,
            };
            assert!(byte == b'\t' || !byte.is_ascii_control(), "{line}");
        }
    }
    assert!(depth <= 0, "{depth} blocks are open");
}
