//! What `/proc/self/fdinfo` says of links that Linux 7.2 tells nothing of by system call.

use std::os::fd::AsRawFd as _;

use bpfsys::{AttachType, LinkFd};

use super::view::{TracingFuncView, TracingMultiView};
use crate::nouns::NameOrNumber;
use crate::render::escape::Text;

/// A `tracing_multi` link; `None` when nothing is said that can be understood.
pub(super) fn tracing_multi(link: &LinkFd) -> Option<TracingMultiView> {
    let path = format!("/proc/self/fdinfo/{}", link.as_raw_fd());
    parse(&std::fs::read(path).ok()?)
}

/// Two numbers with a name each, then a table: BTF object, type, cookie, symbol and offset.
fn parse(said: &[u8]) -> Option<TracingMultiView> {
    let said = String::from_utf8_lossy(said);
    let number = |key: &str| -> Option<u32> {
        let line = said.lines().find_map(|line| line.strip_prefix(key))?;
        line.trim().parse().ok()
    };
    let attach_type = AttachType(number("attach_type:")?);
    let func_cnt = number("cnt:")?;
    let mut btf_obj_id = 0;
    let mut funcs = Vec::new();
    let table = said.lines().skip_while(|line| !line.starts_with("obj-id"));
    for line in table.skip(1) {
        let mut words = line.split_whitespace();
        btf_obj_id = words.next()?.parse().ok()?;
        let btf_id = words.next()?.parse().ok()?;
        let cookie = words.next()?.parse().ok()?;
        // `name+0x0/0x10 [module]`, or an address where there is no symbol.
        let name = words.next().and_then(|symbol| symbol.split_once('+'));
        funcs.push(TracingFuncView {
            btf_id,
            addr: None,
            func: name.map(|(name, _)| Text::from(name)),
            cookie,
        });
    }
    Some(TracingMultiView {
        attach_type: NameOrNumber::new(attach_type.name(), attach_type.0),
        func_cnt,
        btf_obj_id,
        funcs,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &[u8] = b"pos:\t0\nflags:\t02000000\nlink_type:\ttracing_multi\nlink_id:\t9\n\
        attach_type:\t59\ncnt:\t2\nobj-id\t btf-id\t cookie\t func\n\
        1\t 31\t 7\t vfs_read+0x0/0x10\n1\t 40\t 18446744073709551615\t 0xffff8000\n";

    #[test]
    fn the_table_is_read() {
        let view = parse(SAID).expect("understood");
        assert_eq!(
            view.attach_type,
            NameOrNumber::Name("trace_fentry_multi".into())
        );
        assert_eq!((view.func_cnt, view.btf_obj_id), (2, 1));
        let funcs: Vec<_> = view.funcs.iter().map(|f| (f.btf_id, f.cookie)).collect();
        assert_eq!(funcs, [(31, 7), (40, u64::MAX)]);
        assert_eq!(view.funcs[0].func, Some("vfs_read".into()));
        assert_eq!(view.funcs[1].func, None);
    }

    #[test]
    fn what_is_not_understood_is_not_guessed() {
        assert_eq!(parse(b"pos:\t0\n"), None);
        assert_eq!(parse(b"attach_type:\t59\ncnt:\t1\nobj-id\t\nx y z\n"), None);
        assert_eq!(parse(b"attach_type:\t-1\ncnt:\t1\n"), None);
        assert_eq!(parse(b"\xff\xfe"), None);
    }
}
