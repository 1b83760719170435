//! Functions that run after an exception: a tag of the program names them.

use super::functions::Functions;
use crate::model::{FuncIdx, Linkage};
use btf::{Btf, Type};
use std::collections::{HashMap, HashSet};

/// What the tag of a program says in front of the function's name.
const TAG: &[u8] = b"exception_callback:";

/// Finds the functions that programs name in tags.
pub(super) fn assign(btf: &Btf<'_>, functions: &mut Functions) {
    if memchr::memmem::find(btf.data(), TAG).is_none() {
        return;
    }
    let tags: Vec<(&[u8], &[u8])> = btf
        .types()
        .filter_map(|(_, ty)| {
            let Type::DeclTag(tag) = ty else { return None };
            let callback = tag.name().or_empty().strip_prefix(TAG)?;
            match btf.type_by_id(tag.type_id()) {
                Ok(Type::Func(func)) if tag.component_idx() == -1 && func.linkage() == 1 => {
                    Some((func.name().or_empty(), callback))
                }
                _ => None,
            }
        })
        .collect();
    let index = |at: usize| FuncIdx(u32::try_from(at).unwrap_or(u32::MAX));
    let mut programs = HashMap::new();
    let mut subprograms: HashMap<&[u8], Vec<(FuncIdx, Linkage)>> = HashMap::new();
    for (at, function) in functions.functions.iter().enumerate() {
        let name = function.name.as_bytes();
        match functions.span(index(at)).and_then(|span| span.program) {
            Some(program) => {
                programs.entry(name).or_insert((index(at), program));
            }
            None => {
                let found = subprograms.entry(name).or_default();
                found.push((index(at), function.linkage));
            }
        }
    }
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    for (name, callback) in tags {
        let Some((function, program)) = programs.get(name) else {
            continue;
        };
        // more than one is an error that the verifier tells
        let answer = if seen.insert(*program) {
            callback_of(callback, &subprograms).map(Some)
        } else {
            Ok(None)
        };
        found.push((*function, *program, answer));
    }
    for (function, program, answer) in found {
        match answer {
            Ok(callback) => {
                if let Some(program) = functions.programs.get_mut(program.index()) {
                    program.exception_callback = callback;
                }
            }
            Err(why) => functions.break_function(function, why),
        }
    }
}

fn callback_of(
    name: &[u8],
    subprograms: &HashMap<&[u8], Vec<(FuncIdx, Linkage)>>,
) -> Result<FuncIdx, String> {
    let text = super::source::shown(name);
    match subprograms.get(name).map(Vec::as_slice) {
        _ if name.is_empty() => Err("its exception callback has no name".to_owned()),
        None | Some([]) => Err(format!("there is no function '{text}' for exceptions")),
        Some([(function, Linkage::Global | Linkage::Weak)]) => Ok(*function),
        Some([_]) => Err(format!(
            "function '{text}' for exceptions is not global, or it is hidden"
        )),
        Some(_) => Err(format!(
            "there is more than one function '{text}' for exceptions"
        )),
    }
}
