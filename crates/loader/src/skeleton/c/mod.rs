//! Header files for C and C++, over libbpf, with the names and members that bpftool's have.
//!
//! What differs from bpftool's:
//!
//! - names that are no identifiers become some, and equal ones are numbered;
//! - sections with a name that the kernel has no room for have their members all the same;
//! - a light skeleton lists the programs that are loaded, no others, and takes those that name
//!   no tracepoint (`SEC("raw_tp")`) for programs that attach by no call of its own.

mod full;
mod light;
mod ops;
mod parts;
mod sections;
mod sub;
mod text;

use super::SkeletonError;
use super::names::Language;
use super::shape::Shape;
use crate::light::LightProgram;
use crate::model::Object;

const FRONT: &str = "/* SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause) */

/* Written by rbpftool; what is changed here is lost when it is written again. */
";

/// A header with the object `elf` in it, by which it is opened, loaded and attached.
///
/// `object` is what `elf` was read as, under the name of the skeleton
/// ([`ParseOptions::named`](crate::model::ParseOptions::named)): libbpf finds maps by it.
///
/// # Errors
/// Variables whose types have no form in C.
#[doc(alias = "gen skeleton")]
pub fn skeleton(object: &Object, elf: &[u8]) -> Result<String, SkeletonError> {
    let name = super::identifier(&object.name);
    full::header(&Shape::new(object, Language::C, &[]), &name, elf)
}

/// A header that finds the parts of an object in another that it was linked into.
///
/// `name` is the skeleton's. The object must have been read under the empty name: libbpf finds
/// maps of sections by those of the sections.
///
/// # Errors
/// The object has no types, or variables whose types have no form in C.
#[doc(alias = "gen subskeleton")]
pub fn subskeleton(object: &Object, name: &str) -> Result<String, SkeletonError> {
    let name = super::identifier(name);
    sub::header(&Shape::new(object, Language::C, &[]), &name)
}

/// A header with a loader program in it, which needs no libbpf when it runs.
///
/// `program` was made of `object` by [`generate`](crate::light::generate); with a `signature` the
/// kernel is told to verify it.
///
/// # Errors
/// Variables whose types have no form in C.
#[doc(alias = "gen skeleton -L")]
pub fn light_skeleton(
    object: &Object,
    program: &LightProgram,
    signature: Option<&[u8]>,
) -> Result<String, SkeletonError> {
    let name = super::identifier(&object.name);
    light::header(
        &Shape::new(object, Language::C, &[]),
        &name,
        program,
        signature,
    )
}
