//! What loading depends on, and the probe for each.

use super::Feature;
use bpfsys::TokenFd;
use bpfsys::probe::{self, Support};

/// Whether the running kernel has `feature`, asked with the rights of `token`.
pub(super) fn ask(feature: Feature, token: Option<&TokenFd>) -> Support {
    let kind = |kind| probe::btf_kind_with(kind, token);
    match feature {
        Feature::Btf => kind(1),
        Feature::BtfFunc => kind(12),
        Feature::BtfDatasec => kind(15),
        Feature::BtfFloat => kind(16),
        Feature::BtfDeclTag => kind(17),
        Feature::BtfTypeTag => kind(18),
        Feature::BtfEnum64 => kind(19),
        // Their names are the same.
        Feature::ObjectNames
        | Feature::GlobalData
        | Feature::BtfGlobalFunc
        | Feature::BtfQmarkDatasec
        | Feature::BtfLayout
        | Feature::ArrayMmap
        | Feature::ExpectedAttachType
        | Feature::ProbeReadKernel
        | Feature::ProgBindMap
        | Feature::ModuleBtf
        | Feature::MemcgAccounting
        | Feature::PerfLink
        | Feature::BpfCookie
        | Feature::SyscallWrapper
        | Feature::UprobeMulti
        | Feature::ArgCtxTag
        | Feature::FullRangeMapValue
        | Feature::CommonAttrs => match probe::Feature::by_name(feature.name()) {
            Some(known) => known.probe_with(token),
            None => Support::No,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feature_has_a_probe() {
        for feature in Feature::ALL {
            let by_kind = feature.name().starts_with("btf")
                && probe::Feature::by_name(feature.name()).is_none();
            let known = probe::Feature::by_name(feature.name()).is_some();
            assert!(known || by_kind, "{}", feature.name());
        }
    }
}
