//! Full names: the kernel cuts a program's name at 15 bytes, BTF keeps the whole of it.

use bpfsys::cmd::ProgParts;
use bpfsys::uapi::info::ProgInfo;
use bpfsys::{BtfFd, BtfId, ProgFd};
use btf::{Btf, Type};

/// The longest name the kernel keeps, without its NUL.
const CUT: usize = 15;

/// Looks up full names; keeps the BTF of the last program, which its neighbours share.
#[derive(Debug, Default)]
pub struct ProgNames {
    last: Option<(u32, Option<Btf<'static>>)>,
}

impl ProgNames {
    /// The name of the main function in BTF when the kernel's name may be cut, else the
    /// kernel's name.
    pub fn full_name(&mut self, prog: &ProgFd, info: &ProgInfo) -> Vec<u8> {
        let short = info.name();
        if short.len() < CUT || info.btf_id == 0 || info.nr_func_info == 0 {
            return short.to_vec();
        }
        self.name_in_btf(prog, info.btf_id)
            .unwrap_or_else(|| short.to_vec())
    }

    fn name_in_btf(&mut self, prog: &ProgFd, btf_id: u32) -> Option<Vec<u8>> {
        let details = prog.details(ProgParts::FUNC_INFO).ok()?;
        let main = details.func_info.first()?;
        if self.last.as_ref().is_none_or(|(id, _)| *id != btf_id) {
            self.last = Some((btf_id, load(btf_id)));
        }
        let (_, btf) = self.last.as_ref()?;
        match btf.as_ref()?.type_by_id(main.type_id).ok()? {
            Type::Func(func) => {
                Some(func.name().or_empty().to_vec()).filter(|name| !name.is_empty())
            }
            _ => None,
        }
    }
}

fn load(btf_id: u32) -> Option<Btf<'static>> {
    let data = BtfFd::by_id(BtfId::new(btf_id)?).ok()?.data().ok()?;
    Btf::parse(data).ok()
}
