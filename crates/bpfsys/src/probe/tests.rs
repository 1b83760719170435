//! The probes against the running kernel: what it must have by its version it has, unless it says
//! that it may not tell.

use super::*;
use crate::KernelVersion;
use crate::error::Op;
use crate::uapi::enums::{AttachType, Cmd, LinkType, MapType, ProgType};
use crate::uapi::helpers::HelperId;

#[test]
fn answers_are_judged_by_their_number() {
    let op = Op::Bpf(Cmd::PROG_LOAD);
    let judge = |raw| Support::judge::<(), _>(Err(SysError::from_raw(op, raw)), &[1], &[2]);
    assert_eq!(judge(1), Support::Yes);
    assert_eq!(judge(2), Support::No);
    assert_eq!(judge(3), Support::Unknown(SysError::from_raw(op, 3)));
    assert_eq!(
        Support::judge::<_, SysError>(Ok(()), &[], &[]),
        Support::Yes
    );
}

#[test]
fn only_conclusive_answers_are_kept() {
    let key = Key::Feature("only for this test");
    let error = SysError::from_raw(Op::Bpf(Cmd::PROG_LOAD), libc::EPERM);
    assert_eq!(
        cached(key, || Support::Unknown(error)),
        Support::Unknown(error)
    );
    assert_eq!(cached(key, || Support::No), Support::No);
    assert_eq!(cached(key, || Support::Yes), Support::No);
}

#[test]
fn names_of_features_are_unique() {
    for feature in FEATURES {
        let found = Feature::by_name(feature.name).unwrap();
        assert!(core::ptr::eq(found, feature), "{}", feature.name);
    }
    assert!(Feature::by_name("nothing").is_none());
}

mod kernel {
    use super::*;

    /// A kernel of the version that brought something may be built without it, so a "no" is only
    /// reported; a "yes" of a kernel that is too old cannot be, up to backports by distributions.
    fn check(what: &str, since: Option<KernelVersion>, support: Support) -> Option<String> {
        let running = KernelVersion::running().unwrap();
        let since = since?;
        // Versions of the newest features are not settled.
        let far = KernelVersion::new(running.major, running.minor + 4, 0);
        match support {
            Support::Yes if since > far => Some(format!("{what}: yes, but since {since}")),
            Support::No if since <= running => Some(format!("{what}: no, but since {since}")),
            _ => None,
        }
    }

    #[test]
    fn types_and_commands_agree_with_version() {
        crate::tests::kernel::require_bpf!();
        let mut odd = Vec::new();
        for t in ProgType::ALL {
            odd.extend(check(&format!("prog {t}"), t.since(), prog_type(*t)));
        }
        for t in MapType::ALL {
            odd.extend(check(&format!("map {t}"), t.since(), map_type(*t)));
        }
        for t in AttachType::ALL {
            odd.extend(check(&format!("attach {t}"), t.since(), attach_type(*t)));
        }
        for t in LinkType::ALL {
            odd.extend(check(&format!("link {t}"), t.since(), link_type(*t)));
        }
        for cmd in Cmd::ALL {
            odd.extend(check(&format!("cmd {cmd}"), cmd.since(), command(*cmd)));
        }
        for feature in FEATURES {
            odd.extend(check(feature.name, Some(feature.since), feature.probe()));
        }
        for line in &odd {
            eprintln!("{line}");
        }
        let config = [
            "unspec",
            "netkit",
            "kprobe_multi",
            "kprobe_session",
            "lirc_mode2",
            "tracing_multi",
        ];
        odd.retain(|line| !config.iter().any(|name| line.contains(name)));
        assert_eq!(odd, Vec::<String>::new());
    }

    #[test]
    fn helpers_depend_on_type() {
        crate::tests::kernel::require_bpf!();
        let filter = ProgType::SOCKET_FILTER;
        assert_eq!(helper(filter, HelperId::MAP_LOOKUP_ELEM), Support::Yes);
        assert_eq!(helper(filter, HelperId::XDP_ADJUST_HEAD), Support::No);
        assert_eq!(helper(filter, HelperId(99_999)), Support::No);
        assert_eq!(
            helper(ProgType::XDP, HelperId::XDP_ADJUST_HEAD),
            Support::Yes
        );
        assert!(!helper(ProgType::TRACING, HelperId::MAP_LOOKUP_ELEM).is_no());
    }

    #[test]
    fn unknown_numbers_are_not_supported() {
        crate::tests::kernel::require_bpf!();
        assert_eq!(prog_type(ProgType(4711)), Support::No);
        assert_eq!(map_type(MapType(4711)), Support::No);
        assert_eq!(attach_type(AttachType(4711)), Support::No);
        assert_eq!(link_type(LinkType(4711)), Support::No);
        assert_eq!(command(Cmd(4711)), Support::No);
        assert_eq!(btf_kind(99), Support::No);
    }

    #[test]
    fn btf_kinds_load() {
        crate::tests::kernel::require_bpf!();
        for kind in 1..=15 {
            assert_eq!(btf_kind(kind), Support::Yes, "kind {kind}");
        }
    }
}
