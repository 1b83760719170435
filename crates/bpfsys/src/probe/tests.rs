//! How answers are judged and kept, and what the running kernel's must be whatever its version.

use super::*;
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
