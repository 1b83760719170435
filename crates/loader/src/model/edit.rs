//! Choices that are made between reading an object and loading it.

use super::error::nearest;
use super::{AttachTo, EditError, MapOrigin, Object, ProgIdx, Program};
use bpfsys::uapi::flags::ProgLoadFlags;
use bpfsys::{ProgFd, ProgType};
use btf::Btf;
use std::collections::HashSet;
use std::sync::Arc;

impl Object {
    /// Selects the programs of these names and no others. A struct_ops map is made if it has one
    /// of them, or if its own name is given.
    ///
    /// # Errors
    /// A name that no program and no struct_ops map has.
    pub fn select_only(&mut self, names: &[&str]) -> Result<(), EditError> {
        let wanted: HashSet<&str> = names.iter().copied().collect();
        for name in &wanted {
            let is_program = self.program(name).is_some();
            let is_map = self.map(name).is_some_and(is_struct_ops);
            if !is_program && !is_map {
                return Err(self.no_program(name));
            }
        }
        for program in &mut self.programs {
            program.autoload = wanted.contains(program.name.as_str());
        }
        let selected: Vec<bool> = self
            .programs
            .iter()
            .map(|program| program.autoload)
            .collect();
        for map in &mut self.maps {
            let MapOrigin::StructOps(ops) = &map.origin else {
                continue;
            };
            let has_one = ops
                .progs
                .iter()
                .any(|(_, program)| selected.get(program.index()) == Some(&true));
            map.autocreate = has_one || wanted.contains(map.symbol.as_str());
        }
        Ok(())
    }

    /// Whether the object's load loads a program: one that struct_ops maps have is loaded if one
    /// of these is made, others if they are selected ([`Program::autoload`]).
    #[must_use]
    #[doc(alias = "bpf_object_adjust_struct_ops_autoload")]
    pub fn loads(&self, program: ProgIdx) -> bool {
        let Some(own) = self.programs.get(program.index()) else {
            return false;
        };
        if own.prog_type != ProgType::STRUCT_OPS {
            return own.autoload;
        }
        let mut is_used = false;
        for map in &self.maps {
            if let MapOrigin::StructOps(ops) = &map.origin
                && ops.progs.iter().any(|(_, of)| *of == program)
            {
                if map.autocreate {
                    return true;
                }
                is_used = true;
            }
        }
        own.autoload && !is_used
    }

    /// The error for a program that is not there.
    pub(crate) fn no_program(&self, name: &str) -> EditError {
        let names = self.programs.iter().map(|program| program.name.as_str());
        EditError::NoProgram {
            name: name.to_owned(),
            near: nearest(name, names),
        }
    }

    /// The error for a map that is not there.
    pub(crate) fn no_map(&self, name: &str) -> EditError {
        let names = self.maps.iter().map(|map| map.symbol.as_str());
        EditError::NoMap {
            name: name.to_owned(),
            near: nearest(name, names),
        }
    }
}

fn is_struct_ops(map: &super::Map) -> bool {
    matches!(map.origin, MapOrigin::StructOps(_))
}

impl Program {
    /// Makes it a program of another type. What the name of its section says does not count any
    /// longer, but for the attach type.
    #[doc(alias = "bpf_program__set_type")]
    pub fn set_type(&mut self, prog_type: ProgType) {
        if self.prog_type == prog_type {
            return;
        }
        self.prog_type = prog_type;
        self.flags
            .remove(ProgLoadFlags::SLEEPABLE | ProgLoadFlags::XDP_HAS_FRAGS);
        self.attach_to = AttachTo::None;
        self.attach_type_optional = false;
        self.usdt = false;
    }

    /// Sets what of the kernel it attaches to: `FUNCTION`, or `MODULE:FUNCTION`.
    ///
    /// # Errors
    /// Programs of its type attach to nothing that is named when they are loaded.
    #[doc(alias = "bpf_program__set_attach_target")]
    pub fn set_target(&mut self, target: &str) -> Result<(), EditError> {
        if !matches!(self.prog_type, ProgType::TRACING | ProgType::LSM) {
            return Err(self.no_target("function of the kernel"));
        }
        let (module, name) = match target.split_once(':') {
            Some((module, name)) => (Some(module.to_owned()), name),
            None => (None, target),
        };
        self.attach_to = AttachTo::Kernel {
            module,
            name: name.to_owned(),
        };
        Ok(())
    }

    /// Sets the program that it attaches to or replaces a function of: by default the function
    /// that its section names, and the program itself when there is none.
    ///
    /// # Errors
    /// Programs of its type attach to no programs.
    #[doc(alias = "bpf_program__set_attach_target")]
    pub fn set_target_prog(
        &mut self,
        prog: Arc<ProgFd>,
        btf: Arc<Btf<'static>>,
        func: Option<&str>,
    ) -> Result<(), EditError> {
        if !matches!(self.prog_type, ProgType::TRACING | ProgType::EXT) {
            return Err(self.no_target("program"));
        }
        let named = self.section.split_once('/').map(|(_, name)| name);
        let func = func.or(named).filter(|name| !name.is_empty());
        self.attach_to = AttachTo::Prog {
            prog,
            btf,
            func: func.map(str::to_owned),
        };
        Ok(())
    }

    fn no_target(&self, what: &'static str) -> EditError {
        EditError::Target {
            program: self.name.clone(),
            section: self.section.clone(),
            what,
        }
    }
}

#[cfg(test)]
mod tests;
